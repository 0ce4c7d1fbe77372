"""The library `cmsgpack`: MessagePack to Lua and back.

The format is https://github.com/msgpack/msgpack/blob/master/spec.md.

Whole numbers take the shortest integer form, others a float where it loses nothing and a double otherwise. A
table whose keys are 1 to n is an array, any other a map. What has no form, and tables more than 16 levels
deep, are nil. Binary and extension types are not read, as in lua-cmsgpack. How deep tables may lie, and how
many values there may be, follows from the room on Lua's stack (`_Reader`); they are read without recursion.
"""

from __future__ import annotations

import struct
from typing import Any

from node.core.lua_values import Function, Table
from node.scripting.arguments import as_number, text_at
from node.scripting.errors import LuaError, bad_argument

MAX_NESTING = 16
STACK_ROOM = 8000
"""Values that Lua's stack holds for one function."""

_MISSING = LuaError("Missing bytes in input.")
_BAD = LuaError("Bad data format in input.")
_TOO_DEEP = LuaError("stack overflow (in function mp_decode_to_lua_array)")
_TOO_MANY = LuaError(
    "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)"
)

_UNSIGNED = ((0xCC, ">B", 1 << 8), (0xCD, ">H", 1 << 16), (0xCE, ">I", 1 << 32), (0xCF, ">Q", 1 << 64))
_SIGNED = ((0xD0, ">b", 1 << 7), (0xD1, ">h", 1 << 15), (0xD2, ">i", 1 << 31), (0xD3, ">q", 1 << 63))
_NUMBERS = {0xCA: ">f", 0xCB: ">d"} | {mark: form for mark, form, _ in _UNSIGNED + _SIGNED}
_STRINGS = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_ARRAYS = {0xDC: ">H", 0xDD: ">I"}
_MAPS = {0xDE: ">H", 0xDF: ">I"}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


# --- packing -----------------------------------------------------------------------------------------


def pack(*args: Any) -> bytes:
    """The values one after another."""
    if not args:
        raise bad_argument(0, "pack", "MessagePack pack needs input.")
    out: list[bytes] = []
    for value in args:
        _pack(out, value, 0)
    return b"".join(out)


def _pack(out: list[bytes], value: Any, level: int) -> None:
    if isinstance(value, bytes):
        out.append(_head(len(value), 0xA0, 32, (*_STRINGS.items(),)) + value)
    elif value is None:
        out.append(b"\xc0")
    elif isinstance(value, bool):
        out.append(b"\xc3" if value else b"\xc2")
    elif isinstance(value, int):
        out.append(_integer(value))
    elif isinstance(value, float):
        out.append(_real(value))
    elif level < MAX_NESTING and isinstance(value, Table):
        _pack_table(out, value.pairs, level)
    else:
        out.append(b"\xc0")


def _pack_table(out: list[bytes], pairs: list[tuple[Any, Any]], level: int) -> None:
    count = len(pairs)
    if all(type(key) is int and 1 <= key <= count for key, _ in pairs):
        items = dict(pairs)
        out.append(_head(count, 0x90, 16, (*_ARRAYS.items(),)))
        for i in range(1, count + 1):
            _pack(out, items[i], level + 1)
        return
    out.append(_head(count, 0x80, 16, (*_MAPS.items(),)))
    for key, value in pairs:
        _pack(out, key, level + 1)
        _pack(out, value, level + 1)


def _head(count: int, short: int, limit: int, forms: tuple[tuple[int, str], ...]) -> bytes:
    """The bytes that say how much follows: one below `limit`, otherwise the shortest of `forms`."""
    if count < limit:
        return bytes((short | count,))
    for mark, form in forms:
        if count < 1 << 8 * struct.calcsize(form):
            return bytes((mark,)) + struct.pack(form, count)
    raise LuaError("Too many items to pack.")


def _integer(value: int) -> bytes:
    if -32 <= value < 128:
        return bytes((value & 0xFF,))
    for mark, form, end in _UNSIGNED if value >= 0 else _SIGNED:
        if -end <= value < end:
            return bytes((mark,)) + struct.pack(form, value)
    return _real(float(value))


def _real(value: float) -> bytes:
    if value == -(2.0**63):
        return _integer(int(value))
    try:
        short = struct.pack(">f", value)
    except OverflowError:
        return b"\xcb" + struct.pack(">d", value)
    if struct.unpack(">f", short)[0] == value:
        return b"\xca" + short
    return b"\xcb" + struct.pack(">d", value)


# --- unpacking ---------------------------------------------------------------------------------------


