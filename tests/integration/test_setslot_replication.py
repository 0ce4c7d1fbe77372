"""Replicas take CLUSTER SETSLOT before their primary, so that a slot in motion stays so over a failover."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.resp import Error, Simple
from tests.harness.servers import Server
from tests.harness.wait import eventually

OK = Simple("OK")
SLOT = 0
NODE_TIMEOUT = 60_000


@pytest.fixture(scope="module")
def ours() -> Iterator[RunningCluster]:
    with cluster_of(3, replicas=1, node_timeout=NODE_TIMEOUT, appendonly="yes") as cluster:
        yield cluster


@pytest.fixture
def mixed(request: pytest.FixtureRequest) -> Iterator[RunningCluster]:
    """Three primaries of one kind with replicas of another, or ours."""
    primaries, replicas = request.param
    if primaries == replicas:
        yield request.getfixturevalue("ours")
        return
    kinds = [primaries] * 3 + [replicas] * 3
    with cluster_of(3, replicas=1, kind=kinds, node_timeout=NODE_TIMEOUT) as cluster:
        yield cluster


def pairs(cluster: RunningCluster) -> tuple[Server, Server, Server, Server]:
    """The owner of the slot and its replica; another primary and its replica."""
    primaries = {cluster.id_of(node): node for node in cluster.primaries}
    owner = next(
        primaries[node_id]
        for first, last, node_id in cluster.slot_owners(seen_by=cluster.nodes[0])
        if first <= SLOT <= last
    )
    other = next(node for node in cluster.primaries if node is not owner)
    return owner, cluster.replicas_of(owner)[0], other, cluster.replicas_of(other)[0]


def open_slots(cluster: RunningCluster, node: Server) -> list[str]:
    return cluster.line_of(node, seen_by=node).open_slots


@pytest.mark.parametrize(
    "mixed", [("shoal", "shoal"), ("shoal", "valkey"), ("valkey", "shoal")], ids="-".join, indirect=True
)
def test_replicas_take_each_step_first(mixed: RunningCluster) -> None:
    cluster = mixed
    owner, replica, other, its_replica = pairs(cluster)
    ids = {node: cluster.id_of(node) for node in (owner, other)}
    assert other.run("CLUSTER", "SETSLOT", SLOT, "IMPORTING", ids[owner], "TIMEOUT", 5000) == OK
    assert owner.run("CLUSTER", "SETSLOT", SLOT, "MIGRATING", ids[other]) == OK
    assert open_slots(cluster, its_replica) == [f"[{SLOT}-<-{ids[owner]}]"]
    assert open_slots(cluster, replica) == [f"[{SLOT}->-{ids[other]}]"]
    assert other.run("CLUSTER", "SETSLOT", SLOT, "NODE", ids[other]) == OK
    assert owner.run("CLUSTER", "SETSLOT", SLOT, "NODE", ids[other]) == OK
    assert open_slots(cluster, its_replica) == open_slots(cluster, replica) == []
    eventually(cluster.is_settled, "all agree")
    assert cluster.slot_owners(seen_by=replica)[0] == (SLOT, SLOT, ids[other])


def test_nothing_is_done_before_the_replicas_have_it(ours: RunningCluster) -> None:
    cluster = ours
    owner, replica, other, _ = pairs(cluster)
    wanted = cluster.id_of(other)
    replica.pause()
    late = Error("NOREPLICAS Not enough good replicas to write.")
    assert owner.run("CLUSTER", "SETSLOT", SLOT, "MIGRATING", wanted, "TIMEOUT", 50) == late
    assert open_slots(cluster, owner) == []
    with owner.resp() as connection:
        connection.send_command("CLUSTER", "SETSLOT", SLOT, "MIGRATING", wanted, "TIMEOUT", 0)
        eventually(lambda: owner.info("clients")["blocked_clients"] == 1, "it waits")
        replica.resume()
        assert connection.read() == OK
    assert open_slots(cluster, owner) == open_slots(cluster, replica) == [f"[{SLOT}->-{wanted}]"]
    replica.restart()
    assert open_slots(cluster, replica) == [f"[{SLOT}->-{wanted}]"]


def test_replicas_that_do_not_know_it_are_not_told() -> None:
    kinds = ["shoal"] * 3 + ["redis"] * 3
    with cluster_of(3, replicas=1, kind=kinds, node_timeout=NODE_TIMEOUT) as cluster:
        owner, replica, other, _ = pairs(cluster)
        assert owner.run("CLUSTER", "SETSLOT", SLOT, "MIGRATING", cluster.id_of(other)) == OK
        assert len(open_slots(cluster, owner)) == 1
        assert owner.run("CLUSTER", "SETSLOT", SLOT, "STABLE") == OK
        assert owner.run("WAIT", 1, 5000) == 1
        assert open_slots(cluster, replica) == [] and "CRITICAL" not in replica.log
