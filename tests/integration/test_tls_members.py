"""TLS among servers: replication, cluster bus, and keys and slots on their way, ours and redis-server 7.0."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest
from redis.crc import key_slot

from tests.chaos.scale import FULL
from tests.harness.certificates import Authority, Identity, protect
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.commands import redis_cli
from tests.harness.resp import Error, Simple
from tests.harness.servers import Server, ShoalNode, server
from tests.harness.wait import eventually


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def identity(authority: Authority) -> Identity:
    return authority.issue("us")


@pytest.fixture(scope="module")
def pair(authority: Authority, identity: Identity) -> Iterator[tuple[Server, Server]]:
    """One of ours, and a redis-server."""
    with (
        protect(ShoalNode(), authority, identity) as ours,
        protect(server("redis-7.0"), authority, identity) as theirs,
    ):
        yield ours, theirs


@pytest.mark.parametrize("we_follow", [True, False])
def test_replication_in_both_directions(pair: tuple[Server, Server], we_follow: bool) -> None:
    replica, primary = pair if we_follow else pair[::-1]
    value = bytes(range(256)) * 4_000
    primary.run("SET", "before", value)
    replica.follow(primary)
    primary.run("SET", "after", value)
    with replica.resp() as connection, primary.resp() as writer:
        assert connection.command("GET", "before") == value
        eventually(lambda: connection.command("GET", "after") == value, "the stream arrives")
        assert writer.command("SET", "x", "y") == Simple("OK")
        assert writer.command("WAIT", 1, 5000) == 1
        listed = writer.command("INFO", "replication").decode()
        assert f"port={replica.port}," in listed  # where it is to be found by TLS
        connection.command("REPLICAOF", "NO", "ONE")


def test_who_is_not_trusted_is_not_followed(
    pair: tuple[Server, Server], tmp_path_factory: pytest.TempPathFactory
) -> None:
    strange = Authority(tmp_path_factory.mktemp("strange"), "stranger")
    with protect(ShoalNode(), strange, strange.issue("them")) as stranger:
        stranger.run("REPLICAOF", pair[1].host, pair[1].port)
        eventually(lambda: "its certificate is not trusted" in stranger.log, "the reason is in the log")
        assert stranger.info("replication")["master_link_status"] == "down"


@pytest.fixture(scope="module")
def cluster(authority: Authority, identity: Identity) -> Iterator[RunningCluster]:
    prepare = partial(protect, authority=authority, identity=identity)
    with cluster_of(3, kind=("shoal", "redis-7.0", "shoal"), prepare=prepare) as formed:
        yield formed


def test_clients_are_told_the_ports_for_tls(cluster: RunningCluster) -> None:
    ports = sorted(node.port for node in cluster.nodes)
    with cluster.client() as client:
        for number in range(50):
            assert client.set(f"key:{number}", number)
    ours, owner = cluster.nodes[0], cluster.owner_of("key:1")
    with ours.resp() as connection, ours.resp(protocol=3) as modern:
        rows = connection.command("CLUSTER", "SLOTS")
        assert sorted(row[2][1] for row in rows) == ports
        shards = modern.command("CLUSTER", "SHARDS")
        assert all(b"tls-port" in str(shard).encode() for shard in shards)
        for node in cluster.nodes:
            if node is not owner:
                assert node.run("GET", "key:1") == Error(f"MOVED {key_slot(b'key:1')} 127.0.0.1:{owner.port}")


def test_the_bus_speaks_no_plain_text(cluster: RunningCluster) -> None:
    """Each sees the others only by TLS: all ports but these are closed."""
    for node in cluster.nodes:
        lines = cluster.view(node).values()
        assert {line.link for line in lines} == {"connected"}
        assert {int(re.sub(r".*@(\d+).*", r"\1", line.address)) for line in lines} == {
            each.port + 10000 for each in cluster.nodes
        }


def test_slots_move_by_tls(cluster: RunningCluster) -> None:
    """Key by key to and from redis-server (MIGRATE), at once between two of ours."""
    ours, theirs, other = cluster.nodes
    with cluster.client() as client:
        for number in range(50):
            client.set(f"{{move}}{number}", number)
        slot = client.keyslot("{move}0")
        first = cluster.owner_of("{move}0")
        for source, target in ((first, theirs), (theirs, ours)):
            if source is not target:
                _move_by_keys(cluster, slot, source, target)
        ours.run("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", cluster.id_of(other))
        eventually(lambda: cluster.owner_of("{move}0") is other, "the slot has arrived")
        cluster.wait_settled()
        assert [client.get(f"{{move}}{number}") for number in range(50)] == [
            b"%d" % number for number in range(50)
        ]


def _move_by_keys(cluster: RunningCluster, slot: int, source: Server, target: Server) -> None:
    ids = {node: cluster.id_of(node) for node in (source, target)}
    assert target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source]) == Simple("OK")
    assert source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target]) == Simple("OK")
    keys = source.run("CLUSTER", "GETKEYSINSLOT", slot, 1000)
    assert keys
    moved = source.run("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", *keys)
    assert moved == Simple("OK")
    for node in cluster.nodes:
        node.run("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
    cluster.wait_settled()


@pytest.mark.skipif(not FULL, reason="SHOAL_FULL=1: a cluster that forms by itself takes seconds")
def test_a_cluster_forms_by_itself(authority: Authority, identity: Identity) -> None:
    with ExitStack() as stack:
        nodes = [ShoalNode(cluster_enabled="yes", cluster_expected_size=3) for _ in range(3)]
        for node in nodes:
            protect(node, authority, identity, cluster_seeds=f"{nodes[0].address}")
            stack.enter_context(node)
        formed = RunningCluster(list(nodes))
        formed.wait_settled()
        formed.nodes[2].restart()
        formed.wait_settled()
        check = redis_cli("--cluster", "check", formed.addresses[0], *nodes[0].tls_arguments)
        assert "All 16384 slots covered" in check