class _Open:
    """An array or a map of which `left` values are still to come."""

    __slots__ = ("is_map", "left", "values")

    def __init__(self, is_map: bool, count: int) -> None:
        self.is_map = is_map
        self.left = 2 * count if is_map else count
        self.values: list[Any] = []

    def closed(self) -> Any:
        if self.is_map:
            return Table(list(zip(self.values[::2], self.values[1::2], strict=True)))
        return {i: value for i, value in enumerate(self.values, 1) if value is not None}


class _Reader:
    """Reads values, and counts what the C library would have on Lua's stack meanwhile: the text, the values
    read, and for each unfinished array itself and an index, for each map itself and, now and then, a key."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at
        self._stacked = 1

    @property
    def is_done(self) -> bool:
        return self.at >= len(self._data)

    def take(self, count: int) -> bytes:
        if count > len(self._data) - self.at:
            raise _MISSING
        self.at += count
        return self._data[self.at - count : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self) -> Any:
        open_: list[_Open] = []
        while True:
            if self._stacked >= STACK_ROOM:
                raise _TOO_MANY
            mark = self.take(1)[0]
            begun = self._begun(mark)
            if begun is not None and begun.left:
                open_.append(begun)
                continue
            value = self._plain(mark) if begun is None else begun.closed()
            while open_:
                inner = open_[-1]
                inner.values.append(value)
                inner.left -= 1
                if inner.is_map:
                    self._stacked += 1 if inner.left % 2 else -1
                if inner.left:
                    break
                self._stacked -= 1 if inner.is_map else 2
                value = open_.pop().closed()
            else:
                self._stacked += 1
                return value

    def _begun(self, mark: int) -> _Open | None:
        """The array or map that begins with this byte, if one does."""
        if 0x80 <= mark < 0xA0:
            begun = _Open(mark < 0x90, mark & 15)
        elif mark in _ARRAYS:
            begun = _Open(False, self.number(_ARRAYS[mark]))
        elif mark in _MAPS:
            begun = _Open(True, self.number(_MAPS[mark]))
        else:
            return None
        if not begun.is_map and self._stacked + 1 >= STACK_ROOM:
            raise _TOO_DEEP
        if begun.left:
            self._stacked += 1 if begun.is_map else 2
        return begun

    def _plain(self, mark: int) -> Any:
        """The value that begins with this byte and holds no others."""
        if mark < 0x80:
            return mark
        if mark >= 0xE0:
            return mark - 256
        if 0xA0 <= mark < 0xC0:
            return self.take(mark & 31)
        if mark in _CONSTANTS:
            return _CONSTANTS[mark]
        if mark in _NUMBERS:
            number = self.number(_NUMBERS[mark])
            return number if -(2**63) <= number < 2**63 else float(number)
        if mark in _STRINGS:
            return self.take(self.number(_STRINGS[mark]))
        raise _BAD


def unpack(*args: Any) -> tuple[Any, ...]:
    return _read(text_at(args, 0, "unpack"), 0, 0)


def unpack_one(*args: Any) -> tuple[Any, ...]:
    """(data [, offset]) → the place after the value, -1 at the end; the value."""
    return _partly(text_at(args, 0, "unpack_one"), _whole(args, 1, 0), 1)


def unpack_limit(*args: Any) -> tuple[Any, ...]:
    """(data, limit [, offset]) → the place after the values, -1 at the end; at most `limit` values."""
    return _partly(text_at(args, 0, "unpack_limit"), _whole(args, 2, 0), _whole(args, 1, 0))


def _partly(data: bytes, offset: int, limit: int) -> tuple[Any, ...]:
    if offset < 0 or limit < 0:
        raise LuaError(f"Invalid request to unpack with offset of {offset} and limit of {len(data)}.")
    if offset > len(data):
        raise LuaError(f"Start offset {offset} greater than input length {len(data)}.")
    return _read(data, offset, limit)


def _read(data: bytes, offset: int, limit: int) -> tuple[Any, ...]:
    """All values, or with a limit the place after them and so many values."""
    reader = _Reader(data, offset)
    found: list[Any] = []
    while not reader.is_done and (not limit or len(found) < limit):
        found.append(reader.value())
    if limit:
        return (-1 if reader.is_done else reader.at, *found)
    return tuple(found)


def _whole(args: tuple[Any, ...], at: int, default: int) -> int:
    found = as_number(args[at]) if at < len(args) else None
    return default if found is None else int(found)


LIBRARY = {
    "pack": Function(pack, depth=MAX_NESTING),
    "unpack": unpack,
    "unpack_one": unpack_one,
    "unpack_limit": unpack_limit,
    "_NAME": b"cmsgpack",
    "_VERSION": b"lua-cmsgpack 0.4.0",
}
