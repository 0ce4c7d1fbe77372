"""Reading lengths and strings, of which everything in an RDB file is made. The grammar is in format.py."""

from __future__ import annotations

from typing import Final

import lzf

from node.persistence.rdb import format as rdb
from node.persistence.rdb.source import Source

LZF_RATIO: Final = 264
"""No LZF stream grows by more than this: 3 bytes can repeat at most 264."""
STRING_MAX: Final = 1 << 32
"""No string of any supported type is longer, whatever a length says."""

_STRING_INTEGERS = {rdb.STRING_INT8: 1, rdb.STRING_INT16: 2, rdb.STRING_INT32: 4}


def load_length(source: Source) -> int:
    first = source.byte()
    form = first >> 6
    if form == 0:
        return first
    if form == 1:
        return (first & 0x3F) << 8 | source.byte()
    if first == rdb.LENGTH_32:
        return int.from_bytes(source.take(4), "big")
    if first == rdb.LENGTH_64:
        return int.from_bytes(source.take(8), "big")
    raise source.error(f"{first:#04x} where a length was expected")


def load_string(source: Source) -> bytes:
    first = source.byte()
    form = first >> 6
    if form == 0:
        return source.take(first)
    if form == 1:
        return source.take((first & 0x3F) << 8 | source.byte())
    if first == rdb.LENGTH_32:
        return source.take(int.from_bytes(source.take(4), "big"))
    if first == rdb.LENGTH_64:
        length = int.from_bytes(source.take(8), "big")
        if length > STRING_MAX:
            raise source.error(f"string of {length} bytes")
        return source.take(length)
    if first in _STRING_INTEGERS:
        return b"%d" % int.from_bytes(source.take(_STRING_INTEGERS[first]), "little", signed=True)
    if first == rdb.STRING_LZF:
        return _load_compressed(source)
    raise source.error(f"string of unknown encoding {first:#04x}")


def _load_compressed(source: Source) -> bytes:
    packed_length = load_length(source)
    length = load_length(source)
    if not 0 < length <= min(packed_length * LZF_RATIO, STRING_MAX):
        raise source.error(f"{packed_length} compressed bytes cannot be {length} bytes")
    packed = source.take(packed_length)
    try:
        text = lzf.decompress(packed, length)
    except ValueError:
        text = None
    if text is None or len(text) != length:
        raise source.error("damaged LZF data")
    return text  # type: ignore[no-any-return]
