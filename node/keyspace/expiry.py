"""Active expiry: keys that nobody asks for any more are dropped all the same.

Lazy expiry only meets keys that are looked up. A cycle, several times a second, goes on where the last one
stopped (core/expiry_hand), for USUAL_BUDGET, and on past that only while a good part of what it meets is
stale, as Redis' activeExpireCycle does. `active-expire-effort` (1 to 10) raises what it may cost. However
much that is, nobody waits for it: a cycle is done in slices, each in a turn of the loop. Only a primary does
this: a replica waits for DEL.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from node.cluster_port import SLOT_COUNT
from node.core.command_rows import GATE_LOADING
from node.core.expiry_hand import ExpiryHand

if TYPE_CHECKING:
    from node.core.database import Database
    from node.worker import Worker

USUAL_BUDGET: Final = 0.001
"""Seconds a cycle may take while little is stale."""
LARGEST_SHARE: Final = 0.25
"""Share of the time between two cycles that one may take at most."""
SLICE: Final = 0.001
"""Seconds of a turn of the loop."""
ACCEPTABLE_STALE: Final = 0.10
"""Stale share of the volatile keys met above which a cycle goes on."""
LOOKS: Final = 512
"""Cells that are looked at between two looks at the clock."""


class ActiveExpiry:
    """One per database; remembers where it stopped."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._hand = ExpiryHand(db)
        self._usual = self._largest = self._acceptable = self._spent = 0.0
        self._end = self._dropped = self._seen = self._ms_left = 0
        self.stale_percent = 0.0
        """Running estimate of the share of volatile keys that are stale: INFO expired_stale_perc."""
        self.seconds = 0.0
        """Spent in cycles."""
        self.time_cap_reached = 0
        """How often a cycle ended because its time was up."""
        self.average_ttl = 0
        """Running estimate of the ms that volatile keys have left: INFO avg_ttl."""

    def begin(self, period: float, effort: int = 1) -> None:
        """A cycle; `period` is the time until the next, in seconds; `effort` is 1 to 10."""
        self._usual = USUAL_BUDGET * (1 + (effort - 1) / 4)
        self._largest = period * (LARGEST_SHARE + 0.02 * (effort - 1))
        self._acceptable = ACCEPTABLE_STALE - 0.01 * (effort - 1)
        self._spent = 0.0
        self._end = self._hand.slots_passed + SLOT_COUNT
        self._dropped = self._seen = self._ms_left = 0

    def go_on(self) -> bool:
        """A slice of the cycle; False if that was its end."""
        if self._db.volatile_count == 0 or self._db.hides_expired:
            if self._spent == 0:
                self.stale_percent *= 0.95
                self.average_ttl = 0
            return self._finish()
        began = time.monotonic()
        taken = 0.0
        while taken < SLICE and self._hand.slots_passed < self._end:
            dropped, seen, ms_left = self._hand.step(LOOKS)
            self._dropped += dropped
            self._seen += seen
            self._ms_left += ms_left
            taken = time.monotonic() - began
        self._spent += taken
        self.seconds += taken
        if self._hand.slots_passed >= self._end:
            return self._finish()
        many = self._dropped > self._seen * self._acceptable
        if self._spent > (self._largest if many else self._usual):
            self.time_cap_reached += 1
            return self._finish()
        return True

    def _finish(self) -> bool:
        if self._seen:
            self._note_ttl(self._ms_left, self._seen - self._dropped)
        if self._spent:
            share = 100 * self._dropped / self._seen if self._seen else 0.0
            self.stale_percent = self.stale_percent * 0.95 + share * 0.05
        return False

    def reset_stats(self) -> None:
        """CONFIG RESETSTAT."""
        self.seconds = self.stale_percent = 0.0
        self.time_cap_reached = 0

    def _note_ttl(self, ms_left: int, keys: int) -> None:
        """A cycle met so many keys that are not stale; a new mean counts one fiftieth, as in Redis."""
        if keys:
            mean = ms_left // keys
            self.average_ttl = (self.average_ttl * 49 + mean) // 50 if self.average_ttl else mean


class ExpiryCycles:
    """The cycles of a worker's databases."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._under_way: list[ActiveExpiry] = []
        self._scheduled = False

    def run(self, period: float) -> None:
        """Begin one of each database, and do the first slice of each: `period` is the time until the next."""
        self._under_way = list(self._worker.expiry)
        for cycle in self._under_way:
            cycle.begin(period, self._worker.config.active_expire_effort)
        self._work()

    def _work(self) -> None:
        self._under_way = [cycle for cycle in self._under_way if cycle.go_on()]
        self._worker.engine.finish_command()
        if self._under_way and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._scheduled = False
        worker = self._worker
        if not worker.active_expiry or worker.engine.gate & GATE_LOADING:
            return
        worker.engine.tick()
        began = time.monotonic()
        self._work()
        worker.slowness.note("expire-cycle", time.monotonic() - began)
        worker.trail.flush()
