"""A member's own idea of the time: set wrong, running fast or slow, and set anew by somebody.

The coordinator is given a clock that nobody sets (`node/core/steady_clock`): it starts at the wall clock's
time when the process starts, and counts from there at the rate of the machine's crystal. So a jump of the
wall clock is felt after the next restart, as a member whose gossip tells times hours away from everybody
else's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.world import World


class Clock:
    def __init__(self, world: World) -> None:
        self._world = world
        self._rate = 1.0
        self.ahead = 0
        """By how many ms the wall clock is ahead of the world's time."""
        self.restart()

    def restart(self) -> None:
        """The process starts: it reads the wall clock for the last time."""
        self._since = self._world.now
        self._start = self._world.now + self.ahead

    @property
    def rate(self) -> float:
        """How many of its own milliseconds pass in one of the world's."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._start, self._since = self.now, self._world.now
        self._rate = rate

    @property
    def now(self) -> int:
        return self._start + int((self._world.now - self._since) * self._rate)

    def world_time(self, own: int) -> int:
        """When this clock will show `own`."""
        return self._since + round((own - self._start) / self._rate)
