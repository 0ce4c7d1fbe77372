"""The intset: a sorted array of integers of one width, as Redis keeps a small set of integers.

    intset = uint32(width: 2, 4 or 8 bytes) uint32(count) integer*count       all little-endian

The integers ascend without repetition, and the width is the least that holds every one of them when the set
was only ever added to (removing does not narrow it). Source: intset.c of Redis.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise

from node.persistence.rdb.format import Malformed

_HEADER = struct.Struct("<II")
_CODES = {2: "h", 4: "i", 8: "q"}


def encode(numbers: Sequence[int]) -> bytes:
    """`numbers`: in any order, distinct, each within 64 signed bits."""
    ordered = sorted(numbers)
    lowest, highest = (ordered[0], ordered[-1]) if ordered else (0, 0)
    width = next(
        width for width in _CODES if -(1 << (8 * width - 1)) <= lowest and highest < 1 << (8 * width - 1)
    )
    return _HEADER.pack(width, len(ordered)) + struct.pack(f"<{len(ordered)}{_CODES[width]}", *ordered)


def decode(blob: bytes) -> list[bytes]:
    """The members as decimal text, ascending. Raises Malformed."""
    if len(blob) < _HEADER.size:
        raise Malformed("intset shorter than its header")
    width, count = _HEADER.unpack_from(blob)
    if width not in _CODES:
        raise Malformed(f"intset of width {width}")
    if len(blob) != _HEADER.size + width * count:
        raise Malformed(f"intset of {count} integers of {width} bytes is {len(blob)} bytes long")
    numbers = struct.unpack_from(f"<{count}{_CODES[width]}", blob, _HEADER.size)
    if any(low >= high for low, high in pairwise(numbers)):
        raise Malformed("intset out of order")
    return [b"%d" % number for number in numbers]
