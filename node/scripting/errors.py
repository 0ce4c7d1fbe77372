"""What a function offered to scripts raises: Lua's errors, as Python exceptions.

lupa hands an exception to Lua as an opaque userdata; sandbox.lua asks `error_text` what it says, before a
script can get hold of it.
"""

from __future__ import annotations

from typing import Any


class CallError(Exception):
    """Becomes a table with the field `err`, as errors of `redis.call` are. `text` has its prefix."""

    def __init__(self, text: str | bytes) -> None:
        super().__init__(text)
        self.text = text.encode("latin-1", "replace") if isinstance(text, str) else text


class LuaError(Exception):
    """Becomes a string with the script's line in front: the errors of libraries."""

    def __init__(self, text: str | bytes) -> None:
        super().__init__(text)
        self.text = text.encode("latin-1", "replace") if isinstance(text, str) else text


def bad_argument(number: int, function: str, reason: str) -> LuaError:
    """As luaL_argerror words it."""
    return LuaError(f"bad argument #{number} to '{function}' ({reason})")


def error_text(value: Any) -> bytes | None:
    """For sandbox.lua: "t" or "s" (table, string) and the text; None if `value` is no exception of ours."""
    if isinstance(value, CallError):
        return b"t" + value.text
    if isinstance(value, LuaError):
        return b"s" + value.text
    if isinstance(value, BaseException):
        return b"s" + f"internal error: {type(value).__name__}".encode()
    return None
