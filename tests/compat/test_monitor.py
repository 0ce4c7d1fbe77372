"""MONITOR beside the oracles: the same commands, the same lines but for the time and the port."""

from __future__ import annotations

import re
import time
from typing import Any

from tests.compat.scripts import words
from tests.harness.resp import Error, Resp, Simple
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually

SCRIPT: list[Any] = [
    "SELECT 5",
    ["SET", b"a\x00\"\\\n\r\t\a\b\xff'", "1"],
    "INCR x",
    "MULTI",
    "SET a b",
    "GET a",
    "NOSUCH",
    "EXEC",
    "MULTI",
    "SET a b",
    "GET a",
    "MONITOR",
    "EXEC",
    "MULTI",
    "SET a b",
    "DISCARD",
    "WATCH a",
    "SET a 1",
    "MULTI",
    "PING",
    "EXEC",
    ["EVAL", "redis.call('set','k',1.5) redis.call('select',3) return redis.pcall('get','k','l')", "0"],
    ["EVAL", "syntax error", "0"],
    "EVALSHA abc 0",
    "AUTH x",
    "AUTH default secret",
    "HELLO 2 AUTH default pw SETNAME me",
    "CONFIG GET x",
    "CLIENT LIST",
    "CLIENT ID",
    "INFO x",
    "DEBUG HELP",
    "GET",
    "NOSUCH 1",
    "INCRBY x z",
    "EXPIRE x 10",
    "SET p 1 EX 100",
    "SUBSCRIBE ch",
    "PING",
    "UNSUBSCRIBE ch",
    "SELECT 0",
    "RESET",
    "SLOWLOG LEN",
    "OBJECT HELP",
    "COMMAND COUNT",
    "KEYS *",
    "WAIT 0 0",
    "MIGRATE 127.0.0.1 1 k 0 10 AUTH x",
    "MIGRATE 127.0.0.1 1 k 0 10 AUTH2 u x",
    ["SCRIPT", "LOAD", "return 1"],
    "TIME",
    "ROLE",
    "FLUSHALL",
    "QUIT",
]
TIME = re.compile(r"^(\d+)\.(\d{6}) \[(\d+) ")


def shown(line: Simple, me: Resp) -> str:
    """A line without its time, with the port of `me` by name."""
    host, port = me.socket.getsockname()
    found = TIME.match(line.text)
    assert found, line
    assert abs(int(found[1]) - time.time()) < 60
    return line.text.partition(" ")[2].replace(f"{host}:{port}", "<me>")


def lines_of(server: Server) -> list[str]:
    with server.resp() as monitor, server.resp() as connection:
        assert monitor.command("MONITOR") == Simple("OK")
        for command in SCRIPT:
            connection.command(*words(command))
        monitor.send_command("RESET")
        lines = []
        while (frame := monitor.read()) != Simple("RESET"):
            lines.append(shown(frame, connection))
        return lines


def test_lines_are_the_oracles(shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle) -> None:
    ours = lines_of(shoal_node)
    assert len(ours) > 30
    assert ours == lines_of(redis_oracle)
    assert ours == lines_of(valkey_oracle)


def test_a_blocked_command_is_shown_once(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    seen = []
    for server in (shoal_node, redis_oracle):
        with server.resp() as monitor, server.resp() as blocked, server.resp() as other:
            monitor.command("MONITOR")
            blocked.send_command("BLPOP", "l", "0")
            seen.append([shown(monitor.read(), blocked)])
            other.command("RPUSH", "l", "1")
            assert blocked.read() == [b"l", b"1"]
            other.command("PING")
            seen[-1] += [shown(monitor.read(), other) for _ in range(2)]
    assert seen[0] == seen[1]
    assert seen[0][1:] == ['[0 <me>] "RPUSH" "l" "1"', '[0 <me>] "PING"']


def test_a_monitor_itself(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    for server in (shoal_node, redis_oracle):
        with server.resp() as monitor:
            monitor.command("MONITOR")
            monitor.send_command("MONITOR")
            assert monitor.command("GET", "a") == Error("ERR Replica can't interact with the keyspace")
            assert monitor.command("PING") == Simple("PONG")
            assert shown(monitor.read(), monitor) == '[0 <me>] "PING"'
            assert b"flags=O " in monitor.command("CLIENT", "INFO")
            assert monitor.read().text.endswith('"CLIENT" "INFO"')
            assert monitor.command("MULTI") == Simple("OK")
            monitor.read()
            assert monitor.command("PING") == Simple("QUEUED")
            assert monitor.command("EXEC") == [Simple("PONG")]
            assert [monitor.read().text.rpartition(" ")[2] for _ in range(2)] == ['"PING"', '"EXEC"']
            assert monitor.command("RESET") == Simple("RESET")
            assert monitor.command("ECHO", "quiet") == b"quiet"
            assert monitor.silent()


def test_unix_sockets_are_named_by_their_path(tmp_path: Any) -> None:
    path = str(tmp_path / "s")
    with ShoalNode(unixsocket=path) as node, node.resp() as monitor, Resp(0, path=path) as local:
        monitor.command("MONITOR")
        local.command("PING")
        assert monitor.read().text.endswith(f'[0 unix:{path}] "PING"')


def test_fast_commands_are_fast_again_without_monitors(shoal_node: ShoalNode) -> None:
    """And pipelines of compiled commands are shown one by one meanwhile."""
    with shoal_node.resp() as monitor, shoal_node.resp() as other:
        monitor.command("MONITOR")
        other.pipeline(*[("SET", f"k{number}", "v") for number in range(100)])
        assert [monitor.read().text.split()[-2] for _ in range(100)] == [f'"k{n}"' for n in range(100)]
        monitor.close()
        eventually(lambda: b"flags=O" not in other.command("CLIENT", "LIST"), "the monitor is gone")
        assert other.command("SET", "a", "b") == Simple("OK")
