"""What replicas tell their primary: every word of REPLCONF answered as by Redis, and snapshots of a part."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from node.persistence.rdb import RdbReader
from tests.harness.commands import redis_cli
from tests.harness.resp import Error, Simple
from tests.harness.servers import Server, server
from tests.harness.wait import eventually
from tests.integration.datasets import content, fill

WORDS = """
REPLCONF
REPLCONF x
REPLCONF x y
REPLCONF listening-port abc
REPLCONF listening-port 70000
REPLCONF listening-port -1
REPLCONF ip-address 1.2.3.4
REPLCONF capa foo
REPLCONF capa eof capa psync2
REPLCONF capa eof capa
REPLCONF rdb-only 2
REPLCONF rdb-only x
REPLCONF rdb-only 1
REPLCONF rdb-only 0
REPLCONF rdb-filter-only functions
REPLCONF rdb-filter-only foo
REPLCONF rdb-filter-only "
REPLCONF ack x
REPLCONF getack *
PING
"""
VALKEYS = """
REPLCONF version 1
REPLCONF version 9.0.1
REPLCONF version a.b.c
REPLCONF set-cluster-node-id abc
"""
LIBRARY = "#!lua name=lib\nredis.register_function('f', function() return 1 end)"


def answers(node: Server, script: str) -> list[object]:
    """`REPLCONF ack` and `getack` are not answered; what follows them is."""
    told: list[object] = []
    with node.resp() as client:
        for line in script.strip().splitlines():
            client.send_command(*line.split())
            if not line.startswith(("REPLCONF ack", "REPLCONF getack")):
                told.append(client.read())
    return told


def test_words_are_those_of_redis() -> None:
    with server("shoal") as ours, server("redis") as theirs, server("valkey") as others:
        assert answers(ours, WORDS) == answers(theirs, WORDS)
        assert answers(ours, VALKEYS) == answers(others, VALKEYS)


@pytest.mark.parametrize("kind", ["shoal", "valkey"])
def test_a_cluster_takes_only_nodes_that_it_knows(kind: str) -> None:
    with server(kind, cluster_enabled="yes") as node:
        assert node.run("REPLCONF", "set-cluster-node-id", "abc") == Error("ERR Unknown node abc")
        assert node.run("REPLCONF", "set-cluster-node-id", node.run("CLUSTER", "MYID")) == Simple("OK")


@pytest.mark.parametrize("kind", ["shoal", "redis"])
def test_redis_cli_takes_the_functions_alone(kind: str, tmp_path: Path) -> None:
    with server(kind) as primary:
        fill(primary)
        primary.run("FUNCTION", "LOAD", LIBRARY)
        path = tmp_path / "functions.rdb"
        redis_cli("-p", primary.port, "--functions-rdb", str(path))
        libraries: list[bytes] = []
        with path.open("rb") as file:
            reader = RdbReader(file, path.name, [].append, libraries.append)
            assert list(reader) == []
        assert libraries == [LIBRARY.encode()]


def test_those_who_want_a_part_do_not_share_the_snapshot_of_others() -> None:
    with server("shoal", repl_diskless_sync_delay=1) as primary, server("shoal") as replica:
        fill(primary)
        primary.run("FUNCTION", "LOAD", LIBRARY)
        replica.run("REPLICAOF", primary.host, primary.port)
        with primary.resp(timeout=20) as filtered:
            filtered.pipeline(("REPLCONF", "rdb-only", 1), ("REPLCONF", "rdb-filter-only", ""))
            filtered.send_command("SYNC")
            stream = filtered.socket.makefile("rb")
            header = b""
            while not header:
                header = stream.readline().strip()
            snapshot = stream.read(int(header[1:]))
        replica.follow(primary)
        assert content(replica) == content(primary)
        assert replica.run("FUNCTION", "LIST") == primary.run("FUNCTION", "LIST") != []
        libraries: list[bytes] = []
        assert list(RdbReader(io.BytesIO(snapshot), "filtered", [].append, libraries.append)) == []
        assert libraries == []


@pytest.mark.parametrize("kind", ["shoal", "valkey"])
def test_a_replica_that_calls_for_a_reply_is_cut_off(kind: str) -> None:
    """A reply would stand in the middle of the stream."""
    with server(kind) as primary, primary.resp() as replica, primary.resp() as another:
        for client in (replica, another):
            client.send_command("PSYNC", "?", "-1")
            assert client.read().text.startswith("FULLRESYNC")
        another.send(b"REPLCONF ACK 0\r\nREPLCONF GETACK *\r\n")
        replica.send(b"NOCOMMAND\r\n")
        assert b"ERR" not in replica.read_until_closed()
        eventually(lambda: "Replica generated a reply to command" in primary.log, "a word about it")
        assert primary.info("replication")["connected_slaves"] == 1
