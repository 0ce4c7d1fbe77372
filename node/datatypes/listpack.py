"""The listpack: a list of strings and integers in one blob, as Redis keeps its small collections.

    listpack = uint32(total bytes) uint16(count; 65535 means "count them") element* 0xFF
    element  = encoding data backlen
    backlen  = the length of encoding and data, in base 128, most significant digit first; every byte but the
               first has its top bit set, so that it can be read from its end

    encoding
    0xxxxxxx                       integer 0..127
    10xxxxxx                       string of up to 63 bytes
    110xxxxx xxxxxxxx              integer of 13 signed bits
    1110xxxx xxxxxxxx              string of up to 4095 bytes
    11110000 uint32                string
    11110001 .. 11110100           integer of 16, 24, 32, 64 signed bits

Fixed-size numbers are little-endian, the 12 and 13 bits in the encoding are big-endian. A string that is the
canonical decimal text of a 64-bit integer is stored as integer, so an integer reads back as its text.
Source: listpack.c of Redis.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

HEADER_LENGTH = 6
COUNT_UNKNOWN = 0xFFFF
END = 0xFF

_HEADER = struct.Struct("<IH")
_SMALL_INTEGERS = {b"%d" % number: bytes((number, 1)) for number in range(128)}
_SMALL_TEXTS = list(_SMALL_INTEGERS)
_LONGEST_INTEGER = 20
_INTEGER_WIDTHS = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}


class Malformed(ValueError):
    """A packed encoding that contradicts itself."""


def encode(elements: Iterable[bytes]) -> bytes:
    """A listpack of `elements`, integers packed."""
    parts = [encode_element(element) for element in elements]
    return frame(b"".join(parts), len(parts))


def frame(body: bytes, count: int) -> bytes:
    """A listpack of `count` elements that are encoded already."""
    return b"%b%b\xff" % (
        _HEADER.pack(HEADER_LENGTH + len(body) + 1, min(count, COUNT_UNKNOWN)),
        body,
    )


def encode_element(element: bytes) -> bytes:
    """Encoding, data and backlen of one element."""
    if len(element) <= _LONGEST_INTEGER:
        small = _SMALL_INTEGERS.get(element)
        if small is not None:
            return small
        number = canonical_integer(element)
        if number is not None:
            return encode_integer(number)
    length = len(element)
    if length < 64:
        return b"%c%b%b" % (0x80 | length, element, backlen(1 + length))
    if length < 4096:
        return b"%c%c%b%b" % (0xE0 | length >> 8, length & 0xFF, element, backlen(2 + length))
    return b"\xf0%b%b%b" % (struct.pack("<I", length), element, backlen(5 + length))


def canonical_integer(text: bytes) -> int | None:
    """The 64-bit integer whose decimal text is exactly `text`, or None."""
    digits = text[1:] if text[:1] == b"-" else text
    if not digits.isdigit():
        return None
    number = int(text)
    if not -(1 << 63) <= number < 1 << 63 or b"%d" % number != text:
        return None
    return number


def encode_integer(number: int) -> bytes:
    """The element that is a signed integer of 64 bits."""
    if 0 <= number < 128:
        return bytes((number, 1))
    if -4096 <= number < 4096:
        number &= 0x1FFF
        return bytes((0xC0 | number >> 8, number & 0xFF, 2))
    for code, width in _INTEGER_WIDTHS.items():
        half = 1 << (8 * width - 1)
        if -half <= number < half:
            return b"%c%b%c" % (code, number.to_bytes(width, "little", signed=True), 1 + width)
    raise ValueError(f"{number} does not fit 64 bits")


def backlen(length: int) -> bytes:
    """The trailer of an element whose encoding and data take `length` bytes."""
    if length < 128:
        return bytes((length,))
    digits = bytearray((length & 0x7F | 0x80,))
    length >>= 7
    while length >= 128:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    digits.append(length)
    digits.reverse()
    return bytes(digits)


def decode(blob: bytes) -> list[bytes]:
    """The elements, integers as decimal text. Every length is checked; raises Malformed."""
    if len(blob) < HEADER_LENGTH + 1:
        raise Malformed("listpack shorter than its header")
    total, count = _HEADER.unpack_from(blob)
    if total != len(blob):
        raise Malformed(f"listpack of {len(blob)} bytes says that it has {total}")
    end = total - 1
    if blob[end] != END:
        raise Malformed("listpack without end mark")
    elements: list[bytes] = []
    at = HEADER_LENGTH
    while at < end:
        element, after = _decode_element(blob, at)
        trailer = backlen(after - at)
        at = after + len(trailer)
        if at > end or blob[after:at] != trailer:
            raise Malformed("listpack element with a wrong length behind it")
        elements.append(element)
    if count not in (COUNT_UNKNOWN, len(elements)):
        raise Malformed(f"listpack of {len(elements)} elements says that it has {count}")
    return elements


def element_at(blob: bytes, at: int) -> tuple[bytes, int]:
    """The element that begins at `at` in sound bytes, and where the next one begins."""
    first = blob[at]
    if first < 0x80:
        return _SMALL_TEXTS[first], at + 2
    if first < 0xC0:
        after = at + 1 + (first & 0x3F)
        return blob[at + 1 : after], after + 1
    element, after = _decode_element(blob, at)
    return element, after + len(backlen(after - at))


def _decode_element(blob: bytes, at: int) -> tuple[bytes, int]:
    """The element that begins at `at`, and where its backlen begins, which may be past the end."""
    first = blob[at]
    if first < 0x80:
        return b"%d" % first, at + 1
    if first < 0xC0:
        start, length = at + 1, first & 0x3F
    elif first < 0xE0:
        number = (first & 0x1F) << 8 | blob[at + 1]
        return b"%d" % (number - 0x2000 if number >= 0x1000 else number), at + 2
    elif first < 0xF0:
        start, length = at + 2, (first & 0x0F) << 8 | blob[at + 1]
    elif first == 0xF0:
        start, length = at + 5, int.from_bytes(blob[at + 1 : at + 5], "little")
    elif first in _INTEGER_WIDTHS:
        after = at + 1 + _INTEGER_WIDTHS[first]
        return b"%d" % int.from_bytes(blob[at + 1 : after], "little", signed=True), after
    else:
        raise Malformed(f"listpack element of unknown encoding {first:#x}")
    return blob[start : start + length], start + length
