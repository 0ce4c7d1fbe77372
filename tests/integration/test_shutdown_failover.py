"""SHUTDOWN SAFE and FAILOVER in a cluster, among our workers and with Valkey's servers on either side."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.resp import Error, Simple
from tests.harness.servers import Server
from tests.harness.wait import eventually

OK = Simple("OK")
REFUSED = Error("ERR Errors trying to SHUTDOWN. Check logs.")
PATIENT = 60_000
"""A cluster-node-timeout that no test waits for: a failover before that is by order."""


@pytest.fixture(scope="module")
def threes() -> Iterator[Callable[[str, str], RunningCluster]]:
    """Three shards of such kinds, the same for all tests. Each test uses up one of them."""
    with ExitStack() as stack:

        def form(primaries: str, replicas: str) -> RunningCluster:
            kinds = [primaries] * 3 + [replicas] * 3
            return stack.enter_context(cluster_of(3, replicas=1, kind=kinds, node_timeout=PATIENT))

        yield functools.cache(form)


def primary_and_replica(cluster: RunningCluster) -> tuple[Server, Server]:
    """Of a shard that is still whole, and whose stream flows: real servers may let it wait for a second."""

    def found() -> tuple[Server, Server]:
        pairs = ((primary, cluster.replicas_of(primary)) for primary in cluster.primaries)
        return next((primary, replicas[0]) for primary, replicas in pairs if replicas)

    primary, replica = eventually(found)  # those that were shut down before may be ending yet
    assert primary.run("SET", key_of(cluster, primary), "flows") == OK
    assert primary.run("WAIT", 1, 10_000) == 1
    return primary, replica


def key_of(cluster: RunningCluster, primary: Server) -> str:
    return next(key for key in map(str, range(99)) if cluster.owner_of(key) is primary)


def is_primary(node: Server) -> bool:
    return bool(node.info("replication")["role"] == "master")


@pytest.mark.parametrize(
    ("primaries", "replicas"), [("shoal", "shoal"), ("shoal", "valkey"), ("valkey", "shoal")]
)
def test_a_replica_takes_over_before_the_primary_is_gone(
    threes: Callable[[str, str], RunningCluster], primaries: str, replicas: str
) -> None:
    cluster = threes(primaries, replicas)
    primary, replica = primary_and_replica(cluster)
    assert primary.run("SHUTDOWN", "SAFE") == REFUSED
    assert "This is a voting primary." in primary.log
    with primary.resp() as connection:
        connection.send_command("SHUTDOWN", "NOSAVE", "FAILOVER")
        assert connection.read_until_closed() == b""
    eventually(lambda: is_primary(replica), lambda: f"a successor:\n{primary.log}\n{replica.log}")
    assert "Perform auto failover to replica " + cluster.id_of(replica) in primary.log
    assert "Forced failover primary request accepted" in replica.log


def test_the_last_writes_are_handed_over(threes: Callable[[str, str], RunningCluster]) -> None:
    cluster = threes("shoal", "shoal")
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


def test_a_shutdown_that_waits_can_be_aborted_and_its_wait_is_bounded(
    threes: Callable[[str, str], RunningCluster],
) -> None:
    cluster = threes("shoal", "shoal")
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
