"""Reply values to Lua and back, by the rules of https://redis.io/docs/latest/develop/programmability/lua-api/.

A command's reply becomes a Lua value as the protocol the script chose (`redis.setresp`) would carry it: in
RESP2 null is false, a double a string, a map a flat array; in RESP3 null is nil and the richer types are
tables with one field that names them. `core/lua` and `core/script_calls` take what is plain by themselves,
`core/lua_reply` turns results into replies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from node.core.double_digits import format_double
from node.errors import ReplyError
from node.replies import NULL_ARRAY, BigNumber, PairsReply, Push, SetReply, Verbatim


def format_number(value: float) -> bytes:
    """A Lua number as the argument of a command: as Redis prints doubles, but for the signs of 0 and NaN."""
    if math.isnan(value):
        return b"-nan" if math.copysign(1, value) < 0 else b"nan"
    return format_double(value) if value else b"0"


def to_lua(value: Any, resp: int) -> Any:
    """The Lua value of a reply value; tables as lists and dicts."""
    if value is None or value is NULL_ARRAY:
        return False if resp == 2 else None
    if isinstance(value, bool):
        return value if resp == 3 else int(value)
    if isinstance(value, (bytes, int)):
        return value
    if isinstance(value, str):
        return {b"ok": value.encode()}
    if isinstance(value, ReplyError):
        return {b"err": value.raw}
    if isinstance(value, (list, tuple)):
        return _array(value, resp)
    if isinstance(value, memoryview):
        return bytes(value)
    return _flat_to_lua(value) if resp == 2 else _typed_to_lua(value)


def _array(items: Iterable[Any], resp: int) -> Any:
    if resp == 2:
        return [to_lua(item, 2) for item in items]
    made = {i: to_lua(item, resp) for i, item in enumerate(items, 1)}
    return {i: item for i, item in made.items() if item is not None}


def _pairs(value: dict[Any, Any] | PairsReply) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, dict) else value.pairs


def _flat_to_lua(value: Any) -> Any:
    if isinstance(value, float):
        return format_double(value)
    if isinstance(value, (dict, PairsReply)):
        return _array((each for pair in _pairs(value) for each in pair), 2)
    if isinstance(value, (SetReply, Push)):
        return _array(value.items, 2)
    if isinstance(value, Verbatim):
        return value.text
    if isinstance(value, BigNumber):
        return value.digits.encode()
    return False


def _typed_to_lua(value: Any) -> Any:
    if isinstance(value, float):
        return {b"double": value}
    if isinstance(value, (dict, PairsReply)):
        found = ((to_lua(key, 3), to_lua(item, 3)) for key, item in _pairs(value))
        return {b"map": {key: item for key, item in found if key is not None and item is not None}}
    if isinstance(value, SetReply):
        return {b"set": {to_lua(item, 3): True for item in value.items}}
    if isinstance(value, Push):
        return _array(value.items, 3)
    if isinstance(value, Verbatim):
        return {b"verbatim_string": {b"string": value.text, b"format": value.format.encode()}}
    if isinstance(value, BigNumber):
        return {b"big_number": value.digits.encode()}
    return None
