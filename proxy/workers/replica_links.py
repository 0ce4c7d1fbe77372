"""The proxy's connections to replicas that answer reads.

They are not those by which replicas are asked anything else, because here READONLY has been said: such a
connection answers for its primary's slots, where others say MOVED. One per replica and protocol version,
shared by all clients of one service (service.py).

Nothing waits for a replica. What it does not answer, because it is lost, is loading, or does not have the
slot any more, is sent to the slot's owner; only if that has no answer either, the client sees an error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from node.commands import find
from node.core.key_slot import key_slot
from proxy.core.frames import request_arguments
from proxy.core.upstream import FINAL, Upstream
from proxy.requests.jobs import UNBOUND
from proxy.workers.dialogue import Address, Login, open_worker, refusal
from proxy.workers.failover import Request, as_requests

if TYPE_CHECKING:
    from proxy.core.connection import Turns
    from proxy.core.routes import SlotMap
    from proxy.core.sinks import ReplySink
    from proxy.workers.topology import Topology

log = logging.getLogger("shoal.proxy")


class ReplicaLinks:
    keeps_requests = True
    is_timed = True

    def __init__(
        self,
        turns: Turns,
        login: Login,
        topology: Topology,
        slots: SlotMap,
        changed: Callable[[Upstream], None],
    ) -> None:
        """`changed` is called with a link that is up or lost, before what was on it is sent elsewhere."""
        self.turns = turns
        self.login = login
        self.topology = topology
        self.slots = slots
        self.changed = changed
        self._links: dict[tuple[Address, int], Upstream] = {}
        self._connecting: dict[Upstream, asyncio.Task[None]] = {}

    def up(self, address: Address, version: int) -> Upstream | None:
        """The link to a replica; None while there is none."""
        link = self._links.get((address, version))
        return link if link is not None and link.state_name == "up" else None

    def keep(self, addresses: Collection[Address]) -> None:
        """Have links to these, and to no others."""
        for address, version in list(self._links):
            if address not in addresses:
                link = self._links.pop((address, version))
                self._end(link, refusal(address, "is no replica any more"))
        for address in addresses:
            for version in (2, 3):
                link = self._links.get((address, version))
                if link is None:
                    link = Upstream(self.turns, self, *address, version)
                    self._links[address, version] = link
                if link.state_name in ("idle", "down"):
                    link.connecting()
                    self.connect(link)

    def drop(self, address: Address) -> None:
        """It does not answer. `keep` tries again."""
        for version in (2, 3):
            link = self._links.get((address, version))
            if link is not None:
                self._end(link, link.lost_error)

    def close(self) -> None:
        self.keep(())

    def _end(self, link: Upstream, error: bytes) -> None:
        task = self._connecting.pop(link, None)
        if task is not None:
            task.cancel()
        requests = as_requests(link.take_all())
        link.refuse(error)
        self.changed(link)
        self._send_to_owners(link, requests, error)

    def _send_to_owners(self, link: Upstream, requests: Iterable[Request], error: bytes) -> None:
        """A request that is FINAL is meant for the replica itself."""
        for request in requests:
            if request.redirects >= FINAL:
                request.sink.deliver(request.tag, error)
                continue
            owner = self.slots.find(_slot_of(request.raw), link.version)
            if owner is None:
                request.sink.deliver(request.tag, UNBOUND)
            else:
                owner.send(request.raw, request.sink, request.tag, request.redirects)

    # What upstreams ask for

    def connect(self, link: Upstream) -> None:
        self._connecting[link] = asyncio.get_running_loop().create_task(self._connect(link))

    async def _connect(self, link: Upstream) -> None:
        address = link.host, link.port
        try:
            opened, _ = await open_worker(address, self.login, link.version, (b"READONLY",))
        except ConnectionError as problem:
            self._connecting.pop(link, None)
            log.debug("%r %s", link, problem)
            self._end(link, refusal(address, str(problem)))
        else:
            self._connecting.pop(link, None)
            link.connected(*opened)
            self.changed(link)

    def lost(self, link: Upstream, taken: list[Any]) -> None:
        log.warning("connection to replica %r lost", link)
        self.topology.refresh_soon()
        error = link.lost_error
        link.refuse(error)
        self.changed(link)
        self._send_to_owners(link, as_requests(taken), error)

    def redirect(
        self, link: Upstream, error: bytes, request: bytes, sink: ReplySink, tag: int, redirects: int
    ) -> None:
        """It has no answer: MOVED, ASK, TRYAGAIN, LOADING, MASTERDOWN and the like."""
        self.topology.refresh_soon()
        self._send_to_owners(link, [Request(request, sink, tag, redirects, sent=False)], error + b"\r\n")

    def quiet(self, link: Upstream) -> None:
        link.go_on()

    def carried_out(self, link: Upstream, sink: ReplySink) -> None:
        link.go_on()
        self.changed(link)


def _slot_of(raw: bytes) -> int:
    argv = request_arguments(raw)
    command = find(argv)
    positions = command.key_positions(argv) if command is not None else []
    return key_slot(argv[positions[0]]) if positions else 0
