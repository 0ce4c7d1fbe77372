"""Large values leave at once and are freed while others are served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness.resp import Resp, Simple, encode
from tests.harness.servers import ShoalNode
from tests.harness.wait import eventually
from tests.integration.test_eviction import send
from tests.integration.test_memory import MB

MEMBERS = 1_000_000
LARGE = 5000
ROUNDING = 30_000
"""Bytes by which two measurements of the same may differ."""


@pytest.fixture
def node() -> Iterator[ShoalNode]:
    with ShoalNode(save="", enable_debug_command="yes") as started:
        yield started


def used(client: Any) -> int:
    return client.info("memory")["used_memory"]


def pending(client: Any) -> int:
    return client.info("memory")["lazyfree_pending_objects"]


def large_values(connection: Resp) -> list[str]:
    """One key of each type with LARGE members, in its large form; returns the keys."""
    for start in range(0, LARGE, 100):
        numbers = range(start, start + 100)
        send(
            connection,
            [
                ["SADD", "set", *(f"member:{n}" for n in numbers)],
                ["HSET", "hash", *(word for n in numbers for word in (f"field:{n}", "x" * 20))],
                ["ZADD", "zset", *(word for n in numbers for word in (n, f"member:{n}"))],
                ["RPUSH", "list", *(f"element:{n}" * 10 for n in numbers)],
                *(["XADD", "stream", "*", "field", f"{n}" * 50] for n in numbers),
            ],
        )
    connection.command("XGROUP", "CREATE", "stream", "group", "0")
    connection.command("XREADGROUP", "GROUP", "group", "me", "COUNT", LARGE, "STREAMS", "stream", ">")
    return ["set", "hash", "zset", "list", "stream"]


def test_unlinking_a_million_members_keeps_nobody_waiting(node: ShoalNode) -> None:
    with node.client() as client, Resp(node.port) as connection:
        for start in range(0, MEMBERS, 5000):
            pairs = (word for n in range(start, start + 5000) for word in (n, f"member:{n}"))
            connection.command("ZADD", "zset", *pairs)
        before = used(client)
        assert connection.command("UNLINK", "zset") == 1
        seen = [used(client)]
        while pending(client):
            seen.append(used(client))
        assert len(seen) > 5, "others are served while it is freed"
        assert used(client) < before - 60 * MB
        assert client.info("memory")["lazyfreed_objects"] == 1


@pytest.mark.parametrize("key", ["set", "hash", "zset", "list", "stream"])
def test_every_type_is_freed_to_the_last_byte(node: ShoalNode, key: str) -> None:
    with node.client() as client, Resp(node.port) as connection:

        def freed_by(command: str) -> int:
            """What is used after `key` was freed so."""
            others = [each for each in large_values(connection) if each != key]
            connection.command("DEL", *others)
            assert client.memory_usage(key) > 5 * ROUNDING
            assert connection.command(command, key) == 1
            eventually(lambda: pending(client) == 0, "it is freed")
            return used(client)

        at_once = freed_by("DEL")
        assert client.info("memory")["lazyfreed_objects"] == 0
        freed_by("UNLINK")
        assert client.info("memory")["lazyfreed_objects"] == 1
        eventually(lambda: used(client) < at_once + ROUNDING, lambda: f"left: {used(client) - at_once}")


def flush(connection: Resp) -> None:
    """In a transaction: who may wait has it freed lazily in any case, and waits."""
    connection.command("MULTI")
    connection.command("FLUSHALL")
    connection.command("EXEC")


def delete(connection: Resp) -> None:
    connection.command("DEL", *large_values(connection))


def replace(connection: Resp) -> None:
    keys = large_values(connection)
    for key in keys:
        connection.command("SET", key, "small")
    connection.command("DEL", *keys)


def let_expire(connection: Resp) -> None:
    for key in large_values(connection):
        connection.command("PEXPIRE", key, 1)
    eventually(lambda: connection.command("DBSIZE") == 0, "they expire")


def evict(connection: Resp) -> None:
    connection.command("CONFIG", "SET", "maxmemory-policy", "allkeys-random", "maxmemory", "1")
    eventually(lambda: connection.command("DBSIZE") == 0, "they are evicted")


def test_flushall_sync_keeps_nobody_waiting_but_who_asked_for_it(node: ShoalNode) -> None:
    flushes = 0

    def served_meanwhile() -> bool:
        """Whether somebody looked in the middle of a flush: it is soon over, and this process may be late."""
        nonlocal flushes
        flushes += 1
        with node.client() as client, Resp(node.port) as connection, Resp(node.port) as other:
            send(connection, (["SET", f"key:{n}", "x" * 100] for n in range(50_000)))
            large_values(connection)
            connection.send(encode("FLUSHALL", "SYNC") + encode("INFO", "memory"))
            eventually(lambda: other.command("DBSIZE") == 0, "all is gone")
            seen = [pending(client)]
            eventually(lambda: seen.append(pending(client)) or not seen[-1], "all is freed")
            assert connection.read() == Simple("OK")
            assert b"lazyfree_pending_objects:0\r\n" in connection.read()
            assert client.info("memory")["lazyfreed_objects"] == flushes * 50_005
        return any(0 < each < 50_005 for each in seen)

    eventually(served_meanwhile, "others are served while it is freed")


@pytest.mark.parametrize(
    ("setting", "act"),
    [
        ("lazyfree-lazy-user-flush", flush),
        ("lazyfree-lazy-user-del", delete),
        ("lazyfree-lazy-server-del", replace),
        ("lazyfree-lazy-expire", let_expire),
        ("lazyfree-lazy-eviction", evict),
    ],
)
def test_settings_say_what_is_freed_lazily(
    node: ShoalNode, setting: str, act: Callable[[Resp], None]
) -> None:
    with node.client() as client, Resp(node.port) as connection:
        for value, freed in (("no", 0), ("yes", 5)):
            client.config_set("maxmemory", 0)
            client.config_set(setting, value)
            large_values(connection)
            act(connection)
            eventually(lambda: pending(client) == 0, "all is freed")
            assert client.info("memory")["lazyfreed_objects"] == freed


def test_small_values_are_freed_on_the_spot(node: ShoalNode) -> None:
    with node.client() as client:
        client.sadd("set", *range(60))
        client.sadd("numbers", *range(400))
        client.set("string", "x" * MB)
        client.unlink("set", "numbers", "string")
        assert client.info("memory")["lazyfreed_objects"] == 0


def test_flushall_async_lets_go_of_all_at_once(node: ShoalNode) -> None:
    with node.client() as client, Resp(node.port) as connection:
        empty = used(client)
        send(connection, (["SET", f"key:{n}", "x" * 100, "EX", "100"] for n in range(100_000)))
        send(connection, (["SET", f"{{one}}:{n}", "x" * 100] for n in range(20_000)))
        large_values(connection)
        connection.send(encode("FLUSHALL", "ASYNC") + encode("DBSIZE") + encode("INFO", "memory"))
        assert [connection.read(), connection.read()] == [Simple("OK"), 0]
        assert b"lazyfree_pending_objects:120005\r\n" in connection.read(), "nothing is freed at once"
        connection.command("SADD", "new", "member")
        assert connection.command("KEYS", "*") == [b"new"]
        eventually(lambda: pending(client) == 0, "all of it is freed")
        assert client.info("memory")["lazyfreed_objects"] == 120_005
        eventually(lambda: used(client) < empty + 3 * MB, "nothing is left")
        assert connection.command("SMEMBERS", "new") == [b"member"]
        assert client.info("keyspace")["db0"]["expires"] == 0


def test_a_replica_empties_itself_lazily() -> None:
    with (
        ShoalNode(save="") as primary,
        ShoalNode(save="", replica_lazy_flush="yes") as replica,
        replica.client() as client,
        Resp(replica.port) as connection,
    ):
        large_values(connection)
        with Resp(primary.port) as other:
            other.command("SET", "a", "b")
        replica.follow(primary)
        eventually(lambda: client.get("a") == b"b", "the replica has its primary's data")
        eventually(lambda: client.info("memory")["lazyfreed_objects"] == 5, "and has let go of its own")
        assert client.dbsize() == 1


def test_values_that_are_half_freed_are_no_obstacle(node: ShoalNode) -> None:
    """Neither to a snapshot nor to the end of the process."""
    with Resp(node.port) as connection:
        keys = large_values(connection)
        connection.send(b"UNLINK %s\r\nSAVE\r\nSET a b\r\nSHUTDOWN NOSAVE\r\n" % " ".join(keys).encode())
        assert connection.read() == 5
        assert [connection.read(), connection.read()] == [Simple("OK")] * 2
    assert node.process is not None
    assert node.process.wait(10) == 0
