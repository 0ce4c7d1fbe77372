"""Large values stay in the block they were received in, which changes nothing but the time it takes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.resp import Error, Resp, Simple, encode
from tests.harness.servers import ShoalNode
from tests.harness.wait import eventually

KB = 1 << 10
MB = 1 << 20
OK = Simple("OK")
SIZES = (127 * KB, 128 * KB, 200_001, MB)
KEYS = (b"", b"k", b"key:0123456789", b"long" * 3000, b"longer" * 20_000)


@pytest.fixture
def node() -> Iterator[ShoalNode]:
    with ShoalNode(save="", enable_debug_command="yes") as started:
        yield started


def value_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def send_in_pieces(connection: Resp, data: bytes, pieces: tuple[int, ...]) -> None:
    """What comes first arrives for itself, so that the frame's head and its value are read apart."""
    begin = 0
    for size in (*pieces, len(data)):
        connection.send(data[begin : begin + size])
        begin += size


@pytest.mark.parametrize("key", KEYS, ids=len)
def test_a_value_is_read_back_as_it_was_sent(node: ShoalNode, key: bytes) -> None:
    with Resp(node.port) as connection:
        for size, pieces in itertools.product(SIZES, ((), (9,), (70_000,))):
            value = value_of(size)
            send_in_pieces(connection, encode("SET", key, value), pieces)
            assert connection.read() == OK
            assert connection.command("GET", key) == value
            assert connection.command("KEYS", "*") == [key]
        assert connection.command("DEL", key) == 1


def test_all_forms_of_set(node: ShoalNode) -> None:
    value, other = value_of(MB), value_of(MB + 7)
    with Resp(node.port) as connection:
        assert connection.command("SETNX", "a", value) == 1
        assert connection.command("SETNX", "a", other) == 0
        assert connection.command("GETSET", "a", other) == value
        assert connection.command("SET", "a", value, "GET") == other
        assert connection.command("SET", "a", value, "PX", 100_000) == OK
        assert 0 < connection.command("PTTL", "a") <= 100_000
        assert connection.command("SET", "a", other, "KEEPTTL") == OK
        assert 0 < connection.command("PTTL", "a") <= 100_000
        assert connection.command("GET", "a") == other
        assert connection.command("SETEX", "a", 100, value) == OK
        assert connection.command("PSETEX", "b", 100_000, value) == OK
        assert connection.command("MSET", "c", value, "d", other) == OK
        assert connection.command("MGET", "a", "b", "c", "d") == [value, value, value, other]
        assert connection.command("TTL", "a") in (99, 100)


LARGE = value_of(300_000)
CHANGES: dict[str, tuple[list[tuple[str | bytes | int, ...]], bytes]] = {
    "append": ([("APPEND", "a", "more")], LARGE + b"more"),
    "setrange": ([("SETRANGE", "a", 5, "xyz")], LARGE[:5] + b"xyz" + LARGE[8:]),
    "setrange beyond": ([("SETRANGE", "a", len(LARGE) + 2, "xyz")], LARGE + b"\0\0xyz"),
    "setbit": ([("SETBIT", "a", 0, 0), ("SETBIT", "a", 1, 1)], bytes([LARGE[0] & 127 | 64]) + LARGE[1:]),
    "expire": ([("EXPIRE", "a", 100)], LARGE),
    "persist": ([("EXPIRE", "a", 100), ("PERSIST", "a")], LARGE),
    "rename": ([("RENAME", "a", "b"), ("RENAME", "b", "a")], LARGE),
    "copy": ([("COPY", "a", "b"), ("DEL", "a"), ("COPY", "b", "a")], LARGE),
    "reload": ([("DEBUG", "RELOAD")], LARGE),
    "small": ([("SET", "a", "small")], b"small"),
    "a little less": ([("SET", "a", LARGE[:-9], "KEEPTTL")], LARGE[:-9]),
    "in a script": ([("EVAL", "return redis.call('set', KEYS[1], 'x')", 1, "a")], b"x"),
    "in a transaction": ([("MULTI",), ("SET", "a", LARGE[::-1]), ("EXEC",)], LARGE[::-1]),
}
"""What is done to LARGE, and what it is then."""


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_adopted_can_be_changed(node: ShoalNode, change: str) -> None:
    commands, expected = CHANGES[change]
    with Resp(node.port) as connection:
        assert connection.command("SET", "a", LARGE) == OK
        for command in commands:
            assert not isinstance(connection.command(*command), Error)
        assert connection.command("GET", "a") == expected
        assert connection.command("STRLEN", "a") == len(expected)
        assert connection.command("GETRANGE", "a", 3, 9) == expected[3:10]
        dump = connection.command("DUMP", "a")
        assert connection.command("RESTORE", "a", 0, dump, "REPLACE") == OK
        assert connection.command("GET", "a") == expected
        assert connection.command("SET", "a", LARGE) == OK
        assert connection.command("GET", "a") == LARGE


def test_requests_around_it_are_served(node: ShoalNode) -> None:
    value = value_of(MB)
    with Resp(node.port) as connection:
        for number in range(3):
            big = encode("SET", f"key:{number}", value)
            connection.send(encode("INCR", "n") + big + encode("DEL", "none") + big + encode("INCR", "n"))
            assert connection.read() == 2 * number + 1
            assert [connection.read(), connection.read(), connection.read()] == [OK, 0, OK]
            assert connection.read() == 2 * number + 2
            assert connection.command("GET", f"key:{number}") == value


def test_it_takes_no_more_memory_than_it_should(node: ShoalNode) -> None:
    value = value_of(8 * MB)

    def used() -> int:
        with node.client() as client:
            return client.info("memory")["used_memory"]

    with Resp(node.port) as connection:
        connection.command("SET", "a", "b")
        before = used()
        for _ in range(3):
            assert connection.command("SET", "a", value) == OK
        assert used() - before < 8 * MB + 200 * KB
        assert 8 * MB < connection.command("MEMORY", "USAGE", "a") < 8 * MB + 100 * KB
        connection.command("DEL", "a")
        eventually(lambda: used() - before < 200 * KB, "all of it is freed")


def test_it_is_logged_and_replicated_as_it_was_sent(tmp_path: Path) -> None:
    value = value_of(MB)
    with ShoalNode(save="", appendonly="yes", dir=str(tmp_path)) as primary, ShoalNode(save="") as replica:
        replica.follow(primary)
        with Resp(primary.port) as connection, replica.client() as client:
            connection.command("CONFIG", "SET", "slowlog-log-slower-than", 0)
            assert connection.command("SET", "a", value) == OK
            assert connection.command("SET", "b", value, "EX", 100) == OK
            assert connection.command("SET", "c", value) == OK
            entries: list[Any] = connection.command("SLOWLOG", "GET", 1)
            assert entries[0][3] == [b"SET", b"c", value[:128] + b"... (1048448 more bytes)"]
            eventually(lambda: client.mget("a", "b", "c") == [value] * 3, "the replica has it")
            connection.command("DEBUG", "LOADAOF")
            assert connection.command("MGET", "a", "b", "c") == [value] * 3
