"""`synchronous-replicas`: replies wait for replicas, and nothing is told that may not be kept.

A replica that is stopped (SIGSTOP) has its sockets open and acknowledges nothing: the time in which a
promise must not be given. Real servers as replicas are asked in words they know.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from redis.crc import key_slot

from tests.harness.clusters import cluster_of
from tests.harness.resp import Error, Resp, Simple
from tests.harness.servers import Server, ShoalNode, server
from tests.harness.wait import eventually
from tests.integration.test_replication import follow, wait_settled

OK, PONG = Simple("OK"), Simple("PONG")
SILENCE = 0.2
"""Seconds in which no reply may come. Without the mode it comes within a millisecond."""


@contextmanager
def frozen(*servers: Server) -> Iterator[None]:
    for stopped in servers:
        os.kill(stopped.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for stopped in servers:
            os.kill(stopped.pid, signal.SIGCONT)


def says_nothing(client: Resp) -> bool:
    return client.silent(SILENCE)


def confirmed(client: Resp) -> bool:
    """Whether the reply is OK, rather than an error or the end."""
    try:
        return bool(client.read() == OK)
    except (EOFError, ConnectionResetError):
        return False


@pytest.mark.parametrize("kind", ["shoal", "redis", "valkey"])
def test_replies_leave_when_the_replica_has_the_bytes(kind: str) -> None:
    with ShoalNode(synchronous_replicas=1) as primary, server(kind) as replica:
        follow(replica, primary)
        wait_settled(primary, replica)
        with primary.resp() as writer, primary.resp() as reader:
            assert writer.command("SET", "a", "1") == OK
            assert writer.command("INCR", "a") == 2
            with frozen(replica):
                writer.send_command("SET", "a", "3")
                assert says_nothing(writer)
                reader.send_command("GET", "a")
                assert says_nothing(reader), "a read told of a write that may be lost"
                with primary.resp() as other:
                    assert other.command("PING") == PONG
                    assert "role:master" in str(other.command("INFO", "replication"))
            assert writer.read() == OK
            assert reader.read() == b"3"


def test_as_many_replicas_as_asked_for() -> None:
    setting = {"synchronous_replicas": 1, "synchronous_replicas_wait": 0}
    with ShoalNode(**setting) as primary, ShoalNode() as first, ShoalNode() as second:
        for replica in (first, second):
            follow(replica, primary)
        wait_settled(primary, first, second)
        with primary.resp() as writer, primary.resp() as admin:
            with frozen(second):
                assert writer.command("SET", "a", "1") == OK
                assert admin.command("CONFIG", "SET", "synchronous-replicas", "2") == OK
                writer.send_command("SET", "a", "2")
                assert says_nothing(writer)
            assert writer.read() == OK
            second.stop()
            eventually(lambda: "NOREPLICAS" in str(writer.command("SET", "a", "3")), "writes are refused")
            assert writer.command("GET", "a") == b"2"
            assert admin.command("CONFIG", "SET", "synchronous-replicas", "0") == OK
            assert writer.command("SET", "a", "4") == OK


def test_without_replicas_writes_wait_and_are_refused_then() -> None:
    with (
        ShoalNode(synchronous_replicas=1, synchronous_replicas_wait=0) as primary,
        ShoalNode() as replica,
        primary.resp() as client,
        primary.resp() as admin,
    ):
        reply = client.command("SET", "a", "1")
        assert isinstance(reply, Error) and reply.prefix == "NOREPLICAS"
        assert admin.command("CONFIG", "SET", "synchronous-replicas-wait", "60000") == OK
        client.send_command("SET", "a", "1")
        assert says_nothing(client)
        assert admin.command("EXISTS", "a") == 0
        follow(replica, primary)
        wait_settled(primary, replica)
        assert client.read() == OK
        replica.stop()
        eventually(lambda: primary.info("replication")["connected_slaves"] == 0, "it is missed")
        client.send_command("SET", "a", "2")
        assert says_nothing(client)
        assert admin.command("CONFIG", "SET", "synchronous-replicas-wait", "1") == OK
        reply = client.read()
        assert isinstance(reply, Error) and reply.prefix == "NOREPLICAS"
        assert admin.command("GET", "a") == b"1"


def test_pipelines_transactions_scripts_and_blocked_clients_wait_too() -> None:
    with ShoalNode(synchronous_replicas=1) as primary, ShoalNode() as replica:
        follow(replica, primary)
        wait_settled(primary, replica)
        with primary.resp() as blocked, primary.resp() as script, primary.resp() as transaction:
            blocked.send_command("BLPOP", "list", "0")
            with frozen(replica):
                script.send_command("EVAL", "return redis.call('RPUSH', 'list', 'x')", "1", "list")
                assert transaction.command("MULTI") == OK
                assert transaction.command("INCR", "n") == Simple("QUEUED")
                transaction.send_command("EXEC")
                assert says_nothing(script)
                assert says_nothing(blocked)
                assert says_nothing(transaction)
            assert script.read() == 1
            assert blocked.read() == [b"list", b"x"]
            assert transaction.read() == [1]


def test_many_writes_share_an_acknowledgement() -> None:
    with ShoalNode(synchronous_replicas=1) as primary, ShoalNode() as replica:
        follow(replica, primary)
        wait_settled(primary, replica)
        before = replica.info("stats")["total_net_output_bytes"]
        with primary.client() as client:
            pipeline = client.pipeline(transaction=False)
            for number in range(1000):
                pipeline.set(f"key:{number}", number)
            assert pipeline.execute() == [True] * 1000
        assert replica.info("stats")["total_net_output_bytes"] - before < 20_000
        wait_settled(primary, replica)


def test_a_primary_that_becomes_a_replica_breaks_off() -> None:
    """What was not acknowledged is neither confirmed nor denied: the connection is closed."""
    with ShoalNode(synchronous_replicas=1) as primary, ShoalNode() as replica:
        follow(replica, primary)
        wait_settled(primary, replica)
        with primary.resp() as writer, primary.resp() as idle, frozen(replica):
            writer.send_command("SET", "a", "1")
            assert says_nothing(writer)
            assert idle.command("REPLICAOF", "127.0.0.1", replica.port) == OK
            assert writer.read_until_closed() == b""
            assert idle.command("PING") == PONG


def test_replies_wait_for_log_and_replica() -> None:
    with (
        ShoalNode(synchronous_replicas=1, appendonly="yes", appendfsync="always") as primary,
        ShoalNode(appendonly="yes") as replica,
    ):
        follow(replica, primary)
        wait_settled(primary, replica)
        with primary.resp() as writer:
            with frozen(replica):
                writer.send_command("SET", "a", "1")
                assert says_nothing(writer)
                with primary.resp() as other:
                    assert other.command("PING") == PONG
            assert writer.read() == OK


@pytest.mark.parametrize("replicas_wanted", [0, 1])
def test_a_primary_that_was_frozen_confirms_nothing_that_is_lost(replicas_wanted: int) -> None:
    """What waited in its sockets it would execute and confirm before it hears of its successor."""
    with cluster_of(
        3, replicas=1, cluster_node_timeout=1000, synchronous_replicas=replicas_wanted
    ) as cluster:
        primary = cluster.primaries[0]
        (heir,) = cluster.replicas_of(primary)
        ((first, last),) = cluster.line_of(primary).slots
        keys = [key for key in map("key:{}".format, range(600)) if first <= key_slot(key.encode()) <= last]
        writers = [primary.resp() for _ in keys]
        with ExitStack() as stack:
            for writer in writers:
                stack.enter_context(writer)
            assert [writer.command("PING") for writer in writers] == [PONG] * len(keys)
            primary.pause()
            for key, writer in zip(keys, writers, strict=True):
                writer.send_command("SET", key, "lost")
            eventually(lambda: heir.info("replication")["role"] == "master", "its replica takes over", 15)
            primary.resume()
            endings = [confirmed(writer) for writer in writers]
            eventually(lambda: primary.info("replication")["role"] == "slave", "it has heard of it", 15)
        assert len(keys) > 100
        assert endings.count(True) == 0
