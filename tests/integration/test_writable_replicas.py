"""Replicas that take writes of their own (`replica-read-only no`): these are nobody else's business."""

from __future__ import annotations

import pytest

from tests.harness.resp import NULL_BULK
from tests.harness.servers import Server, server
from tests.harness.wait import eventually
from tests.integration.test_replication import wait_settled

LOCAL = (("SELECT", 3), ("SET", "local", "1"), ("MULTI",), ("SET", "x", "1"), ("INCR", "x"), ("EXEC",))


def strings(node: Server) -> dict[int, dict[bytes, bytes]]:
    """By database."""
    found = {}
    for number in (0, 3):
        with node.client(db=number) as client:
            found[number] = {key: client.get(key) for key in client.scan_iter()}
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("kind", ["shoal", "valkey"])
def test_what_is_written_there_stays_there_and_is_logged(kind: str) -> None:
    with (
        server("valkey") as primary,
        server(kind, replica_read_only="no", appendonly="yes") as replica,
        server("shoal") as last,
    ):
        replica.follow(primary)
        last.follow(replica)
        with replica.resp() as local, primary.resp() as stream:
            for step in range(3):
                stream.command("SET", f"a{step}", step)
                wait_settled(primary, replica)
                local.pipeline(*LOCAL)
                stream.pipeline(("SELECT", 3 * (step % 2)), ("SET", f"b{step}", step))
                wait_settled(primary, replica)
        wait_settled(primary, replica, last)
        assert strings(last) == strings(primary)
        assert strings(replica)[0] == strings(primary)[0]
        assert strings(replica)[3] == strings(primary)[3] | {b"local": b"1", b"x": b"2"}
        before = strings(replica)
        replica.run("REPLICAOF", "NO", "ONE")
        replica.restart()
        assert strings(replica) == before


@pytest.mark.parametrize("kind", ["shoal", "redis", "valkey"])
def test_what_is_written_there_expires_there(kind: str) -> None:
    with server("valkey") as primary, server(kind, replica_read_only="no") as replica:
        primary.run("SET", "theirs", 1)
        replica.follow(primary)
        replica.run("SET", "a", 1, "PX", 50)
        replica.run("HSET", "b", "f", 1)
        replica.run("PEXPIRE", "b", 50)
        replica.run("PEXPIRE", "theirs", 50)
        replica.run("SET", "persisted", 1, "PX", 50)
        replica.run("PERSIST", "persisted")
        eventually(lambda: replica.run("DBSIZE") == 1, lambda: f"they go: {replica.run('KEYS', '*')}")
        assert replica.run("GET", "persisted") == b"1"
        assert replica.run("GET", "theirs") == NULL_BULK
        assert primary.run("DBSIZE") == 1
