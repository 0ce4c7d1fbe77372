"""A short word for every slot, such that a key or cursor with `{word}` in it belongs there.

The slot is linear in the bits of what is hashed: the slot of "ab" followed by two zeros, and that of two
zeros followed by "cd", give by exclusive or the slot of "abcd". So, with a table of the second halves, a word
is found after a few tries for its first half.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from string import ascii_letters, digits

from node.core.key_slot import key_slot

_PAIRS = [(a + b).encode() for a, b in product(digits + ascii_letters, repeat=2)]


@cache
def _second_halves() -> dict[int, bytes]:
    return {int(key_slot(b"\0\0" + pair)): pair for pair in _PAIRS}


def tag_of(slot: int) -> bytes:
    """Four letters or digits that are hashed to `slot`; always the same."""
    second_halves = _second_halves()
    for pair in _PAIRS:
        second = second_halves.get(slot ^ int(key_slot(pair + b"\0\0")))
        if second is not None:
            return pair + second
    raise ValueError(f"no slot {slot}")
