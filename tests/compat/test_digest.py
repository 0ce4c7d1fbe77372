"""DEBUG DIGEST and DIGEST-VALUE of random data: the same as those of redis-server and valkey-server."""

from __future__ import annotations

import random
import struct

import pytest

from tests.harness.servers import Oracle, Server, ShoalNode

KEYS = 80


def random_data(chance: random.Random) -> list[list[bytes]]:
    """Commands that fill keys of all types, some of them large, some expiring, and change a few."""
    script: list[list[bytes]] = []
    for number in range(KEYS):
        key, size = b"key-%d" % number, chance.choice([1, 3, 20, 300])
        members = [random_text(chance) for _ in range(size)]
        kind = chance.randrange(7)
        if kind == 0:
            script.append([b"SET", key, members[0]])
        elif kind == 1:
            script.append([b"RPUSH", key, *members])
        elif kind == 2:
            script.append([b"SADD", key, *members])
        elif kind == 3:
            script.append([b"HSET", key, *(word for member in members for word in (member, member[::-1]))])
        elif kind == 4:
            scored = (word for member in members for word in (random_score(chance), member))
            script.append([b"ZADD", key, *scored])
        elif kind == 5:
            script.append([b"PFADD", key, *members])
        else:
            for second in range(1, 4):
                pairs = [word for member in members for word in (member, random_text(chance))]
                script.append([b"XADD", key, b"%d-%d" % (number, second), *pairs])
            script.append([b"XDEL", key, b"%d-2" % number])
        if chance.random() < 0.2:
            script.append([b"PEXPIREAT", key, b"99999999999999"])
    return script


def random_text(chance: random.Random) -> bytes:
    return chance.choice([b"", b"%d" % chance.randrange(-(1 << 40), 1 << 40), chance.randbytes(9)])


def random_score(chance: random.Random) -> bytes:
    (any_bits,) = struct.unpack("<d", chance.randbytes(8))
    score = chance.choice([chance.randrange(-1000, 1 << 33), chance.uniform(-1, 1), 1e9, 1e300, any_bits])
    return b"0" if score != score else repr(float(score)).encode()


def digests(server: Server, script: list[list[bytes]]) -> list[object]:
    """Of the whole, then of each key and of one that is not there."""
    with server.resp() as connection:
        for command in script:
            connection.command(*command)
        names = [b"key-%d" % number for number in range(KEYS + 1)]
        return [connection.command("DEBUG", "DIGEST"), *connection.command("DEBUG", "DIGEST-VALUE", *names)]


@pytest.mark.parametrize("turn", range(3))
def test_same_data_same_digest(
    turn: int, shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle
) -> None:
    seed = random.randrange(1 << 32)
    script = random_data(random.Random(seed))
    ours = digests(shoal_node, script)
    for oracle in (redis_oracle, valkey_oracle):
        theirs = digests(oracle, script)
        wrong = [
            number - 1 for number, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]
        ]
        assert not wrong, f"seed {seed}, {oracle!r}: keys {wrong} (-1: all)"


def test_no_data(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    assert shoal_node.run("DEBUG", "DIGEST") == redis_oracle.run("DEBUG", "DIGEST")


def test_digests_survive_dump_and_restore(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    script = random_data(random.Random(1))
    for source, target in ((shoal_node, redis_oracle), (redis_oracle, shoal_node)):
        source.run("FLUSHALL")
        target.run("FLUSHALL")
        before = digests(source, script)
        with source.resp() as ours, target.resp() as theirs:
            for key in ours.command("KEYS", "*"):
                expiry = max(0, ours.command("PEXPIRETIME", key))
                theirs.command("RESTORE", key, expiry, ours.command("DUMP", key), "ABSTTL")
        assert digests(target, []) == before
