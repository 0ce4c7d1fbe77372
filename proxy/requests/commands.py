"""Carries out every request that the forwarder does not pass on raw.

One entry, `Commands.execute`: checks in Redis' order (known? argument count? logged in?), then the way that
routing.py gives the command. Also the register of connected clients, because some commands look at it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from node.commands import TABLE, Command
from node.core.key_slot import key_slot
from node.errors import (
    CLUSTERDOWN_UNBOUND,
    CROSSSLOT,
    ReplyError,
    one_line,
    unknown_command,
    unknown_subcommand,
    wrong_arity,
)
from proxy.local import catalogue as _catalogue  # noqa: F401  registers what answers COMMAND
from proxy.local import clients as _clients  # noqa: F401  registers CLIENT LIST, INFO and KILL
from proxy.local import own
from proxy.local.facade import Facade
from proxy.local.local_commands import client_reply, local_function, refuse_unauthenticated
from proxy.local.pause import Pause
from proxy.local.slow_requests import SlowRequests
from proxy.processes.siblings import MERGED, Siblings
from proxy.requests import codec, jobs
from proxy.requests.aside import ask_aside
from proxy.requests.merger import Merge, fitting
from proxy.requests.own_ways import OWN_WAYS
from proxy.requests.reports import reporting
from proxy.requests.routing import (
    Route,
    Way,
    may_read_replica,
    route_of,
    takes_node,
)
from proxy.requests.splitter import SPLIT
from proxy.sessions.session import LATER, PASS

if TYPE_CHECKING:
    from proxy.config import ProxyConfig
    from proxy.core.client import Client
    from proxy.core.hot_reads import HotReads
    from proxy.core.routes import SlotMap
    from proxy.core.upstream import Upstream
    from proxy.mirror.mirroring import Mirroring
    from proxy.requests.cross_slot import CrossSlot
    from proxy.sessions.sessions import Sessions
    from proxy.sessions.users import Users
    from proxy.workers.replica_reads import ReplicaReads
    from proxy.workers.topology import Topology
    from proxy.workers.upstreams import UpstreamPool


log = logging.getLogger("shoal.proxy")


class Commands:
    """The service behind all clients of one proxy."""

    def __init__(
        self,
        pool: UpstreamPool,
        topology: Topology,
        slots: SlotMap,
        config: ProxyConfig,
        front: Commands | None = None,
    ) -> None:
        self.pool = pool
        self.topology = topology
        self.slots = slots
        self.config = config
        self.front = front or self
        """Those of the service that all clients begin with: it counts them, for all services."""
        self.password = config.password
        self.limits = config.limits
        self.rules = config.rules
        self.tallies = pool.turns.tallies
        self.slow_requests: SlowRequests = (
            front.slow_requests if front else SlowRequests(self.tallies, config.slow_after)
        )
        self.port = config.port
        self.max_clients = config.max_clients
        self.facade: Facade | None = front.facade if front else _facade(config)
        """The cluster that the proxy poses as"""
        self.pause: Pause = front.pause if front else Pause(self)
        self.users: Users | None = front.users if front else None
        """Set by the server if workers decide who clients are."""
        self.hot_reads: HotReads | None = None
        """Set by the service if hot keys are looked for."""
        self.sessions: Sessions
        """Set by the server once both exist."""
        self.siblings: Siblings | None = front.siblings if front else None
        """The other processes that serve the same clients, if there are any."""
        self.cross_slot: CrossSlot | None = None
        """Set by the server if it is allowed at all."""
        self.replica_reads: ReplicaReads | None = None
        """Likewise"""
        self.mirroring: Mirroring | None = front.mirroring if front else None
        """Set by the server if there is a mirror."""
        self.clients: dict[int, Client] = front.clients if front else {}
        self.connections_received = 0
        self.connections_rejected = 0
        self.started = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()

    def client_closed(self, client: Client) -> None:
        """Called by a client that has closed its socket."""
        self.clients.pop(client.id, None)
        self.pause.forget(client)
        if client.session is not None:
            self.sessions.ended(client)

    def hold_clients(self) -> None:
        """The map has changed. A request sent the new way must not overtake one that still travels the old
        way: every client's next requests wait until those in flight are answered."""
        for client in self.clients.values():
            if client.head != client.tail:
                client.hold()

    def execute(self, client: Client, tag: int, argv: list[bytes], request: bytes | None) -> bytes | None:
        """The encoded reply, or None if the client's request `tag` will be completed later.

        `request` are the bytes as they came, if they are fit to be forwarded.
        """
        node, argv = _named_node(argv)
        value: Any
        try:
            command = self._admitted(client, tag, argv)
        except ReplyError as error:
            client.count_rejected(tag)
            error = self.sessions.rejected(client, argv, error.with_traceback(None))
            return codec.encode_reply(error, client.resp)
        if request is None or node:
            request = codec.encode_request(argv)
        try:
            value = self._execute(client, tag, command, argv, request, node)
        except ReplyError as error:
            self.sessions.spoil(client)
            value = error.with_traceback(None)
        return None if value is LATER else codec.encode_reply(value, client.resp)

    def _admitted(self, client: Client, tag: int, argv: list[bytes]) -> Command:
        """The row of a request that may be carried out. Raises ReplyError for others."""
        command = _row(argv)
        client.counts_as(tag, self.tallies.numbers[command.name])
        if not command.accepts(len(argv)):
            raise wrong_arity(command.name)
        if not client.authenticated:
            refuse_unauthenticated(command.name)
        self.rules.check(command, argv)
        client.facts.last_command = command.name
        return command

    def _execute(
        self, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes, node: str
    ) -> Any:
        if self.pause.active and self.pause.concerns(client, command):
            if not client.postpone(tag):
                self.pause.hold(client, tag, argv, request)
            return LATER
        if self.users is not None and not client.facts.sibling:
            # By way of `client.service`, because a login changes it.
            go_on = partial(_go_on, client, tag, command, argv, request, node)
            value = self.users.gate(self, client, tag, command, argv, node, go_on)
            if value is not PASS:
                return value
        return self._carry_out(client, tag, command, argv, request, node)

    def _carry_out(
        self, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes, node: str
    ) -> Any:
        if self.hot_reads is not None and "readonly" not in command.flags:
            self._tell_of_write(client, command, argv)
        value = self.sessions.execute(client, tag, command, argv, request)
        if value is not PASS:
            return value
        if command.name == "client|reply":
            return client_reply(client, tag, argv)
        if node.upper() == own.NAME:
            return own.answer(self, command, argv)
        if node:
            self._node(client, node).send(request, client, tag)
            return LATER
        route = route_of(command)
        match route.way:
            case Way.LOCAL:
                return self._local(client, tag, command, argv)
            case Way.FORWARD:
                return self._forward(client, tag, command, argv, request)
            case Way.SPLIT:
                self._split(client, tag, command, argv)
            case Way.BROADCAST:
                self._broadcast(client, tag, route, argv, request)
                if self.mirroring is not None and self.mirroring.concerns_all(command):
                    client.hold()
            case Way.OWN:
                return OWN_WAYS[command.name](self, client, tag, argv, request)
            case Way.ANY:
                self.send_anywhere(client, tag, request)
            case Way.REFUSED:
                raise _not_supported(command.name)
        return LATER

    def _tell_of_write(self, client: Client, command: Command, argv: list[bytes]) -> None:
        """What is kept of the keys that this request may write is not up to date any more."""
        assert self.hot_reads is not None
        if keys := [argv[position] for position in command.key_positions(argv)]:
            self.hot_reads.written(keys)
        elif command.name == "exec" or "write" in command.flags:
            self.hot_reads.flushed()

    def _local(self, client: Client, tag: int, command: Command, argv: list[bytes]) -> Any:
        carry_out = local_function(command.name)
        assert carry_out is not None
        if self.siblings is None or command.name not in MERGED or client.facts.sibling:
            return carry_out(client, argv, self)
        try:
            own = carry_out(client, argv, self)
        except ReplyError as error:
            own = error.with_traceback(None)
        self.begin(self.siblings.together(client, tag, command.name, argv, own))
        return LATER

    def _forward(self, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes) -> Any:
        slots = {key_slot(argv[position]) for position in command.key_positions(argv)}
        if self.cross_slot is not None and self.cross_slot.takes(command, argv, slots):
            if not client.postpone(tag):
                client.hold()
                self.begin(self._answer_raw(client, tag, self.cross_slot.run(client, command, argv)))
        elif len(slots) > 1:
            raise CROSSSLOT
        elif not slots:
            self.send_anywhere(client, tag, request)
        else:
            self._server_of(client, command, slots.pop()).send(request, client, tag)
        return LATER

    def _split(self, client: Client, tag: int, command: Command, argv: Sequence[bytes]) -> None:
        width = SPLIT[command.name]
        if (len(argv) - 1) % width:
            raise wrong_arity(command.name)
        reads = client.reads_replicas and may_read_replica(command)
        jobs.Split(client, tag, argv, width, self.slots, reads).start()

    def _broadcast(self, client: Client, tag: int, route: Route, argv: list[bytes], request: bytes) -> None:
        merge = reporting(route.report, argv, client.resp) if route.report else route.merge
        targets = self.pool.nodes(client.resp) if route.replicas else self.primaries(client)
        if route.aside:
            if not client.postpone(tag):  # over other connections it could be ahead of what was asked before
                client.hold()
                self.begin(self._ask_aside(client, tag, targets, argv, merge))
        else:
            jobs.Broadcast(client, tag, merge).start(request, targets)

    async def _ask_aside(
        self, client: Client, tag: int, targets: Sequence[Upstream], argv: Sequence[bytes], merge: Merge
    ) -> None:
        addresses = [(upstream.host, upstream.port) for upstream in targets]
        replies = await ask_aside(addresses, self.pool.login, client.resp, argv)
        client.complete(tag, fitting(merge, replies) if replies else jobs.UNBOUND)

    async def answer(self, client: Client, tag: int, work: Coroutine[Any, Any, Any]) -> None:
        """Answer with the value that `work` returns, or the error that it raises."""

        async def encoded() -> bytes | None:
            value = await work
            return None if value is LATER else codec.encode_reply(value, client.resp)

        await self._answer_raw(client, tag, encoded())

    async def _answer_raw(self, client: Client, tag: int, work: Coroutine[Any, Any, bytes | None]) -> None:
        """The same for work that returns an encoded reply; None if it comes by another way."""
        try:
            reply = await work
        except ReplyError as error:
            reply = codec.encode_reply(error.with_traceback(None), client.resp)
        except Exception:
            log.exception("a command failed inside the proxy")
            reply = jobs.INTERNAL_ERROR
        if reply is not None:
            client.complete(tag, reply)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside everything else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Whom to send to

    def owner(self, client: Client, slot: int) -> Upstream:
        upstream = self.slots.find(slot, client.resp)
        if upstream is None:
            raise CLUSTERDOWN_UNBOUND
        return upstream

    def _server_of(self, client: Client, command: Command, slot: int) -> Upstream:
        """Who carries out a command about keys of `slot`: its owner, or a replica if that may be read."""
        if client.reads_replicas and may_read_replica(command):
            reader = self.slots.find_reader(slot, client.resp, client.id)
            if reader is not None:
                return reader
        return self.owner(client, slot)

    def primaries(self, client: Client) -> list[Upstream]:
        return [upstream for _, upstream in self.pool.shards(client.resp)]

    def _node(self, client: Client, name: str) -> Upstream:
        for upstream in self.pool.nodes(client.resp):
            if repr(upstream) == name:
                return upstream
        raise ReplyError(f"ERR Unknown node {one_line(name)}")

    def send_anywhere(self, client: Client, tag: int, request: bytes) -> None:
        """To a worker that is connected, if there is one."""
        candidates = self.primaries(client)
        if not candidates:
            raise CLUSTERDOWN_UNBOUND
        connected = [upstream for upstream in candidates if upstream.state_name == "up"]
        random.choice(connected or candidates).send(request, client, tag)


