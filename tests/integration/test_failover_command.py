"""FAILOVER: the place of a primary goes to its replica, ours or a real server's, and no write is lost."""

from __future__ import annotations

import pytest

from tests.harness.resp import Error, Simple
from tests.harness.servers import Oracle, Server, ShoalNode, server
from tests.harness.wait import eventually

WITHOUT_REPLICAS = """
FAILOVER
FAILOVER ABORT
FAILOVER ABORT x
FAILOVER TO
FAILOVER TO h
FAILOVER TO h x
FAILOVER TO h 1
FAILOVER TIMEOUT
FAILOVER TIMEOUT x
FAILOVER TIMEOUT 0
FAILOVER TIMEOUT -1
FAILOVER TIMEOUT 10
FAILOVER FORCE
FAILOVER TO h 1 FORCE TIMEOUT 5
FAILOVER TO h 1 TO h 1
FAILOVER TIMEOUT 5 TIMEOUT 5
FAILOVER foo
PSYNC ? -1 FAILOVER
"""
WITH_A_REPLICA = """
FAILOVER FORCE
FAILOVER TO h 1 FORCE
FAILOVER FORCE TIMEOUT 5
FAILOVER TO h 1 FORCE TIMEOUT 5
FAILOVER TO h 1
"""
ON_A_REPLICA = """
FAILOVER
FAILOVER ABORT
PSYNC ? -1 FAILOVER
"""


def follow(replica: Server, primary: Server) -> None:
    replica.follow(primary)
    eventually(lambda: primary.info("replication")["slave0"]["state"] == "online", "it is online")


def answers(node: Server, script: str) -> list[object]:
    return [node.run(*line.split()) for line in script.strip().splitlines()]


def test_words_are_those_of_redis() -> None:
    told = []
    for kind in ("shoal", "redis"):
        with server(kind) as primary, server(kind) as replica:
            told.append(answers(primary, WITHOUT_REPLICAS))
            follow(replica, primary)
            told[-1] += answers(primary, WITH_A_REPLICA) + answers(replica, ON_A_REPLICA)
            assert primary.run("PING") == Simple("PONG")
    assert told[0] == told[1]


def test_not_in_a_cluster() -> None:
    with ShoalNode(cluster_enabled="yes") as ours, Oracle("redis", cluster_enabled="yes") as theirs:
        assert ours.run("FAILOVER") == theirs.run("FAILOVER")


@pytest.mark.parametrize(
    ("first", "second"),
    [("shoal", "shoal"), ("shoal", "redis"), ("redis", "shoal"), ("shoal", "valkey"), ("valkey", "shoal")],
)
def test_the_place_goes_to_the_replica(first: str, second: str) -> None:
    with server(first) as old, server(second) as new:
        follow(new, old)
        old.run("SET", "a", 1)
        old.run("CLIENT", "PAUSE", 1, "WRITE")
        assert old.run("FAILOVER", "TO", new.host, new.port, "TIMEOUT", 5000) == Simple("OK")
        eventually(lambda: new.info("replication")["role"] == "master", "the replica took over")
        eventually(lambda: old.info("replication").get("master_link_status") == "up", "the old one follows")
        assert old.info("replication")["master_failover_state"] == "no-failover"
        assert isinstance(old.run("SET", "a", 2), Error)
        assert new.run("INCR", "a") == 2
        eventually(lambda: old.run("GET", "a") == b"2", "and gets its writes")
        assert old.info("stats")["sync_full"] <= 1
        assert new.info("stats")["sync_full"] == 0


def test_writes_wait_and_are_sent_away() -> None:
    with ShoalNode() as old, ShoalNode() as new, old.resp() as writer:
        follow(new, old)
        new.pause()
        try:
            old.run("SET", "behind", 1)
            assert old.run("FAILOVER") == Simple("OK")
            assert old.info("replication")["master_failover_state"] == "waiting-for-sync"
            assert old.run("FAILOVER") == Error("ERR FAILOVER already in progress.")
            writer.send_command("SET", "a", 1)
            assert writer.silent()
        finally:
            new.resume()
        assert writer.read() == Error("READONLY You can't write against a read only replica.")
        eventually(lambda: new.run("GET", "behind") == b"1", "nothing was lost")


def test_it_ends_when_asked_or_when_its_time_is_up() -> None:
    with ShoalNode() as primary, ShoalNode() as replica:
        follow(replica, primary)
        replica.pause()
        try:
            primary.run("SET", "behind", 1)
            primary.run("FAILOVER")
            assert primary.run("FAILOVER", "ABORT") == Simple("OK")
            assert primary.run("SET", "a", 1) == Simple("OK")
            primary.run("FAILOVER", "TIMEOUT", 100)
            assert primary.run("SET", "a", 2) == Simple("OK")
            assert primary.info("replication")["role"] == "master"
            assert "Replica never caught up before timeout" in primary.log
        finally:
            replica.resume()


def test_one_that_cannot_take_over_leaves_things_as_they_were() -> None:
    with ShoalNode() as primary, ShoalNode() as replica:
        follow(replica, primary)
        replica.pause()
        primary.run("SET", "behind", 1)
        primary.run("FAILOVER", "TO", replica.host, replica.port, "FORCE", "TIMEOUT", 100)
        eventually(
            lambda: primary.info("replication")["master_failover_state"] == "failover-in-progress",
            "it turns to the replica",
        )
        replica.kill()
        eventually(lambda: primary.info("replication")["role"] == "master", "and is the primary again")
        assert primary.run("SET", "a", 1) == Simple("OK")


def test_keys_do_not_expire_while_writes_are_paused(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    for node in (shoal_node, redis_oracle):
        node.run("SET", "soon", 1, "PX", 30)
        node.run("CLIENT", "PAUSE", 60_000, "WRITE")
        eventually(lambda: node.run("EXISTS", "soon") == 0, "it looks expired")  # noqa: B023
        assert node.run("DBSIZE") == 1
        node.run("CLIENT", "UNPAUSE")
        eventually(lambda: node.run("DBSIZE") == 0, "and goes when writes go on")  # noqa: B023
