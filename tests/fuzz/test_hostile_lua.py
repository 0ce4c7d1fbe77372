"""Scripts that want to bring the worker down: deep, endless, enormous, and combinations of these.

They run in a sandbox of their own, with little memory and little time. Whatever they do, the process lives,
the state stays within its memory, each ends in time, and the next script finds everything as it was.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.scripting.errors import Raised
from node.scripting.sandbox import Sandbox

MEMORY = 24 << 20
SECONDS = 0.3

BOMBS = {
    "string too long": "return string.rep('x', 2^30)",
    "string that doubles": "local s = 'x' while true do s = s .. s end",
    "array": "local t = {} for i = 1, 1e9 do t[i] = i end",
    "keys": "local t = {} for i = 1, 1e9 do t['k' .. i] = {} end",
    "recursion": "local function f() return f() + 1 end return f()",
    "recursion in pcall": "local function f() return pcall(f) end return f()",
    "index": "local t = {} t.__index = function(u, k) return u[k] end setmetatable(t, t) return t.x",
    "coroutine in coroutine": "local function f() return coroutine.wrap(f)() end return f()",
    "coroutines": "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
    "endless coroutine": "local function f() while true do end end while true do coroutine.wrap(f)() end",
    "endless in pcall": "while true do pcall(function() while true do end end) end",
    "endless handler": "xpcall(function() error('x') end, function() while true do end end)",
    "error in the handler": "return xpcall(function() error('a') end, function() error('b') end)",
    "closures": "local f = function() end while true do local g = f f = function() return g() end end",
    "json of a knot": "local t = {} t[1] = t t[2] = t return cjson.encode(t)",
    "json of the same": "local s, t = ('x'):rep(5e6), {} for i = 1, 1e4 do t[i] = s end cjson.encode(t)",
    "json that is deep": "return cjson.decode(string.rep('[', 1e5))",
    "json that grows": "return cjson.decode('[' .. string.rep('{},', 3e5) .. '1]')",
    "json of zeros": "return #cjson.encode(string.rep('\\0', 4e6))",
    "msgpack of a knot": "local t = {} t[1] = t return cmsgpack.pack(t)",
    "msgpack that is deep": "return cmsgpack.unpack(string.rep('\\145', 1e5))",
    "msgpack that lies": "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
    "arguments": "return redis.call(unpack({'set', 'a', 'b'}, 1, 1000))",
    "many arguments": "return redis.call(unpack({string.rep('x', 100)}, 1, 7900))",
    "too many results": "return unpack({}, 1, 1e8)",
    "result that is a knot": "local t = {} t[1] = t t[2] = t return t",
    "result that is a map of itself": "redis.setresp(3) local t = {} t.map = {[t] = t} return t",
    "deep maps": "local t = {} for i = 1, 9000 do t = {map = {[t] = t}} end return t",
    "deep sets": "local t = {} for i = 1, 9000 do t = {set = {[t] = true}} end return t",
    "source that is deep": "return loadstring(string.rep('(', 1e5))",
    "an error that is no text": "error(setmetatable({}, {__tostring = function() error('x') end}))",
    "a sort without order": "table.sort({3, 2, 1, 5, 4}, function() return true end)",
    "no collection": "collectgarbage('stop') while true do local s = {} end",
    "struct of one": "return #struct.pack('c0', string.rep('x', 5e6))",
}


class Cell:
    """A sandbox whose scripts are stopped after SECONDS. redis.call gives back its arguments."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(
            {"setresp": self._setresp}, {}, lambda argv: list(argv), self._interrupt, memory_limit=MEMORY
        )

    def _setresp(self, resp: int) -> None:
        self.sandbox.lua.resp = resp

    def _interrupt(self) -> bytes:
        return b"ERR stopped"

    def run(self, source: str) -> Any:
        """The result; whatever it is, the state is within bounds and works as before."""
        function = self.sandbox.compile(source.encode())
        assert not isinstance(function, bytes), function
        began = time.process_time()  # the clock of a busy machine says nothing
        self.sandbox.lua.interrupt_at = time.monotonic_ns() + int(SECONDS * 1e9)
        result = self.sandbox.run(function, [b"k"], [b"a"])
        assert time.process_time() - began < 20 * SECONDS
        assert self.sandbox.lua.memory < MEMORY + (4 << 20)
        self.check()
        return result

    def check(self) -> None:
        function = self.sandbox.compile(
            b"return {KEYS[1], #redis.call('x', 1), string.rep('x', 3), type(nil)}"
        )
        self.sandbox.lua.interrupt_at = time.monotonic_ns() + 10**10
        assert self.sandbox.run(function, [b"k"], []) == [b"k", 2, b"xxx", b"nil"]


@pytest.mark.parametrize("name", BOMBS)
def test_each_bomb(name: str) -> None:
    Cell().run(BOMBS[name])


def test_endless_scripts_are_stopped() -> None:
    cell = Cell()
    for name in ("endless coroutine", "endless in pcall", "endless handler", "no collection"):
        result = cell.run(BOMBS[name])
        assert isinstance(result, Raised), name
        assert (
            b"stopped" in result.text
            or b"not enough memory" in result.text
            or b"error in error" in result.text
        )


PIECES = st.lists(st.sampled_from(sorted(BOMBS)), min_size=1, max_size=4)


@settings(max_examples=8, deadline=None)
@given(PIECES, st.booleans())
def test_bombs_together(names: list[str], nested: bool) -> None:
    """One after another, each in its pcall, or all in a coroutine."""
    parts = [f"pcall(function() {BOMBS[name]} end)" for name in names]
    source = "\n".join(parts)
    if nested:
        source = f"return coroutine.wrap(function() {source} end)()"
    Cell().run(source)
