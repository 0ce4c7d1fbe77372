"""Every subcommand of `redis-cli --cluster`, as operators know it, on a cluster of ours.

Our own such tool is `shoal` (cluster/cli), whose tests are test_cli*.py. Here it is Redis' that has to
succeed: it reads CLUSTER NODES, moves slots by SETSLOT and MIGRATE, and takes its backups by SYNC.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.commands import redis_cli
from tests.harness.servers import Oracle, Server, ShoalNode, server
from tests.harness.wait import eventually

KEYS = 600
SLOTS = 20


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    """Three primaries, made by `redis-cli --cluster create`, with keys `key:N` -> N."""
    with cluster_of(3) as three:
        with three.client() as client:
            client.mset_nonatomic({f"key:{n}": n for n in range(KEYS)})
        yield three


@pytest.fixture(autouse=True)
def left_as_it_was(cluster: RunningCluster) -> Iterator[None]:
    """Nobody may lose a key, or leave a slot open."""
    yield
    cluster.wait_settled()
    assert not any(cluster.line_of(node).open_slots for node in cluster.nodes)
    with cluster.client() as client:
        assert client.mget_nonatomic([f"key:{n}" for n in range(KEYS)]) == [b"%d" % n for n in range(KEYS)]


def ask(subcommand: str, node: Server, *more: str | int | float, input: str = "") -> str:
    return redis_cli("--cluster", subcommand, node.address, *map(str, more), input=input)


def slots_of(cluster: RunningCluster, node: Server) -> int:
    return sum(last - first + 1 for first, last in cluster.line_of(node).slots)


def test_check_and_info(cluster: RunningCluster) -> None:
    first, second, third = cluster.nodes
    checked = ask("check", first)
    assert "[OK] All nodes agree about slots configuration." in checked
    assert "[OK] All 16384 slots covered." in checked
    told = ask("info", second)
    assert all(f"{node.address} (" in told for node in (first, second, third))
    assert f"[OK] {KEYS} keys in 3 masters." in told


def test_call(cluster: RunningCluster) -> None:
    told = ask("call", cluster.nodes[0], "CLUSTER", "MYID")
    for node in cluster.nodes:
        assert f"{node.address}: {cluster.id_of(node)}" in told
    assert ask("call", cluster.nodes[0], "PING", "--cluster-only-replicas").count("PONG") == 0
    assert ask("call", cluster.nodes[0], "PING", "--cluster-only-masters").count("PONG") == 3


def test_set_timeout(cluster: RunningCluster) -> None:
    """It calls CONFIG REWRITE, too, for which a node needs a file."""
    told = ask("set-timeout", cluster.nodes[0], 3000)
    assert told.count("The server is running without a config file") == 3
    for node in cluster.nodes:
        assert node.run("CONFIG", "GET", "cluster-node-timeout")[1] == b"3000"


def test_reshard_and_rebalance(cluster: RunningCluster) -> None:
    """Some slots go, and a rebalance brings as many back."""
    first, second, _ = cluster.nodes
    before = [slots_of(cluster, node) for node in cluster.nodes]
    ask(
        "reshard", first, "--cluster-from", cluster.id_of(first), "--cluster-to", cluster.id_of(second),
        "--cluster-slots", SLOTS, "--cluster-pipeline", 5, "--cluster-timeout", 5000, "--cluster-replace",
        "--cluster-yes",
    )  # fmt: skip
    cluster.wait_settled()
    assert slots_of(cluster, second) == before[1] + SLOTS
    simulated = ask("rebalance", first, "--cluster-threshold", 0.1, "--cluster-simulate")
    assert "#" in simulated and slots_of(cluster, second) == before[1] + SLOTS
    ask("rebalance", first, "--cluster-threshold", 0.1)
    cluster.wait_settled()
    assert all(abs(slots_of(cluster, node) - 16384 / 3) < 7 for node in cluster.nodes)


def test_fix_finishes_an_open_slot(cluster: RunningCluster) -> None:
    source = cluster.owner_of("key:1")
    target = next(node for node in cluster.nodes if node is not source)
    slot = source.run("CLUSTER", "KEYSLOT", "key:1")
    target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(source))
    source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id_of(target))
    assert "[WARNING] The following slots are open" in redis_cli(
        "--cluster", "check", source.address, check=False
    )
    fixed = ask("fix", source, "--cluster-yes")
    assert "[OK] All 16384 slots covered." in fixed
    assert cluster.owner_of("key:1") is target


def test_fix_serves_what_nobody_serves(cluster: RunningCluster) -> None:
    """It asks, whatever it was told, and gives the slot to who has keys of it."""
    owner = cluster.owner_of("key:2")
    slot = owner.run("CLUSTER", "KEYSLOT", "key:2")
    for node in cluster.nodes:
        node.run("CLUSTER", "DELSLOTS", slot)
    fixed = ask("fix", owner, "--cluster-fix-with-unreachable-masters", input="yes\n")
    assert f"[{slot}]" in fixed and "[ERR] Not all" in fixed
    cluster.wait_settled()
    assert cluster.owner_of("key:2") is owner


def test_members_come_and_go(cluster: RunningCluster) -> None:
    """A primary gets slots as an empty one, and gives them back by a weight of 0; a replica follows it."""
    first = cluster.nodes[0]
    settings = {"cluster_enabled": "yes", "cluster_node_timeout": 2000}
    with ShoalNode(**settings) as primary, ShoalNode(**settings) as replica:
        five = RunningCluster([*cluster.nodes, primary, replica])
        redis_cli("--cluster", "add-node", primary.address, first.address)
        known = RunningCluster([*cluster.nodes, primary])
        eventually(lambda: all(known.id_of(primary) in known.view(node) for node in known.nodes), "all met")
        redis_cli(
            "--cluster", "add-node", replica.address, first.address,
            "--cluster-slave", "--cluster-master-id", five.id_of(primary),
        )  # fmt: skip
        eventually(lambda: five.line_of(replica).primary_id == five.id_of(primary), "it follows the new one")
        five.wait_settled()
        ask(
            "reshard", first, "--cluster-from", five.id_of(first), "--cluster-to", five.id_of(primary),
            "--cluster-slots", SLOTS, "--cluster-yes",
        )  # fmt: skip
        five.wait_settled()
        assert slots_of(five, primary) == SLOTS
        shown = ask("rebalance", first, "--cluster-use-empty-masters", "--cluster-simulate")
        assert "#" in shown
        ask(
            "reshard", first, "--cluster-from", five.id_of(primary), "--cluster-to", five.id_of(first),
            "--cluster-slots", SLOTS, "--cluster-yes",
        )  # fmt: skip
        five.wait_settled()
        for leaver in (replica, primary):
            redis_cli("--cluster", "del-node", first.address, five.id_of(leaver))
        for node in cluster.nodes:
            assert len(cluster.view(node)) == 3


@pytest.mark.parametrize("kind", ["redis", "valkey", "shoal"])
def test_import(cluster: RunningCluster, kind: str) -> None:
    with server(kind) as source, source.client() as client:
        client.mset({f"{kind}:{n}": n for n in range(50)})
        ask("import", cluster.nodes[0], "--cluster-from", source.address, "--cluster-copy")
        assert client.dbsize() == 50
        ask("import", cluster.nodes[0], "--cluster-from", source.address, "--cluster-replace")
        assert client.dbsize() == 0
    with cluster.client() as aware:
        assert aware.mget_nonatomic([f"{kind}:{n}" for n in range(50)]) == [b"%d" % n for n in range(50)]
        aware.delete(*(f"{kind}:{n}" for n in range(50)))


def test_backup(cluster: RunningCluster, tmp_path: Path, redis_server: Oracle) -> None:
    """Redis reads each of its files."""
    told = ask("backup", cluster.nodes[0], str(tmp_path))
    assert "[OK] Backup created into" in told
    (nodes,) = tmp_path.glob("*.json")
    assert {entry["name"] for entry in json.loads(nodes.read_text())} == {
        cluster.id_of(node) for node in cluster.nodes
    }
    keys = 0
    for node in cluster.nodes:
        (file,) = tmp_path.glob(f"*{cluster.id_of(node)}.rdb")
        with Oracle("redis", dir=str(tmp_path), dbfilename=file.name) as reader:
            assert reader.run("DBSIZE") == node.run("DBSIZE")
            keys += reader.run("DBSIZE")
    assert keys == KEYS
