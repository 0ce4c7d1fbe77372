"""Ids of stream entries: `<milliseconds>-<sequence>`, two unsigned 64-bit numbers, as one 128-bit integer.

The integer orders as ids do, its successor is `id + 1`, and its 16 big-endian bytes are what Redis uses as
key.
"""

from __future__ import annotations

import re
from typing import Final

from node.core.stream_node import id_text as text

__all__ = ["HALF_MAX", "MAX", "MIN", "make", "parse", "parse_half", "split", "text"]

HALF_MAX: Final = (1 << 64) - 1
MIN: Final = 0
MAX: Final = (1 << 128) - 1

LONGEST_TEXT: Final = 127
_UNSIGNED = re.compile(rb"[ \t\n\v\f\r]*\+?([0-9]+)")
"""What strtoull takes, but for numbers below zero, which no id has."""


def make(milliseconds: int, sequence: int) -> int:
    return milliseconds << 64 | sequence


def split(entry_id: int) -> tuple[int, int]:
    """(milliseconds, sequence)"""
    return entry_id >> 64, entry_id & HALF_MAX


def parse(raw: bytes, missing: int = 0) -> int | None:
    """The id that a client wrote; `missing` is the sequence where there is none. None if it is no id."""
    if len(raw) > LONGEST_TEXT:
        return None
    first, dash, second = raw.partition(b"\0")[0].partition(b"-")  # Redis reads a C string
    milliseconds = parse_half(first)
    sequence = parse_half(second) if dash else missing
    if milliseconds is None or sequence is None:
        return None
    return milliseconds << 64 | sequence


def parse_half(raw: bytes) -> int | None:
    """An unsigned number of 64 bits, or None."""
    found = _UNSIGNED.fullmatch(raw)
    if found is None:
        return None
    value = int(found[1])
    return value if value <= HALF_MAX else None
