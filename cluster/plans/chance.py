"""Numbers that look random and are the same each time: for planners, which must be pure.

A linear congruential generator modulo 2**64 with Knuth's constants of MMIX; only its high bits are used, for
the low ones repeat soon.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Thing = TypeVar("Thing")


class Chance:
    def __init__(self, seed: int) -> None:
        self._state = seed

    def part(self) -> float:
        """From 0 to 1, which is excluded."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (self._state >> 32) / (1 << 32)

    def below(self, number: int) -> int:
        return int(self.part() * number)

    def choice(self, things: Sequence[Thing]) -> Thing:
        return things[self.below(len(things))]

    def some(self, things: Sequence[Thing], number: int) -> list[Thing]:
        """So many different ones, or all."""
        left = list(things)
        return [left.pop(self.below(len(left))) for _ in range(min(number, len(left)))]
