"""Reply values to Lua and back, by the rules of https://redis.io/docs/latest/develop/programmability/lua-api/.

A command's reply becomes a Lua value as the protocol the script chose (`redis.setresp`) would carry it: in
RESP2 null is false, a double a string, a map a flat array; in RESP3 null is nil and the richer types are
tables with one field that names them. A script's result comes as the flat list that export.lua makes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from node.core.double_digits import format_double
from node.errors import ReplyError, one_line
from node.replies import NULL_ARRAY, BigNumber, PairsReply, Push, SetReply, Verbatim

MakeTable = Callable[[Any], Any]
"""dict → Lua table."""

INT64_MIN = -(2**63)


def format_number(value: float) -> bytes:
    """A Lua number as the argument of a command: as Redis prints doubles, but for the signs of 0 and NaN."""
    if math.isnan(value):
        return b"-nan" if math.copysign(1, value) < 0 else b"nan"
    return format_double(value) if value else b"0"


def truncated(value: float) -> int:
    """A Lua number as an integer reply: as x86 converts a double to int64, which is what Redis sends."""
    if not -(2.0**63) <= value < 2.0**63:  # also false for NaN
        return INT64_MIN
    return int(value)


# --- replies to Lua ----------------------------------------------------------------------------------


def to_lua(value: Any, resp: int, table: MakeTable) -> Any:
    """The Lua value of a reply value; `table` makes Lua tables of Python dicts."""
    if value is None or value is NULL_ARRAY:
        return False if resp == 2 else None
    if isinstance(value, bool):
        return value if resp == 3 else int(value)
    if isinstance(value, (bytes, int)):
        return value
    if isinstance(value, str):
        return table({b"ok": value.encode()})
    if isinstance(value, ReplyError):
        return table({b"err": value.text.encode("latin-1", "replace")})
    if isinstance(value, (list, tuple)):
        return _array(value, resp, table)
    if isinstance(value, memoryview):
        return bytes(value)
    if resp == 2:
        return _flat_to_lua(value, table)
    return _typed_to_lua(value, table)


def _array(items: Iterable[Any], resp: int, table: MakeTable) -> Any:
    made = {}
    for i, item in enumerate(items, 1):
        if (each := to_lua(item, resp, table)) is not None:
            made[i] = each
    return table(made)


def _pairs(value: dict[Any, Any] | PairsReply) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, dict) else value.pairs


def _flat_to_lua(value: Any, table: MakeTable) -> Any:
    if isinstance(value, float):
        return format_double(value)
    if isinstance(value, (dict, PairsReply)):
        return _array((each for pair in _pairs(value) for each in pair), 2, table)
    if isinstance(value, (SetReply, Push)):
        return _array(value.items, 2, table)
    if isinstance(value, Verbatim):
        return value.text
    if isinstance(value, BigNumber):
        return value.digits.encode()
    return False


def _typed_to_lua(value: Any, table: MakeTable) -> Any:
    if isinstance(value, float):
        return table({b"double": value})
    if isinstance(value, (dict, PairsReply)):
        found = ((to_lua(key, 3, table), to_lua(item, 3, table)) for key, item in _pairs(value))
        made = {key: item for key, item in found if key is not None and item is not None}
        return table({b"map": table(made)})
    if isinstance(value, SetReply):
        return table({b"set": table({to_lua(item, 3, table): True for item in value.items})})
    if isinstance(value, Push):
        return _array(value.items, 3, table)
    if isinstance(value, Verbatim):
        fields = {b"string": value.text, b"format": value.format.encode()}
        return table({b"verbatim_string": table(fields)})
    if isinstance(value, BigNumber):
        return table({b"big_number": value.digits.encode()})
    return None


# --- results to replies ------------------------------------------------------------------------------


def scalar_to_reply(value: Any, resp: int) -> Any:
    """A result that is no table; `resp` is what the script chose."""
    if value is None or value.__class__ is bytes:
        return value
    if isinstance(value, bool):
        if resp == 3:
            return value
        return 1 if value else None
    return truncated(value)


def exported_to_reply(tokens: Iterator[Any], resp: int) -> Any:
    """The reply value of export.lua's flat list. Nested results are thousands of levels deep at most."""
    open_: list[tuple[str, list[Any], int]] = []
    """Unfinished collections: tag, items so far, items it will have."""
    while True:
        tag = next(tokens).decode()
        value = next(tokens)
        if tag in ("array", "map", "set"):
            open_.append((tag, [], value * 2 if tag == "map" else value))
        else:
            item = _leaf(tag, value, tokens, resp)
            if not open_:
                return item
            open_[-1][1].append(item)
        while len(open_[-1][1]) == open_[-1][2]:
            tag, items, _ = open_.pop()
            made = _collection(tag, items)
            if not open_:
                return made
            open_[-1][1].append(made)


def _leaf(tag: str, value: Any, tokens: Iterator[Any], resp: int) -> Any:
    if tag in ("string", "number", "boolean"):
        return scalar_to_reply(value, resp)
    if tag == "error":
        return ReplyError(one_line(value.replace(b"\0", b"")))
    if tag == "status":
        return one_line(value.replace(b"\0", b""))
    if tag == "double":
        return float(value)
    if tag == "big_number":
        return BigNumber(one_line(value))
    if tag == "verbatim_string":
        return Verbatim(value, next(tokens).decode("latin-1"))
    return None


def _collection(tag: str, items: list[Any]) -> Any:
    if tag == "map":
        return PairsReply(list(zip(items[::2], items[1::2], strict=True)))
    if tag == "set":
        return SetReply(items)
    return items