def _go_on(client: Client, tag: int, command: Command, argv: list[bytes], request: bytes, node: str) -> Any:
    return client.service._carry_out(client, tag, command, argv, request, node)


def _facade(config: ProxyConfig) -> Facade | None:
    return Facade(config.members, config.announced) if config.as_cluster else None


def _named_node(argv: list[bytes]) -> tuple[str, list[bytes]]:
    """The node that a request names (see `takes_node`) or "", and the request without that."""
    row = TABLE.get(argv[0].decode("latin-1").lower())
    if row is None:
        return "", argv
    at = 2 if row.subcommands else 1
    if len(argv) < at + 2 or argv[at].upper() != b"NODE":
        return "", argv
    if row.subcommands:
        row = row.subcommands.get(argv[1].decode("latin-1").lower())
    if row is None or not takes_node(row):
        return "", argv
    return argv[at + 1].decode("latin-1"), argv[:at] + argv[at + 2 :]


def _row(argv: list[bytes]) -> Command:
    """The row of a request. Raises what Redis says to an unknown name."""
    row = TABLE.get(argv[0].decode("latin-1").lower())
    if row is None:
        raise unknown_command(argv)
    if row.subcommands and len(argv) > 1:
        sub = row.subcommands.get(argv[1].decode("latin-1").lower())
        if sub is None:
            raise unknown_subcommand(row.name, argv[1])
        row = sub
    return row


def _not_supported(name: str) -> ReplyError:
    shown = name.replace("|", " ").upper()
    return ReplyError(f"ERR {shown} is not supported through the proxy")
