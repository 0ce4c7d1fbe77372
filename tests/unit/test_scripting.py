"""The border between Lua and Python: nothing of Python is in reach of a script."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import ReplyError
from node.replies import BigNumber, PairsReply, SetReply, Verbatim
from node.scripting import bit
from node.scripting.conversion import format_number, to_lua
from node.scripting.errors import CallError, LuaError
from node.scripting.sandbox import Raised, Sandbox
from node.scripting.scripts import split_shebang


def _fail(*_: Any) -> None:
    raise CallError("ERR called")


def _fail_in_library(*_: Any) -> None:
    raise LuaError("bad thing")


def _bug(*_: Any) -> None:
    raise KeyError("secret")


@pytest.fixture
def sandbox() -> Sandbox:
    functions = {"fail": _fail, "fail2": _fail_in_library, "bug": _bug, "echo": lambda *args: args[0]}
    return Sandbox({**functions, "CONSTANT": 7}, {}, lambda argv: argv, lambda: None)


def run(sandbox: Sandbox, source: str) -> Any:
    """The reply value, or what the script raised."""
    function = sandbox.compile(source.encode())
    assert not isinstance(function, bytes), function
    return sandbox.run(function, [], [])


def raised(sandbox: Sandbox, source: str) -> bytes:
    """The error's text."""
    outcome = run(sandbox, source)
    assert isinstance(outcome, Raised), outcome
    return outcome.text


@pytest.mark.parametrize(
    "name",
    [
        "python",
        "io",
        "package",
        "require",
        "module",
        "dofile",
        "loadfile",
        "print",
        "debug",
        "getfenv",
        "setfenv",
        "newproxy",
    ],
)
def test_names_that_do_not_exist(sandbox: Sandbox, name: str) -> None:
    words = b"ERR user_script:1: Script attempted to access nonexistent global variable '%s'" % name.encode()
    assert run(sandbox, f"return {name}") == Raised(words, False, b"@user_script:1")
    assert isinstance(run(sandbox, f"return loadstring('return {name}')()"), Raised)
    assert run(sandbox, f"return rawget(_G, '{name}')") is None


def test_no_value_in_reach_is_a_python_object(sandbox: Sandbox) -> None:
    """Walk over everything a script can get at, metatables included: no userdata but Lua's own cjson.null."""
    walk = """
    local seen, found = {}, {}
    local function walk(value, path)
        if type(value) == 'userdata' and value ~= cjson.null then found[#found + 1] = path end
        if type(value) ~= 'string' then
            if seen[value] then return end
            seen[value] = true
        end
        local meta = getmetatable(value)
        if meta and not seen[meta] then walk(meta, path .. '<meta>') end
        if type(value) ~= 'table' then return end
        for key, item in pairs(value) do
            if key ~= nil then walk(key, path .. '.key') end
            walk(item, path .. '.' .. tostring(key))
        end
    end
    walk(_G, '_G')
    walk('', 'string')
    return found"""
    assert run(sandbox, walk) == []


@pytest.mark.parametrize("function", ["fail", "fail2", "bug"])
@pytest.mark.parametrize(
    "script",
    [
        "local ok, e = pcall(redis.NAME) return type(e)",
        "local ok, e = pcall(pcall, redis.NAME) return type(e)",
        "local ok, e = xpcall(redis.NAME, function(e) return type(e) end) return e",
        "local ok, e = coroutine.resume(coroutine.create(function() redis.NAME() end)) return type(e)",
        "local ok, e = pcall(coroutine.wrap(function() redis.NAME() end)) return type(e)",
        "local ok, e = pcall(table.sort, {3, 2, 1}, redis.NAME) return type(e)",
        "local ok, e = pcall(string.gsub, 'x', 'x', redis.NAME) return type(e)",
        "local ok, e = pcall(load, redis.NAME) return type(e)",
    ],
)
def test_exceptions_of_python_are_never_seen(sandbox: Sandbox, script: str, function: str) -> None:
    assert run(sandbox, script.replace("NAME", function)) in (b"string", b"table", b"nil", b"boolean")


def test_errors_of_python_do_not_tell_their_content(sandbox: Sandbox) -> None:
    assert raised(sandbox, "redis.bug()") == b"ERR user_script:1: internal error: KeyError"


