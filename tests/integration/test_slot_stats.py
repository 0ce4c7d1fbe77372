"""CLUSTER SLOT-STATS beside the oracles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.servers import Server, server
from tests.harness.wait import eventually

ERRORS = """
SLOTSRANGE 0 1
SLOTSRANGE 15495 15496
SLOTSRANGE 16287 16287
SLOTSRANGE 11958 11958
ORDERBY key-count LIMIT 2
ORDERBY KEY-COUNT LIMIT 3 DESC
ORDERBY key-count ASC LIMIT 2
ORDERBY foo
ORDERBY key-count LIMIT 0
ORDERBY key-count LIMIT 16385
ORDERBY key-count LIMIT x
ORDERBY key-count foo
ORDERBY
ORDERBY key-count ASC DESC
ORDERBY key-count LIMIT 1 LIMIT 2
ORDERBY key-count LIMIT
SLOTSRANGE 5 4
SLOTSRANGE 0 16384
SLOTSRANGE x 1
SLOTSRANGE -1 1
SLOTSRANGE 0
FOO
SLOTSRANGE 0 1 2
FOO 1 2
"""
UNCOUNTED = """
ORDERBY memory-bytes LIMIT 1
ORDERBY reads LIMIT 1
ORDERBY cpu-usec LIMIT 1
ORDERBY network-bytes-in LIMIT 2 DESC
ORDERBY network-bytes-out LIMIT 3
"""


@pytest.fixture(scope="module", params=["no", "yes"])
def servers(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[Server]]]:
    """Ours and both oracles, each a cluster of one that has executed the same commands."""
    settings = {"cluster_enabled": "yes", "cluster_slot_stats_enabled": request.param}
    kinds = ("shoal", "redis", "valkey")
    nodes = [server(kind, **settings) for kind in kinds]
    try:
        for node in nodes:
            node.start()
            prepare(node)
        yield request.param, nodes
    finally:
        for node in nodes:
            node.close()


def prepare(node: Server) -> None:
    node.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    eventually(lambda: b"cluster_state:ok" in node.run("CLUSTER", "INFO"), "all slots are served")
    with node.resp() as client:
        for command in (
            "SET a 1", "GET a", "MGET {a}1 a", "SET b 1", "SET {x}1 1", "GET {x}2", "PING", "GET a b",
            "GET nowhere x", "INCR {q}s", "LPUSH {q}s 1", "NONSENSE a",
        ):  # fmt: skip
            client.command(*command.split())
        client.pipeline(*[("GET", "a")] * 100)


def without_time(reply: Any) -> Any:
    """Times are not compared, nor what only we have: it comes last."""
    if not isinstance(reply, list):
        return reply
    return [[slot, [*figures[:2], *figures[4:8]]] for slot, figures in reply]


def test_replies_are_the_oracles(servers: tuple[str, list[Server]]) -> None:
    enabled, (ours, *oracles) = servers
    for line in (ERRORS + (UNCOUNTED if enabled == "no" else "")).strip().splitlines():
        mine = without_time(ours.run("CLUSTER", "SLOT-STATS", *line.split()))
        for oracle in oracles:
            assert mine == without_time(oracle.run("CLUSTER", "SLOT-STATS", *line.split())), line


@pytest.mark.parametrize("servers", ["yes"], indirect=True)
def test_order_of_what_is_counted(servers: tuple[str, list[Server]]) -> None:
    _, (ours, *oracles) = servers
    for metric in ("network-bytes-in", "network-bytes-out"):
        found = [
            without_time(node.run("CLUSTER", "SLOT-STATS", "ORDERBY", metric, "LIMIT", 3))
            for node in (ours, *oracles)
        ]
        assert found[0] == found[1] == found[2]
    times = {
        slot: dict(zip(figures[::2], figures[1::2], strict=True))[b"cpu-usec"]
        for slot, figures in ours.run("CLUSTER", "SLOT-STATS", "SLOTSRANGE", 0, 16383)
    }
    most = ours.run("CLUSTER", "SLOT-STATS", "ORDERBY", "cpu-usec", "LIMIT", 1)
    [[slot, figures]] = most  # which one it is, an interruption of the process may decide
    assert (figures[2], figures[3]) == (b"cpu-usec", max(times.values()))
    assert times[slot] == max(times.values())
    assert 0 < times[15495] < 1_000_000


def test_it_can_be_switched_and_forgotten(servers: tuple[str, list[Server]]) -> None:
    for node in servers[1]:
        node.run("CONFIG", "SET", "cluster-slot-stats-enabled", "no")
        assert node.run("CLUSTER", "SLOT-STATS", "SLOTSRANGE", 15495, 15495) == [[15495, [b"key-count", 1]]]
        node.run("CONFIG", "SET", "cluster-slot-stats-enabled", "yes")
        node.run("CONFIG", "RESETSTAT")
        node.run("GET", "a")
        [[_, figures]] = node.run("CLUSTER", "SLOT-STATS", "SLOTSRANGE", 15495, 15495)
        assert figures[5:8:2] == [20, 7]


def figures_of(node: Server, slot: int) -> dict[bytes, int]:
    [[_, figures]] = node.run("CLUSTER", "SLOT-STATS", "SLOTSRANGE", slot, slot)
    return dict(zip(figures[::2], figures[1::2], strict=True))


@pytest.mark.parametrize("servers", ["yes"], indirect=True)
def test_requests_and_memory_are_counted_by_ours(servers: tuple[str, list[Server]]) -> None:
    ours = servers[1][0]
    ours.run("CONFIG", "SET", "cluster-slot-stats-enabled", "yes")
    slot = ours.run("CLUSTER", "KEYSLOT", "{m}")
    for line in (
        "SET {m}s 1",
        "GET {m}s",
        "GET {m}none",
        "STRLEN {m}s",
        "MGET {m}s {m}t",
        "GET {m}s too many",
    ):
        ours.run(*line.split())
    ours.run("EVAL", "redis.call('set', KEYS[1], 2) return 1", 1, "{m}s")
    ours.run("EVAL", "return redis.call('get', KEYS[1])", 1, "{m}s")
    found = figures_of(ours, slot)
    assert (found[b"reads"], found[b"writes"]) == (5, 2)
    for i in range(300):
        ours.run("RPUSH", "{m}l", *(f"value {i} {j}" for j in range(10)))
    keys = [b"{m}s", b"{m}l"]
    exact = sum(ours.run("MEMORY", "USAGE", key, "SAMPLES", 0) for key in keys)
    assert exact == pytest.approx(figures_of(ours, slot)[b"memory-bytes"], rel=0.2)
    [[heaviest, _]] = ours.run("CLUSTER", "SLOT-STATS", "ORDERBY", "memory-bytes", "LIMIT", 1)
    assert heaviest == slot
    [[busiest, _]] = ours.run("CLUSTER", "SLOT-STATS", "ORDERBY", "writes", "LIMIT", 1)
    assert busiest == slot
    assert figures_of(ours, 3)[b"memory-bytes"] == 0


@pytest.mark.parametrize("servers", ["yes"], indirect=True)
def test_what_replicas_get_counts_as_sent(servers: tuple[str, list[Server]]) -> None:
    sent = []
    for node in servers[1]:
        slot = node.run("CLUSTER", "KEYSLOT", "{r}")
        with node.resp() as replica:
            replica.send_command("PSYNC", "?", -1)
            eventually(
                lambda node=node: b"connected_slaves:1" in node.run("INFO", "replication"), "a replica"
            )

            def grows(*command: str, node: Server = node, slot: int = slot) -> int:
                before = figures_of(node, slot)[b"network-bytes-out"]
                node.run(*command)
                return figures_of(node, slot)[b"network-bytes-out"] - before

            # Ours looks once a second who is there; the first write names the database, for nobody's slot.
            eventually(lambda grows=grows: grows("SET", "{r}", "1") > 5, "it counts")
            sent.append(
                [grows("SET", "{r}", "22"), grows("GET", "{r}"), grows("DEL", "{r}"), grows("DEL", "{r}")]
            )
    assert sent[0] == sent[1] == sent[2] == [5 + 30, 8, 4 + 22, 4]
