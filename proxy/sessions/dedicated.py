"""Connections to workers that serve one client at a time.

What blocks, or leaves something behind in a worker (WATCH), cannot go over the connections that all share.
It borrows one from here, and gives it back when the worker remembers nothing of it any more; one of which
that is not certain is dropped. Those given back are kept for the next, a few per worker and not for long.

Their number is bounded, because each costs the worker a client and the proxy a descriptor. Beyond the bound a
request gets an error at once: to wait for others that block might take for ever.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from node.errors import ReplyError
from proxy.core.upstream import Upstream
from proxy.requests.codec import integer_of
from proxy.workers.dialogue import Address, Login, open_worker, refusal

if TYPE_CHECKING:
    from proxy.core.connection import Turns
    from proxy.core.sinks import ReplySink
    from proxy.workers.topology import Topology

log = logging.getLogger("shoal.proxy")

TOO_MANY = ReplyError("ERR max number of dedicated connections reached")
IDLE_PER_WORKER = 32
"""Kept for each protocol version."""
IDLE_SECONDS = 30.0
"""One that was not needed for so long is closed; at most twice as long."""
CLOSED = b"-ERR connection closed\r\n"


class DedicatedPool:
    keeps_requests = False
    is_timed = False  # what blocks is not slow

    def __init__(self, turns: Turns, login: Login, limit: int, topology: Topology) -> None:
        self.turns = turns
        self.login = login
        self.limit = limit
        self.topology = topology
        self._idle: dict[tuple[Address, int], list[Upstream]] = {}
        self._lent: set[Upstream] = set()
        self._numbers: dict[Upstream, int] = {}
        self._connecting: dict[Upstream, asyncio.Task[None]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._unused: set[Upstream] = set()
        """Idle since before the last sweep."""

    @property
    def lent(self) -> int:
        return len(self._lent)

    @property
    def idle(self) -> int:
        return sum(map(len, self._idle.values()))

    def take(self, address: Address, version: int) -> Upstream:
        """A connection to this worker for whoever calls alone, until `give_back` or `drop`. It queues
        requests until it is connected. Raises ReplyError if there are too many."""
        kept = self._idle.get((address, version))
        if kept:
            upstream = kept.pop()
            self._unused.discard(upstream)
        else:
            if self.lent >= self.limit:
                raise TOO_MANY
            upstream = Upstream(self.turns, self, *address, version)
        self._lent.add(upstream)
        return upstream

    def give_back(self, upstream: Upstream) -> None:
        """The worker remembers nothing of us, or will not once it has answered what is in flight."""
        self._lent.discard(upstream)
        kept = self._idle.setdefault(((upstream.host, upstream.port), upstream.version), [])
        if upstream.state_name != "up" or len(kept) >= IDLE_PER_WORKER:
            self._end(upstream)
            return
        kept.append(upstream)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._sweep)

    def drop(self, upstream: Upstream) -> None:
        """Close it: the worker forgets what it was asked."""
        self._lent.discard(upstream)
        self._end(upstream)

    def number_of(self, upstream: Upstream) -> int:
        """By which CLIENT UNBLOCK on its worker knows it; 0 before it is connected."""
        return self._numbers.get(upstream, 0)

    def reconcile(self, nodes: frozenset[Address], failed: frozenset[Address]) -> None:
        """After a refresh of the map: give up on nodes that failed, keep nothing for those that are gone."""
        for (address, _), kept in self._idle.items():
            if address in failed or address not in nodes:
                for upstream in list(kept):
                    upstream.close()
        for upstream in list(self._lent):
            if (upstream.host, upstream.port) in failed:
                upstream.close()

    def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for upstream in [*self._lent, *(each for kept in self._idle.values() for each in kept)]:
            self._end(upstream)
        self._lent.clear()
        self._idle.clear()

    def _end(self, upstream: Upstream) -> None:
        task = self._connecting.pop(upstream, None)
        if task is not None:
            task.cancel()
        self._numbers.pop(upstream, None)
        self._unused.discard(upstream)
        upstream.refuse(CLOSED)

    def _sweep(self) -> None:
        self._sweeper = None
        for upstream in list(self._unused):
            self._idle[(upstream.host, upstream.port), upstream.version].remove(upstream)
            self._end(upstream)
        self._idle = {key: kept for key, kept in self._idle.items() if kept}
        self._unused = {upstream for kept in self._idle.values() for upstream in kept}
        if self._unused:
            self._sweeper = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._sweep)

    # What upstreams ask for

    def connect(self, upstream: Upstream) -> None:
        self._connecting[upstream] = asyncio.get_running_loop().create_task(self._connect(upstream))

    def lost(self, upstream: Upstream) -> None:
        """Its requests have been answered with an error. Whoever borrowed it gives it back all the same."""
        self._numbers.pop(upstream, None)
        self.topology.refresh_soon()
        kept = self._idle.get(((upstream.host, upstream.port), upstream.version), [])
        if upstream in kept:
            kept.remove(upstream)
            self._unused.discard(upstream)

    def redirect(
        self, upstream: Upstream, error: bytes, request: bytes, sink: ReplySink, tag: int, redirects: int
    ) -> None:
        """Nothing is sent again from here: requests over these connections belong together."""
        sink.deliver(tag, error + b"\r\n")

    async def _connect(self, upstream: Upstream) -> None:
        try:
            opened, replies = await open_worker(
                (upstream.host, upstream.port), self.login, upstream.version, (b"CLIENT", b"ID")
            )
        except ConnectionError as problem:
            self._connecting.pop(upstream, None)
            log.warning("%r %s", upstream, problem)
            self.topology.refresh_soon()
            upstream.refuse(refusal((upstream.host, upstream.port), str(problem)))
        else:
            self._connecting.pop(upstream, None)
            self._numbers[upstream] = integer_of(replies[0])
            upstream.connected(*opened)
