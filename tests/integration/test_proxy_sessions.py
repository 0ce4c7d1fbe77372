"""Transactions and blocking commands through the proxy: as on one server, and nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import NULL, NULL_ARRAY, NULL_BULK, Error, Resp, Simple, encode
from tests.harness.servers import Oracle, ShoalNode
from tests.harness.wait import eventually

OK, QUEUED = Simple("OK"), Simple("QUEUED")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, kind=["valkey", "shoal"]) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(cluster: RunningCluster) -> Iterator[ShoalProxy]:
    with ShoalProxy(cluster.addresses[:1], "--resend", "reads") as running:
        yield running


@pytest.fixture
def client(proxy: ShoalProxy) -> Iterator[Resp]:
    with proxy.resp() as connection:
        connection.command("FLUSHALL")
        yield connection


def lent(proxy: ShoalProxy) -> int:
    return int(proxy.facts()["dedicated_connections"])


def blocked_at(cluster: RunningCluster) -> int:
    return sum(int(node.info("clients")["blocked_clients"]) for node in cluster.nodes)


SCRIPT = """
MULTI|SET a 1|INCR a|PING|LPUSH a x|EXEC|GET a
MULTI|SET a 1|NONSENSE|GET|EXEC|GET a
MULTI|MULTI|EXEC|EXEC|DISCARD
MULTI|WATCH a|EXEC
MULTI|SET a 5|DISCARD|GET a|EXEC
WATCH a|SET a 2|MULTI|GET a|EXEC|MULTI|GET a|EXEC
WATCH a|UNWATCH|SET a 3|MULTI|GET a|EXEC
WATCH a|MULTI|DISCARD|SET a 4|MULTI|GET a|EXEC
WATCH a|WATCH {a}b a|SET {a}b 4|MULTI|EXEC|MULTI|EXEC|UNWATCH
WATCH a|MULTI|NONSENSE|EXEC|SET a 6|MULTI|ECHO x|EXEC
MULTI|BLPOP list 0|RPUSH list x y|BLPOP list 0|EXEC|LRANGE list 0 -1
MULTI|SET a x|RESET|EXEC|GET a
MULTI|EVAL "return {KEYS[1],ARGV[1]}" 1 a b|EVAL "return 1" 0|ECHO x|SELECT 0|EXEC
BLPOP list 0|BRPOP none 0.01|BLPOP list notanumber|BLPOP list -1|BLPOP list
BLMOVE none none left right 0.01|BRPOPLPUSH none none 0.01|BLMPOP 0.01 1 none LEFT|BZPOPMIN none 0.01
ZADD z 1 a 2 b 3 c|BZPOPMIN z 0|BZPOPMAX z 0|BZMPOP 0 1 z MIN|BZMPOP 0.01 1 z MIN|BLPOP a 0
XADD s 1-1 f v|XREAD BLOCK 0 STREAMS s 0|XREAD BLOCK 10 STREAMS s $|XREAD COUNT 1 BLOCK 10 STREAMS s x
XGROUP CREATE s g $|XREADGROUP GROUP g me BLOCK 10 STREAMS s >|XREADGROUP GROUP no me BLOCK 10 STREAMS s >
WAIT 0 0|WAIT 1 10|WAITAOF 0 0 10|WAIT x 0|WAIT 0 -1
CLIENT UNBLOCK 999999|CLIENT UNBLOCK x|CLIENT UNBLOCK 1 NONSENSE
SELECT 0|SELECT 1x|MULTI|QUIT
"""


def conversation(connection: Resp) -> list[bytes | str]:
    """What each line of SCRIPT is answered with, in raw bytes."""
    answers: list[bytes | str] = []
    for line in SCRIPT.strip().replace("\n", "|").split("|"):
        connection.send(line.encode() + b"\r\n")
        answers += [line, connection.read_raw()]
    return answers


@pytest.fixture(scope="module")
def direct() -> dict[int, list[bytes | str]]:
    """The conversation with one server, by protocol; our worker and Redis agree on it."""
    told: dict[int, list[bytes | str]] = {}
    with ShoalNode() as worker, Oracle("redis") as oracle:
        for protocol in (2, 3):
            with worker.resp(protocol) as ours, oracle.resp(protocol) as theirs:
                told[protocol] = conversation(ours)
                assert told[protocol] == conversation(theirs)
            worker.run("FLUSHALL")
            oracle.run("FLUSHALL")
    return told


@pytest.mark.parametrize("protocol", [2, 3])
def test_conversation_is_that_of_one_server(
    proxy: ShoalProxy, client: Resp, direct: dict[int, list[bytes | str]], protocol: int
) -> None:
    with proxy.resp(protocol) as through_proxy:
        assert conversation(through_proxy) == direct[protocol]
    assert lent(proxy) == 0


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_transactions(proxy: ShoalProxy, client: Resp, protocol: int) -> None:
    with proxy.client(protocol=protocol, decode_responses=True) as plain:
        with plain.pipeline() as pipe:
            assert pipe.set("{x}a", 1).incr("{x}a").get("{x}a").execute() == [True, 2, "2"]
            pipe.watch("{x}a")
            plain.set("{x}a", 7)
            pipe.multi()
            with pytest.raises(redis.WatchError):
                pipe.incr("{x}a").execute()
        threads = [threading.Thread(target=count_up, args=(proxy,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert plain.get("counter") == "40"
        with pytest.raises(redis.ResponseError, match="hash to the same slot"):
            plain.pipeline().set("a", 1).set("b", 2).execute()
    assert lent(proxy) == 0


def count_up(proxy: ShoalProxy) -> None:
    """Ten increments by GET and SET, which only WATCH makes right."""
    with proxy.client() as mine:
        for _ in range(10):
            mine.transaction(
                lambda pipe: (
                    value := int(pipe.get("counter") or 0),
                    pipe.multi(),
                    pipe.set("counter", value + 1),
                ),
                "counter",
            )


def test_keys_of_two_slots_spoil_a_transaction(client: Resp) -> None:
    crossed = Error("CROSSSLOT Keys in request don't hash to the same slot")
    spoiled = Error("EXECABORT Transaction discarded because of previous errors.")
    assert client.pipeline(("MULTI",), ("SET", "a", 1), ("SET", "b", 1), ("EXEC",)) == [
        OK,
        QUEUED,
        crossed,
        spoiled,
    ]
    assert client.pipeline(("WATCH", "a"), ("WATCH", "b"), ("MULTI",), ("GET", "b"), ("EXEC",)) == [
        OK, crossed, OK, crossed, spoiled,
    ]  # fmt: skip
    assert client.pipeline(("MGET", "a", "b"), ("MULTI",), ("MGET", "a", "b")) == [
        [NULL_BULK] * 2,
        OK,
        crossed,
    ]


def test_what_concerns_all_shards_is_no_part_of_a_transaction(client: Resp) -> None:
    for argv in (("FLUSHALL",), ("DBSIZE",), ("SCAN", "0"), ("WAIT", "0", "0")):
        (_, refused, spoiled) = client.pipeline(("MULTI",), argv, ("EXEC",))
        assert refused == Error(f"ERR {argv[0]} is not supported inside a transaction through the proxy")
        assert spoiled.prefix == "EXECABORT"
    assert (
        client.pipeline(("MULTI",), ("HELLO", 3), ("EXEC",))[1].text
        == "ERR Command not allowed inside a transaction"
    )


def test_what_the_worker_refuses_while_queueing_is_told_by_exec(
    cluster: RunningCluster, client: Resp
) -> None:
    owner = cluster.owner_of("a")
    owner.run("CONFIG", "SET", "maxmemory", 1)
    try:
        replies = client.pipeline(("MULTI",), ("SET", "a", 1), ("EXEC",), ("GET", "a"))
    finally:
        owner.run("CONFIG", "SET", "maxmemory", 0)
    assert replies[:2] == [OK, QUEUED]
    assert replies[2].text.startswith("EXECABORT Transaction discarded because of: OOM command not allowed")
    assert replies[3] == NULL_BULK


def test_order_within_a_pipeline(client: Resp) -> None:
    """States begin when all earlier requests are done, and what follows waits for them."""
    pipeline = [
        ("SET", "p", 1), ("RPUSH", "q", "x"), ("WATCH", "p"), ("MULTI",), ("INCR", "p"), ("EXEC",),
        ("GET", "p"), ("BLPOP", "q", 0), ("LLEN", "q"), ("BLPOP", "q", "0.01"), ("INCR", "p"), ("MULTI",),
        ("GET", "p"), ("EXEC",),
        ("HELLO", 3), ("BLPOP", "q", "0.01"), ("MULTI",), ("GET", "q"), ("EXEC",),
    ]  # fmt: skip
    replies = client.pipeline(*pipeline)
    assert replies[:14] == [
        OK, 1, OK, OK, QUEUED, [2], b"2", [b"q", b"x"], 0, NULL_ARRAY, 3, OK, QUEUED, [b"3"],
    ]  # fmt: skip
    assert replies[15:] == [NULL, OK, QUEUED, [NULL]]


def test_replies_switched_off(client: Resp) -> None:
    client.send(encode("CLIENT", "REPLY", "OFF") + encode("MULTI") + encode("SET", "a", 1) + encode("EXEC"))
    client.send(encode("BLPOP", "none", "0.01") + encode("CLIENT", "REPLY", "ON") + encode("GET", "a"))
    assert [client.read(), client.read()] == [OK, b"1"]
    client.send(
        encode("GET", "a")
        + encode("CLIENT", "REPLY", "SKIP")
        + encode("BLPOP", "none", "0.01")
        + encode("GET", "a")
    )
    assert [client.read(), client.read()] == [b"1", b"1"]


def test_blocked_client_gets_what_comes(cluster: RunningCluster, proxy: ShoalProxy, client: Resp) -> None:
    with proxy.resp() as other, proxy.resp(protocol=3) as third:
        client.send(encode("BLPOP", "queue", 0) + encode("ECHO", "after"))
        third.send_command("BZPOPMIN", "ranks", 0)
        eventually(lambda: blocked_at(cluster) == 2, "both wait")
        assert lent(proxy) == 2
        assert other.command("RPUSH", "queue", "token") == 1
        assert [client.read(), client.read()] == [[b"queue", b"token"], b"after"]
        assert other.command("ZADD", "ranks", 1, "first") == 1
        assert third.read()[1] == b"first"
    assert lent(proxy) == 0


@pytest.mark.parametrize("behind", [b"", encode("SET", "never", 1) * 3])
def test_blocked_client_that_leaves_takes_nothing(
    cluster: RunningCluster, proxy: ShoalProxy, client: Resp, behind: bytes
) -> None:
    with proxy.resp() as leaver:
        leaver.send(encode("BLPOP", "queue", 0) + behind)
        eventually(lambda: blocked_at(cluster) == 1, "it waits")
    eventually(lambda: blocked_at(cluster) == 0, "the worker has forgotten it")
    assert client.command("RPUSH", "queue", "token") == 1
    assert client.pipeline(("LLEN", "queue"), ("EXISTS", "never")) == [1, 0]
    assert lent(proxy) == 0


def test_client_unblock_and_kill(cluster: RunningCluster, proxy: ShoalProxy, client: Resp) -> None:
    with proxy.resp() as waiting:
        number = waiting.command("CLIENT", "ID")
        assert client.command("CLIENT", "UNBLOCK", number) == 0
        for how, answer in [
            ("TIMEOUT", NULL_ARRAY),
            ("ERROR", Error("UNBLOCKED client unblocked via CLIENT UNBLOCK")),
        ]:
            waiting.send_command("BLPOP", "queue", 0)
            eventually(lambda: blocked_at(cluster) == 1, "it waits")
            assert client.command("CLIENT", "UNBLOCK", number, how) == 1
            assert waiting.read() == answer
        waiting.send_command("BLPOP", "queue", 0)
        eventually(lambda: blocked_at(cluster) == 1, "it waits")
        assert client.command("CLIENT", "KILL", "ID", number) == 1
        eventually(lambda: blocked_at(cluster) == 0, "the worker has forgotten it")


def test_an_unblock_that_overtakes_its_command(
    cluster: RunningCluster, proxy: ShoalProxy, client: Resp
) -> None:
    """They come to the worker by two connections; here it takes the command a while later."""
    owner = next(node for node in cluster.nodes if isinstance(node.run("LLEN", "list"), int))
    with proxy.resp(timeout=10) as other:
        number = other.command("CLIENT", "ID")
        owner.run("CLIENT", "PAUSE", 300, "WRITE")
        other.send_command("BLPOP", "list", 0)
        eventually(lambda: client.command("CLIENT", "UNBLOCK", number) == 1, "there is something to unblock")
        assert other.read() == NULL_ARRAY


def test_watching_client_that_leaves_gives_its_connection_back(proxy: ShoalProxy, client: Resp) -> None:
    for _ in range(3):
        with proxy.resp() as leaver:
            assert leaver.pipeline(("WATCH", "a"), ("MULTI",), ("SET", "a", 1)) == [OK, OK, QUEUED]
            assert lent(proxy) == 1
        eventually(lambda: lent(proxy) == 0, "the connection is given back")
    assert int(proxy.facts()["dedicated_connections_idle"]) <= 32


def test_lost_connections(cluster: RunningCluster, proxy: ShoalProxy, client: Resp) -> None:
    """A watch whose worker hung up counts as touched; a command that may have taken something as failed."""
    worker = cluster.owner_of("a")
    with proxy.resp() as waiting:
        assert client.command("WATCH", "a") == OK
        waiting.send_command("BLPOP", "a", 0)
        eventually(lambda: blocked_at(cluster) == 1, "it waits")
        worker.run("CLIENT", "KILL", "TYPE", "normal")
        assert waiting.read() == Error(f"ERR upstream connection lost: {worker.address}")
        eventually(lambda: isinstance(client.command("SET", "a", 1), Simple), "connected again")
        assert client.pipeline(("MULTI",), ("GET", "a"), ("EXEC",)) == [OK, QUEUED, NULL_ARRAY]
        assert client.pipeline(("MULTI",), ("GET", "a"), ("EXEC",)) == [OK, QUEUED, [b"1"]]
        waiting.send_command("XREAD", "BLOCK", 0, "STREAMS", "a{a}", "$")
        eventually(lambda: blocked_at(cluster) == 1, "it waits")
        worker.run("CLIENT", "KILL", "TYPE", "normal")
        eventually(lambda: blocked_at(cluster) == 1, "it waits again")
    assert lent(proxy) == 0
