"""What each slot holds and is used for, by CLUSTER SLOT-STATS, of which a part is asked for at a time.

All 16384 slots at once would be megabytes of replies. So of each primary SLOTS_AT_ONCE are asked for in
turns, and what is used between two turns gives the rate; of many primaries, each is asked for fewer. Requests
are counted by shoal's workers, processor time by Redis and Valkey, too, and both only while
`cluster-slot-stats-enabled` asks for it; keys are known always. A slot that has changed hands begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice, repeat
from typing import NamedTuple

from cluster.slots import SLOT_COUNT, from_range, members

SLOTS_AT_ONCE = 1024
"""Of one primary"""
SLOTS_IN_ALL = 4096
"""Of all, as far as each is asked for LEAST_AT_ONCE"""
LEAST_AT_ONCE = 64
WANTED = (b"key-count", b"cpu-usec", b"reads", b"writes")


class _Count(NamedTuple):
    owner: str
    at: float
    requests: int | None
    usec: int | None


class SlotHeat:
    """`keys`, `requests` (a second) and `usec` (a second) by slot; None where that is not told (yet)."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Nobody has looked for a while."""
        self.keys: list[int | None] = [None] * SLOT_COUNT
        self.requests: list[float | None] = [None] * SLOT_COUNT
        self.usec: list[float | None] = [None] * SLOT_COUNT
        self._counts: dict[int, _Count] = {}
        self._next: dict[str, int] = {}

    def next_span(self, owner: str, slots: int, primaries: int) -> tuple[int, int]:
        """The first and the last slot to ask this owner for, of `slots` (not empty)."""
        most = min(SLOTS_AT_ONCE, max(SLOTS_IN_ALL // primaries, LEAST_AT_ONCE))
        ahead = slots & ~from_range(0, self._next.get(owner, 0) - 1) or slots
        chosen = list(islice(members(ahead), most))
        self._next[owner] = chosen[-1] + 1
        return chosen[0], chosen[-1]

    def take(self, owner: str, reply: bytes, at: float) -> None:
        """A raw reply to CLUSTER SLOT-STATS; `at`: seconds of a clock that only goes forward. Raises
        ValueError."""
        slots, figures = columns(reply)
        unknown: list[int] | repeat[None] = repeat(None)
        keys, usec = figures.get(b"key-count", unknown), figures.get(b"cpu-usec", unknown)
        reads, writes = figures.get(b"reads", unknown), figures.get(b"writes", unknown)
        for slot, count, read, written, spent in zip(slots, keys, reads, writes, usec, strict=False):
            self.keys[slot] = count
            requests = None if read is None or written is None else read + written
            before = self._counts.get(slot)
            self._counts[slot] = _Count(owner, at, requests, spent)
            if before is None or before.owner != owner or at <= before.at:
                self.requests[slot] = self.usec[slot] = None
                continue
            self.requests[slot] = _rate(before.requests, requests, at - before.at)
            self.usec[slot] = _rate(before.usec, spent, at - before.at)

    def load(self) -> tuple[str, list[float | None]] | None:
        """What is told of the slots' use, and of each; requests where all tell them. None: nothing."""
        counted = [count for count in self._counts.values() if count.usec is not None]
        if not counted:
            return None
        if any(count.requests is None for count in counted):
            return "us/s", self.usec
        return "ops/s", self.requests

    def disown(self, owned: Mapping[str, int]) -> None:
        """Forget of slots that are not of those (id → slots) who were asked for them."""
        counts = self._counts
        lost = [slot for slot in counts if not owned.get(counts[slot].owner, 0) >> slot & 1]
        for slot in lost:
            del counts[slot]
            self.keys[slot] = self.requests[slot] = self.usec[slot] = None


def columns(reply: bytes) -> tuple[list[int], dict[bytes, list[int]]]:
    """The slots in a raw reply to CLUSTER SLOT-STATS, and each of their figures that is WANTED.

    All rows have the same figures: `*2 :slot *2n ($length name :value)…`. So the reply, which is long, is
    taken apart by columns, many times as fast as by rows. Raises ValueError for one that is not made so.
    """
    words = reply.split(b"\r\n")
    if words[0] == b"*0":
        return [], {}
    if words[0][:1] != b"*" or len(words) < 5:
        raise ValueError(f"not slots' figures: {reply[:40]!r}")
    figures = int(words[3][1:]) // 2
    row = 3 + 3 * figures
    if len(words) != 2 + int(words[0][1:]) * row:
        raise ValueError(f"not slots' figures: {reply[:40]!r}")
    found = {}
    for number in range(figures):
        place = 5 + 3 * number
        if words[place] in WANTED:
            found[words[place]] = _numbers(words[place + 1 :: row])
    return _numbers(words[2::row]), found


def _numbers(words: list[bytes]) -> list[int]:
    return [int(word[1:]) for word in words]


def _rate(before: int | None, now: int | None, seconds: float) -> float | None:
    if before is None or now is None or now < before:
        return None
    return float(f"{(now - before) / seconds:.3g}")  # so many digits are enough to look at
