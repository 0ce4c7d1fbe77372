"""What the owner of a slot is told in several requests that belong together.

`ask_owners` (questions.py) is for single requests. Here are the two ways to say more at once, and both find
the owner wherever it is by now: they follow MOVED and ASK, and wait through TRYAGAIN and failovers.

* `transact`: MULTI, some requests, EXEC, over the connection that all share. What was on its way when the
  connection was lost is sent again, so it has to be such that twice is as good as once.
* `watched`: a key is watched over a dedicated connection and read; then it is changed, if it is still what
  was read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from node.core.key_slot import key_slot
from node.errors import CLUSTERDOWN_UNBOUND, ReplyError
from proxy.core.frames import reply_elements
from proxy.requests import codec
from proxy.requests.questions import ask_all, ask_owners
from proxy.workers.failover import REFUSALS
from proxy.workers.redirection import KINDS, destination

if TYPE_CHECKING:
    from proxy.core.upstream import Upstream
    from proxy.requests.commands import Commands

MULTI, EXEC, UNWATCH = (codec.encode_request([name]) for name in (b"MULTI", b"EXEC", b"UNWATCH"))
HOPS = 5
"""MOVED and ASK that are followed at once"""
RETRY_DELAY, LEAST_WAIT = 0.1, 2.0
"""Seconds, after TRYAGAIN and where a worker cannot serve now (failover.py says for how long)"""
TRYAGAIN = b"-TRYAGAIN "
LOST = b"-ERR upstream connection lost"


class Search:
    """Whom to ask about a slot next, through redirections and failovers."""

    def __init__(self, calls: SlotCalls, slot: int, version: int, patient: bool = True) -> None:
        self.calls = calls
        self.slot = slot
        self.version = version
        self.patient = patient
        """Wait through TRYAGAIN."""
        self.asking = False
        """ASKING has to precede what is sent to `owner`."""
        self._asked = "", 0
        self._redirected: tuple[str, int] | None = None
        self._hops = 0
        self._deadline = asyncio.get_running_loop().time() + max(calls.pool.failover.seconds, LEAST_WAIT)

    @property
    def owner(self) -> tuple[str, int]:
        """Address of the worker to ask now. Raises ReplyError if the slot has none."""
        where, self._redirected = self._redirected, None
        if where is None:
            self.asking = False
            upstream = self.calls.slots.find(self.slot, self.version)
            if upstream is None:
                raise CLUSTERDOWN_UNBOUND
            where = upstream.host, upstream.port
        self._asked = where
        return where

    async def goes_on(self, error: bytes) -> None:
        """The worker has answered with `error`: return when it is time to ask again, or raise it."""
        where = destination(error[:-2], self._asked)
        known = (*KINDS, *REFUSALS, LOST)
        if where is None and (
            not error.startswith(known) or (error.startswith(TRYAGAIN) and not self.patient)
        ):
            raise codec.decode_reply(error)
        if where is not None:
            if not where.asking:
                self.calls.topology.moved(where.slot, where.address)
            self._redirected, self.asking = where.address, where.asking
            self._hops += 1
            if self._hops % HOPS:
                return
        if asyncio.get_running_loop().time() > self._deadline:
            raise codec.decode_reply(error)
        self._redirected = None
        self.calls.topology.refresh_soon()
        await asyncio.sleep(RETRY_DELAY)


class Watched:
    """A key that is watched, and what was read of it meanwhile."""

    def __init__(
        self, calls: SlotCalls, slot: int, connection: Upstream, values: list[Any], asking: bool
    ) -> None:
        self._calls = calls
        self._slot = slot
        self.connection = connection
        self.values = values
        self._asking = asking
        self.finished = False

    async def commit(self, *argvs: Sequence[bytes]) -> list[Any] | None:
        """Carry out these commands if nobody has changed the key; None if somebody has. Raises ReplyError
        if it was not done, or if that is not known because the connection was lost."""
        self.finished = True
        requests = [MULTI, *map(codec.encode_request, argvs), EXEC]
        replies = await ask_all(self.connection, requests, int(self._asking))
        error = next(filter(codec.is_error, replies), None)
        value = codec.decode_reply(error or replies[-1])
        if isinstance(value, ReplyError):
            raise value
        mirroring = self._calls.commands.mirroring
        if value is not None and mirroring is not None:
            done = zip(requests[1:-1], reply_elements(replies[-1]), strict=True)
            mirroring.transaction(self._slot, list(done))
        return value  # type: ignore[no-any-return]


class SlotCalls:
    def __init__(self, commands: Commands) -> None:
        self.commands = commands
        self.pool = commands.pool
        self.slots = commands.slots
        self.topology = commands.topology

    async def each(self, version: int, questions: Sequence[tuple[int, Sequence[bytes]]]) -> list[bytes]:
        """The raw replies to (slot, argv). Raises ReplyError for the first error among them."""
        requests = [(slot, codec.encode_request(argv)) for slot, argv in questions]
        replies = await ask_owners(self.slots, version, requests)
        error = next(filter(codec.is_error, replies), None)
        if error is not None:
            raise codec.decode_reply(error)
        return replies

    async def call(self, slot: int, version: int, argv: Sequence[bytes]) -> bytes:
        """The raw reply to one request with several keys of one slot, which may be on the move."""
        request = codec.encode_request(argv)
        deadline = asyncio.get_running_loop().time() + max(self.pool.failover.seconds, LEAST_WAIT)
        while True:
            (reply,) = await ask_owners(self.slots, version, [(slot, request)])
            if not reply.startswith(TRYAGAIN) or asyncio.get_running_loop().time() > deadline:
                return reply
            await asyncio.sleep(RETRY_DELAY)

    async def transact(
        self, slot: int, version: int, argvs: Sequence[Sequence[bytes]], patient: bool = True
    ) -> list[bytes]:
        """The raw replies to `argvs`, carried out in one transaction. Raises ReplyError if they were not; if
        it is not `patient`, so it does for TRYAGAIN, the answer of a slot that is on its way."""
        requests = [MULTI, *map(codec.encode_request, argvs), EXEC]
        search = Search(self, slot, version, patient)
        while True:
            upstream = self.pool.get(search.owner, version)
            replies = await ask_all(upstream, requests, int(search.asking))
            if replies[-1][:1] == b"*":
                return reply_elements(replies[-1])
            await search.goes_on(next(filter(codec.is_error, replies)))

    @asynccontextmanager
    async def watched(self, key: bytes, reads: Sequence[Sequence[bytes]]) -> AsyncIterator[Watched]:
        """Watch `key`, and read (values as codec.decode_reply gives them for RESP2). Raises ReplyError."""
        dedicated = self.commands.sessions.dedicated
        requests = [codec.encode_request(argv) for argv in ([b"WATCH", key], *reads)]
        slot = key_slot(key)
        search = Search(self, slot, 2)
        while True:
            connection = dedicated.take(search.owner, 2)
            replies = await ask_all(connection, requests, len(requests) if search.asking else 0)
            error = next(filter(codec.is_error, replies), None)
            if error is None:
                break
            self._release(connection, watching=True)
            await search.goes_on(error)
        values = [codec.decode_reply(reply) for reply in replies[1:]]
        watched = Watched(self, slot, connection, values, search.asking)
        try:
            yield watched
        finally:
            self._release(connection, watching=not watched.finished)

    def _release(self, connection: Upstream, watching: bool) -> None:
        if watching:
            connection.send(UNWATCH)
        self.commands.sessions.dedicated.give_back(connection)
