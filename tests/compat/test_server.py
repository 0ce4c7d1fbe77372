"""INFO, CONFIG, DEBUG, TIME, FLUSHALL and SHUTDOWN beside redis-server; and that INFO tells the truth."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.compat.scripts import assert_same
from tests.harness.resp import NULL_BULK, Error, Simple, Verbatim
from tests.harness.servers import Oracle, Server, ShoalNode, source_environment
from tests.harness.wait import eventually

SCRIPT = [
    "DBSIZE",
    "SET a b",
    "DBSIZE",
    "DBSIZE x",
    "FLUSHALL x",
    "FLUSHALL ASYNC SYNC",
    "FLUSHALL ASYNC",
    "DBSIZE",
    "SET a b",
    "FLUSHDB SYNC",
    "DBSIZE",
    "TIME x",
    "SHUTDOWN FOO",
    "SHUTDOWN ABORT",
    "SHUTDOWN SAVE NOSAVE",
    "SHUTDOWN ABORT NOW",
    "INFO nonsense",
    "CONFIG",
    "CONFIG FOO",
    "CONFIG GET",
    "CONFIG GET maxmemory",
    "CONFIG GET MAXMEMORY",
    "CONFIG GET nonsense",
    "CONFIG SET maxmemory",
    "CONFIG SET timeout 5 hz",
    "CONFIG SET nonsense 1",
    "CONFIG SET timeout x",
    "CONFIG SET databases 3",
    "CONFIG SET dir /",
    "CONFIG SET timeout 5 timeout 6",
    "CONFIG SET timeout 5 maxmemory much",
    "CONFIG GET timeout",
    "CONFIG SET timeout 5 repl-timeout 61",
    "CONFIG GET repl-timeout",
    "CONFIG SET timeout 0 repl-timeout 60",
    "CONFIG REWRITE",
    "CONFIG RESETSTAT x",
    "CONFIG RESETSTAT",
    "DEBUG SLEEP 0",
    "DEBUG SLEEP x",
    "DEBUG SLEEP",
    "DEBUG NONSENSE",
    "DEBUG OBJECT nokey",
    "DEBUG SET-ACTIVE-EXPIRE 0",
    "DEBUG SET-ACTIVE-EXPIRE 1",
    "DEBUG ERROR abc",
    "DEBUG LOG hello",
    "DEBUG POPULATE 3",
    "DEBUG POPULATE x",
    "DEBUG POPULATE 2 p 10",
    "DBSIZE",
    "GET key:2",
    "GET p:1",
    *(
        f"DEBUG PROTOCOL {kind}"
        for kind in (
            "string",
            "integer",
            "double",
            "null",
            "attrib",
            "array",
            "set",
            "map",
            "verbatim",
            "true",
            "false",
            "bignum",
        )
    ),
    "DEBUG PROTOCOL",
]


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_are_the_oracles(redis_oracle: Oracle, shoal_node: ShoalNode, protocol: int) -> None:
    assert_same(shoal_node, redis_oracle, SCRIPT, protocol)


def test_debug_is_refused_unless_enabled() -> None:
    with ShoalNode(enable_debug_command="no") as ours, Oracle("redis", enable_debug_command="no") as oracle:
        assert_same(ours, oracle, ["DEBUG SLEEP 0", "DEBUG", "DEBUG HELP"])


def test_debug_object(redis_oracle: Oracle, shoal_node: ShoalNode) -> None:
    shown = []
    for server in (redis_oracle, shoal_node):
        server.run("SET", "a", "hello")
        text = server.run("DEBUG", "OBJECT", "a").text
        shown.append(re.sub(r"at:0x[0-9a-f]+|lru:\d+", "", text))
    assert shown[0] == shown[1]


def test_time(shoal_node: ShoalNode) -> None:
    before = time.time()
    seconds, microseconds = (int(part) for part in shoal_node.run("TIME"))
    assert before - 0.001 <= seconds + microseconds / 1e6 <= time.time()
    assert microseconds < 1_000_000


# INFO


def test_info_is_verbatim_in_resp3(shoal_node: ShoalNode) -> None:
    with shoal_node.resp(protocol=3) as connection:
        assert isinstance(connection.command("INFO", "cpu"), Verbatim)


def test_counters_count() -> None:
    with ShoalNode() as node, node.client() as client, node.resp() as other:
        client.config_resetstat()
        client.set("a", "x" * 10_000)
        client.set("b", "y", px=1)
        client.get("a")
        client.get("missing")
        eventually(lambda: client.dbsize() == 1, "b expires")
        other.command("LPUSH", "a", "x")
        other.command("NONSENSE")
        info = client.info()
        assert (info["keyspace_hits"], info["keyspace_misses"]) == (1, 1)
        assert info["expired_keys"] == 1
        assert info["total_commands_processed"] >= 7
        assert info["total_net_input_bytes"] > 10_000
        assert info["total_net_output_bytes"] > 10_000
        assert info["total_error_replies"] == 2
        assert info["errorstat_ERR"] == {"count": 1}
        assert info["errorstat_WRONGTYPE"] == {"count": 1}
        assert info["connected_clients"] == 2
        assert info["db0"]["keys"] == 1
        commands = client.info("commandstats")
        assert commands["cmdstat_set"]["calls"] == 2
        assert commands["cmdstat_lpush"]["failed_calls"] == 1
        client.config_resetstat()
        info = client.info()
        assert info["keyspace_hits"] == info["keyspace_misses"] == info["expired_keys"] == 0
        assert info["total_error_replies"] == 0


def test_process_figures_are_those_of_the_process() -> None:
    with ShoalNode() as node:
        info = node.info("everything")
        seen = psutil.Process(node.pid)
        assert info["process_id"] == node.pid
        assert info["tcp_port"] == node.port
        assert 0.5 < info["used_memory_rss"] / seen.memory_info().rss < 2
        assert 0.5 < info["used_memory"] / seen.memory_info().rss < 1
        assert info["used_memory_peak"] >= info["used_memory"]
        # Of so short a life the kernel may count all as its own; psutil cuts both at hundredths.
        took = info["used_cpu_user"] + info["used_cpu_sys"]
        assert 0 < took <= seen.cpu_times().user + seen.cpu_times().system + 0.02
        assert info["total_system_memory"] == psutil.virtual_memory().total
        assert re.fullmatch("[0-9a-f]{40}", info["run_id"])


def test_operations_per_second() -> None:
    with ShoalNode() as node, node.client() as client:

        def busy() -> bool:
            with client.pipeline(transaction=False) as pipeline:
                for _ in range(200):
                    pipeline.ping()
                pipeline.execute()
            return client.info("stats")["instantaneous_ops_per_sec"] > 50

        eventually(busy, "the rate shows the load")
        eventually(lambda: client.info("stats")["instantaneous_ops_per_sec"] < 50, "and falls again")


def test_flush_breaks_transactions_that_watched(shoal_node: ShoalNode) -> None:
    with shoal_node.resp() as watcher, shoal_node.resp() as other:
        other.command("SET", "a", "1")
        watcher.command("WATCH", "a")
        other.command("FLUSHALL")
        watcher.command("MULTI")
        watcher.command("SET", "b", "1")
        watcher.command("EXEC")
        assert other.command("GET", "b") == NULL_BULK


# life and files


def test_config_rewrite(tmp_path: Path) -> None:
    path = tmp_path / "redis.conf"
    path.write_text("# mine\nhz 20\n")
    # The harness gives settings as flags; the file is read by way of its first argument.
    with WithFile(path) as node:
        assert node.run("CONFIG", "GET", "hz") == [b"hz", b"20"]
        assert node.run("CONFIG", "SET", "hz", "30", "timeout", "9") == Simple("OK")
        assert node.run("CONFIG", "REWRITE") == Simple("OK")
        assert "CONFIG REWRITE executed with success." in node.log
    lines = path.read_text().splitlines()
    assert lines[:3] == ["# mine", "hz 30", "# Generated by CONFIG REWRITE"]
    assert "timeout 9" in lines


class WithFile(ShoalNode):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def program(self) -> list[str]:
        return [*super().program(), str(self.path)]


@pytest.mark.parametrize(
    "words", [("SHUTDOWN",), ("SHUTDOWN", "NOSAVE"), ("SHUTDOWN", "NOSAVE", "NOW", "FORCE")]
)
def test_shutdown(words: tuple[str, ...]) -> None:
    with ShoalNode() as node, node.resp() as connection:
        connection.send_command(*words)
        assert connection.read_until_closed() == b""
        eventually(lambda: not node.running, "the worker ends")
        assert node.process is not None and node.process.returncode == 0
        assert_log_order(node, "User requested shutdown...", "Redis is now ready to exit, bye bye...")


def test_sigterm() -> None:
    with ShoalNode() as node:
        node.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
        eventually(lambda: not node.running, "the worker ends")
        assert node.process is not None and node.process.returncode == 0
        assert_log_order(
            node,
            "Redis is starting",
            "Running mode=standalone, port=",
            "Server initialized",
            "Ready to accept connections tcp",
            "User requested shutdown...",
            "Redis is now ready to exit, bye bye...",
        )


def assert_log_order(node: ShoalNode, *expected: str) -> None:
    places = [node.log.find(line) for line in expected]
    assert -1 not in places and places == sorted(places), node.log


LOG_LINE = re.compile(r"\d+:[MCSX] \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d\.\d{3} [.\-*#] .+")


def test_every_log_line_has_redis_format(shoal_node: ShoalNode) -> None:
    lines = shoal_node.log.splitlines()
    assert lines and [line for line in lines if not LOG_LINE.fullmatch(line)] == []


def test_loglevel_and_logfile(tmp_path: Path) -> None:
    path = tmp_path / "own.log"
    with ShoalNode(logfile=str(path), loglevel="warning") as node:
        assert node.log == ""
        assert "Ready" not in (path.read_text() if path.exists() else "")
        node.run("DEBUG", "LOG", "heard")
        assert "heard" in path.read_text()
        path.rename(tmp_path / "rotated")
        node.run("DEBUG", "LOG", "again")
        assert "again" in path.read_text()


def test_a_bad_setting_ends_the_start() -> None:
    ours = started(ShoalNode(), "--port", "abc")
    theirs = started(Oracle("redis"), "--port", "abc")
    assert ours.returncode == theirs.returncode == 1
    assert without_version(ours.stderr) == without_version(theirs.stderr)


def started(server: Server, *argv: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [*server.program(), *argv],
            capture_output=True,
            text=True,
            timeout=10,
            cwd=server.directory,
            env=source_environment(),
        )
    finally:
        server.close()


def without_version(text: str) -> str:
    return re.sub(r"Redis [0-9.]+", "Redis VERSION", text)


def test_a_taken_port_ends_the_start() -> None:
    with ShoalNode() as first:
        second = started(ShoalNode(), "--port", str(first.port), "--bind", "127.0.0.1")
        assert second.returncode == 1
        assert "Address already in use" in second.stdout + second.stderr


def test_errors_of_debug_never_break_the_protocol(shoal_node: ShoalNode) -> None:
    with shoal_node.resp() as connection:
        assert connection.command("DEBUG", "ERROR", "a\r\nb") == Error("a  b")
        assert connection.command("PING") == Simple("PONG")
