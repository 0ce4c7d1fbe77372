"""Finding the others by the addresses where some of them are to be: `cluster-seeds`.

Members know each other by addresses that they have learned, in nodes.conf. That is of no use to a worker that
starts for the first time, and little to workers that all come back at other addresses, as containers do.
Seeds are names that hold for ever. A worker asks the resolver for them and introduces itself (MEET) to
whoever is there, unless it has that member in sight: for as long as it is alone, has not found every seed
once, misses a member (who is met again only tells his address), or slots have no owner yet. A name may stand
for many: whoever is at any of its addresses is met.

A worker that was told to leave (CLUSTER RESET) does not come back by itself until it is started again.

With `cluster-expected-size` a worker without a place in the cluster is seen to one by a process beside it
(`founding_process.py`): the cluster is formed once so many are there.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import socket
import traceback
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from cluster.addresses import address_text, parse_address
from cluster.local_facts import BUS_PORT_OFFSET
from cluster.operations.dialling import as_members_do
from cluster.slots import ALL_SLOTS
from cluster.supervisor.programs import founding_command, source_environment
from cluster.topology import flags as flag
from cluster.topology.topology import Topology
from node.errors import one_line

if TYPE_CHECKING:
    from cluster.member import Member
    from node.worker import Worker

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two looks: doubled while nothing comes of it."""
CALM_PAUSE = 1.0
"""Seconds between two looks at whether anybody is missing."""
_OUT_OF_SIGHT = flag.HANDSHAKE | flag.NOADDR | flag.PFAIL | flag.FAIL
_WILDCARDS = ("*", "0.0.0.0", "::", "::*", "")


def in_sight(topology: Topology, ip: str, port: int) -> bool:
    """Whether a member that answers, and knows this one, is at this address, or this one is itself.

    Who does not know us answers just the same, but never links to us: its own part of the introduction has
    failed, as on a busy machine where that takes longer than cluster-node-timeout. It is met again.
    """
    return any(
        node.ip == ip
        and port in (node.tcp_port, node.tls_port)
        and not node.flags & _OUT_OF_SIGHT
        and (node is topology.myself or node.inbound_link is not None)
        for node in topology.members
    )


def is_whole(topology: Topology) -> bool:
    """Whether this member has others, all of them in sight, and all slots have an owner."""
    others = [node for node in topology.members if node is not topology.myself]
    lost = any(node.flags & (_OUT_OF_SIGHT & ~flag.HANDSHAKE) for node in others)
    return bool(others) and not lost and topology.owned == ALL_SLOTS


class Seeds:
    """Of a worker that has `cluster-seeds`; does nothing for others."""

    def __init__(self, member: Member, worker: Worker) -> None:
        self._member = member
        self._worker = worker
        self._wanted = [parse_address(word) for word in worker.config.cluster_seeds.split()]
        self._unfound = set(self._wanted)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        if not self._wanted:
            return
        self._begin(self._look())
        if self._worker.config.cluster_expected_size and self._has_no_place():
            self._begin(self._be_seen_in())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            bug = "".join(traceback.format_exception(task.exception()))
            self._worker.log.warning(f"A bug in looking for others: {bug}")

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def _topology(self) -> Topology:
        return self._member.coordinator.topology

    # --- others

    async def _look(self) -> None:
        pause, had_company = FIRST_PAUSE, False
        while True:
            company = len(self._topology.nodes) > 1
            if had_company and not company:
                self._worker.log.notice("This worker has left its cluster: its seeds are not asked any more.")
                return
            had_company |= company
            if not self._unfound and is_whole(self._topology):
                pause = FIRST_PAUSE
                await asyncio.sleep(CALM_PAUSE)
                continue
            for host, port in self._wanted:
                await self._ask(host, port)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _ask(self, host: str, port: int) -> None:
        """Meet whoever is there. That a name has no address yet is how it is before a container starts. Of
        addresses of both kinds those of IPv4 are taken, because both would lead to the same workers."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            return
        plain = [address for family, *_, address in found if family == socket.AF_INET]
        for ip in {str(address[0]) for address in plain or [address for *_, address in found]}:
            if in_sight(self._topology, ip, port):
                self._unfound.discard((host, port))
            else:
                self._meet(ip, port)

    def _meet(self, ip: str, port: int) -> None:
        self._member.react(lambda coordinator, now: coordinator.meet(ip, port, port + BUS_PORT_OFFSET, now))

    # --- a place among them

    def _has_no_place(self) -> bool:
        myself = self._topology.myself
        return myself.is_primary and (not myself.slots or self._topology.owned != ALL_SLOTS)

    async def _be_seen_in(self) -> None:
        config, log = self._worker.config, self._worker.log
        environment = source_environment() | {
            "SHOAL_USER": config.masteruser,
            "SHOAL_PASSWORD": config.masterauth or config.requirepass,
        }
        if not config.port:
            environment["SHOAL_TLS"] = json.dumps(dataclasses.asdict(as_members_do(config)))
        sizes = (str(config.cluster_expected_size), str(config.cluster_expected_replicas))
        try:
            process = await asyncio.create_subprocess_exec(
                *founding_command([self._own_address(), *sizes]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=environment,
            )
        except OSError as error:
            log.warning(f"Cannot look after the forming of the cluster: {one_line(str(error))}")
            return
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                log.notice(f"Cluster: {line.decode(errors='replace').rstrip()}")
            await process.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()

    def _own_address(self) -> str:
        """Where this worker's clients on this machine find it."""
        bound = [word.lstrip("-") for word in self._worker.config.bind]
        host = next((host for host in bound if host not in _WILDCARDS), "127.0.0.1")
        config = self._worker.config
        return address_text(host, config.port or config.tls_port)
