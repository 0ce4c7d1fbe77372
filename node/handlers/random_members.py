"""Drawing members at random: the counts of HRANDFIELD, SRANDMEMBER and ZRANDMEMBER.

A positive count asks for that many different members, a negative one for that many draws, repeats
included. The latter can ask for any amount of reply from the smallest collection. Redis tries to give
it, and serves nobody else until it has run out of memory. Here a million draws are the most: they take some
tenths of a second and some tens of megabytes, and whoever needs more can ask again.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import randrange, sample

from node import errors
from node.handlers.arguments import INT64_MAX, parse_int_between

MOST_DRAWS = 1 << 20


def parse_count(raw: bytes, *, in_pairs: bool) -> int:
    """`in_pairs`: each draw gives two reply elements, whose number must still be an integer."""
    count = parse_int_between(raw, -INT64_MAX, INT64_MAX)
    if in_pairs and abs(count) > INT64_MAX // 2:
        raise errors.OUT_OF_RANGE
    return count


def check_draws(count: int) -> None:
    """For a collection that is there: refuse more draws than one reply shall hold."""
    if count < -MOST_DRAWS:
        raise errors.OUT_OF_RANGE


def positions(length: int, count: int) -> Iterable[int]:
    """Which of 0..length-1, at least one, to take, for a count as above."""
    check_draws(count)
    if count < 0:
        return (randrange(length) for _ in range(-count))
    if count >= length:
        return range(length)
    return sample(range(length), count)
