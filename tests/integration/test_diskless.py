"""Full synchronizations without a file, on either side: what is served meanwhile, and what is left when one
breaks off.

A primary of our own making sends a snapshot in two parts, and nothing in between.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from node.core.database import Database
from node.persistence.rdb import write_rdb
from tests.harness.resp import NULL_BULK, Error, Resp
from tests.harness.servers import Server, server
from tests.harness.wait import eventually
from tests.integration.datasets import fill, fill_strings
from tests.integration.test_replication import assert_same, writing

ANOTHER_HISTORY = "a" * 40
LARGE = 3 * 1024 * 1024


def a_snapshot() -> bytes:
    db = Database(0)
    db.set(b"new", b"1")
    db.set(b"large", b"x" * LARGE)
    parts: list[bytes] = []
    write_rdb(parts.append, [db], {}, compress=False)
    return b"".join(parts)


class Impostor:
    """Greets a replica, up to the header of a snapshot."""

    def __init__(self, listener: socket.socket, *, same_history: bool) -> None:
        self._connection, _ = listener.accept()
        self._connection.settimeout(10)
        self._reader = self._connection.makefile("rb")
        while (words := self._command())[0] != b"PSYNC":
            self._connection.sendall(b"+OK\r\n" if words[0] != b"PING" else b"+PONG\r\n")
        history = words[1].decode() if same_history else ANOTHER_HISTORY
        self.snapshot = a_snapshot()
        self.send(b"+FULLRESYNC %b 1000\r\n$%d\r\n" % (history.encode(), len(self.snapshot)))

    def _command(self) -> list[bytes]:
        count = int(self._reader.readline()[1:])
        words = []
        for _ in range(count):
            length = int(self._reader.readline()[1:])
            words.append(self._reader.read(length + 2)[:-2])
        return words

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def close(self) -> None:
        self._reader.close()
        self._connection.close()


@contextmanager
def half_way(way: str, *, same_history: bool, **data: str) -> Iterator[tuple[Server, Resp, Impostor]]:
    """A replica that has got half a snapshot, a connection to it, and its primary."""
    with (
        server("shoal", repl_diskless_load=way) as replica,
        socket.create_server(("127.0.0.1", 0)) as listener,
        replica.resp() as client,
    ):
        listener.settimeout(10)
        for key, value in data.items():
            client.command("SET", key, value)
        client.command("REPLICAOF", "127.0.0.1", listener.getsockname()[1])
        impostor = Impostor(listener, same_history=same_history)
        impostor.send(impostor.snapshot[: LARGE // 2])
        eventually(
            lambda: replica.info("replication").get("master_sync_read_bytes") == LARGE // 2, "half of it"
        )
        yield replica, client, impostor
        impostor.close()


def loading(replica: Server) -> tuple[int, int]:
    persistence = replica.info("persistence")
    return persistence["loading"], persistence["async_loading"]


@pytest.mark.parametrize("same_history", [True, False])
def test_swapdb_keeps_the_data_until_the_new_is_whole(same_history: bool) -> None:
    with half_way("swapdb", same_history=same_history, old="1") as (replica, client, impostor):
        assert loading(replica) == ((0, 1) if same_history else (1, 0))
        reply = client.command("GET", "old")
        assert reply == b"1" if same_history else isinstance(reply, Error)
        assert same_history or reply.prefix == "LOADING"
        impostor.send(impostor.snapshot[LARGE // 2 :])
        eventually(lambda: client.command("GET", "new") == b"1", "the new data")
        assert client.command("GET", "old") == NULL_BULK
        assert client.command("STRLEN", "large") == LARGE
        assert loading(replica) == (0, 0)
        assert client.command("ROLE")[3:] == [b"connected", 1000]
        impostor.send(b"*3\r\n$3\r\nSET\r\n$3\r\nold\r\n$1\r\n2\r\n")
        eventually(lambda: client.command("GET", "old") == b"2", "the stream")


def test_swapdb_keeps_the_data_if_the_new_breaks_off() -> None:
    with half_way("swapdb", same_history=False, old="1") as (replica, client, impostor):
        impostor.close()
        eventually(lambda: loading(replica) == (0, 0), "the end of it")
        assert client.command("GET", "old") == b"1"
        assert client.command("DBSIZE") == 1


def test_swapdb_keeps_the_data_if_the_new_is_damaged() -> None:
    with half_way("swapdb", same_history=True, old="1") as (replica, client, impostor):
        impostor.send(impostor.snapshot[LARGE // 2 : -8] + b"damaged!")
        eventually(lambda: "wrong checksum" in replica.log, "a word about it")
        assert client.command("GET", "old") == b"1"


def test_an_empty_replica_loads_at_once_and_is_empty_again_if_it_breaks_off() -> None:
    with half_way("on-empty-db", same_history=False) as (replica, client, impostor):
        assert client.command("GET", "new").prefix == "LOADING"
        eventually(lambda: loading(replica) == (1, 0), "it loads")
        impostor.close()
        eventually(lambda: loading(replica) == (0, 0), "the end of it")
        assert client.command("DBSIZE") == 0


def test_a_replica_with_data_does_not_load_at_once() -> None:
    with half_way("on-empty-db", same_history=False, old="1") as (replica, client, impostor):
        assert loading(replica) == (0, 0)
        assert client.command("GET", "old") == b"1"
        impostor.send(impostor.snapshot[LARGE // 2 :])
        eventually(lambda: client.command("GET", "new") == b"1", "the new data")


@pytest.mark.parametrize(("kind", "way"), [("valkey", "on-empty-db"), ("shoal", "swapdb")])
def test_a_stream_follows_what_was_loaded_at_once(kind: str, way: str) -> None:
    with server(kind) as primary, server("shoal", repl_diskless_load=way) as replica:
        fill(primary)
        fill_strings(primary, 20_000)
        primary.run("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', function() return 1 end)")
        with writing(primary):
            replica.follow(primary)
        assert_same(primary, replica)
        assert replica.run("FUNCTION", "LIST") == primary.run("FUNCTION", "LIST")
        assert "to parser" in replica.log
        assert not list(replica.directory.glob("*.rdb"))


@pytest.mark.parametrize("kind", ["valkey", "shoal"])
def test_by_way_of_the_primarys_disk(kind: str) -> None:
    with server("shoal", repl_diskless_sync="no") as primary, server(kind) as replica:
        fill(primary)
        with writing(primary):
            replica.follow(primary)
        assert_same(primary, replica)
        assert "streamed RDB" not in replica.log
