"""The Lua state of scripts or of functions, and what is offered to them.

sandbox.lua makes the sandbox (names, read-only tables, errors), `core/lua_values` carries values across;
Python enters only as plain functions. Making a Sandbox loads Lua, so that is done at the first script.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from node.core.lua import Lua
from node.core.lua_values import Function, Ref
from node.core.script_calls import ScriptCalls
from node.scripting import bit, cjson, cmsgpack, struct_
from node.scripting.errors import Raised

MEMORY_LIMIT = 1 << 30
"""Bytes one Lua state may grow to. Redis has no limit; twice its largest string must fit."""

_SOURCE = Path(__file__).parent / "sandbox.lua"

Library = Mapping[str, Any]
"""name → function for Lua, string or number."""


Outcome = Raised | Any
"""Of a script: its reply value, or its error."""


class Sandbox:
    """`redis` is the library of that name, besides `call` and `pcall`; the others are always the same.
    `redis_at_load`: what a library of functions has while it is loaded. `on_command(argv)` gives the reply
    value of redis.call, unless `calls` can do without; `on_interrupt()` is asked while a script runs long.
    See `core/lua`."""

    def __init__(
        self,
        redis: Library,
        redis_at_load: Library,
        on_command: Callable[[list[bytes]], Any],
        on_interrupt: Callable[[], bytes | None],
        memory_limit: int = MEMORY_LIMIT,
        calls: ScriptCalls | None = None,
    ) -> None:
        self.lua = Lua(memory_limit, on_interrupt, on_command, calls)
        functions = {"call": self.lua.command_function(False), "pcall": self.lua.command_function(True)}
        libraries = {
            "redis": {**redis, **functions},
            "bit": bit.LIBRARY,
            "cjson": cjson.LIBRARY,
            "cmsgpack": cmsgpack.LIBRARY,
            "struct": struct_.LIBRARY,
        }
        self.globals = self.lua.globals()
        offered = {name.encode(): self._library(each) for name, each in libraries.items()}
        main = self.lua.load(_SOURCE.read_bytes(), b"=sandbox")
        is_killed = self.lua.function(lambda: self.lua.killed)
        inside = dict(self.lua.call(main, offered, self._library(redis_at_load), is_killed).pairs)
        self._compile, self.report, self._loading = (
            inside[name] for name in (b"compile", b"report", b"loading")
        )

    def compile(self, source: bytes, name: bytes = b"@user_script") -> Ref | bytes:
        """The Lua function of a script, or why there is none."""
        if source.startswith(b"\x1b"):  # compiled by somebody: Lua would believe anything it says
            return b"%s:1: unexpected symbol near 'char(27)'" % name.removeprefix(b"@")
        return self.lua.call(self._compile, source, name)  # type: ignore[no-any-return]

    def run(self, script: Ref, keys: list[bytes], args: list[bytes]) -> Outcome:
        """Run a script that finds its arguments in KEYS and ARGV."""
        value = self.lua.run(self.report, script, keys, args, self.globals)
        return told(value) if self.lua.failed else value

    def call(self, function: Ref, keys: list[bytes], args: list[bytes]) -> Outcome:
        """The same for a function, which gets them as its arguments."""
        value = self.lua.run(self.report, function, keys, args, None)
        return told(value) if self.lua.failed else value

    def load(self, main: Ref) -> Outcome:
        """Run the main chunk of a library of functions, which sees `redis_at_load` and nothing else."""
        self.lua.call(self._loading, True)
        try:
            return self.call(main, [], [])
        finally:
            self.lua.call(self._loading, False)

    def _library(self, members: Library) -> dict[bytes, Any]:
        return {
            name.encode(): self.lua.function(member) if callable(member) else self._kept(member)
            for name, member in members.items()
        }

    def _kept(self, member: Any) -> Any:
        return self.lua.keep(member) if isinstance(member, Function) else member


def told(error: Any) -> Raised:
    """What `report` made of an error."""
    if isinstance(error, bytes):  # Lua's own, where no handler could run any more
        return Raised(b"ERR " + error, False, None)
    parts = dict(error.pairs)
    return Raised(parts[1], parts[2], parts.get(3))
