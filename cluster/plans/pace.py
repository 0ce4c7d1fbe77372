"""How fast a move may go: at most so many bytes a second, and slower when clients feel it.

What clients feel is the 99th percentile of the time that requests to the two nodes take. While it lies above
what is allowed the rate is halved at each look, down to FLOOR, because a move that stands still never ends;
while it lies well below, the rate grows by a quarter, until nothing limits it but the bandwidth. The way to
halve fast and grow slowly is that of congestion control in networks: it finds the rate that fits, whatever
else changes.
"""

from __future__ import annotations

from collections import deque
from typing import Final

UNLIMITED: Final = 0
FLOOR: Final = 64 * 1024
"""Bytes a second."""
START: Final = 64 * 1024 * 1024
"""From where an unlimited rate is halved first, where nothing was measured yet."""
CALM: Final = 0.7
"""The share of the allowed time below which the rate grows."""
GROWTH: Final = 1.25
CEILING: Final = 4 * 1024 * 1024 * 1024
"""A rate that has grown to this is no limit any more."""
WINDOW: Final = 200
"""Requests of which the percentile is taken."""
LEAST: Final = 20
"""With fewer nothing is said."""


class Percentile:
    """The 99th percentile of the last WINDOW times."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=WINDOW)

    def add(self, milliseconds: float) -> None:
        self._times.append(milliseconds)

    @property
    def p99(self) -> float | None:
        """None before LEAST times are known."""
        if len(self._times) < LEAST:
            return None
        ordered = sorted(self._times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]

    def forget(self) -> None:
        """What was measured concerns another rate."""
        self._times.clear()


class Pace:
    """`bandwidth`: bytes a second, UNLIMITED for any number; `max_p99`: ms, 0 for any time."""

    def __init__(self, bandwidth: int = UNLIMITED, max_p99: float = 0.0) -> None:
        self._bandwidth = bandwidth
        self._max_p99 = max_p99
        self.rate = bandwidth
        """Bytes a second that are allowed now, or UNLIMITED."""

    def limit(self, bandwidth: int) -> None:
        """Another `bandwidth` from now on: this is one of several moves that share one."""
        self._bandwidth = bandwidth
        if not self.watches:
            self.rate = bandwidth
        elif bandwidth:
            self.rate = min(self.rate or bandwidth, bandwidth)

    @property
    def limits(self) -> bool:
        """Whether there is anything to heed."""
        return bool(self._bandwidth or self._max_p99)

    @property
    def watches(self) -> bool:
        """Whether it needs to know how long requests take."""
        return self._max_p99 > 0

    def look(self, p99: float | None, measured: float = 0.0) -> bool:
        """Requests took `p99` ms while `measured` bytes a second moved. True if the rate is another now."""
        before = self.rate
        if p99 is None or not self.watches:
            return False
        if p99 > self._max_p99:
            base = self.rate or measured or START
            self.rate = max(FLOOR, int(base / 2))
        elif self.rate != UNLIMITED and p99 < self._max_p99 * CALM:
            self.rate = int(self.rate * GROWTH)
            if self._bandwidth:
                self.rate = min(self.rate, self._bandwidth)
            elif self.rate > CEILING:
                self.rate = UNLIMITED
        return self.rate != before

    def rest(self, moved: float, seconds: float) -> float:
        """Seconds to wait after `moved` bytes went in `seconds`, so that the rate holds on the average."""
        if self.rate == UNLIMITED:
            return 0.0
        return max(0.0, moved / self.rate - seconds)
