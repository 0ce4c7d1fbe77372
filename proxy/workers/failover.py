"""How long requests wait for a worker that cannot serve, and which may be sent again.

While a primary is dead and its successor is not elected yet, its slots are nobody's. A client could only try
again and again; so the proxy does the waiting, up to `failover-wait` from the first sign of trouble. After
that the worker's requests are refused at once until it is back. Signs of trouble are a lost connection, a
connect that fails, and the replies LOADING, CLUSTERDOWN, READONLY and MASTERDOWN, by which a worker says that
it has done nothing. Everything is kept in order:

* A lost connection leaves its requests in the queue of the upstream (upstream.pyx), those that had been sent
  in front. They go out when it is connected again, or all together to the worker that has taken the slots.
* A worker that refuses gets nothing more to do for a while: its upstream waits, and when all that was on its
  way is answered, what was refused is queued again, before what has come since. Of this one request goes out,
  and the others when it is carried out; a new connection begins in the same way. Should a later request of a
  client have been carried out while the first were refused, then these are not sent again, because they would
  take effect after it; the client sees what the worker said.

A request that was on its way when its worker died may have been carried out, and passed on to the successor.
Sent again it is carried out twice, which matters to INCR or LPUSH. Clients of Redis do the same when they
retry; `--resend reads` answers writes whose fate is unknown with an error instead. Requests that belong
together (a transaction) are never sent again: see FINAL. Nor is one that has lost its worker three times.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from node.commands import find
from proxy.core.frames import request_arguments
from proxy.core.upstream import FINAL

if TYPE_CHECKING:
    from proxy.core.sinks import ReplySink
    from proxy.core.upstream import Upstream

REFUSALS = (b"-LOADING ", b"-CLUSTERDOWN ", b"-READONLY ", b"-MASTERDOWN ")
"""Replies of a worker that cannot serve now; upstream.pyx knows them, too."""
CALM = 3.0
"""Seconds without a sign of trouble that end one trouble, so that the next has its own time"""
FIRST_PAUSE, LAST_PAUSE = 0.02, 0.2
"""Before a worker that refused is asked again; it doubles."""
COST_OF_LOSS = 2
"""Redirections that a request lost on its way counts for: two losses it survives. A worker might end for this
very request, and so would its successors."""


class Request(NamedTuple):
    """One that is not answered yet."""

    raw: bytes
    sink: ReplySink
    tag: int
    redirects: int
    sent: bool
    """It may have been carried out."""


class _Refused(NamedTuple):
    request: Request
    error: bytes


class FailoverWait:
    def __init__(self, seconds: float, resend_writes: bool) -> None:
        self.seconds = seconds
        self.resend_writes = resend_writes
        self._trouble: dict[Upstream, tuple[float, float]] = {}
        """When the trouble of a worker began, and its last sign"""
        self._refused: dict[Upstream, list[_Refused]] = {}
        """What a worker that waits has refused, oldest first"""
        self.waits: Counter[str] = Counter()
        """Name of a worker -> troubles that requests have waited through, so far"""
        self._pauses: dict[Upstream, float] = {}
        self._timers: dict[Upstream, asyncio.TimerHandle] = {}

    def may_wait(self, upstream: Upstream) -> bool:
        """This is a sign of trouble: may requests for this worker still wait?"""
        now = asyncio.get_running_loop().time()
        began, last = self._trouble.get(upstream, (now, now - 2 * CALM))
        if now - last > CALM:
            began = now
            self.waits[repr(upstream)] += self.seconds > 0
            self._pauses.pop(upstream, None)
        self._trouble[upstream] = began, now
        return now - began < self.seconds

    def waited(self, upstream: Upstream) -> float | None:
        """Seconds since the trouble began that its requests wait through at the moment, if they do."""
        now = asyncio.get_running_loop().time()
        began, last = self._trouble.get(upstream, (now, now - 2 * CALM))
        return now - began if now - last <= CALM else None

    def may_repeat(self, request: Request) -> bool:
        """After the connection is lost."""
        if request.redirects + request.sent * COST_OF_LOSS > FINAL - 1:
            return False
        if not request.sent or self.resend_writes:
            return True
        command = find(request_arguments(request.raw))
        return command is not None and "readonly" in command.flags

    # Workers that refuse

    def refused(self, upstream: Upstream, request: Request, error: bytes) -> bool:
        """Keep a request that was answered with one of REFUSALS. False if its time is up."""
        if not self.may_wait(upstream):
            return False
        upstream.wait()
        self._refused.setdefault(upstream, []).append(_Refused(request, error))
        return True

    def carried_out(self, upstream: Upstream, sink: ReplySink) -> None:
        """A worker that waits has carried out a request: one that was sent after those it refused, or that by
        which it was tried."""
        kept = self._refused.get(upstream)
        if kept is None:
            upstream.go_on()
            return
        client = client_of(sink)
        overtaken = [each for each in kept if client_of(each.request.sink) is client]
        if overtaken:
            self._refused[upstream] = [each for each in kept if each not in overtaken]
            for each in overtaken:
                each.request.sink.deliver(each.request.tag, each.error)

    def quiet(self, upstream: Upstream) -> None:
        """All that was on its way to a worker that waits is answered."""
        if upstream not in self._timers:
            pause = self._pauses.get(upstream, FIRST_PAUSE)
            self._pauses[upstream] = min(2 * pause, LAST_PAUSE)
            loop = asyncio.get_running_loop()
            self._timers[upstream] = loop.call_later(pause, self._again, upstream)

    def _again(self, upstream: Upstream) -> None:
        upstream.try_again(self.taken_back(upstream))

    def taken_back(self, upstream: Upstream) -> list[Request]:
        """What the worker refused, oldest first; it is no matter of ours any more."""
        timer = self._timers.pop(upstream, None)
        if timer is not None:
            timer.cancel()
        return [each.request for each in self._refused.pop(upstream, [])]

    def forget(self, upstream: Upstream) -> None:
        """It is no upstream any more."""
        self._trouble.pop(upstream, None)
        self._pauses.pop(upstream, None)


def client_of(sink: ReplySink) -> object:
    """Whose requests a sink's are: those of a job are its client's."""
    return getattr(sink, "client", sink)


def as_requests(taken: Iterable[tuple[bytes, ReplySink, int, int, bool]]) -> list[Request]:
    return [Request(*each) for each in taken]
