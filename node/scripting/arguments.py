"""What the functions offered to scripts make of their arguments, by the rules of Lua's own library.

A string that looks like a number is one (decimal or hexadecimal, spaces around it allowed), and a number is a
string where one is wanted.
"""

from __future__ import annotations

import re
from typing import Any

from node.scripting.errors import bad_argument

_DECIMAL = re.compile(rb"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_HEXADECIMAL = re.compile(rb"\s*[+-]?0[xX][0-9a-fA-F]+\s*")


def as_number(value: Any) -> int | float | None:
    """Of a Lua value; None if it is neither a number nor a string that looks like one."""
    if isinstance(value, bytes):
        if _DECIMAL.fullmatch(value):
            return float(value)
        return int(value, 16) if _HEXADECIMAL.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value


def as_text(value: Any) -> bytes | None:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return b"%.14g" % value


def number_at(args: tuple[Any, ...], at: int, function: str) -> int | float:
    """Argument `at`, counted from 0, of `function`. Raises LuaError."""
    found = as_number(args[at]) if at < len(args) else None
    if found is None:
        raise bad_argument(at + 1, function, f"number expected, got {type_name(args, at)}")
    return found


def text_at(args: tuple[Any, ...], at: int, function: str) -> bytes:
    """Argument `at`, counted from 0, of `function`. Raises LuaError."""
    found = as_text(args[at]) if at < len(args) else None
    if found is None:
        raise bad_argument(at + 1, function, f"string expected, got {type_name(args, at)}")
    return found


def type_name(args: tuple[Any, ...], at: int) -> str:
    """As Lua names the type of an argument."""
    if at >= len(args):
        return "no value"
    value = args[at]
    names = {type(None): "nil", bool: "boolean", bytes: "string", int: "number", float: "number"}
    return names.get(type(value)) or str(getattr(value, "type_name", "userdata"))
