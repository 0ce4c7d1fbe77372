"""A library of functions: its first line, and what redis.register_function accepts.

    #!lua name=mylib
    redis.register_function('f', function(keys, args) ... end)
    redis.register_function{function_name='g', callback=..., flags={'no-writes'}, description='...'}

https://redis.io/docs/latest/develop/programmability/functions-intro/ tells what they are for.
"""

from __future__ import annotations

import re
from typing import Any

from node.core.lua_values import Ref, Table
from node.core.script_calls import Runnable
from node.errors import ReplyError, one_line
from node.scripting.errors import CallError
from node.scripting.execution import FLAGS
from node.words import UnbalancedQuotes, split_words

_NAME = re.compile(rb"[A-Za-z0-9_]+")

BAD_NAME = (
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one "
    "character long"
)
NO_METADATA = ReplyError("ERR Missing library metadata")
BAD_METADATA = ReplyError("ERR Invalid library metadata")
NAMED_TWICE = ReplyError("ERR Invalid metadata value, name argument was given multiple times")
NOT_NAMED = ReplyError("ERR Library name was not given")

_CALL = "redis.register_function"

_Parts = tuple[bytes, Ref, frozenset[str], bytes | None]
"""Name, function, flags, description."""


class LibraryFunction(Runnable):
    __slots__ = ("description",)

    def __init__(
        self, name: bytes, function: Ref, flags: frozenset[str], report: Ref, description: bytes | None
    ) -> None:
        super().__init__(name.decode(), b"", function, flags, report, None)
        self.description = description


class Library:
    """`code` is the source, first line included; `functions` by name, as they were registered.
    `report`: of their sandbox."""

    def __init__(self, name: bytes, code: bytes, report: Ref) -> None:
        self.name = name
        self.code = code
        self._report = report
        self.functions: dict[bytes, LibraryFunction] = {}

    def register(self, *args: Any) -> None:
        """redis.register_function. Raises CallError."""
        if not 1 <= len(args) <= 2:
            raise CallError(f"ERR wrong number of arguments to {_CALL}")
        made = _from_positions(*args) if len(args) == 2 else _from_names(args[0])
        function = LibraryFunction(*made[:3], self._report, made[3])
        name = function.name.encode()
        if name in self.functions:
            raise CallError("ERR Function already exists in the library")
        self.functions[name] = function


def parse_header(source: bytes) -> tuple[bytes, bytes, bytes]:
    """Engine, name, and the code to compile, whose first line is empty, so that errors count lines as the
    author does. Raises ReplyError."""
    if not source.startswith(b"#!"):
        raise NO_METADATA
    line, newline, _ = source.partition(b"\n")
    if not newline:
        raise BAD_METADATA
    try:
        words = split_words(line)
    except UnbalancedQuotes:
        raise BAD_METADATA from None
    name = None
    for word in words[1:]:
        if word[:5].lower() != b"name=":
            raise ReplyError(f"ERR Invalid metadata value given: {one_line(word)}")
        if name is not None:
            raise NAMED_TWICE
        name = word[5:]
    if name is None:
        raise NOT_NAMED
    if not _NAME.fullmatch(name):
        raise ReplyError(f"ERR {BAD_NAME}")
    return words[0][2:], name, source[len(line) :]


def _from_positions(name: Any, callback: Any) -> _Parts:
    if not isinstance(name, (bytes, int, float)):
        raise CallError(f"ERR first argument to {_CALL} must be a string")
    if not isinstance(callback, Ref):
        raise CallError(f"ERR second argument to {_CALL} must be a function")
    return _made(name, callback, frozenset(), None)


def _from_names(table: Any) -> _Parts:
    if not isinstance(table, Table):
        raise CallError(
            f"ERR calling {_CALL} with a single argument is only applicable to Lua table (representing named "
            "arguments)."
        )
    name = description = callback = None
    flags: frozenset[str] = frozenset()
    for key, value in table.pairs:
        if not isinstance(key, (bytes, int, float)):
            raise CallError(f"ERR named argument key given to {_CALL} is not a string")
        match key.lower() if isinstance(key, bytes) else b"":
            case b"function_name":
                name = _string("function_name", value)
            case b"description":
                description = _string("description", value)
            case b"callback":
                if not isinstance(value, Ref):
                    raise CallError(f"ERR callback argument given to {_CALL} must be a function")
                callback = value
            case b"flags":
                flags = _flags(value)
            case _:
                raise CallError(f"ERR unknown argument given to {_CALL}")
    if name is None:
        raise CallError(f"ERR {_CALL} must get a function name argument")
    if callback is None:
        raise CallError(f"ERR {_CALL} must get a callback argument")
    return _made(name, callback, flags, description)


def _string(argument: str, value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise CallError(f"ERR {argument} argument given to {_CALL} must be a string")
    return value


def _flags(value: Any) -> frozenset[str]:
    if not isinstance(value, Table):
        raise CallError(f"ERR flags argument to {_CALL} must be a table representing function flags")
    items, flags, at = dict(value.pairs), set(), 1
    while at in items:
        flag = items[at].decode("latin-1").lower() if isinstance(items[at], bytes) else ""
        if flag not in FLAGS:
            raise CallError("ERR unknown flag given")
        flags.add(flag)
        at += 1
    return frozenset(flags)


def _made(name: Any, callback: Ref, flags: frozenset[str], description: bytes | None) -> _Parts:
    text = name if isinstance(name, bytes) else b""
    if not _NAME.fullmatch(text):
        raise CallError(f"ERR {BAD_NAME}")
    return text, callback, flags, description
