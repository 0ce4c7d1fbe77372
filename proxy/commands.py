"""Carries out every request that the forwarder does not pass on raw.

One entry, `Commands.execute`: checks in Redis' order (known? argument count? logged in?), then the way that
routing.py gives the command. Also the register of connected clients, because some commands look at it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from node.commands import TABLE, Command
from node.core.key_slot import key_slot
from node.errors import (
    CLUSTERDOWN_UNBOUND,
    CROSSSLOT,
    ReplyError,
    unknown_command,
    unknown_subcommand,
    wrong_arity,
)
from proxy import codec, jobs
from proxy.local_commands import client_reply, local_function, refuse_unauthenticated
from proxy.merger import POLICIES
from proxy.routing import Way, way_of
from proxy.sessions import LATER, PASS
from proxy.splitter import SPLIT

if TYPE_CHECKING:
    from proxy.client import Client
    from proxy.routes import SlotMap
    from proxy.sessions import Sessions
    from proxy.topology import Topology
    from proxy.upstreams import UpstreamPool


class Commands:
    """The service behind all clients of one proxy."""

    def __init__(
        self,
        pool: UpstreamPool,
        topology: Topology,
        slots: SlotMap,
        password: bytes,
        port: int,
        max_clients: int,
    ) -> None:
        self.pool = pool
        self.topology = topology
        self.slots = slots
        self.password = password
        self.port = port
        self.max_clients = max_clients
        self.sessions: Sessions
        """Set by the server once both exist."""
        self.clients: dict[int, Client] = {}
        self.connections_received = 0
        self.connections_rejected = 0
        self.started = time.monotonic()

    def client_closed(self, client: Client) -> None:
        """Called by a client that has closed its socket."""
        self.clients.pop(client.id, None)
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
        try:
            value = self._execute(client, tag, argv, request)
        except ReplyError as error:
            self.sessions.spoil(client)
            value = error.with_traceback(None)
        return None if value is LATER else codec.encode_reply(value, client.resp)

    def _execute(self, client: Client, tag: int, argv: list[bytes], request: bytes | None) -> Any:
        command = _command(argv)
        if not client.authenticated:
            refuse_unauthenticated(command.name)
        client.facts.last_command = command.name
        if request is None:
            request = codec.encode_request(argv)
        value = self.sessions.execute(client, tag, command, argv, request)
        if value is not PASS:
            return value
        if command.name == "client|reply":
            return client_reply(client, tag, argv)
        match way_of(command):
            case Way.LOCAL:
                carry_out = local_function(command.name)
                assert carry_out is not None
                return carry_out(client, argv, self)
            case Way.FORWARD:
                self._forward(client, tag, command, argv, request)
            case Way.SPLIT:
                self._split(client, tag, command, argv)
            case Way.BROADCAST:
                self._broadcast(client, tag, command, request)
            case Way.SCAN:
                jobs.Scan(client, tag, argv, self.pool.shards(client.resp)).start()
            case Way.RANDOM_KEY:
                jobs.RandomKey(client, tag, request, self._shuffled(client)).start()
            case Way.ANY:
                self._send_anywhere(client, tag, request)
            case Way.REFUSED:
                raise _not_supported(command.name)
        return LATER

    def _forward(
        self, client: Client, tag: int, command: Command, argv: Sequence[bytes], request: bytes
    ) -> None:
        slots = {key_slot(argv[position]) for position in command.key_positions(argv)}
        if len(slots) > 1:
            raise CROSSSLOT
        if not slots:
            self._send_anywhere(client, tag, request)
            return
        upstream = self.slots.find(slots.pop(), client.resp)
        if upstream is None:
            raise CLUSTERDOWN_UNBOUND
        upstream.send(request, client, tag)

    def _split(self, client: Client, tag: int, command: Command, argv: Sequence[bytes]) -> None:
        width = SPLIT[command.name]
        if (len(argv) - 1) % width:
            raise wrong_arity(command.name)
        jobs.Split(client, tag, argv, width, self.slots).start()

    def _broadcast(self, client: Client, tag: int, command: Command, request: bytes) -> None:
        if command.request_policy == "all_nodes":
            targets = self.pool.nodes(client.resp)
        else:
            targets = [upstream for _, upstream in self.pool.shards(client.resp)]
        jobs.Broadcast(client, tag, POLICIES[command.response_policy]).start(request, targets)

    def _send_anywhere(self, client: Client, tag: int, request: bytes) -> None:
        """To a worker that is connected, if there is one."""
        candidates = self._shuffled(client)
        if not candidates:
            raise CLUSTERDOWN_UNBOUND
        connected = [upstream for upstream in candidates if upstream.state_name == "up"]
        (connected or candidates)[0].send(request, client, tag)

    def _shuffled(self, client: Client) -> list[Any]:
        shards = [upstream for _, upstream in self.pool.shards(client.resp)]
        random.shuffle(shards)
        return shards


def _command(argv: list[bytes]) -> Command:
    """The row of a request. Raises what Redis says to an unknown name or a wrong number of arguments."""
    row = TABLE.get(argv[0].decode("latin-1").lower())
    if row is None:
        raise unknown_command(argv)
    if row.subcommands and len(argv) > 1:
        sub = row.subcommands.get(argv[1].decode("latin-1").lower())
        if sub is None:
            raise unknown_subcommand(row.name, argv[1])
        row = sub
    if not row.accepts(len(argv)):
        raise wrong_arity(row.name)
    return row


def _not_supported(name: str) -> ReplyError:
    shown = name.replace("|", " ").upper()
    return ReplyError(f"ERR {shown} is not supported through the proxy yet")
