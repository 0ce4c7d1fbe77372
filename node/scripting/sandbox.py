"""The Lua state of a worker, and what crosses its border.

Two files of Lua make the sandbox (sandbox.lua: names, read-only tables, errors; export.lua: results). Python
enters only as plain functions (`python.as_function`), never as objects; exceptions are turned into Lua errors
before a script sees them. As second walls, attribute access from Lua is refused altogether, and lupa's
`python` table is not among a script's names.

Importing this module loads Lua (1.5 MB), so it is done at the first script.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lupa.lua51 import LuaRuntime

from node.scripting import bit, cjson, cmsgpack, struct_
from node.scripting.errors import error_text

_HERE = Path(__file__).parent

_NULL = b"""
local null = newproxy(true)
getmetatable(null).__tostring = function() return "userdata: (nil)" end
return null
"""
"""Makes cjson.null: an empty userdata of Lua's own."""

Library = Mapping[str, Any]
"""name → function for Lua, string or number."""


class Sandbox:
    def __init__(self, redis: Library) -> None:
        """`redis` is the library of that name; the others are always the same."""
        self._runtime = LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=_refuse_attribute,
        )
        lua = self._runtime.globals()
        self._load = lua[b"loadstring"]
        null = self._load(_NULL)()
        is_null = self._load(b"local null = ... return function(v) return rawequal(v, null) end")(null)
        libraries = {
            "redis": redis,
            "bit": bit.LIBRARY,
            "cjson": cjson.library(self.table, null, is_null),
            "cmsgpack": cmsgpack.library(self.table),
            "struct": struct_.LIBRARY,
        }
        self._kept = (libraries, error_text)
        """What Lua calls must not depend on Lua alone to stay alive."""
        host = {
            b"as_function": lua[b"python"][b"as_function"],
            b"error_text": error_text,
            b"null": null,
            b"export": self._file("export")(),
            b"libraries": self.table(
                {name.encode(): self._library(each) for name, each in libraries.items()}
            ),
        }
        for name in (b"python", b"package", b"io", b"require", b"module"):
            lua[name] = None
        inside = self._file("sandbox")(self.table(host))
        self._compile = inside[b"compile"]
        self.run: Callable[[Any, Any, Any], Any] = inside[b"run"]
        """(function, KEYS, ARGV) → a scalar, or a table made by export.lua or by `report` of sandbox.lua."""

    def compile(self, source: bytes) -> Any:
        """The Lua function of a script, or bytes that say why there is none."""
        return self._compile(source)

    def table(self, content: Any) -> Any:
        """A Lua table of a dict or list."""
        return self._runtime.table_from(content)

    def _file(self, name: str) -> Any:
        return self._load((_HERE / f"{name}.lua").read_bytes(), b"=" + name.encode())

    def _library(self, members: Library) -> Any:
        return self.table({name.encode(): member for name, member in members.items()})


def _refuse_attribute(holder: object, name: object, is_setting: bool) -> object:
    raise AttributeError("scripts reach no Python objects")
