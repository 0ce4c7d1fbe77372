"""Replication between our worker and real servers, both ways, with cut links, failovers and writers.

A pair of kinds names primary and replica. `settled` is the condition on which everything is compared: the
link is up and both ends count the same bytes.
"""

from __future__ import annotations

import io
import itertools
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from node.persistence.rdb import RdbReader
from tests.harness.busy import busy
from tests.harness.commands import redis_cli
from tests.harness.resp import Error, Resp
from tests.harness.servers import Server, ShoalNode, server
from tests.harness.wait import eventually
from tests.integration.datasets import content, fill, fill_strings

PAIRS = [("shoal", "redis"), ("shoal", "valkey"), ("redis", "shoal"), ("valkey", "shoal"), ("shoal", "shoal")]

pairs = pytest.mark.parametrize(("primary_kind", "replica_kind"), PAIRS)


def follow(replica: Server, primary: Server) -> None:
    assert replica.run("REPLICAOF", primary.host, primary.port).text == "OK"


def settled(primary: Server, replica: Server) -> bool:
    theirs, ours = primary.info("replication"), replica.info("replication")
    return (
        ours["master_link_status"] == "up"
        and theirs["master_repl_offset"] == ours["master_repl_offset"]
        and theirs["master_replid"] == ours["master_replid"]
    )


def wait_settled(primary: Server, *replicas: Server) -> None:
    for replica in replicas:
        eventually(
            lambda replica=replica: settled(primary, replica),
            lambda replica=replica: f"{replica!r} in step with {primary!r}; its log: {replica.log[-1500:]}",
            timeout=20,
        )


def assert_same(primary: Server, *replicas: Server) -> None:
    wait_settled(primary, *replicas)
    expected = content(primary)
    for replica in replicas:
        assert content(replica) == expected


def synchronizations(primary: Server) -> tuple[int, int]:
    """(full, partial) synchronizations that a primary has granted since it was started."""
    stats = primary.info("stats")
    return stats["sync_full"], stats["sync_partial_ok"]


@contextmanager
def writing(primary: Server) -> Iterator[None]:
    """A client that writes all kinds of commands to `primary` meanwhile."""
    numbers = itertools.count(1)
    with primary.client() as client:

        def write() -> None:
            number = next(numbers)
            pipe = client.pipeline(transaction=number % 3 == 0)
            pipe.incr("counter").lpush("queue", number).sadd("members", number % 50)
            pipe.set(f"w:{number % 500}", "x" * (number % 300), px=3_600_000).spop("members")
            pipe.zadd("board", {f"p{number % 40}": number}).hset("hash", f"f{number % 20}", number)
            pipe.expire("queue", 4000).incrbyfloat("float", 0.1)
            pipe.execute()

        with busy(write):
            yield


@pairs
def test_full_synchronization_under_a_writer(primary_kind: str, replica_kind: str) -> None:
    with server(primary_kind) as primary, server(replica_kind) as replica:
        fill(primary)
        fill_strings(primary, 3_000)
        replica.run("SET", "to be forgotten", "1")
        with writing(primary):
            follow(replica, primary)
            eventually(lambda: replica.info("replication")["master_link_status"] == "up", "link", timeout=20)
            eventually(lambda: replica.run("GET", "counter"), "commands behind the snapshot")
        assert_same(primary, replica)
        assert synchronizations(primary) == (1, 0)


@pairs
def test_a_cut_link_is_mended_from_the_backlog(primary_kind: str, replica_kind: str) -> None:
    with server(primary_kind) as primary, server(replica_kind) as replica:
        fill(primary)
        follow(replica, primary)
        wait_settled(primary, replica)
        for cut in range(1, 4):
            with writing(primary):
                eventually(lambda: primary.run("CLIENT", "KILL", "TYPE", "replica") == 1, "the link to cut")
                eventually(lambda cut=cut: synchronizations(primary) == (1, cut), "a partial resync")
            assert_same(primary, replica)


@pairs
def test_a_replica_beyond_the_backlog_starts_anew(primary_kind: str, replica_kind: str) -> None:
    with server(primary_kind, repl_backlog_size="16kb") as primary, server(replica_kind) as replica:
        follow(replica, primary)
        wait_settled(primary, replica)
        replica.pause()
        primary.run("CLIENT", "KILL", "TYPE", "replica")
        fill_strings(primary, 1_000)  # of 64 bytes and more
        replica.resume()
        assert_same(primary, replica)
        assert synchronizations(primary)[0] == 2


