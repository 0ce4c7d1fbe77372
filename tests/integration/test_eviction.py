"""`maxmemory`: a worker under constant writes keeps to its limit, and keeps what is used."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from tests.harness.resp import Error, Resp, encode
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually
from tests.integration.test_memory import MB, private

OOM = Error("OOM command not allowed when used memory > 'maxmemory'.")


def send(connection: Resp, commands: Iterable[list[Any]], batch: int = 500) -> list[Any]:
    """The replies to all commands, sent in batches."""
    replies: list[Any] = []
    waiting: list[bytes] = []

    def flush() -> None:
        connection.send(b"".join(waiting))
        replies.extend(connection.read() for _ in waiting)
        waiting.clear()

    for command in commands:
        waiting.append(encode(*command))
        if len(waiting) == batch:
            flush()
    flush()
    return replies


def writes(dice: random.Random, count: int) -> Iterable[list[Any]]:
    """Endless new keys of several types and sizes, each with an expiry: some 1.3 KB a command."""
    for number in range(count):
        key = f"key:{dice.random()}"
        kind = number % 4
        if kind < 2:
            yield ["SET", key, "x" * dice.randrange(5000), "EX", "1000"]
            continue
        if kind == 2:
            yield ["RPUSH", key, *(f"{i}" * dice.randrange(1, 20) for i in range(20))]
        else:
            yield ["HSET", key, *(f"{i}" * dice.randrange(1, 9) for i in range(40))]
        yield ["EXPIRE", key, f"{dice.randrange(900, 2000)}"]


@pytest.mark.parametrize(
    "policy",
    [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
        "noeviction",
    ],
)
def test_constant_writes_stay_within_the_limit(policy: str) -> None:
    limit = 50 * MB
    with (
        ShoalNode(save="", maxmemory=limit, maxmemory_policy=policy) as node,
        Resp(node.port) as connection,
        node.client() as client,
    ):
        dice = random.Random(policy)
        for _ in range(10):
            replies = send(connection, writes(dice, 5000))
            refused = OOM in replies
            assert refused == (policy == "noeviction" and OOM in replies)
            assert client.info("memory")["used_memory"] < 1.02 * limit
            assert private(node) < 1.1 * limit
        stats = client.info("stats")
        if policy == "noeviction":
            assert refused and stats["evicted_keys"] == 0
            assert stats["current_eviction_exceeded_time"] > 0
            client.flushall()
            assert client.set("a", "b"), "there is room again"
            assert client.info("stats")["current_eviction_exceeded_time"] == 0
        else:
            assert stats["evicted_keys"] > 5000
            assert client.info("memory")["used_memory"] > 0.9 * limit, "no more was evicted than had to be"


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"])
def test_volatile_policies_spare_keys_without_expiry(policy: str) -> None:
    with (
        ShoalNode(save="", maxmemory=40 * MB, maxmemory_policy=policy) as node,
        Resp(node.port) as connection,
    ):
        replies = send(connection, (["SET", f"kept:{n}", "x" * 10_000] for n in range(3000)))
        assert OOM in replies
        assert connection.command("DEL", *(f"kept:{n}" for n in range(400))) == 400
        kept = [n for n, reply in enumerate(replies) if reply != OOM and n >= 400]
        volatile = (["SETEX", f"volatile:{n}", "100", "x" * 5000] for n in range(1000))
        assert OOM not in send(connection, volatile), "they make room for each other"
        assert 0 < connection.command("DBSIZE") - len(kept) < 900
        assert send(connection, (["EXISTS", f"kept:{n}"] for n in kept)) == [1] * len(kept)


def hit_rate(server: Server, policy: str) -> float:
    """How many of the reads of a few popular keys succeed while many new ones are written, 0 to 1."""
    with server.client() as client, Resp(server.port) as connection:
        client.config_set("maxmemory-policy", policy)
        hot = [f"hot:{n}" for n in range(1000)]
        send(connection, (["SET", key, "x" * 1000] for key in hot))
        room = client.info("memory")["used_memory"] + 6 * MB
        client.config_set("maxmemory", room)
        hits = reads = 0
        dice = random.Random(1)
        for step in range(12):
            send(connection, (["SET", f"cold:{step}:{n}", "x" * 1000] for n in range(1500)))
            replies = send(connection, (["GET", dice.choice(hot)] for _ in range(3000)))
            hits += sum(
                reply is not None and reply != b"" and not isinstance(reply, Error) for reply in replies
            )
            reads += len(replies)
            if "lru" in policy:  # its clock ticks once a second
                connection.command("DEBUG", "SLEEP", "0.25")
        return hits / reads


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu"])
def test_what_is_used_is_kept_as_well_as_by_redis(policy: str) -> None:
    with (
        ShoalNode(save="", enable_debug_command="yes") as ours,
        Oracle("redis", save="", enable_debug_command="yes") as theirs,
    ):
        mine, other = hit_rate(ours, policy), hit_rate(theirs, policy)
        assert mine > other - 0.08, f"ours keeps {mine:.2f} of what is used, Redis {other:.2f}"


def test_evictions_are_told_and_replicated() -> None:
    with (
        ShoalNode(save="", maxmemory_policy="allkeys-random") as node,
        ShoalNode(save="") as replica,
        node.client() as client,
        replica.client() as copy,
    ):
        replica.follow(node)
        client.config_set("notify-keyspace-events", "Ee")
        listener = client.pubsub()
        listener.subscribe("__keyevent@0__:evicted", "__keyevent@2__:evicted")
        room = client.info("memory")["used_memory"] + 8 * MB
        copy.config_set("maxmemory", "1mb")
        client.config_set("maxmemory", room)
        with node.client(db=2) as second, client.pipeline(transaction=False) as pipeline:
            second.set("other", "x" * 1000)
            for number in range(10_000):
                pipeline.set(f"key:{number}", "x" * 1000)
            pipeline.execute()
            assert client.info("stats")["evicted_keys"] > 1000
            assert second.dbsize() <= 1
        told = 0
        while (message := listener.get_message(timeout=0.2)) is not None:
            told += message["type"] == "message"
        assert told > 1000
        size = client.dbsize()
        eventually(lambda: copy.dbsize() == size, lambda: f"the replica holds {copy.dbsize()} of {size}")
        assert copy.info("stats")["evicted_keys"] == 0, "it left that to its primary"


def test_a_tenacious_worker_keeps_a_command_waiting() -> None:
    """Without patience, what must go goes between commands."""
    with (
        ShoalNode(save="", maxmemory_policy="allkeys-lru", maxmemory_eviction_tenacity=0) as node,
        node.client() as client,
        client.pipeline(transaction=False) as pipeline,
    ):
        for number in range(20_000):
            pipeline.set(f"key:{number}", "x" * 1000)
        pipeline.execute()
        client.config_set("maxmemory", client.info("memory")["used_memory"] - 10 * MB)
        assert client.set("more", "x"), "it is not refused"
        limit = client.config_get("maxmemory")["maxmemory"]
        eventually(lambda: client.info("memory")["used_memory"] < int(limit), "the rest follows")
        assert client.info("stats")["total_eviction_exceeded_time"] > 0


def test_refused_commands_leave_nothing_behind() -> None:
    """Errors are constants; raised again and again, they must not hold on to the requests they refused."""
    with ShoalNode(save="") as node, Resp(node.port) as connection:
        connection.command("SET", "key", "value")

        def used() -> int:
            with node.client() as client:
                return client.info("memory")["used_memory"]

        wrong = [["LPUSH", "key", "x" * 1000], ["GET", "a", "x" * 1000], ["EXPIRE", "key", "x" * 1000]]
        send(connection, wrong * 10)
        before = used()
        send(connection, wrong * 3000)
        assert used() < before + 2 * MB
