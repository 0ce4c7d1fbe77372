"""The library `struct`: packing values as C structures.

The format letters of http://www.inf.puc-rio.br/~roberto/struct/: `> < = ! b B h H i I l L T f d s c x` and
spaces; sizes follow `i`, `I`, `!`, `c`. The native order is little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from node.scripting.arguments import number_at, text_at
from node.scripting.errors import LuaError, bad_argument

_SIZES = {"b": 1, "B": 1, "h": 2, "H": 2, "l": 8, "L": 8, "T": 8, "f": 4, "d": 8, "x": 1}
_MAX_INTEGER = 32
_MAX_ALIGNMENT = 8
_LONGEST = 512 << 20


class _Item:
    """A letter of a format: its size in bytes (-1 for `s`, 0 for `c0`), and the padding before it."""

    __slots__ = ("big", "letter", "padding", "size")

    def __init__(self, letter: str, size: int, padding: int, big: bool) -> None:
        self.letter = letter
        self.size = size
        self.padding = padding
        self.big = big


class _Format:
    """The letters of a format, read one by one; whoever packs or unpacks says how far it has come."""

    def __init__(self, text: bytes, function: str) -> None:
        self._function = function
        self._text = text.decode("latin-1")
        self._at = 0
        self._big = False
        self._alignment = 1

    def items(self, position: list[int]) -> Iterator[_Item]:
        """`position[0]`: bytes so far, which alignment depends on."""
        while self._at < len(self._text):
            letter = self._text[self._at]
            self._at += 1
            if letter in "<>=":
                self._big = letter == ">"
            elif letter == "!":
                self._alignment = self._set_alignment()
            elif letter != " ":
                size = self._size(letter)
                yield _Item(letter, size, self._padding(letter, size, position[0]), self._big)

    def _set_alignment(self) -> int:
        alignment = self._number(_MAX_ALIGNMENT)
        if alignment == 0 or alignment & (alignment - 1):
            raise LuaError(f"alignment {alignment} is not a power of 2")
        return alignment

    def _size(self, letter: str) -> int:
        if letter in _SIZES:
            return _SIZES[letter]
        if letter in "iI":
            size = self._number(4)
            if size > _MAX_INTEGER:
                raise LuaError(f"integral size {size} is larger than limit of {_MAX_INTEGER}")
            return size
        if letter == "c":
            return self._number(1)
        if letter == "s":
            return -1
        raise bad_argument(1, self._function, f"invalid format option '{letter}'")

    def _number(self, default: int) -> int:
        start = self._at
        while self._at < len(self._text) and self._text[self._at].isdigit():
            self._at += 1
        if start == self._at:
            return default
        number = int(self._text[start : self._at][:12])
        if number > 0x7FFFFFFF:
            raise LuaError("integral size overflow")
        return number

    def _padding(self, letter: str, size: int, position: int) -> int:
        alignment = min(size, self._alignment)
        if letter in "scx" or alignment <= 1:
            return 0
        if alignment & (alignment - 1):
            return 0
        return -position % alignment


def pack(*args: Any) -> bytes:
    out = bytearray()
    position = [0]
    at = 0
    for item in _Format(text_at(args, 0, "pack"), "pack").items(position):
        out += b"\0" * item.padding
        if item.letter == "x":
            out.append(0)
        else:
            at += 1
            # A missing argument counts as nil here.
            out += _packed(item, args if at < len(args) else (*args, None), at)
        if len(out) > _LONGEST:
            raise LuaError("format result too large")
        position[0] = len(out)
    return bytes(out)


def _packed(item: _Item, args: tuple[Any, ...], at: int) -> bytes:
    if item.letter == "s":
        return text_at(args, at, "pack") + b"\0"
    if item.letter == "c":
        text = text_at(args, at, "pack")
        if len(text) < item.size:
            raise bad_argument(at + 2, "pack", "string too short")
        return text[: item.size or len(text)]
    value = number_at(args, at, "pack")
    if item.letter in "fd":
        return struct.pack((">" if item.big else "<") + item.letter, value)
    whole = int(value) & ((1 << 8 * item.size) - 1)
    return whole.to_bytes(item.size, "big" if item.big else "little")


def unpack(*args: Any) -> tuple[Any, ...]:
    """The values, and the position after them, counted from 1."""
    form, data = text_at(args, 0, "unpack"), text_at(args, 1, "unpack")
    start = int(number_at(args, 2, "unpack")) if len(args) > 2 and args[2] is not None else 1
    if start < 1:
        raise bad_argument(3, "unpack", "offset must be 1 or greater")
    position = [start - 1]
    found: list[Any] = []
    for item in _Format(form, "unpack").items(position):
        at = position[0] + item.padding
        size = item.size
        if item.letter == "c" and size == 0:
            if not found or isinstance(found[-1], bytes):
                raise LuaError("format 'c0' needs a previous size")
            size = int(found.pop())
            if size < 0:
                raise bad_argument(2, "unpack", "data string too short")
        if item.letter == "s":
            end = data.find(b"\0", at)
            if at > len(data) or end < 0:
                raise LuaError("unfinished string in data")
            found.append(data[at:end])
            position[0] = end + 1
            continue
        if at + size > len(data):
            raise bad_argument(2, "unpack", "data string too short")
        raw = data[at : at + size]
        position[0] = at + size
        if item.letter == "x":
            continue
        found.append(_unpacked(item, raw))
    return (*found, position[0] + 1)


def _unpacked(item: _Item, raw: bytes) -> Any:
    if item.letter == "c":
        return raw
    if item.letter in "fd":
        return struct.unpack((">" if item.big else "<") + item.letter, raw)[0]
    value = int.from_bytes(raw, "big" if item.big else "little", signed=item.letter in "bhil")
    return value if -(2**63) <= value < 2**63 else float(value)


def size(*args: Any) -> int:
    position = [0]
    for item in _Format(text_at(args, 0, "size"), "size").items(position):
        if item.size < 0 or (item.letter == "c" and item.size == 0):
            name = "s" if item.size < 0 else "c0"
            raise bad_argument(1, "size", f"option '{name}' has no fixed size")
        position[0] += item.padding + item.size
        if position[0] > 0x7FFFFFFF:
            raise bad_argument(1, "size", "format result too large")
    return position[0]


LIBRARY = {"pack": pack, "unpack": unpack, "size": size}
