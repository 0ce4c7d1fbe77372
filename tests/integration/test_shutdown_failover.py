"""SHUTDOWN SAFE and FAILOVER in a cluster, among our workers and with Valkey's servers on either side."""

from __future__ import annotations

import signal

import pytest

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.resp import Error, Simple
from tests.harness.servers import Server
from tests.harness.wait import eventually

OK = Simple("OK")
REFUSED = Error("ERR Errors trying to SHUTDOWN. Check logs.")
PATIENT = 60_000
"""A cluster-node-timeout that no test waits for: a failover before that is by order."""


def primary_and_replica(cluster: RunningCluster) -> tuple[Server, Server]:
    primary = cluster.primaries[0]
    return primary, cluster.replicas_of(primary)[0]


def key_of(cluster: RunningCluster, primary: Server) -> str:
    return next(key for key in map(str, range(99)) if cluster.owner_of(key) is primary)


def is_primary(node: Server) -> bool:
    return bool(node.info("replication")["role"] == "master")


@pytest.mark.parametrize(
    ("primaries", "replicas"), [("shoal", "shoal"), ("shoal", "valkey"), ("valkey", "shoal")]
)
def test_a_replica_takes_over_before_the_primary_is_gone(primaries: str, replicas: str) -> None:
    kinds = [primaries] * 3 + [replicas] * 3
    with cluster_of(3, replicas=1, kind=kinds, node_timeout=PATIENT) as cluster:
        primary, replica = primary_and_replica(cluster)
        assert primary.run("SHUTDOWN", "SAFE") == REFUSED
        assert "This is a voting primary." in primary.log
        with primary.resp() as connection:
            connection.send_command("SHUTDOWN", "NOSAVE", "FAILOVER")
            assert connection.read_until_closed() == b""
        eventually(lambda: is_primary(replica), lambda: f"a successor:\n{primary.log}\n{replica.log}")
        assert "Perform auto failover to replica " + cluster.id_of(replica) in primary.log
        assert "Forced failover primary request accepted" in replica.log


def test_the_last_writes_are_handed_over() -> None:
    with cluster_of(3, replicas=1, node_timeout=PATIENT) as cluster:
        primary, replica = primary_and_replica(cluster)
        assert primary.run("CONFIG", "SET", "shutdown-on-sigterm", "failover nosave") == OK
        key = key_of(cluster, primary)
        replica.pause()
        with primary.resp() as writer:
            assert writer.command("SET", key, "last") == OK
            assert primary.process is not None
            primary.process.send_signal(signal.SIGTERM)
            eventually(lambda: "Waiting for replicas" in primary.log, "the primary waits")
            writer.send_command("SET", key, "too late")
            replica.resume()
            assert writer.read_until_closed() == b""
        eventually(lambda: is_primary(replica), lambda: f"a successor:\n{primary.log}\n{replica.log}")
        eventually(lambda: replica.run("GET", key) == b"last", "the last write")


def test_a_shutdown_that_waits_can_be_aborted_and_its_wait_is_bounded() -> None:
    with cluster_of(3, replicas=1, node_timeout=PATIENT) as cluster:
        primary, replica = primary_and_replica(cluster)
        key = key_of(cluster, primary)
        replica.pause()
        assert primary.run("SET", key, "1") == OK
        assert primary.run("SHUTDOWN", "ABORT") == Error("ERR No shutdown in progress.")
        with primary.resp() as connection:
            connection.send_command("SHUTDOWN", "NOSAVE", "FAILOVER")
            eventually(lambda: "Waiting for replicas" in primary.log, "it waits")
            assert primary.run("SHUTDOWN", "ABORT") == OK
            assert connection.read() == REFUSED
        assert primary.run("SET", key, "2") == OK
        assert primary.run("CONFIG", "SET", "shutdown-timeout", 1) == OK
        with primary.resp() as connection:
            connection.send_command("SHUTDOWN", "NOSAVE", "FAILOVER")
            assert connection.read_until_closed() == b""
        assert "Unable to find a replica to perform the auto failover on shutdown." in primary.log
        replica.resume()
