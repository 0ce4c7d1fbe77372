"""What data costs: how much a worker's resident memory grows, beside valkey-server with the same data.

    SHOAL_MEMORY_BARS=full python -m pytest tests/integration/test_memory_bars.py -s

Each case is loaded into a fresh server of both kinds. The bars are 1.3 times the growth of Valkey for many
small values, and 1.6 times for one large value. Without the setting an eighth of the data is loaded, which is
enough to see a form of storage that costs more than it should, and not so much that everybody waits for it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from random import Random

import psutil
import pytest

from tests.harness.resp import encode
from tests.harness.servers import Oracle, Server, ShoalNode

SCALE = 1 if os.environ.get("SHOAL_MEMORY_BARS") == "full" else 8
MILLION = 1_000_000 // SCALE
MANY = 100_000 // SCALE
BATCH = 200
"""Commands sent before their replies are read; elements of a large value added by one command."""
FIXED = 512 << 10
"""Bytes of growth that are the buffers' of the connection that loads, and not the data's."""

Command = list[bytes]


def strings(random: Random) -> Iterator[Command]:
    for i in range(MILLION):
        yield [b"SET", b"key:%012d" % i, random.randbytes(64)]


def hashes(random: Random) -> Iterator[Command]:
    for i in range(MANY):
        fields = [
            part for j in range(10) for part in (b"field:%d" % j, b"value:%d" % random.randrange(10**6))
        ]
        yield [b"HSET", b"hash:%d" % i, *fields]


def lists(random: Random) -> Iterator[Command]:
    for i in range(MANY):
        yield [b"RPUSH", b"list:%d" % i, *(b"element:%d" % random.randrange(10**6) for _ in range(20))]


def sorted_sets(random: Random) -> Iterator[Command]:
    for i in range(MANY):
        yield [b"ZADD", b"zset:%d" % i, *scored(random, range(20))]


def scored(random: Random, numbers: range) -> list[bytes]:
    return [part for n in numbers for part in (b"%d" % random.randrange(10**6), b"member:%d" % n)]


def one_large(
    elements: Callable[[Random, range], list[bytes]], name: bytes
) -> Callable[[Random], Iterator[Command]]:
    def commands(random: Random) -> Iterator[Command]:
        for start in range(0, MILLION, BATCH):
            yield [name, b"large", *elements(random, range(start, min(start + BATCH, MILLION)))]

    return commands


def members(random: Random, numbers: range) -> list[bytes]:
    return [b"member:%d" % n for n in numbers]


def fields(random: Random, numbers: range) -> list[bytes]:
    return [part for n in numbers for part in (b"field:%d" % n, b"value:%d" % random.randrange(10**6))]


CASES = {
    "strings": (strings, 1.3),
    "hashes of 10": (hashes, 1.3),
    "lists of 20": (lists, 1.3),
    "sorted sets of 20": (sorted_sets, 1.3),
    "a large set": (one_large(members, b"SADD"), 1.6),
    "a large sorted set": (one_large(scored, b"ZADD"), 1.6),
    "a large hash": (one_large(fields, b"HSET"), 1.6),
    "a large list": (one_large(members, b"RPUSH"), 1.6),
}


def load(server: Server, commands: Iterator[Command]) -> None:
    """Send them all; each is answered by one line."""
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        batch: list[bytes] = []
        for command in commands:
            batch.append(encode(*command))
            if len(batch) == BATCH:
                exchange(connection, batch)
        exchange(connection, batch)


def exchange(connection: socket.socket, batch: list[bytes]) -> None:
    connection.sendall(b"".join(batch))
    missing = len(batch)
    while missing:
        replies = connection.recv(1 << 16)
        assert replies and b"-" not in replies, replies[:200]
        missing -= replies.count(b"\n")
    batch.clear()


def growth(server: Server, commands: Callable[[Random], Iterator[Command]]) -> int:
    process = psutil.Process(server.pid)
    before = process.memory_info().rss
    load(server, commands(Random(7)))
    return process.memory_info().rss - before


@pytest.mark.parametrize("case", CASES)
def test_growth_is_near_valkeys(case: str) -> None:
    commands, bar = CASES[case]
    node = ShoalNode(save="")
    node.forked = False
    with node:
        ours = growth(node, commands)
    with Oracle("valkey", save="") as oracle:
        theirs = growth(oracle, commands)
    print(
        f"{case:20} ours {ours / 1e6:7.1f} MB   valkey {theirs / 1e6:7.1f} MB   {ours / theirs:.2f} of {bar}"
    )
    assert ours <= bar * theirs + FIXED, f"{case}: {ours} bytes, Valkey {theirs}"
