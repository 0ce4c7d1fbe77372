"""Active expiry: keys that nobody asks for any more are dropped all the same.

Lazy expiry only meets keys that are looked up. This cycle walks the slots that hold volatile keys, a part
of them each time it is called, and goes on past its usual budget only while it finds that a good part of
what it meets is stale, as Redis' activeExpireCycle does. `active-expire-effort` (1 to 10) raises what it
may cost. Only a primary does this: a replica waits for DEL.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.core.database import Database

USUAL_BUDGET = 0.001
"""Seconds a cycle may take while little is stale."""
LARGEST_SHARE = 0.25
"""Share of the time between two cycles that one may take at most."""
ACCEPTABLE_STALE = 0.10
"""Stale share of the volatile keys met above which a cycle goes on."""
SLOTS_PER_CHECK = 64
KEYS_PER_SLOT = 200


class ActiveExpiry:
    """One per database; remembers where it stopped."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._next_slot = 0
        self.stale_percent = 0.0
        """Running estimate of the share of volatile keys that are stale: INFO expired_stale_perc."""
        self.seconds = 0.0
        """Spent in cycles."""
        self.time_cap_reached = 0
        """How often a cycle ended because its time was up."""
        self.average_ttl = 0
        """Running estimate of the ms that volatile keys have left: INFO avg_ttl."""

    def run(self, period: float, effort: int = 1) -> None:
        """One cycle; `period` is the time until the next, in seconds; `effort` is 1 to 10."""
        usual = USUAL_BUDGET * (1 + (effort - 1) / 4)
        largest = period * (LARGEST_SHARE + 0.02 * (effort - 1))
        acceptable = ACCEPTABLE_STALE - 0.01 * (effort - 1)
        db = self._db
        if db.volatile_count == 0 or db.hides_expired:
            self.stale_percent *= 0.95
            self.average_ttl = 0
            return
        started = time.monotonic()
        first_slot = self._next_slot
        wrapped = False
        dropped = seen = visited = ms_left = 0
        while True:
            slot = db.next_volatile_slot(self._next_slot)
            if slot < 0 or (wrapped and slot >= first_slot):
                if wrapped or first_slot == 0:
                    self._next_slot = 0
                    break
                wrapped, self._next_slot = True, 0
                continue
            stale, volatile, left = db.expire_cycle(slot, KEYS_PER_SLOT)
            dropped += stale
            seen += volatile
            ms_left += left
            if stale < KEYS_PER_SLOT:
                self._next_slot = slot + 1
            visited += 1
            if visited % SLOTS_PER_CHECK == 0:
                elapsed = time.monotonic() - started
                if elapsed > (largest if dropped > seen * acceptable else usual):
                    self.time_cap_reached += 1
                    break
        self.seconds += time.monotonic() - started
        self._note_ttl(ms_left, seen - dropped)
        share = 100 * dropped / seen if seen else 0.0
        self.stale_percent = self.stale_percent * 0.95 + share * 0.05

    def reset_stats(self) -> None:
        """CONFIG RESETSTAT."""
        self.seconds = self.stale_percent = 0.0
        self.time_cap_reached = 0

    def _note_ttl(self, ms_left: int, keys: int) -> None:
        """A cycle met so many keys that are not stale; a new mean counts one fiftieth, as in Redis."""
        if keys:
            mean = ms_left // keys
            self.average_ttl = (self.average_ttl * 49 + mean) // 50 if self.average_ttl else mean
