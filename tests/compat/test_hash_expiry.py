"""Expiry of hash fields beside redis-server and valkey-server: replies, what is stored, events, replication.

Where the two differ we follow Redis; `hash_expiry.txt` keeps that from Valkey. Everything that waits for an
expiry is done with active expiry off, so that servers differ by nothing but their speed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.differential import compare, parse_script, replies, show
from tests.compat.test_notifications import assert_same_events
from tests.compat.test_propagation import stream_of
from tests.harness.resp import Null
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually
from tests.integration.test_rdb_exchange import hand_over

SCRIPT = (Path(__file__).parent / "scripts" / "hash_expiry.txt").read_text()


@pytest.fixture
def lazy(shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle) -> Iterator[list[Server]]:
    """Our worker, redis-server and valkey-server without active expiry."""
    servers: list[Server] = [shoal_node, redis_oracle, valkey_oracle]
    for server in servers:
        server.run("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    yield servers
    for server in servers:
        server.run("DEBUG", "SET-ACTIVE-EXPIRE", "1")


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_are_those_of_redis(lazy: list[Server], redis_oracle: Oracle, protocol: int) -> None:
    ours, redis, _ = lazy
    compare(ours, redis, parse_script(SCRIPT, redis_oracle), protocol)


def test_replies_are_those_of_valkey(lazy: list[Server], valkey_oracle: Oracle) -> None:
    ours, _, valkey = lazy
    compare(ours, valkey, parse_script(SCRIPT, valkey_oracle))


def test_inside_transactions(lazy: list[Server], redis_oracle: Oracle) -> None:
    """Seven commands each, without those that have to do with the time that passes."""
    script = [
        command
        for command in parse_script(SCRIPT, redis_oracle)
        if command[0] not in (b"debug", b"select", b"config", b"hrandfield") and b"5" not in command
    ]
    wrapped: list[list[bytes]] = []
    for start in range(0, len(script), 7):
        wrapped += [[b"MULTI"], *script[start : start + 7], [b"EXEC"]]
    compare(lazy[0], lazy[1], wrapped)


PROPAGATED = """
hset h a 1 b 2 c 3 d 4
hexpire h 100 FIELDS 1 a
hpexpire h 100000 NX FIELDS 3 a b nofield
hpexpire h 100000 nx FIELDS 1 a
hexpireat h 9999999999 FIELDS 2 a c
hpexpireat h 9999999999999 xx FIELDS 2 a d
hpersist h FIELDS 2 a d
hpersist h FIELDS 1 d
hpexpireat h 1 FIELDS 2 a b
hpexpireat h 1 FIELDS 1 c
hset h a 1 b 2 c 3
hexpire h 0 FIELDS 4 a b c d
exists h
hset h a 1 b 2
hgetex h FIELDS 1 a
hgetex h EX 100 FIELDS 2 a nofield
hgetex h PXAT 9999999999999 FIELDS 1 a
hincrbyfloat h a 1.5
hincrby h a 0
hgetex h PERSIST FIELDS 2 a b
hgetex h PERSIST FIELDS 2 a b
hgetex h EXAT 1 FIELDS 2 a b
hsetex h FIELDS 1 a 1
hsetex h EX 100 FNX FIELDS 2 b 1 c 1
hsetex h FNX FIELDS 2 b 1 c 1
hsetex h fxx PX 100000 FIELDS 1 b 1
hsetex h PXAT 9999999999999 FIELDS 1 b 1
hsetex h EXAT 9999999999 FIELDS 1 b 1
hsetex h KEEPTTL FIELDS 1 b 1
hsetex h PXAT 1 FIELDS 2 b 1 x 1
hgetdel h FIELDS 3 a b nofield
hgetdel h FIELDS 1 nofield
hgetdel h FIELDS 1 c
hset e a 1 b 2 c 3 d 4 e 5 f 6 g 7 h 8 i 9
hpexpire e 1 FIELDS 8 a b c d e f g h
debug sleep 0.02
hgetall e
hget e a
hmget e b c i
hset e c 1
hsetnx e d 1
hincrby e e 1
hgetdel e FIELDS 2 g i
hgetex e PX 100000 FIELDS 2 h c
hpexpire e 1 FIELDS 2 c d
debug sleep 0.02
hsetex e FNX FIELDS 2 c 1 f 1
hrandfield e
hexists e a
hset o a 1
hpexpire o 1 FIELDS 1 a
debug sleep 0.02
hincrby o a 1
hpexpire o 1 FIELDS 1 a
debug sleep 0.02
hget o a
multi
hset m a 1 b 1
hpexpire m 0 FIELDS 1 a
hexpire m 100 FIELDS 1 b
exec
"""


def test_replicas_hear_the_same(lazy: list[Server], redis_oracle: Oracle) -> None:
    script = parse_script(PROPAGATED, redis_oracle)
    ours, theirs = ([show(words) for words in stream_of(server, script)] for server in lazy[:2])
    assert ours == theirs


def test_sums_of_fields_that_do_not_expire_are_plain_for_replicas(lazy: list[Server]) -> None:
    """Redis sends HSETEX always, which replicas of version 7 do not know."""
    stream = stream_of(lazy[0], [[b"HINCRBYFLOAT", b"h", b"f", b"1.5"]])
    assert stream == [[b"HSET", b"h", b"f", b"1.5"]]


EVENTS = """
hset h a 1 b 2 c 3 d 4
hexpire h 100 FIELDS 2 a nofield
hexpire h 100 FIELDS 1 nofield
hexpire h 100 NX FIELDS 1 a
hpersist h FIELDS 2 a b
hpersist h FIELDS 1 a
hpexpireat h 1 FIELDS 1 a
hgetex h EX 100 FIELDS 2 b c
hgetex h FIELDS 1 b
hgetex h PERSIST FIELDS 2 b c
hgetex h PERSIST FIELDS 2 b c
hgetex h EXAT 1 FIELDS 1 b
hgetdel h FIELDS 2 c b
hgetdel h FIELDS 1 c
hgetdel h FIELDS 1 d
hsetex h EX 100 FIELDS 1 a 1
hsetex h FNX FIELDS 1 a 1
hsetex h KEEPTTL FIELDS 1 a 1
hsetex h EXAT 1 FIELDS 1 a 1
hset e a 1 b 2 c 3 d 4 e 5 f 6 g 7
hpexpire e 1 FIELDS 6 a b c d e f
debug sleep 0.02
hgetall e
hget e a
hmget e b c g
hsetnx e d 1
hincrby e e 1
hgetdel e FIELDS 2 f g
hset e a 1 b 2
hpexpire e 1 FIELDS 2 a b
debug sleep 0.02
hrandfield e
hset e a 1
hpexpire e 1 FIELDS 1 a
debug sleep 0.02
hget e a
hset e a 1
hpexpire e 1 FIELDS 1 a
debug sleep 0.02
hincrby e a 1
hexpire e 0 FIELDS 1 a
"""


def test_listeners_hear_the_same(lazy: list[Server], redis_oracle: Oracle) -> None:
    assert_same_events(lazy[0], redis_oracle, EVENTS, "KEA")


def a_hash(server: Server, fields: int) -> None:
    """Of so many fields, of which some expire."""
    for number in range(fields):
        server.run("HSET", "k", f"field:{number}", f"value {number}")
        if number % 3 == 0:
            server.run("HPEXPIREAT", "k", 5_000_000_000_000 + number % 7, "FIELDS", 1, f"field:{number}")


@pytest.mark.parametrize("fields", [1, 50, 1000])
def test_dumps_go_both_ways(shoal_node: ShoalNode, redis_oracle: Oracle, fields: int) -> None:
    a_hash(shoal_node, fields)
    a_hash(redis_oracle, fields)
    digest = redis_oracle.run("DEBUG", "DIGEST-VALUE", "k")
    assert shoal_node.run("DEBUG", "DIGEST-VALUE", "k") == digest
    ours, theirs = (server.run("DUMP", "k") for server in (shoal_node, redis_oracle))
    if fields < 1000:
        assert ours == theirs
    for server in (shoal_node, redis_oracle):
        for payload in (ours, theirs):
            server.run("RESTORE", "k", 0, payload, "REPLACE")
            assert server.run("DEBUG", "DIGEST-VALUE", "k") == digest
            assert server.run("HLEN", "k") == fields


def test_an_expired_field_travels_with_its_hash(lazy: list[Server]) -> None:
    script = [b"hset k a 1 b 2", b"hpexpire k 1 FIELDS 1 a", b"debug sleep 0.02"]
    for server in lazy[:2]:
        replies(server, [line.split() for line in script])
    payloads = [server.run("DUMP", "k") for server in lazy[:2]]
    for payload in payloads:
        lengths = []
        for server in lazy[:2]:
            server.run("RESTORE", "k", 0, payload, "REPLACE")
            lengths.append((server.run("HLEN", "k"), server.run("HGETALL", "k")))
        assert lengths[0] == lengths[1]


@pytest.mark.parametrize("fields", [3, 1000])
def test_fields_that_nobody_asks_for_go_too(shoal_node: ShoalNode, redis_oracle: Oracle, fields: int) -> None:
    for server in (shoal_node, redis_oracle):
        names = [f"f{number}" for number in range(fields)]
        server.run("CONFIG", "RESETSTAT")
        server.run("HSET", "k", "stays", "v", *(word for name in names for word in (name, "v")))
        server.run("HSET", "gone", "f", "v")
        server.run("HPEXPIRE", "gone", 1, "FIELDS", 1, "f")
        server.run("HPEXPIRE", "k", 100_000, "FIELDS", 1, "stays")
        server.run("HPEXPIRE", "k", 1, "FIELDS", fields, *names)
        eventually(lambda server=server: server.run("HLEN", "k") == 1, "its fields expire")  # type: ignore[misc]
        eventually(lambda server=server: server.run("EXISTS", "gone") == 0, "it is empty")  # type: ignore[misc]
        info = server.client().info()
        assert info["expired_subkeys"] == fields + 1
        assert info["db0"]["subexpiry"] == 1
        server.run("HPERSIST", "k", "FIELDS", 1, "stays")
        server.run("HSETEX", "l", "EX", 100, "FIELDS", 1, "f", "v")
        server.run("RENAME", "l", "m")


def test_a_replica_hides_expired_fields_and_waits_for_its_primary(redis_oracle: Oracle) -> None:
    """Ours of a real primary, which has its active expiry off."""
    redis_oracle.run("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    try:
        with ShoalNode() as replica:
            replica.run("REPLICAOF", "127.0.0.1", redis_oracle.port)
            redis_oracle.run("HSET", "k", "a", "1", "b", "2")
            redis_oracle.run("HPEXPIRE", "k", 50, "FIELDS", 1, "a")
            eventually(lambda: replica.run("HLEN", "k") == 2, "the hash arrives")
            eventually(lambda: isinstance(replica.run("HGET", "k", "a"), Null), "the field expires")
            assert replica.run("HLEN", "k") == 2
            assert isinstance(redis_oracle.run("HGET", "k", "a"), Null)
            eventually(lambda: replica.run("HLEN", "k") == 1, "the primary deletes it")
            digest = redis_oracle.run("DEBUG", "DIGEST")
            eventually(lambda: replica.run("DEBUG", "DIGEST") == digest, "both hold the same")
    finally:
        redis_oracle.run("DEBUG", "SET-ACTIVE-EXPIRE", "1")


def test_files_go_both_ways(redis_oracle: Oracle) -> None:
    for source, target in ((ShoalNode(), Oracle("redis")), (Oracle("redis"), ShoalNode())):
        with source:
            a_hash(source, 1000)
            source.run("RENAME", "k", "large")
            a_hash(source, 20)
            hand_over(source, target)
            with target:
                assert target.run("DEBUG", "DIGEST") == source.run("DEBUG", "DIGEST")
                assert target.client().info("keyspace")["db0"]["subexpiry"] == 2


def test_valkey_takes_and_gives_its_own_form(shoal_node: ShoalNode, valkey_oracle: Oracle) -> None:
    a_hash(valkey_oracle, 50)
    shoal_node.run("RESTORE", "k", 0, valkey_oracle.run("DUMP", "k"))
    query = ("HPEXPIRETIME", "k", "FIELDS", 50, *(f"field:{number}" for number in range(50)))
    moments = shoal_node.run(*query)
    assert moments == valkey_oracle.run(*query)
    assert 5_000_000_000_000 in moments


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_append_only_files_keep_what_expires(preamble: str) -> None:
    """And what expires between the log's commands is there for those that came in time."""
    with ShoalNode(appendonly="yes", aof_use_rdb_preamble=preamble, enable_debug_command="yes") as node:
        a_hash(node, 600)
        node.run("RENAME", "k", "large")
        a_hash(node, 20)
        node.run("BGREWRITEAOF")
        eventually(lambda: node.client().info("persistence")["aof_rewrites"] == 1, "the rewrite ends")
        a_hash(node, 10)
        node.run("HSET", "late", "f", "1")
        node.run("HPEXPIRE", "late", 100, "FIELDS", 1, "f")
        node.run("HINCRBY", "late", "f", 1)
        node.run("HPERSIST", "late", "FIELDS", 1, "f")
        node.run("DEBUG", "SLEEP", "0.15")
        digest = node.run("DEBUG", "DIGEST")
        node.restart()
        assert node.run("DEBUG", "DIGEST") == digest
        assert node.run("HGET", "late", "f") == b"2"
