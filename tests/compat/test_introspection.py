"""SLOWLOG and LATENCY beside redis-server, and what they tell about commands that were executed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.compat.scripts import assert_same
from tests.harness.servers import Oracle, ShoalNode

SCRIPT = [
    "CONFIG SET slowlog-log-slower-than -1",
    "SLOWLOG RESET",
    "SLOWLOG LEN",
    "SLOWLOG GET",
    "SLOWLOG GET -1",
    "SLOWLOG GET -2",
    "SLOWLOG GET x",
    "SLOWLOG GET 1 2",
    "SLOWLOG",
    "SLOWLOG NONSENSE",
    "CONFIG SET slowlog-log-slower-than 10000",
    "LATENCY RESET",
    "LATENCY LATEST",
    "LATENCY HISTORY command",
    "LATENCY GRAPH command",
    "LATENCY NONSENSE",
    "LATENCY HISTOGRAM nonsense",
    "LATENCY HISTORY",
    "CONFIG GET latency-tracking",
]


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_are_the_oracles(redis_oracle: Oracle, shoal_node: ShoalNode, protocol: int) -> None:
    assert_same(shoal_node, redis_oracle, SCRIPT, protocol)


def test_slow_log_holds_what_the_oracles_holds(redis_oracle: Oracle, shoal_node: ShoalNode) -> None:
    shown = []
    for server in (redis_oracle, shoal_node):
        server.run("CONFIG", "SET", "slowlog-log-slower-than", "0")
        server.run("SLOWLOG", "RESET")
        server.run("SET", "a", "x" * 200)
        server.run("GET", "a")
        server.run("MSET", *(str(n) for n in range(80)))
        server.run("CONFIG", "SET", "masterauth", "secret", "timeout", "0")
        server.run("NONSENSE")
        entries = server.run("SLOWLOG", "GET", "-1")
        server.run("CONFIG", "SET", "slowlog-log-slower-than", "10000", "masterauth", "")
        assert all(newer[0] == older[0] + 1 for newer, older in pairwise(entries))
        assert all(entry[4].startswith(b"127.0.0.1:") for entry in entries)
        shown.append([(entry[3], entry[5]) for entry in entries])
    assert shown[0] == shown[1]


def test_events_of_slow_commands(shoal_node: ShoalNode) -> None:
    shoal_node.run("CONFIG", "SET", "latency-monitor-threshold", "10")
    shoal_node.run("LATENCY", "RESET")
    shoal_node.run("DEBUG", "SLEEP", "0.03")
    [[name, at, latest, worst]] = shoal_node.run("LATENCY", "LATEST")
    assert name == b"command"
    assert 30 <= latest == worst < 1000
    assert shoal_node.run("LATENCY", "HISTORY", "command") == [[at, latest]]
    assert f"high {worst} ms" in shoal_node.run("LATENCY", "GRAPH", "command").decode()
    assert b"command: 1 latency spikes" in shoal_node.run("LATENCY", "DOCTOR")
    assert shoal_node.run("SLOWLOG", "GET", "1")[0][3] == [b"DEBUG", b"SLEEP", b"0.03"]
    assert shoal_node.run("LATENCY", "RESET", "command", "fork") == 1
    shoal_node.run("CONFIG", "SET", "latency-monitor-threshold", "0")


def test_every_command_is_timed(shoal_node: ShoalNode) -> None:
    shoal_node.run("CONFIG", "RESETSTAT")
    for _ in range(20):
        shoal_node.run("SET", "a", "b")
    shoal_node.run("DEBUG", "SLEEP", "0.02")
    told = shoal_node.run("LATENCY", "HISTOGRAM", "set", "debug", "config")
    measured = dict(zip(told[::2], told[1::2], strict=True))
    assert set(measured) == {b"set", b"debug", b"config|resetstat"}
    assert measured[b"set"][1] == 20
    steps = measured[b"set"][3]
    assert steps[-1] == 20
    assert steps[1::2] == sorted(steps[1::2])
    assert measured[b"debug"][3][0] in (33816, 67633, 135266)
    info = shoal_node.run("INFO", "commandstats", "latencystats").decode()
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    debug = dict(pair.split("=") for pair in fields["cmdstat_debug"].split(","))
    assert 20_000 <= int(debug["usec"]) < 1_000_000
    assert float(debug["usec_per_call"]) == pytest.approx(int(debug["usec"]), abs=1)
    assert fields["latency_percentiles_usec_debug"].startswith("p50=")
    assert [part.split("=")[0] for part in fields["latency_percentiles_usec_set"].split(",")] == [
        "p50",
        "p99",
        "p99.9",
    ]


@pytest.mark.parametrize(("words", "saved"), [("save", True), ("nosave force", False), ("default", False)])
def test_a_signal_ends_the_worker_as_its_setting_says(words: str, saved: bool) -> None:
    with ShoalNode(save="") as ours:
        ours.run("SET", "a", "b")
        ours.run("CONFIG", "SET", "shutdown-on-sigterm", words)
        snapshot = Path(ours.run("CONFIG", "GET", "dir")[1].decode()) / "dump.rdb"
        assert ours.process is not None
        ours.process.terminate()
        assert ours.process.wait(10) == 0
        assert snapshot.exists() == saved
