"""Commands that wait in the worker: BLPOP and its kin, XREAD BLOCK, WAIT.

A blocking command goes to its keys' worker over a dedicated connection, and nothing further of its client is
carried out until it is answered, as on one server. What ends the wait early:

* The client leaves: the connection is dropped, so that the worker forgets the command and hands no element to
  somebody who is gone.
* The slot moves away, or its worker becomes a replica. The worker says so (MOVED, ASK, UNBLOCKED) having done
  nothing, and the command waits on at the new owner for the rest of its time.
* The connection is lost, or the worker cannot serve now. As with any request (failover.py), the command is
  sent again for as long as a failover may take; but after a loss nobody knows whether an element was taken,
  so with `--resend reads` only a command that takes nothing (XREAD) is.
* CLIENT UNBLOCK: passed on to the worker, which knows best what the command answers then; again and again,
  because it goes over another connection, and may overtake the command.

WAIT and WAITAOF ask every primary, and answer the smallest numbers. A worker waits for what the asking
connection wrote, and this client's writes went over others. So the asking one writes first: it restores no
functions at all, which changes nothing but is replicated, so that everything before it is waited for, too.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from node.commands import Command
from node.core.crc64 import crc64
from node.core.key_slot import key_slot
from node.errors import CLUSTERDOWN_UNBOUND, CROSSSLOT, ReplyError
from proxy.core.sinks import Job
from proxy.core.upstream import FINAL
from proxy.requests import codec
from proxy.requests.jobs import UNBOUND, ClientJob
from proxy.requests.merger import agg_min, fitting
from proxy.sessions.session import LATER, session_of
from proxy.workers.failover import CALM, REFUSALS
from proxy.workers.redirection import KINDS, destination

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.core.upstream import Upstream
    from proxy.sessions.sessions import Sessions

RETRY_DELAY = 0.1
"""Seconds before a command is sent again that was not sent on: the new owner must make itself known first"""
UNBLOCK_DELAY = 0.01
"""Seconds before a worker is told again to end a command that it had not got yet"""
HOPS = 5
"""MOVED and ASK that are followed at once"""
LEAST_WAIT = 5.0
"""Seconds of errors, more than a planned failover takes, after which the client gets the last one"""
_NO_FUNCTIONS = b"\x0a\x00"
"""What FUNCTION DUMP gives where there are none: the version of the RDB format, and then its checksum."""
WRITE_NOTHING = codec.encode_request(
    [b"FUNCTION", b"RESTORE", _NO_FUNCTIONS + crc64(_NO_FUNCTIONS).to_bytes(8, "little")]
)
UNKNOWN = b"-ERR unknown command"
"""From workers before Redis 7, which wait for everything anyhow."""
LOST = b"-ERR upstream connection lost"
ROLE_CHANGED = b"-UNBLOCKED force unblock"


def place_of_timeout(command: Command, argv: Sequence[bytes]) -> tuple[int, float]:
    """(position of the timeout, how many of its units are a second)"""
    match command.name:
        case "blmpop" | "bzmpop":
            return 1, 1.0
        case "xread" | "xreadgroup":
            return [word.upper() for word in argv].index(b"BLOCK") + 1, 1000.0
        case _:
            return len(argv) - 1, 1.0


def timeout_of(command: Command, argv: Sequence[bytes]) -> float:
    """In seconds; infinite if it is for ever, 0 if it is no number, which the worker will say."""
    position, units = place_of_timeout(command, argv)
    try:
        return float(argv[position]) / units or math.inf
    except ValueError:
        return 0.0


def shortened(command: Command, argv: Sequence[bytes], waited: float) -> list[bytes]:
    """The request with so many seconds less to wait. No time left means the shortest that is not for ever."""
    position, units = place_of_timeout(command, argv)
    if not (asked := timeout_of(command, argv)):
        return list(argv)
    left = max(asked - waited, 0.001)
    text = b"0" if left == math.inf else b"%d" % (left * 1000) if units == 1000 else b"%.3f" % left
    return [*argv[:position], text, *argv[position + 1 :]]


def _how(with_error: bool) -> bytes:
    return b"ERROR" if with_error else b"TIMEOUT"


class Unblocking(Job):
    """CLIENT UNBLOCK, until a worker has heeded it, or the command has been answered anyhow."""

    def __init__(
        self, sessions: Sessions, connection: Upstream, how: bytes, waits: Callable[[], bool]
    ) -> None:
        """`connection`: over which the command was sent; `waits`: whether it has no answer yet."""
        self.sessions = sessions
        self.address = (connection.host, connection.port)
        self.waits = waits
        number = sessions.dedicated.number_of(connection)
        self.request = codec.encode_request([b"CLIENT", b"UNBLOCK", b"%d" % number, how])

    def start(self) -> None:
        if self.waits():
            self.sessions.pool.get(self.address, 2).send(self.request, self, 0)

    def replied(self, tag: int, reply: bytes) -> None:
        if reply == b":0\r\n":
            asyncio.get_running_loop().call_later(UNBLOCK_DELAY, self.start)

    def failed(self) -> None:
        """Nobody waits for this."""


class Blocked(ClientJob):
    """One blocking command of one client, until its answer."""

    def __init__(
        self, sessions: Sessions, client: Client, tag: int, command: Command, argv: Sequence[bytes]
    ) -> None:
        super().__init__(client, tag)
        self.sessions = sessions
        self.command = command
        self.argv = argv
        self.slot = self._slot()
        self.begun = time.monotonic()
        self.trouble = self.last_error = 0.0
        """When errors began to come, and when the last came"""
        self.hops = 0
        """How often it was sent on since then"""
        self.connection: Upstream | None = None
        self._retry: asyncio.TimerHandle | None = None

    def _slot(self) -> int:
        slots = {key_slot(self.argv[position]) for position in self.command.key_positions(self.argv)}
        if len(slots) > 1:
            raise CROSSSLOT
        return slots.pop() if slots else 0  # the arguments make no sense, and any worker says so

    def start(self, request: bytes) -> None:
        """`request` are the bytes of the command as it came. Raises ReplyError if it cannot even begin."""
        owner = self.sessions.slots.find(self.slot, self.client.resp)
        if owner is None:
            raise CLUSTERDOWN_UNBOUND
        self.client.block()
        self._send((owner.host, owner.port), request)

    @property
    def is_waiting(self) -> bool:
        """Has it gone to a worker?"""
        return self.connection is not None and self.sessions.dedicated.number_of(self.connection) != 0

    def unblock(self, with_error: bool) -> bool:
        """CLIENT UNBLOCK from another client. False if there is no worker that could be told."""
        connection = self.connection
        if connection is None or not self.is_waiting:
            return False
        Unblocking(self.sessions, connection, _how(with_error), lambda: self.connection is connection).start()
        return True

    def abandon(self) -> None:
        """The client is gone."""
        if self._retry is not None:
            self._retry.cancel()
        if self.connection is not None:
            connection, self.connection = self.connection, None
            self.sessions.dedicated.drop(connection)

    def replied(self, tag: int, reply: bytes) -> None:
        if self.connection is None:
            return  # abandoned
        connection, self.connection = self.connection, None
        self.sessions.dedicated.give_back(connection)
        if reply[:1] == b"-" and self._goes_on(connection, reply):
            return
        if self.sessions.commands.mirroring is not None:
            shared = self.sessions.pool.get((connection.host, connection.port), connection.version)
            request = codec.encode_request(self.argv)
            self.sessions.commands.mirroring.unblocked(shared, self.slot, self.command, request, reply)
        self._finish(reply)

    def _goes_on(self, asked: Upstream, error: bytes) -> bool:
        """Wait on elsewhere or later, if after this error that is right."""
        now = time.monotonic()
        if now - self.last_error > CALM:
            self.trouble, self.hops = now, 0
        self.last_error = now
        if now - self.trouble > max(self.sessions.pool.failover.seconds, LEAST_WAIT):
            return False
        where = destination(error[:-2], (asked.host, asked.port))
        if where is not None and not where.asking:
            self.sessions.topology.moved(where.slot, where.address)
        self.hops += 1
        if where is not None and self.hops < HOPS:
            self._send(where.address, self._rest(), where.asking)
        elif where is not None or error.startswith((ROLE_CHANGED, *KINDS)) or self._may_wait(error):
            self.sessions.topology.refresh_soon()
            self._retry = asyncio.get_running_loop().call_later(RETRY_DELAY, self._again)
        else:
            return False
        return True

    def _may_wait(self, error: bytes) -> bool:
        """Is it a sign of a failover, may the command be sent again, and is there time left?"""
        again = error.startswith(REFUSALS) or (
            error.startswith(LOST)
            and (self.sessions.pool.failover.resend_writes or "readonly" in self.command.flags)
        )
        return again and time.monotonic() - self.begun < timeout_of(self.command, self.argv)

    def _again(self) -> None:
        self._retry = None
        owner = self.sessions.slots.find(self.slot, self.client.resp)
        if owner is None:
            self._finish(UNBOUND)
        else:
            self._send((owner.host, owner.port), self._rest())

    def _rest(self) -> bytes:
        return codec.encode_request(shortened(self.command, self.argv, time.monotonic() - self.begun))

    def _send(self, address: tuple[str, int], request: bytes, asking: bool = False) -> None:
        try:
            self.connection = self.sessions.dedicated.take(address, self.client.resp)
        except ReplyError as error:
            self._finish(codec.encode_reply(error.with_traceback(None), self.client.resp))
        else:
            self.connection.send(request, self, 0, FINAL, asking)

    def _finish(self, reply: bytes) -> None:
        self.sessions.unblocked(self.client)
        self.answer(reply)

    def failed(self) -> None:
        self._finish(b"-ERR internal error of the proxy\r\n")


WRITTEN = 2**32
"""Tag of the writes before; those of WAIT itself are the numbers of the connections."""


class WaitForAll(ClientJob):
    """WAIT or WAITAOF at every primary, over a dedicated connection each."""

    def __init__(self, sessions: Sessions, client: Client, tag: int) -> None:
        super().__init__(client, tag)
        self.sessions = sessions
        self.connections: list[Upstream] = []
        self.replies: dict[int, bytes] = {}
        self.refused = b""
        """The error of a worker that does not let us write."""

    def start(self, request: bytes) -> None:
        """Raises ReplyError if there are no primaries or too many connections."""
        dedicated = self.sessions.dedicated
        primaries = [upstream for _, upstream in self.sessions.pool.shards(self.client.resp)]
        if not primaries:
            raise CLUSTERDOWN_UNBOUND
        try:
            for upstream in primaries:
                self.connections.append(dedicated.take((upstream.host, upstream.port), upstream.version))
        except ReplyError:
            self.abandon()
            raise
        self.client.block()
        for index, connection in enumerate(list(self.connections)):
            connection.send(WRITE_NOTHING, self, WRITTEN, FINAL)
            connection.send(request, self, index, FINAL)

    @property
    def is_waiting(self) -> bool:
        """Has it gone to a worker?"""
        return all(map(self.sessions.dedicated.number_of, self.connections))

    def unblock(self, with_error: bool) -> bool:
        """CLIENT UNBLOCK: those that still wait are told; the answer is made of what they say."""
        told = False
        for index, connection in enumerate(self.connections):
            if index not in self.replies and self.sessions.dedicated.number_of(connection):
                Unblocking(self.sessions, connection, _how(with_error), partial(self._misses, index)).start()
                told = True
        return told

    def _misses(self, index: int) -> bool:
        return bool(self.connections) and index not in self.replies

    def abandon(self) -> None:
        connections, self.connections = self.connections, []
        for index, connection in enumerate(connections):
            if index not in self.replies:
                self.sessions.dedicated.drop(connection)

    def replied(self, tag: int, reply: bytes) -> None:
        if not self.connections:
            return  # abandoned
        if tag == WRITTEN:
            if codec.is_error(reply) and not reply.startswith(UNKNOWN):
                self.refused = reply
            return
        self.replies[tag] = reply
        self.sessions.dedicated.give_back(self.connections[tag])
        if len(self.replies) == len(self.connections):
            self.connections = []
            self.sessions.unblocked(self.client)
            self.answer(self.refused or fitting(agg_min, list(self.replies.values())))

    def failed(self) -> None:
        self.abandon()
        self.sessions.unblocked(self.client)
        super().failed()


def block(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    if client.postpone(tag):
        return LATER
    return _begin(Blocked(sessions, client, tag, command, argv), request)


def wait(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    if client.postpone(tag):
        return LATER
    return _begin(WaitForAll(sessions, client, tag), request)


def _begin(job: Blocked | WaitForAll, request: bytes) -> Any:
    session = session_of(job.client)
    session.blocked = job
    try:
        job.start(request)
    except ReplyError:
        session.blocked = None
        raise
    return LATER
