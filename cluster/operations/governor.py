"""Keeps a move within its pace (cluster/plans/pace.py).

Our workers limit what they send by a setting, which is changed for the time of the move, and put back; what
it was stands in the plan's journal, so that whoever ends the plan can put it back. Where there is no such
setting, and where keys move one by one, we rest between portions instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cluster.operations.atomic import BANDWIDTH, bandwidth_of
from cluster.operations.journals import Journal
from cluster.operations.latency import Probe
from cluster.operations.link import NodeLink, OperationError
from cluster.plans.pace import UNLIMITED, Pace

LOOK_SECONDS = 1.0
"""Between two looks at how clients feel."""


class Governor:
    """For one step at a time: `begin`, then `heed` again and again."""

    def __init__(self, journal: Journal, pace: Pace, probe: Probe, sleep: Callable[[float], None]) -> None:
        self._journal = journal
        self._pace = pace
        self._probe = probe
        self._sleep = sleep
        self._source: NodeLink | None = None
        self._source_id = ""
        self._by_setting = False
        self._set = -1
        self._looked = self._rested = time.monotonic()
        self._rested_at = 0.0

    def begin(self, source_id: str, source: NodeLink) -> None:
        """What follows leaves this node."""
        self._source, self._source_id = source, source_id
        self._looked = self._rested = time.monotonic()
        self._rested_at = 0.0
        self._set = -1
        borrowed = source_id in self._journal.plan.borrowed  # by who had this plan before us, perhaps
        before = bandwidth_of(source) if self._pace.limits or borrowed else None
        self._by_setting = before is not None
        if before is not None:
            if not borrowed:
                self._journal.add("borrowed", node=source_id, setting=BANDWIDTH, before=before)
            self._apply()

    @property
    def portion(self) -> float:
        """Bytes that may go without a rest in between; infinite if nothing has to be heeded so."""
        if not self._pace.limits or self._by_setting:
            return float("inf")
        return float(self._pace.rate or "inf") * LOOK_SECONDS

    def heed(self, moved: float) -> None:
        """`moved` bytes have gone since the beginning of the step. Rests where that is the only way."""
        if not self._pace.limits:
            return
        self._apply()  # if others began or ended, our share is another
        now = time.monotonic()
        if self._pace.watches and now - self._looked >= LOOK_SECONDS:
            rate = (moved - self._rested_at) / max(now - self._rested, 0.001)
            if self._pace.look(self._probe.p99, rate):
                self._probe.forget()
                self._apply()
            self._looked = now
        if not self._by_setting:
            self._sleep(min(self._pace.rest(moved - self._rested_at, now - self._rested), 60.0))
        if now - self._rested > LOOK_SECONDS:
            self._rested, self._rested_at = time.monotonic(), moved

    def _apply(self) -> None:
        if self._by_setting and self._source is not None and self._set != self._pace.rate:
            self._source.call("CONFIG", "SET", BANDWIDTH, self._pace.rate or UNLIMITED)
            self._set = self._pace.rate


def put_back(journal: Journal, link_of: Callable[[str], NodeLink]) -> None:
    """Settings as they were before the plan. One of a node that is away stays in the journal."""
    for node_id, settings in list(journal.plan.borrowed.items()):
        try:
            for name, value in settings.items():
                link_of(node_id).call("CONFIG", "SET", name, value)
        except (OperationError, KeyError):
            continue
        journal.add("returned", node=node_id)
