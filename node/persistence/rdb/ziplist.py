"""The ziplist: the listpack's predecessor. Redis up to 6.2 wrote its small collections so; we only read it.

    ziplist  = uint32(total bytes) uint32(offset of the last entry) uint16(count; 65535 means "count them")
               entry* 0xFF
    entry    = prevlen encoding data
    prevlen  = uint8 below 254 | 0xFE uint32       the length of the entry before this one

    encoding
    00xxxxxx | 01xxxxxx xxxxxxxx | 10------ uint32(big-endian)        string of that many bytes
    0xC0, 0xD0, 0xE0, 0xF0, 0xFE                                      integer of 16, 32, 64, 24, 8 signed bits
    1111xxxx, xxxx of 1..13                                           integer 0..12

Source: ziplist.c of Redis.
"""

from __future__ import annotations

import struct

from node.persistence.rdb.format import Malformed

_HEADER = struct.Struct("<IIH")
_COUNT_UNKNOWN = 0xFFFF
_LONG_PREVLEN = 0xFE
_END = 0xFF
_INTEGER_WIDTHS = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}


def decode(blob: bytes) -> list[bytes]:
    """The entries, integers as decimal text. Every length is checked; raises Malformed."""
    if len(blob) < _HEADER.size + 1:
        raise Malformed("ziplist shorter than its header")
    total, tail, count = _HEADER.unpack_from(blob)
    if total != len(blob):
        raise Malformed(f"ziplist of {len(blob)} bytes says that it has {total}")
    end = total - 1
    if blob[end] != _END:
        raise Malformed("ziplist without end mark")
    entries: list[bytes] = []
    at = last = _HEADER.size
    previous = 0
    while at < end:
        start, last = at, at
        at = _skip_prevlen(blob, at, previous)
        entry, at = _decode_entry(blob, at)
        if at > end:
            raise Malformed("ziplist entry past the end")
        entries.append(entry)
        previous = at - start
    if tail != last:
        raise Malformed(f"ziplist's last entry is at {last}, not at {tail}")
    if count not in (_COUNT_UNKNOWN, len(entries)):
        raise Malformed(f"ziplist of {len(entries)} entries says that it has {count}")
    return entries


def _skip_prevlen(blob: bytes, at: int, expected: int) -> int:
    if blob[at] == _LONG_PREVLEN:
        found, after = int.from_bytes(blob[at + 1 : at + 5], "little"), at + 5
    else:
        found, after = blob[at], at + 1
    if found != expected or after >= len(blob):
        raise Malformed("ziplist entry with a wrong length before it")
    return after


def _decode_entry(blob: bytes, at: int) -> tuple[bytes, int]:
    """The entry whose encoding is at `at`, and what follows it, which may be past the end."""
    first = blob[at]
    if first < 0xC0:
        if first < 0x40:
            start, length = at + 1, first
        elif first < 0x80:
            start, length = at + 2, (first & 0x3F) << 8 | blob[at + 1]
        else:
            start, length = at + 5, int.from_bytes(blob[at + 1 : at + 5], "big")
        return blob[start : start + length], start + length
    if first in _INTEGER_WIDTHS:
        after = at + 1 + _INTEGER_WIDTHS[first]
        return b"%d" % int.from_bytes(blob[at + 1 : after], "little", signed=True), after
    if 0xF1 <= first <= 0xFD:
        return b"%d" % ((first & 0x0F) - 1), at + 1
    raise Malformed(f"ziplist entry of unknown encoding {first:#x}")