@pytest.mark.parametrize("code", ["'\\27Lua'", "string.dump(function() end)"])
def test_binary_chunks_are_refused(sandbox: Sandbox, code: str) -> None:
    assert run(sandbox, f"return (loadstring({code}))") is None
    pieces = f"local s = {code} local function r() local x = s s = nil return x end return (load(r))"
    assert run(sandbox, pieces) is None
    assert isinstance(sandbox.compile(b"\x1bLua"), bytes)


def test_libraries_cannot_be_changed_for_the_next_script(sandbox: Sandbox) -> None:
    attempts = [
        "redis.echo = nil", "string.len = nil", "table.insert = nil", "x = 1", "_G.x = 1",
        "KEYS = 1",
        "rawset(string, 'len', nil)", "rawset(_G, 'x', 1)",
        "setmetatable(_G, nil)", "setmetatable(redis, {})",
        "getmetatable('').__index = nil", "getmetatable(_G).__index = nil", "table.insert(_G, 1)",
        "table.remove(redis)", "table.sort(_G)", "table.setn(_G, 1)",
        "for k, v in pairs(_G) do local f, s = pairs(_G) s.x = 1 end",
    ]  # fmt: skip
    for attempt in attempts:
        assert raised(sandbox, attempt).endswith(b"Attempt to modify a readonly table"), attempt
    assert run(sandbox, "return redis.echo(('abc'):len())") == 3


def test_globals_are_listed_but_not_handed_out(sandbox: Sandbox) -> None:
    assert run(sandbox, "local f, s, c = pairs(redis) return rawequal(s, redis)") == 1
    assert run(sandbox, "for k, v in pairs(redis) do if k == 'CONSTANT' then return v end end") == 7
    assert run(sandbox, "return next(redis) ~= nil") == 1


@pytest.mark.parametrize(
    "value, resp, expected",
    [
        (None, 2, False),
        (None, 3, None),
        (True, 2, 1),
        (True, 3, True),
        (1.5, 2, b"1.5"),
        (1.5, 3, {b"double": 1.5}),
        ("OK", 2, {b"ok": b"OK"}),
        (ReplyError("ERR x"), 2, {b"err": b"ERR x"}),
        ([1, None, b"a"], 2, [1, False, b"a"]),
        ([1, None, b"a"], 3, {1: 1, 3: b"a"}),
        ({b"a": 1}, 2, [b"a", 1]),
        ({b"a": 1}, 3, {b"map": {b"a": 1}}),
        (PairsReply([(b"a", 1)]), 3, {b"map": {b"a": 1}}),
        (SetReply([b"a"]), 2, [b"a"]),
        (SetReply([b"a"]), 3, {b"set": {b"a": True}}),
        (Verbatim("x"), 2, b"x"),
        (Verbatim("x"), 3, {b"verbatim_string": {b"string": b"x", b"format": b"txt"}}),
        (BigNumber("12"), 3, {b"big_number": b"12"}),
    ],
)
def test_replies_to_lua(value: Any, resp: int, expected: Any) -> None:
    assert to_lua(value, resp) == expected


@pytest.mark.parametrize(
    "value, text", [(1e20, b"1e+20"), (0.1, b"0.1"), (float("inf"), b"inf"), (1e-7, b"1e-7"), (3.0, b"3")]
)
def test_numbers_as_arguments(value: float, text: bytes) -> None:
    assert format_number(value) == text


def test_numbers_as_replies(sandbox: Sandbox) -> None:
    for number, reply in (("3.99", 3), ("-3.99", -3), ("0/0", -(2**63)), ("1e300", -(2**63))):
        assert run(sandbox, f"return {number}") == reply
        assert run(sandbox, f"return {{{number}}}") == [reply]


def test_shebang() -> None:
    assert split_shebang(b"return 1") == (None, b"return 1")
    assert split_shebang(b"#!lua\nreturn 1") == (frozenset(), b"\nreturn 1")
    flags, _ = split_shebang(b"#!lua flags=no-writes,allow-oom\n")
    assert flags == {"no-writes", "allow-oom"}
    for bad in (b"#!lua", b"#!lua flags=x\n", b"#!luau\n", b"#!lua name=x\n"):
        with pytest.raises(ReplyError):
            split_shebang(bad)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 31))
def test_rotations_undo_each_other(value: int, by: int) -> None:
    assert bit.LIBRARY["ror"](bit.LIBRARY["rol"](value, by), by) == value
    assert bit.bswap(bit.bswap(value)) == value


def test_lua_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, node.worker; assert 'node.core.lua' not in sys.modules; "
    code += "assert 'lua51' not in open('/proc/self/maps').read()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