@pairs
def test_expiry_is_the_primarys_business(primary_kind: str, replica_kind: str) -> None:
    with server(primary_kind) as primary, server(replica_kind) as replica:
        follow(replica, primary)
        wait_settled(primary, replica)
        primary.run("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        primary.run("SET", "brief", "1", "PX", "100")
        primary.run("SET", "counted", "1", "PX", "100")
        wait_settled(primary, replica)
        eventually(lambda: replica.run("GET", "brief").__class__.__name__ == "Null", "it to look expired")
        assert replica.run("DBSIZE") == 2
        primary.run("GET", "brief")
        eventually(lambda: replica.run("DBSIZE") == 1, "the primary's DEL")
        primary.run("DEBUG", "SET-ACTIVE-EXPIRE", "1")
        eventually(lambda: replica.run("DBSIZE") == 0, "the primary's active expiry")
        assert_same(primary, replica)


@pytest.mark.parametrize("kind", ["redis", "valkey", "shoal"])
def test_a_promoted_replica_is_followed_without_a_full_synchronization(kind: str) -> None:
    with server(kind) as primary, server("shoal") as heir, server(kind) as fellow:
        fill(primary)
        follow(heir, primary)
        follow(fellow, primary)
        wait_settled(primary, heir, fellow)
        old = primary.info("replication")
        primary.kill()
        assert heir.run("REPLICAOF", "NO", "ONE").text == "OK"
        info = heir.info("replication")
        assert info["role"] == "master"
        assert info["master_replid2"] == old["master_replid"]
        assert info["second_repl_offset"] == old["master_repl_offset"] + 1
        assert info["master_replid"] != old["master_replid"]
        heir.run("SET", "reign", "new")
        follow(fellow, heir)
        assert_same(heir, fellow)
        assert synchronizations(heir) == (0, 1)


@pytest.mark.parametrize("kind", ["redis", "valkey", "shoal"])
def test_a_demoted_primary_goes_on_where_its_heir_took_over(kind: str) -> None:
    with server("shoal") as first, server(kind) as heir:
        fill(first)
        follow(heir, first)
        wait_settled(first, heir)
        heir.run("REPLICAOF", "NO", "ONE")
        heir.run("SET", "reign", "new")
        follow(first, heir)
        assert_same(heir, first)
        assert synchronizations(heir) == (0, 1)


@pytest.mark.parametrize(("head", "tail"), [("redis", "redis"), ("valkey", "valkey"), ("shoal", "shoal")])
def test_a_chain_carries_one_stream(head: str, tail: str) -> None:
    with server(head) as primary, server("shoal") as middle, server(tail) as last:
        fill(primary)
        follow(middle, primary)
        wait_settled(primary, middle)
        follow(last, middle)
        with writing(primary):
            wait_settled_once = eventually(
                lambda: last.run("GET", "counter"), "the stream to arrive", timeout=20
            )
            assert wait_settled_once
            primary.run("CLIENT", "KILL", "TYPE", "replica")
            eventually(lambda: synchronizations(primary)[1] == 1, "the middle back")
        assert_same(primary, middle, last)


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_fields_that_expire_are_in_the_snapshot(kind: str) -> None:
    with server(kind) as primary, server("shoal") as replica:
        primary.run("HSET", "hash", "a", "1", "b", "2")
        primary.run("HPEXPIREAT", "hash", 4_000_000_000_000, "FIELDS", 1, "a")
        follow(replica, primary)
        wait_settled(primary, replica)
        assert replica.run("HPEXPIRETIME", "hash", "FIELDS", 2, "a", "b") == [4_000_000_000_000, -1]


def test_databases_are_replicated_each() -> None:
    with server("shoal") as primary, server("redis") as replica:
        with primary.resp() as client:
            client.pipeline(("SET", "a", "0"), ("SELECT", 3), ("SET", "a", "3"))
        follow(replica, primary)
        wait_settled(primary, replica)
        with primary.resp() as client:
            client.pipeline(("SELECT", 5), ("SET", "a", "5"), ("SELECT", 3), ("APPEND", "a", "!"))
        wait_settled(primary, replica)
        with replica.resp() as client:
            replies = client.pipeline(("GET", "a"), ("SELECT", 3), ("GET", "a"), ("SELECT", 5), ("GET", "a"))
        assert replies[::2] == [b"0", b"3!", b"5"]


@pytest.mark.parametrize("kind", ["redis", "valkey", "shoal"])
def test_wait(kind: str) -> None:
    with server("shoal") as primary, server(kind) as replica:
        assert primary.run("WAIT", 0, 0) == 0
        assert primary.run("WAIT", 1, 50) == 0
        follow(replica, primary)
        wait_settled(primary, replica)
        with primary.resp() as client:
            assert client.pipeline(("SET", "a", "1"), ("WAIT", 1, 10_000), ("GET", "a"))[1:] == [1, b"1"]
            assert client.pipeline(("MULTI",), ("SET", "a", "2"), ("WAIT", 1, 0), ("EXEC",))[3][1] in (0, 1)
            replica.pause()
            assert client.pipeline(("SET", "a", "3"), ("WAIT", 1, 100), ("PING",))[1] == 0
            replica.resume()
            assert client.command("WAIT", 1, 10_000) == 1
        assert replica.run("GET", "a") == b"3"


def test_what_a_replica_refuses() -> None:
    with server("shoal") as primary, server("shoal") as replica, Resp(replica.port) as client:
        follow(replica, primary)
        wait_settled(primary, replica)
        assert client.command("SET", "a", "1") == Error(
            "READONLY You can't write against a read only replica."
        )
        assert client.command("WAIT", 1, 1).prefix == "ERR"
        assert client.command("ROLE")[:4] == [b"slave", b"127.0.0.1", primary.port, b"connected"]
        (name, _, replicas) = primary.run("ROLE")
        assert (name, replicas[0][:2]) == (b"master", [b"127.0.0.1", b"%d" % replica.port])
        already = replica.run("REPLICAOF", "127.0.0.1", primary.port)
        assert already.text == "OK Already connected to specified master"
        primary.kill()
        eventually(lambda: replica.info("replication")["master_link_status"] == "down", "the link to break")
        assert client.command("SYNC").prefix == "NOMASTERLINK"
        client.command("CONFIG", "SET", "replica-serve-stale-data", "no")
        assert client.command("GET", "a").prefix == "MASTERDOWN"


def test_min_replicas_to_write() -> None:
    with server("shoal", min_replicas_to_write=1) as primary, server("redis") as replica:
        refusal = Error("NOREPLICAS Not enough good replicas to write.")
        assert primary.run("SET", "a", "1") == refusal
        follow(replica, primary)
        eventually(lambda: primary.run("SET", "a", "1") != refusal, "a good replica")
        replica.kill()
        eventually(lambda: primary.run("SET", "a", "1") == refusal, "its loss to be noticed")


@pytest.mark.parametrize("kind", ["redis", "shoal"])
def test_a_restarted_replica_goes_on_from_its_snapshot(kind: str) -> None:
    with server(kind) as primary, server("shoal", save=["3600", "1"]) as replica:
        fill(primary)
        replica.config["replicaof"] = [primary.host, str(primary.port)]
        replica.restart()
        wait_settled(primary, replica)
        full, partial = synchronizations(primary)
        replica.stop()
        primary.run("SET", "meanwhile", "1")
        replica.start()
        assert_same(primary, replica)
        assert synchronizations(primary) == (full, partial + 1)


@pytest.mark.parametrize("kind", ["redis", "shoal"])
def test_a_restarted_primary_keeps_its_replicas(kind: str) -> None:
    with server("shoal", save=["3600", "1"]) as primary, server(kind) as replica:
        fill(primary)
        follow(replica, primary)
        wait_settled(primary, replica)
        primary.restart()
        assert_same(primary, replica)
        assert synchronizations(primary) == (0, 1)


def test_with_passwords() -> None:
    with server("redis", requirepass="secret") as primary, server("shoal", masterauth="secret") as replica:
        follow(replica, primary)
        eventually(lambda: replica.info("replication")["master_link_status"] == "up", "the link")
    with server("shoal", requirepass="secret") as primary, server("redis", masterauth="secret") as replica:
        follow(replica, primary)
        eventually(lambda: replica.info("replication")["master_link_status"] == "up", "the link")


def test_a_snapshot_from_the_primarys_disk() -> None:
    """Which comes with its size instead of a mark."""
    with server("redis", repl_diskless_sync="no") as primary, server("shoal") as replica:
        fill(primary)
        follow(replica, primary)
        assert_same(primary, replica)


def test_who_knows_no_mark_is_told_the_size() -> None:
    with (
        server("shoal", repl_ping_replica_period=3600) as primary,
        socket.create_connection((primary.host, primary.port), timeout=10) as raw,
    ):
        fill(primary)
        raw.sendall(b"SYNC\r\n")
        stream = raw.makefile("rb")
        header = b""
        while not header:
            header = stream.readline().strip()
        assert header.startswith(b"$")
        snapshot = stream.read(int(header[1:]))
        entries = {entry.key for entry in RdbReader(io.BytesIO(snapshot), "stream", [].append)}
        assert entries == set(content(primary))
        primary.run("SET", "behind", "it")
        assert stream.readline() == b"*2\r\n"


def test_redis_cli_takes_a_snapshot(tmp_path: Any) -> None:
    with server("shoal") as primary:
        fill(primary)
        redis_cli("-p", primary.port, "--rdb", str(tmp_path / "taken.rdb"))
        with (tmp_path / "taken.rdb").open("rb") as file:
            entries = {entry.key for entry in RdbReader(file, "taken.rdb", [].append)}
        assert entries == set(content(primary))


def test_a_primary_that_talks_nonsense_costs_nothing() -> None:
    with server("shoal") as replica, socket.create_server(("127.0.0.1", 0)) as impostor:
        replica.run("SET", "kept", "1")
        impostor.settimeout(10)
        replica.run("REPLICAOF", "127.0.0.1", impostor.getsockname()[1])
        for reply in (b"\x00\xff" * 3000, b"-LOADING wait\r\n"):
            connection, _ = impostor.accept()
            with connection:
                connection.settimeout(10)
                assert connection.recv(100) == b"*1\r\n$4\r\nPING\r\n"
                connection.sendall(reply)
                assert connection.recv(100) == b""
        connection, _ = impostor.accept()
        with connection:
            connection.sendall(
                b"+PONG\r\n"
                + b"+OK\r\n" * 3
                + b"+FULLRESYNC "
                + b"a" * 40
                + b" 1\r\n$100\r\nREDIS0011 cut off"
            )
        connection, _ = impostor.accept()
        connection.close()
        assert replica.run("GET", "kept") == b"1"
        replica.run("REPLICAOF", "NO", "ONE")
        assert replica.run("SET", "kept", "2").text == "OK"
        assert not list(replica.directory.glob("temp*"))


def test_a_damaged_snapshot_is_not_served() -> None:
    """Its own data was given up for it, so the replica is empty, says so, and tries again."""
    with server("shoal") as replica, socket.create_server(("127.0.0.1", 0)) as impostor:
        replica.run("SET", "old", "1")
        impostor.settimeout(10)
        replica.run("REPLICAOF", "127.0.0.1", impostor.getsockname()[1])
        connection, _ = impostor.accept()
        with connection:
            connection.sendall(
                b"+PONG\r\n"
                + b"+OK\r\n" * 3
                + b"+FULLRESYNC "
                + b"a" * 40
                + b" 1\r\n$12\r\nREDIS0011\x00\x01k"
            )
            eventually(lambda: "Failed trying to load the MASTER" in replica.log, "the refusal")
        impostor.accept()[0].close()
        assert replica.info("replication")["master_link_status"] == "down"
        assert replica.run("DBSIZE") == 0
        assert isinstance(replica, ShoalNode)
        assert replica.running


@pairs
def test_a_primary_is_a_client_of_its_replica(primary_kind: str, replica_kind: str) -> None:
    with server(primary_kind) as primary, server(replica_kind) as replica:
        assert replica.run("CLIENT", "LIST", "TYPE", "master") == b""
        follow(replica, primary)
        wait_settled(primary, replica)
        primary.run("SET", "a", "b")
        wait_settled(primary, replica)
        line = replica.run("CLIENT", "LIST", "TYPE", "master").decode()
        shown = dict(field.split("=", 1) for field in line.split())
        assert {name: shown[name] for name in ("addr", "flags", "cmd", "user", "db")} == {
            "addr": primary.address, "flags": "M", "cmd": "set", "user": "(superuser)", "db": "0",
        }  # fmt: skip
        assert int(shown["tot-net-in"]) > 0 < int(shown["tot-cmds"])
        with replica.resp() as client:
            assert client.command("CLIENT", "LIST").count(b" flags=M ") == 1
            assert client.command("CLIENT", "LIST", "ID", shown["id"]).split()[1] == line.split()[1].encode()
            assert client.command("CLIENT", "KILL", "ID", shown["id"]) == 1
        primary.run("SET", "a", "c")
        assert_same(primary, replica)
        again = replica.run("CLIENT", "LIST", "TYPE", "master").decode()
        assert again
        assert again.split()[2] != line.split()[2]
