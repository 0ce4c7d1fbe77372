"""Drawing members at random: the counts of HRANDFIELD, SRANDMEMBER and ZRANDMEMBER.

A positive count asks for that many different members, a negative one for that many draws, repeats
included. The latter can ask for any amount of reply from the smallest collection. Redis tries to give
it; here it is out of range beyond `MOST_DRAWS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import randrange, sample

from node import errors
from node.handlers.arguments import INT64_MAX, parse_int_between

MOST_DRAWS = 1 << 24


def parse_count(raw: bytes, *, in_pairs: bool) -> int:
    """`in_pairs`: each draw gives two reply elements, whose number must still be an integer."""
    count = parse_int_between(raw, -INT64_MAX, INT64_MAX)
    if in_pairs and abs(count) > INT64_MAX // 2:
        raise errors.OUT_OF_RANGE
    if count < -MOST_DRAWS:
        raise errors.OUT_OF_RANGE
    return count


def positions(length: int, count: int) -> Iterable[int]:
    """Which of 0..length-1 to take, for a count as above."""
    if not length:
        return ()
    if count < 0:
        return (randrange(length) for _ in range(-count))
    if count >= length:
        return range(length)
    return sample(range(length), count)
