"""A worker whose script runs long: whom it still serves, with what, and how the script is stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.harness.resp import Error, Resp
from tests.harness.servers import ShoalNode, server
from tests.harness.wait import eventually

THRESHOLD = 50
"""ms"""
LOOP = "while true do end"
COROUTINE = "local function f() while true do end end while true do coroutine.wrap(f)() end"
STUBBORN = "while true do pcall(function() while true do end end) end"
FUNCTION = f"#!lua name=lib\nredis.register_function('forever', function() {LOOP} end)"


@pytest.fixture
def node() -> Iterator[ShoalNode]:
    with server("shoal", busy_reply_threshold=THRESHOLD) as started:
        yield started  # type: ignore[misc]


@contextmanager
def running(node: ShoalNode, *command: str | int) -> Iterator[Resp]:
    """The connection on which a command that does not end is being executed, for longer than allowed."""
    with Resp(node.port, node.host, timeout=10) as caller:
        caller.send_command(*command)
        eventually(lambda: "Slow script detected" in node.log, timeout=10)
        assert is_busy(node)
        yield caller


def is_busy(node: ShoalNode) -> bool:
    reply = node.run("GET", "x")
    return isinstance(reply, Error) and reply.prefix == "BUSY"


@pytest.mark.parametrize("script", [LOOP, COROUTINE, STUBBORN])
def test_a_script_is_killed_from_a_new_connection(node: ShoalNode, script: str) -> None:
    with running(node, "EVAL", script, 0) as caller:
        with Resp(node.port, node.host) as other:
            assert other.command("GET", "x").text.startswith(
                "BUSY Redis is busy running a script. You can only"
            )
            assert other.command("FUNCTION", "KILL").prefix == "BUSY"
            assert other.command("FUNCTION", "STATS").prefix == "BUSY"
            assert other.command("SHUTDOWN").prefix == "BUSY"
            assert other.command("SCRIPT", "KILL").text == "OK"
            # It was accepted in the middle of the script, and goes on living after it.
            reply = caller.read()
            assert isinstance(reply, Error)
            assert "Script killed by user with SCRIPT KILL" in reply.text
            assert other.command("SET", "x", "1").text == "OK"
            assert other.command("SCRIPT", "KILL").prefix == "NOTBUSY"
        assert caller.command("GET", "x") == b"1"
    assert "Slow script detected: still in execution after" in node.log
    assert "Lua script killed by user with SCRIPT KILL." in node.log


def test_connections_from_before_are_served_too(node: ShoalNode) -> None:
    with Resp(node.port, node.host) as idle, Resp(node.port, node.host) as queueing:
        queueing.command("MULTI")
        queueing.command("SET", "x", "1")
        with running(node, "EVAL", LOOP, 0) as caller:
            assert queueing.command("SET", "y", "1").prefix == "BUSY"
            idle.send(b"*2\r\n$6\r\nSCRIPT\r\n$4\r\nKI")  # a frame in two pieces
            assert is_busy(node)
            idle.send(b"LL\r\n*1\r\n$4\r\nPING\r\n")
            assert idle.read().text == "OK"
            assert caller.read().prefix == "ERR"
        assert idle.read().text in ("PONG", "BUSY Redis is busy running a script. You can only call SCRIPT "
                                    "KILL or SHUTDOWN NOSAVE.")  # fmt: skip
        assert queueing.command("EXEC").prefix == "EXECABORT"


def test_a_function_is_killed(node: ShoalNode) -> None:
    node.run("FUNCTION", "LOAD", FUNCTION)
    with running(node, "fCall", "forever", 0) as caller, Resp(node.port, node.host) as other:
        stats = other.command("FUNCTION", "STATS")
        assert stats[1][:4] == [b"name", b"forever", b"command", [b"fCall", b"forever", b"0"]]
        assert stats[1][5] >= THRESHOLD
        assert other.command("SCRIPT", "KILL").prefix == "BUSY"
        assert other.command("FUNCTION", "KILL").text == "OK"
        assert "Script killed by user with FUNCTION KILL" in caller.read().text


def test_a_script_that_has_written_is_not_killed_but_shut_down(node: ShoalNode) -> None:
    with running(node, "EVAL", f"redis.call('set', 'x', 1) {LOOP}", 0), Resp(node.port, node.host) as other:
        assert other.command("SCRIPT", "KILL").prefix == "UNKILLABLE"
        assert other.command("SHUTDOWN", "SAVE").prefix == "BUSY"
        other.send_command("SHUTDOWN", "NOSAVE")
        eventually(lambda: not node.running, timeout=10)


def test_a_client_that_hangs_up_meanwhile(node: ShoalNode) -> None:
    gone = Resp(node.port, node.host)
    gone.command("PING")
    with running(node, "EVAL", LOOP, 0) as caller:
        gone.close()
        with Resp(node.port, node.host) as late:
            assert late.command("GET", "x").prefix == "BUSY"
        assert node.run("SCRIPT", "KILL").text == "OK"
        caller.read()
    eventually(lambda: node.info("clients")["connected_clients"] == 1, timeout=10)


def test_time_stands_still_in_a_script_that_others_interrupt(node: ShoalNode) -> None:
    script = """
    redis.call('set', 'k', 'v', 'px', 300)
    local start = os.clock()
    while os.clock() - start < 1 do end
    return redis.call('get', 'k')"""
    with Resp(node.port, node.host, timeout=60) as caller:
        caller.send_command("EVAL", script, 0)
        eventually(lambda: "Slow script detected" in node.log, timeout=60)
        assert is_busy(node)
        assert caller.read() == b"v"


def test_a_library_must_load_in_time(node: ShoalNode) -> None:
    began = time.monotonic()
    reply = node.run("FUNCTION", "LOAD", f"#!lua name=a\n{LOOP}")
    assert reply.text == "ERR Error registering functions: ERR FUNCTION LOAD timeout"
    assert time.monotonic() - began < 5
