"""The proxy's slow log: requests whose reply took long, for whatever reason.

The time goes from a request's arrival to its worker's reply, so waiting for a failover and the network are in
it, where a worker's slow log has only what it spent itself. What the proxy has sent as several requests is
looked at part by part. Requests that block are not slow, as in Redis. In a second no more are looked at
than the log can hold, unless there are traces.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from node.commands import find
from node.metrics.slow_log import SlowLog
from proxy.core.frames import request_arguments
from proxy.core.tallies import NEVER

if TYPE_CHECKING:
    from proxy.core.upstream import Upstream
    from proxy.local.spans import Spans

THRESHOLD = 10_000
"""Microseconds, as in Redis"""
ENTRIES = 128
NS_IN_US = 1000


class SlowRequests:
    def __init__(self, tallies: Any, threshold: int = THRESHOLD) -> None:
        self.log = SlowLog(ENTRIES)
        self._tallies = tallies
        self._tallies.slow = self.note
        self._spans: Spans | None = None
        self.threshold = threshold

    @property
    def threshold(self) -> int:
        """Microseconds; below 0: nothing is slow."""
        return self._threshold

    @threshold.setter
    def threshold(self, threshold: int) -> None:
        self._threshold = threshold
        self._follow()

    @property
    def spans(self) -> Spans | None:
        """Where traces go, if there is anybody who wants them."""
        return self._spans

    @spans.setter
    def spans(self, spans: Spans) -> None:
        self._spans = spans
        self._follow()

    def _follow(self) -> None:
        """Let the upstreams tell of what is slow for either."""
        limits = [self._threshold] if self._threshold >= 0 else []
        if self._spans is not None:
            limits.append(self._spans.threshold)
        self._tallies.slow_after = min(limits) * NS_IN_US if limits else NEVER
        self._tallies.slow_most = self.max_len if self._spans is None else NEVER

    @property
    def max_len(self) -> int:
        return self.log.limit

    @max_len.setter
    def max_len(self, limit: int) -> None:
        self.log.cut(limit)
        self._follow()

    def note(self, upstream: Upstream, sink: Any, request: bytes, took: int) -> None:
        """`sink` has its reply to `request` after so many ns. Called by the upstream."""
        if not upstream.pool.is_timed:
            return
        argv = request_arguments(request)
        row = find(argv)
        client = getattr(sink, "client", sink)
        facts = getattr(client, "facts", None)
        peer, name = (facts.address, facts.name) if facts else ("", b"")
        command = row.name if row else ""
        if 0 <= self._threshold * NS_IN_US < took:
            self.log.add(int(time.time()), took // NS_IN_US, command, argv, peer, name)
        if self._spans is not None and took > self._spans.threshold * NS_IN_US:
            self._spans.note(command, (upstream.host, upstream.port), peer, took)
