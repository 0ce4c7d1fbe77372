"""CLUSTERSCAN and CLUSTER FLUSHSLOT beside valkey-server, and through a cluster that is made of both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node.core.key_slot import key_slot
from tests.compat.scripts import assert_same
from tests.compat.test_propagation import stream_of
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.resp import Error, Null, Resp, Simple
from tests.harness.servers import Server, server
from tests.harness.wait import eventually

ERRORS = [
    *(
        "CLUSTERSCAN",
        "CLUSTERSCAN x",
        "CLUSTERSCAN 00",
        "CLUSTERSCAN 1",
        "CLUSTERSCAN 0-0",
        ["CLUSTERSCAN", ""],
    ),
    *("CLUSTERSCAN 0-{06S}", "CLUSTERSCAN {06S}", "CLUSTERSCAN 0-{06S}-x", "CLUSTERSCAN 0-{06S}-0-1"),
    *("CLUSTERSCAN 0 foo", "CLUSTERSCAN 0 count 0", "CLUSTERSCAN 0 count x", "CLUSTERSCAN 0 match"),
    *("CLUSTERSCAN 0 type", "CLUSTERSCAN 0 slot 16384", "CLUSTERSCAN 0 slot -1", "CLUSTERSCAN 0 slot x"),
    *("CLUSTERSCAN 0 slot 5 slot 6", "CLUSTERSCAN 0-{06S}-0 slot 5", "CLUSTERSCAN 0-{06S}-0 slot 0"),
    *("CLUSTER FLUSHSLOT", "CLUSTER FLUSHSLOT 16384", "CLUSTER FLUSHSLOT -1", "CLUSTER FLUSHSLOT x"),
    *("CLUSTER FLUSHSLOT 1 foo", "CLUSTER flushslot 1 sync async", "CLUSTER FLUSHSLOT 1 ASYNC"),
    *("CLUSTER GETSLOTMIGRATIONS", "CLUSTER GETSLOTMIGRATIONS x", "CLUSTER CANCELSLOTMIGRATIONS"),
]


@pytest.fixture(scope="module")
def singles() -> Iterator[list[Server]]:
    """Ours and Valkey's, each a cluster of one."""
    nodes = [server(kind, cluster_enabled="yes") for kind in ("shoal", "valkey")]
    try:
        for node in nodes:
            node.start()
            node.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        for node in nodes:
            eventually(
                lambda node=node: b"cluster_state:ok" in node.run("CLUSTER", "INFO"), f"{node!r} is ok"
            )
        yield nodes
    finally:
        for node in nodes:
            node.close()


@pytest.mark.parametrize("protocol", [2, 3])
def test_answers(singles: list[Server], protocol: int) -> None:
    for node in singles:
        node.run("FLUSHALL")
    assert_same(singles[0], singles[1], ERRORS, protocol)


def walk(connection: Resp, *options: str) -> tuple[list[bytes], int]:
    """All that a walk finds, and in how many steps."""
    cursor, found, steps = b"0", [], 0
    while steps < 10_000:
        cursor, keys = connection.command("CLUSTERSCAN", cursor, *options)
        found += keys
        steps += 1
        if cursor == b"0":
            return found, steps
    raise AssertionError("the walk has no end")


def test_a_walk_finds_every_key_once(singles: list[Server]) -> None:
    ours = singles[0]
    ours.run("FLUSHALL")
    keys = [b"key:%d" % n for n in range(500)] + [b"{tag}%d" % n for n in range(300)]
    with ours.resp() as connection:
        for key in keys:
            connection.command("SET", key, "v")
        connection.command("HSET", "{tag}h", "f", "v")
        found, steps = walk(connection, "COUNT", "20")
        assert sorted(found) == sorted([*keys, b"{tag}h"])
        assert steps > 20
        assert walk(connection, "TYPE", "hash", "COUNT", "1000")[0] == [b"{tag}h"]
        slot = str(key_slot(b"tag"))
        assert len(walk(connection, "SLOT", slot, "COUNT", "7")[0]) == 301
        assert sorted(walk(connection, "SLOT", slot, "MATCH", "{tag}29*")[0]) == [
            b"{tag}29",
            *(b"{tag}29%d" % n for n in range(10)),
        ]


def test_a_position_of_other_tables_is_not_believed(singles: list[Server]) -> None:
    ours = singles[0]
    ours.run("FLUSHALL")
    ours.run("SET", "{tag}", "v")
    assert ours.run("CLUSTERSCAN", "theirs-{tag}-4294967295", "COUNT", "5") == [b"0", [b"{tag}"]]


def test_flushslot_empties_a_slot(singles: list[Server]) -> None:
    ours = singles[0]
    ours.run("FLUSHALL")
    slot = str(key_slot(b"tag"))
    keys = [b"{tag}%d" % n for n in range(230)]
    script = [[b"SET", b"other", b"x"], *([b"SET", key, b"x"] for key in keys)]
    for mode in (b"SYNC", b"ASYNC"):
        told = stream_of(ours, [*script, [b"CLUSTER", b"FLUSHSLOT", slot.encode(), mode]])
        assert told[: len(script)] == script
        deleted = told[len(script) :]
        assert [command[0] for command in deleted] == [b"DEL"] * 3, "a hundred at a time"
        assert sorted(key for command in deleted for key in command[1:]) == sorted(keys)
    assert ours.run("CLUSTER", "COUNTKEYSINSLOT", slot) == 0
    assert ours.run("EXISTS", "other") == 1


def test_flushslot_tells_who_watches_and_who_listens(singles: list[Server]) -> None:
    slot = str(key_slot(b"tag"))
    for node in singles:
        node.run("SET", "{tag}1", "x")
        node.run("CONFIG", "SET", "notify-keyspace-events", "Kg")
        with node.resp() as watching, node.resp() as listening:
            listening.command("SUBSCRIBE", "__keyspace@0__:{tag}1")
            watching.command("WATCH", "{tag}1")
            assert node.run("CLUSTER", "FLUSHSLOT", slot) == Simple("OK")
            watching.command("MULTI")
            watching.command("PING")
            assert isinstance(watching.command("EXEC"), Null)
            assert listening.read() == [b"message", b"__keyspace@0__:{tag}1", b"del"]


def test_a_walk_leads_through_a_mixed_cluster() -> None:
    with cluster_of(kind=("shoal", "valkey", "shoal")) as cluster:
        with cluster.client() as client:
            keys = [f"key:{n}".encode() for n in range(300)]
            for key in keys:
                client.set(key, "v")
        assert sorted(walk_redirected(cluster)) == sorted(keys)


def walk_redirected(cluster: RunningCluster) -> list[bytes]:
    node, cursor, found = cluster.nodes[0], b"0", []
    for _ in range(10_000):
        reply = node.run("CLUSTERSCAN", cursor, "COUNT", "25")
        if isinstance(reply, Error):
            assert reply.text.startswith("MOVED ")
            node = cluster.by_port(int(reply.text.rpartition(":")[2]))
            continue
        cursor, keys = reply
        found += keys
        if cursor == b"0":
            return found
    raise AssertionError("the walk has no end")
