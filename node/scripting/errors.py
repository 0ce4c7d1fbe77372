"""What a function offered to scripts raises: Lua's errors, as Python exceptions.

`core/lua` makes Lua's own kinds of error of them; a script never sees an exception.
"""

from __future__ import annotations

from typing import NamedTuple


class CallError(Exception):
    """Becomes a table with the field `err`, as errors of `redis.call` are. `text` has its prefix."""

    def __init__(self, text: str | bytes) -> None:
        super().__init__(text)
        self.text = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


class LuaError(Exception):
    """Becomes a string with the script's line in front: the errors of libraries."""

    def __init__(self, text: str | bytes) -> None:
        super().__init__(text)
        self.text = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


class Raised(NamedTuple):
    """The error a script ended with. `counted`: in the statistics, where it arose."""

    text: bytes
    counted: bool
    place: bytes | None
    """Chunk and line, where known."""


def bad_argument(number: int, function: str, reason: str) -> LuaError:
    """As luaL_argerror words it."""
    return LuaError(f"bad argument #{number} to '{function}' ({reason})")


NO_COMMAND = CallError("ERR Please specify at least one argument for this redis lib call")
BAD_ARGUMENTS = CallError("ERR Lua redis lib command arguments must be strings or integers")
