"""The link between a primary and its replica: who may have one, when it is given up, and chains of them."""

from __future__ import annotations

import pytest

from tests.chaos.scale import FULL
from tests.harness.resp import Simple
from tests.harness.servers import OldRedis, Server, server
from tests.harness.wait import eventually
from tests.integration.datasets import content, fill, fill_strings
from tests.integration.test_replication import synchronizations, wait_settled

BETWEEN_KINDS = [("shoal", "valkey"), ("valkey", "shoal")]
WITHIN = [("shoal", "shoal"), *BETWEEN_KINDS] if FULL else [("shoal", "shoal")]


def is_up(replica: Server) -> bool:
    return bool(replica.info("replication")["master_link_status"] == "up")


@pytest.mark.parametrize(("primary_kind", "replica_kind"), BETWEEN_KINDS)
def test_a_user_of_the_primary_who_may_replicate(primary_kind: str, replica_kind: str) -> None:
    with (
        server(primary_kind, requirepass="all") as primary,
        server(replica_kind) as replica,
        primary.resp() as admin,
    ):
        admin.command("AUTH", "all")
        admin.command("ACL", "SETUSER", "copier", "on", ">first", "+psync", "+replconf", "+ping")
        admin.command("SET", "a", "1")
        replica.run("CONFIG", "SET", "masteruser", "copier")
        replica.run("CONFIG", "SET", "masterauth", "wrong")
        replica.run("REPLICAOF", primary.host, primary.port)
        eventually(lambda: "Unable to AUTH" in replica.log, "it is refused")
        assert not is_up(replica)
        replica.run("CONFIG", "SET", "masterauth", "first")
        eventually(lambda: is_up(replica), "it is let in")
        admin.command("ACL", "SETUSER", "copier", "<first", ">second")
        admin.command("SET", "a", "2")
        eventually(lambda: replica.run("GET", "a") == b"2", "a link that is up outlives a changed password")
        refused = replica.log.count("Unable to AUTH")
        assert admin.command("CLIENT", "KILL", "TYPE", "replica") == 1
        eventually(lambda: replica.log.count("Unable to AUTH") > refused, "no new one does")
        replica.run("CONFIG", "SET", "masterauth", "second")
        eventually(lambda: is_up(replica), "it is let in again")


@pytest.mark.parametrize(("primary_kind", "replica_kind"), WITHIN)
def test_silence_ends_a_link_on_either_side(primary_kind: str, replica_kind: str) -> None:
    settings: dict[str, int] = {"repl_timeout": 2, "repl_ping_replica_period": 1}
    with server(primary_kind, **settings) as primary, server(replica_kind, repl_timeout=2) as replica:
        replica.follow(primary)
        replica.pause()
        try:
            eventually(lambda: not primary.info("replication")["connected_slaves"], "the replica is given up")
        finally:
            replica.resume()
        wait_settled(primary, replica)
        primary.pause()
        try:
            eventually(lambda: not is_up(replica), "the primary is given up")
        finally:
            primary.resume()
        wait_settled(primary, replica)
        assert synchronizations(primary)[0] == 1


@pytest.mark.parametrize(("primary_kind", "replica_kind"), WITHIN)
def test_a_replica_that_takes_nothing_costs_bounded_memory(primary_kind: str, replica_kind: str) -> None:
    limit = ["replica", "1mb", "0", "0"]
    with (
        server(primary_kind, client_output_buffer_limit=limit, repl_backlog_size="64kb") as primary,
        server(replica_kind) as replica,
    ):
        replica.follow(primary)
        replica.pause()
        try:
            fill_strings(primary, 150_000)
            eventually(lambda: not primary.info("replication")["connected_slaves"], "it is cut off")
            assert "overcoming of output buffer limits" in primary.log
        finally:
            replica.resume()
        eventually(lambda: replica.run("DBSIZE") == 150_000, "it starts anew", timeout=30)


@pytest.mark.parametrize("kind", ["redis", "valkey", "old"] if FULL else ["valkey", "old"])
def test_a_chain_over_another_kind(kind: str) -> None:
    """Ids and offsets go through it unchanged, so every link is mended, and turned round, from a backlog."""
    middle_server = OldRedis(repl_diskless_sync_delay=0) if kind == "old" else server(kind)
    with server("shoal") as first, middle_server as middle, server("shoal") as last:
        fill(first)
        first.run("DEL", "stream:groups")  # of whose consumers Redis 7.0 knows less
        middle.follow(first)
        last.follow(middle)
        for primary in (first, middle):
            first.run("SET", "before", repr(primary))
            wait_settled(first, middle, last)
            assert primary.run("CLIENT", "KILL", "TYPE", "replica") == 1
            first.run("SET", "after", repr(primary))
            eventually(lambda primary=primary: synchronizations(primary) == (1, 1), "it is mended")
        wait_settled(first, middle, last)
        assert content(last) == content(first)
        assert middle.run("REPLICAOF", "NO", "ONE") == Simple("OK")
        middle.run("SET", "reign", "new")
        first.run("REPLICAOF", middle.host, middle.port)
        wait_settled(middle, first, last)
        assert synchronizations(middle)[0] == 1
        assert first.run("GET", "reign") == last.run("GET", "reign") == b"new"
