"""Numbered databases in a cluster, as Valkey 9 has them: `cluster-databases`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.migration.classic import SlotMover
from cluster.operations.link import NodeLink
from tests.compat.differential import compare, parse_script
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.resp import Error
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually

DATABASES = 4
KEYS = 40
TAG = "moving"

SCRIPT = """
SELECT 0
SET a 0
SELECT 1
SET a 1
SELECT 3
SET {a}3 3
GET a
CLUSTER COUNTKEYSINSLOT 15495
CLUSTER GETKEYSINSLOT 15495 10
SELECT 4
SELECT -1
SELECT x
SELECT 0
CLUSTER COUNTKEYSINSLOT 15495
MOVE a 2
MOVE a 1
MOVE a 99
MOVE a x
COPY b c DB 1
SET b 5
COPY b b DB 1
COPY b {b}c DB 2
COPY b b DB 9
SWAPDB 0 1
SWAPDB x 1
EVAL "redis.call('select', 1) return redis.call('get', KEYS[1])" 1 a
CLUSTER RESET HARD
FLUSHDB
SELECT 1
DBSIZE
FLUSHALL
DBSIZE
"""


def with_all_slots(server: Server) -> Server:
    server.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    eventually(lambda: b"cluster_state:ok" in server.run("CLUSTER", "INFO"), "it serves all slots")
    return server


def test_replies_are_those_of_valkey() -> None:
    settings = {"cluster_enabled": "yes", "cluster_databases": DATABASES}
    with ShoalNode(**settings) as ours, Oracle("valkey", **settings) as theirs:
        with_all_slots(ours), with_all_slots(theirs)
        compare(ours, theirs, parse_script(SCRIPT, theirs))


def test_there_is_one_database_unless_said_otherwise() -> None:
    with ShoalNode(cluster_enabled="yes") as ours, Oracle("redis", cluster_enabled="yes") as theirs:
        with_all_slots(ours), with_all_slots(theirs)
        for command in ("SELECT 0", "SELECT 1", "SELECT 16", "MOVE a 1", "COPY a a DB 1", "SWAPDB 0 1"):
            assert ours.run(*command.split()) == theirs.run(*command.split()), command
        assert isinstance(ours.run("SELECT", 1), Error)


@pytest.fixture(scope="module", params=[("shoal",), ("shoal", "valkey", "shoal")], ids=["shoal", "mixed"])
def cluster(request: pytest.FixtureRequest) -> Iterator[RunningCluster]:
    with cluster_of(3, kind=request.param, cluster_databases=DATABASES) as running:
        yield running


def test_slots_move_with_all_their_databases(cluster: RunningCluster) -> None:
    source, target, _ = cluster.nodes
    keys = [f"{{{TAG}}}{number}" for number in range(KEYS)]
    slot = int(source.run("CLUSTER", "KEYSLOT", keys[0]))
    for there in (source, target):
        if cluster.owner_of(keys[0]) is not there:
            move(cluster, slot, there)
        with there.resp() as connection:
            for database in range(DATABASES):
                connection.command("SELECT", database)
                connection.pipeline(*[("SET", key, f"{database}:{key}") for key in keys])
        away = target if there is source else source
        move(cluster, slot, away)
        with away.resp() as connection:
            for database in range(DATABASES):
                connection.command("SELECT", database)
                assert connection.command("CLUSTER", "COUNTKEYSINSLOT", slot) == KEYS
                assert connection.command("MGET", *keys) == [f"{database}:{key}".encode() for key in keys]
        assert "db" not in str(there.info("keyspace"))


def move(cluster: RunningCluster, slot: int, target: Server) -> None:
    links = {cluster.id_of(node): NodeLink(node.host, node.port) for node in cluster.nodes}
    source = cluster.owner_of(f"{{{TAG}}}")
    assert SlotMover(links).count_keys(cluster.id_of(source), [slot]) == [
        sum(int(found["keys"]) for found in source.info("keyspace").values())
    ]
    SlotMover(links).move_slots([slot], cluster.id_of(source), cluster.id_of(target))
    cluster.wait_settled()
    for link in links.values():
        link.close()
