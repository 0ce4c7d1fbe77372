"""`--transactions split`: MULTI with keys of several slots, part by part; EXEC says what one server says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import NULL_ARRAY, NULL_BULK, Error, Resp, Simple, encode
from tests.harness.servers import Oracle

OK, QUEUED = Simple("OK"), Simple("QUEUED")
A, B, C = "a", "b", "c"
"""Keys of three workers: slots 15495, 3300, 7365"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, kind=["shoal", "valkey", "redis"]) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(cluster: RunningCluster) -> Iterator[ShoalProxy]:
    with ShoalProxy(cluster.addresses[:1], "--transactions", "split", "--resend", "reads") as running:
        yield running


@pytest.fixture
def client(proxy: ShoalProxy) -> Iterator[Resp]:
    with proxy.resp() as connection:
        connection.command("FLUSHALL")
        yield connection


SCRIPT = """
MULTI|SET a 1|SET b 2|PING|INCR a|MGET c b a nokey a|EXEC|MGET a b c
MULTI|MSET a 1 b 2 c 3|EXPIRE a 100|EXPIRE b 100|DEL a b nokey|EXISTS a b c c|TOUCH c a|UNLINK c d e|EXEC
MULTI|LPUSH a x|INCR a|SADD b y|INCR b|EXEC|DEL a b
MULTI|MGET a b c|EXEC|MULTI|EXEC|MULTI|PING|EXEC|MULTI|GET c|GET c|EXEC
MULTI|EVAL "return {KEYS[1],ARGV[1]}" 1 c x|EVAL "return 1" 0|SET a 1|SET b 1|ECHO x|CLIENT GETNAME|EXEC
MULTI|MSET a 1 b|SET a 1|EXEC|GET a
MULTI|SET a 1|SET b 1|NONSENSE|EXEC|GET b
MULTI|SET a 9|SET b 9|DISCARD|MGET a b
WATCH a|MULTI|INCR a|INCR b|GET c|EXEC|MGET a b
WATCH a|SET a 7|MULTI|SET b 7|SET c 7|EXEC|MGET a b c
WATCH a|SET a 8|MULTI|SET a 9|SET b 9|EXEC|MGET a b c
WATCH a|MULTI|SET b 3|SET c 4|PING|EXEC|MGET a b c
WATCH a|MULTI|EXEC|EXEC
"""


@pytest.mark.parametrize("protocol", [2, 3])
def test_conversation_is_that_of_one_server(protocol: int, proxy: ShoalProxy, redis_oracle: Oracle) -> None:
    told = []
    for server in (proxy, redis_oracle):
        server.run("FLUSHALL")
        with server.resp(protocol) as connection:
            answers: list[bytes | str] = []
            for line in SCRIPT.strip().replace("\n", "|").split("|"):
                connection.send(line.encode() + b"\r\n")
                answers += [line, connection.read_raw()]
            told.append(answers)
    assert told[0] == told[1]


def test_in_a_pipeline_everything_has_its_place(client: Resp) -> None:
    """What follows EXEC sees all of its parts, also when what was watched goes first."""
    for number in range(20):
        watch = encode("WATCH", A) if number % 2 else b""
        client.send(
            encode("SET", A, number) + watch + encode("MULTI")
            + b"".join(encode("INCR", key) for key in (A, B, C)) + encode("EXEC") + encode("MGET", A, B, C)
        )  # fmt: skip
        assert client.read() == OK
        if watch:
            assert client.read() == OK
        assert [client.read() for _ in range(4)] == [OK, QUEUED, QUEUED, QUEUED]
        assert client.read() == [number + 1] * 3
        assert client.read() == [b"%d" % (number + 1)] * 3


def test_what_is_not_split_still_needs_one_slot(client: Resp) -> None:
    assert client.command("MULTI") == OK
    assert client.command("SET", A, 1) == QUEUED
    assert client.command("RENAME", A, B).prefix == "CROSSSLOT"
    assert client.command("EXEC").prefix == "EXECABORT"
    assert client.command("GET", A) == NULL_BULK
    assert client.command("WATCH", A, B).prefix == "CROSSSLOT"
    assert client.command("WATCH", A) == OK
    assert client.command("WATCH", B).prefix == "CROSSSLOT"


def test_nothing_is_done_when_a_watched_key_has_changed(proxy: ShoalProxy, client: Resp) -> None:
    with proxy.resp() as rival:
        client.command("WATCH", A)
        client.command("MULTI")
        for key in (B, A, C):
            client.command("SET", key, "mine")
        rival.command("SET", A, "theirs")
        assert client.command("EXEC") == NULL_ARRAY
        assert rival.command("MGET", A, B, C) == [b"theirs", NULL_BULK, NULL_BULK]
    assert proxy.facts()["dedicated_connections"] == "0"


def test_a_part_may_be_refused(cluster: RunningCluster, client: Resp) -> None:
    """A worker without memory: its part fails, with the reason in its places; if all do, so does EXEC."""

    def transaction(*keys: str) -> object:
        client.command("MULTI")
        for key in keys:
            client.command("SET", key, 1)
        client.command("MGET", *keys)
        return client.command("EXEC")

    full = cluster.owner_of(B)
    full.run("CONFIG", "SET", "maxmemory", "1")
    try:
        first, refused, third, all_of_them = transaction(A, B, C)
        assert (first, third) == (OK, OK)
        for each in (refused, all_of_them):
            assert isinstance(each, Error) and each.text.startswith(
                "EXECABORT Transaction discarded because of: OOM"
            )
        assert client.command("MGET", A, B, C) == [b"1", NULL_BULK, b"1"]
        for node in cluster.nodes:
            node.run("CONFIG", "SET", "maxmemory", "1")
        refused = transaction(A, B, C)
        assert isinstance(refused, Error) and "OOM" in refused.text
    finally:
        for node in cluster.nodes:
            node.run("CONFIG", "SET", "maxmemory", "0")


def test_slots_that_move_and_connections_that_break(cluster: RunningCluster, client: Resp) -> None:
    """A part is sent on where its slot has gone."""
    source, target = cluster.owner_of(A), cluster.owner_of(B)
    slot = 15495
    for node in cluster.nodes:
        node.run("CLUSTER", "SETSLOT", slot, "NODE", cluster.id_of(target))
    try:
        client.send(encode("MULTI") + b"".join(encode("INCR", key) for key in (A, B, C)) + encode("EXEC"))
        assert [client.read() for _ in range(5)][-1] == [1, 1, 1]
        assert target.run("GET", A) == b"1"
    finally:
        target.run("DEL", A)
        for node in cluster.nodes:
            node.run("CLUSTER", "SETSLOT", slot, "NODE", cluster.id_of(source))


def test_what_caches_do(proxy: ShoalProxy) -> None:
    """As Django's set_many, and who enqueues a job: redis-py's pipelines with plain keys."""
    with redis.Redis(proxy.host, proxy.port) as plain:
        values = {f"cache:{number}": number for number in range(50)}
        with plain.pipeline() as pipeline:
            pipeline.mset(values)
            for key in values:
                pipeline.expire(key, 100)
            assert pipeline.execute() == [True] * 51
        assert [int(value) for value in plain.mget(values)] == list(values.values())
        with plain.pipeline() as pipeline:
            pipeline.watch("rq:queue")
            pipeline.multi()
            pipeline.hset("rq:job:1", mapping={"status": "queued"})
            pipeline.rpush("rq:queue", 1)
            pipeline.sadd("rq:queues", "rq:queue")
            assert pipeline.execute() == [1, 1, 1]
