"""Stories of commands, and what is left of them elsewhere: on replicas, and after DUMP and RESTORE.

Here the outcome of the commands does not matter (`test_commands_fuzz.py` sees to that), but that two servers
hold the same data afterwards, told by DEBUG DIGEST: a real redis-server that replicates from us, we that
replicate from it, and either that was given every key of the other in the form of DUMP.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.fuzz.duel import END, receive, shared_commands
from tests.fuzz.stories import story
from tests.fuzz.words import KEYS
from tests.harness.resp import Resp, Simple, encode
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually

OK = Simple("OK")
STORIES = int(os.environ.get("SHOAL_FUZZ_COMMANDS", 8_000)) // 400
SEED = int(os.environ.get("SHOAL_FUZZ_SEED", random.randrange(1 << 40)))


@pytest.fixture(scope="module", params=["of ours", "of theirs"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    """(primary, replica), of which one is a real redis-server."""
    with ShoalNode() as ours, Oracle("redis") as theirs:
        primary, replica = (ours, theirs) if request.param == "of ours" else (theirs, ours)
        replica.follow(primary)
        yield primary, replica


def tell(server: Server, seed: int, names: frozenset[str], *followers: Server) -> None:
    """Let `server` hear the story of `seed`, from an empty keyspace on; `followers` get its settings."""
    without = {"FAIL"} if server.kind == "redis" else set()  # Redis forgets to tell what such a BITFIELD did
    told = story(seed, names, without)
    for follower in followers:
        for argv in told.commands:
            if argv[0] == b"CONFIG":
                follower.run(*argv)
    with Resp(server.port, timeout=30, protocol=told.protocol) as connection:
        connection.command("FLUSHALL")
        connection.send(b"".join(encode(*argv) for argv in told.commands) + encode("ECHO", END))
        receive(connection, server)


def has_caught_up(primary: Server, replica: Server) -> bool:
    told, heard = (server.info("replication") for server in (primary, replica))
    return bool(told["master_repl_offset"] == heard.get("slave_repl_offset"))


def differing_keys(one: Server, other: Server) -> list[bytes]:
    with one.resp() as first, other.resp() as second:
        return [
            key
            for key in KEYS
            if first.command("DEBUG", "DIGEST-VALUE", key) != second.command("DEBUG", "DIGEST-VALUE", key)
        ]


@pytest.mark.timeout(120 + STORIES)
def test_replicas_hold_the_same_data(pair: tuple[Server, Server]) -> None:
    primary, replica = pair
    names = shared_commands(primary, replica)
    for seed in range(SEED, SEED + STORIES):
        tell(primary, seed, names, replica)
        eventually(lambda: has_caught_up(primary, replica), f"the replica knows story {seed}", 20)
        if primary.run("DEBUG", "DIGEST") != replica.run("DEBUG", "DIGEST"):
            keys = differing_keys(primary, replica)
            pytest.fail(f"story {seed}: {replica!r} differs from {primary!r} at {keys}")


@pytest.mark.timeout(120 + STORIES)
@pytest.mark.parametrize("source", ["shoal", "redis"])
def test_dumps_are_understood(shoal_server: ShoalNode, redis_server: Oracle, source: str) -> None:
    servers: tuple[Server, Server] = (shoal_server, redis_server)
    giver, taker = servers if source == "shoal" else servers[::-1]
    names = shared_commands(giver, taker)
    for seed in range(SEED, SEED + STORIES):
        tell(giver, seed, names, taker)
        taker.run("FLUSHALL")
        with giver.resp() as gives, taker.resp() as takes:
            for key in gives.command("KEYS", "*"):
                expiry = max(0, gives.command("PEXPIRETIME", key))
                restored = takes.command("RESTORE", key, expiry, gives.command("DUMP", key), "ABSTTL")
                assert restored == OK, f"story {seed}, {key!r}: {restored}"
        keys = differing_keys(giver, taker)
        assert not keys, f"story {seed}: {keys} were restored differently"
