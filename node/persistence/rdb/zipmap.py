"""The zipmap: how Redis before 2.6 wrote small hashes. We only read it.

    zipmap = uint8(count; 254 and up mean "count them") pair* 0xFF
    pair   = length field length uint8(free) value free*bytes
    length = uint8 below 254 | 0xFE uint32

Source: zipmap.c of Redis.
"""

from __future__ import annotations

from node.persistence.rdb.format import Malformed

_LONG_LENGTH = 0xFE
_END = 0xFF


def decode(blob: bytes) -> list[bytes]:
    """Fields and values in turn. Raises Malformed."""
    if len(blob) < 2 or blob[-1] != _END:
        raise Malformed("zipmap without end mark")
    elements: list[bytes] = []
    end = len(blob) - 1
    at = 1
    while at < end:
        length, at = _length(blob, at)
        elements.append(blob[at : at + length])
        length, at = _length(blob, at + length)
        if at >= end:
            raise Malformed("zipmap pair past the end")
        free = blob[at]
        elements.append(blob[at + 1 : at + 1 + length])
        at += 1 + length + free
    if at != end:
        raise Malformed("zipmap pair past the end")
    if blob[0] < _LONG_LENGTH and 2 * blob[0] != len(elements):
        raise Malformed(f"zipmap of {len(elements) // 2} pairs says that it has {blob[0]}")
    return elements


def _length(blob: bytes, at: int) -> tuple[int, int]:
    if at >= len(blob) - 1:
        raise Malformed("zipmap pair past the end")
    if blob[at] < _LONG_LENGTH:
        return blob[at], at + 1
    return int.from_bytes(blob[at + 1 : at + 5], "little"), at + 5
