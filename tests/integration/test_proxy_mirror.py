"""A proxy's mirror, a server alone or a cluster: it has the same afterwards, and never stands in the way."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any
from urllib.request import urlopen

import psutil
import pytest
import redis

from tests.harness.busy import busy
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.ports import lease_port, release_port
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Resp, Simple, encode
from tests.harness.servers import Server, server
from tests.harness.wait import eventually


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, kind="valkey") as running:
        yield running


@pytest.fixture(scope="module")
def alone() -> Iterator[Server]:
    with server("valkey") as running:
        yield running


@pytest.fixture(scope="module")
def other_cluster() -> Iterator[RunningCluster]:
    with cluster_of(3) as running:
        yield running


@pytest.fixture
def metrics_port() -> Iterator[int]:
    port = lease_port()
    yield port
    release_port(port)


def mirrored(cluster: RunningCluster, seed: str, *options: str) -> ShoalProxy:
    return ShoalProxy(cluster.addresses[:1], "--mirror", seed, "--cross-slot", "all", *options)


def counts(proxy: ShoalProxy) -> dict[str, int]:
    return {name[7:]: int(value) for name, value in proxy.facts().items() if name in COUNTS}


COUNTS = [
    f"mirror_{each}" for each in ("sent", "dropped", "failed", "compared", "differing", "waiting_bytes")
]


def settled(proxy: ShoalProxy) -> dict[str, int]:
    """When the mirror has answered all."""
    eventually(lambda: counts(proxy)["waiting_bytes"] == 0, lambda: str(proxy.facts()))
    return counts(proxy)


def content(*nodes: Server) -> dict[bytes, Any]:
    found: dict[bytes, Any] = {}
    for node in nodes:
        with node.client() as client:
            for key in client.scan_iter(count=1000):
                found[key] = value_of(client, key), client.ttl(key) > 0
    return found


def value_of(client: redis.Redis, key: bytes) -> Any:
    match client.type(key):
        case b"string":
            return client.get(key)
        case b"list":
            return client.lrange(key, 0, -1)
        case b"set":
            return client.smembers(key)
        case b"zset":
            return client.zrange(key, 0, -1, withscores=True)
        case b"hash":
            return client.hgetall(key)
        case b"stream":
            return client.xrange(key)
    raise AssertionError("a type that this test does not write")


def writes(rng: random.Random, name: str) -> list[list[Any]]:
    """Some requests of all kinds that write, and read, on keys of one client."""
    keys = [f"{name}:{number}" for number in range(8)]
    key, other = rng.sample(keys, 2)
    return [
        ["SET", key, rng.random(), "EX", 1000],
        ["GET", key],
        ["MSET", *(word for each in keys for word in (f"m{each}", rng.random()))],
        ["MGET", *(f"m{each}" for each in keys)],
        ["INCRBY", f"n{key}", rng.randrange(9)],
        ["RPUSH", f"l{key}", 1, 2, 3],
        ["LPOP", f"l{key}"],
        ["BLPOP", f"l{key}", 1],
        ["SADD", f"s{key}", *range(10)],
        ["SPOP", f"s{key}", 3],
        ["SMEMBERS", f"s{key}"],
        ["XADD", f"x{key}", "NOMKSTREAM" if rng.random() < 0.2 else "MAXLEN", 5, "*", "field", 1]
        if rng.random() < 0.8
        else ["XADD", f"x{key}", "*", "field", 2],
        ["HSET", f"h{key}", "a", rng.random(), "b", 2],
        ["HGETALL", f"h{key}"],
        ["ZINCRBY", f"z{key}", rng.random(), "m"],
        ["ZRANGE", f"z{key}", 0, -1, "WITHSCORES"],
        ["LPUSH", key, "wrong type"],
        ["DEL", f"n{key}", f"n{other}"],
        ["EVAL", "redis.call('INCR', KEYS[1]) return redis.call('LPUSH', KEYS[2], 1)", 2,
         f"{{{key}}}c", f"{{{key}}}d"],
        ["EVAL", "redis.call('INCR', KEYS[1]) return redis.call('LPUSH', KEYS[1], 1)", 1, f"{{{key}}}c"],
        ["MULTI"], ["SET", f"{{{key}}}t", rng.random()], ["XADD", f"{{{key}}}u", "*", "f", 1], ["EXEC"],
        ["WATCH", f"{{{key}}}t"], ["MULTI"], ["APPEND", f"{{{key}}}t", "x"], ["EXEC"],
        ["MULTI"], ["SET", f"{{{key}}}t", "discarded"], ["DISCARD"],
        ["SUNIONSTORE", f"u{key}", f"s{key}", f"s{other}"],
        ["RENAME", f"m{key}", f"r{other}"],
        ["EXPIRE", f"z{key}", 1000],
        ["UNLINK", f"x{other}"],
    ]  # fmt: skip


def talk(proxy: ShoalProxy, names: Sequence[str], rng: random.Random, rounds: int) -> None:
    """Clients of both protocols at once, each with keys of its own, and requests in flight."""
    with ExitStack() as stack:
        clients: list[Resp] = []
        for name in names:
            clients.append(stack.enter_context(proxy.resp(timeout=20)))
            clients[-1].command("HELLO", 2 + len(clients) % 2)
            clients[-1].command("CLIENT", "SETNAME", name)
        for _ in range(rounds):
            sent = [writes(rng, name) for name in names]
            for client, requests in zip(clients, sent, strict=True):
                client.send(b"".join(encode(*words) for words in requests))
            for client, requests in zip(clients, sent, strict=True):
                for _ in requests:
                    client.read()


@pytest.mark.parametrize("kind", ["alone", "cluster"])
def test_it_has_the_same_in_the_end(
    kind: str, cluster: RunningCluster, alone: Server, other_cluster: RunningCluster, metrics_port: int
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    mirror = [alone] if kind == "alone" else other_cluster.nodes
    compare = ("--mirror-reads", "100", "--mirror-compare", "--metrics-port", str(metrics_port))
    with mirrored(cluster, mirror[0].address, *compare) as proxy:
        proxy.run("SET", "before", 1)
        with proxy.resp(timeout=20) as client:  # nothing of it is overtaken
            client.send(encode("SET", "before", 2) + encode("FLUSHALL") + encode("SET", "after", 1))
            assert [client.read() for _ in range(3)] == [Simple("OK")] * 3
            script = client.command("SCRIPT", "LOAD", "return redis.call('SET', KEYS[1], ARGV[1])")
            assert client.command("EVALSHA", script, 1, "by script", 1) == Simple("OK")
        with proxy.resp(timeout=20) as waiter, proxy.resp() as pusher:
            for number in range(50):  # a push and the pop that it wakes are answered at the same time
                waiter.send(encode("BLMOVE", "{q}ueue", "{q}done", "LEFT", "LEFT", 0))
                pusher.send(encode("RPUSH", "{q}ueue", number))
                waiter.read()
                pusher.read()
        talk(proxy, ["a", "b", "c", "d"], random.Random(seed), rounds=10)
        result = settled(proxy)
        assert result["sent"] > 500
        assert (result["dropped"], result["failed"]) == (0, 0), proxy.log
        assert result["compared"] > 100
        assert result["differing"] == 0, proxy.facts()["mirror_last_difference"]
        with urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=10) as page:
            assert f"shoal_proxy_mirror_requests_total {result['sent']}.0\n" in page.read().decode()
        expected = content(*cluster.nodes)
        assert len(expected) > 50
        assert content(*mirror) == expected


def test_nobody_waits_for_it(cluster: RunningCluster, alone: Server) -> None:
    """It stands still: what is sent to it is bounded, and it gets what there is room for when it goes on."""
    bound = ("--mirror-memory", "1mb")
    with mirrored(cluster, alone.address, *bound) as proxy, proxy.resp(timeout=20) as client:
        client.command("FLUSHALL")
        client.command("SET", "first", 1)
        settled(proxy)
        alone.pause()
        try:
            for number in range(40):
                assert client.command("SET", f"k{number}", "x" * 50_000) == Simple("OK")
            state = counts(proxy)
            assert 900_000 < state["waiting_bytes"] <= 1 << 20
            assert state["dropped"] > 15
        finally:
            alone.resume()
        settled(proxy)
        kept = {b"k%d" % number for number in range(40 - state["dropped"])}
        assert content(alone).keys() == {b"first"} | kept


def test_it_is_found_again(cluster: RunningCluster) -> None:
    with server("valkey") as mirror, mirrored(cluster, mirror.address) as proxy:
        with proxy.client() as client, busy(lambda: client.incr("c")):
            eventually(lambda: counts(proxy)["sent"] > 10, "it gets something")
            mirror.kill()
            before = int(client.get("c"))
            eventually(lambda: int(client.get("c")) > before + 100, "clients go on")
            mirror.start()
            eventually(lambda: settled(proxy) and content(mirror), "it gets something again")
        state = settled(proxy)
        assert state["dropped"] == 0
        with mirror.client() as direct:  # it has lost what it had, and perhaps what was on its way
            assert before - int(client.get("c")) <= int(direct.get("c")) <= int(client.get("c"))


def test_a_share_of_the_slots(cluster: RunningCluster, alone: Server) -> None:
    options = ("--mirror-percent", "25", "--mirror-reads", "10", "--mirror-compare")
    with mirrored(cluster, alone.address, *options) as proxy, proxy.client() as client:
        client.flushall()
        keys = [f"k{number}" for number in range(400)]
        for key in keys:
            client.set(key, 1)
        assert settled(proxy)["sent"] == len(content(alone)) + 1
        assert 60 < len(content(alone)) < 140
        with alone.client() as direct:
            direct.flushall()
        for key in keys:
            client.get(key)
        state = settled(proxy)
        assert 20 < state["differing"] < 70
        assert state["failed"] == 0
        assert proxy.facts()["mirror_last_difference"].startswith("cmd=get,key=k")


def reload(proxy: ShoalProxy) -> None:
    """Returns when the former processes have ended."""
    replaced = proxy.log.count("new processes serve")
    former = psutil.Process(proxy.pid).children()
    os.kill(proxy.pid, signal.SIGHUP)
    eventually(
        lambda: proxy.log.count("new processes serve") > replaced, "the new processes serve", timeout=30
    )
    eventually(lambda: not any(each.is_running() for each in former), "the former ones end", timeout=30)


class Writer:
    """Counts up keys of its own, a few requests at a time."""

    def __init__(self, proxy: ShoalProxy, name: str) -> None:
        self.name = name
        self.client = proxy.resp(timeout=20)
        self.acknowledged = 0

    def write(self) -> None:
        numbers = range(self.acknowledged, self.acknowledged + 5)
        self.client.send(b"".join(encode("SET", f"{self.name}{number % 3}", number) for number in numbers))
        for _ in numbers:
            assert self.client.read() == Simple("OK")
            self.acknowledged += 1


def test_reloads_lose_nothing_of_it(cluster: RunningCluster, alone: Server) -> None:
    """Clients move to other processes while they write, and the mirror gets all of it, in order."""
    with mirrored(cluster, alone.address, "--processes", "2") as proxy, ExitStack() as stack:
        proxy.run("FLUSHALL")
        writers = [Writer(proxy, f"w{number}:") for number in range(4)]
        for writer in writers:
            stack.enter_context(busy(writer.write))
        for _ in range(2):
            reload(proxy)
        stack.close()
        for writer in writers:
            writer.client.close()
        state = settled(proxy)
        assert state["sent"] == sum(writer.acknowledged for writer in writers) + 1
        assert (state["dropped"], state["failed"]) == (0, 0)
        assert content(alone) == content(*cluster.nodes)


def test_what_a_reload_leaves_out_is_counted(cluster: RunningCluster, alone: Server) -> None:
    options = ("--processes", "1", "--drain-timeout", "500")
    with mirrored(cluster, alone.address, *options) as proxy, proxy.resp(timeout=20) as client:
        client.command("FLUSHALL")
        settled(proxy)
        alone.pause()
        try:
            client.send(b"".join(encode("SET", f"k{number}", 1) for number in range(100)))
            assert [client.read() for _ in range(100)] == [Simple("OK")] * 100
            client.send(encode("MULTI") + encode("SET", "t", 1) + encode("EXEC"))
            assert [client.read() for _ in range(3)][2] == [Simple("OK")]
            assert counts(proxy)["sent"] == 102
            reload(proxy)
            assert counts(proxy) | {"waiting_bytes": 0} == {
                "sent": 102, "dropped": 101, "failed": 0, "compared": 0, "differing": 0, "waiting_bytes": 0,
            }  # fmt: skip
        finally:
            alone.resume()
        client.command("SET", "later", 1)
        assert settled(proxy)["sent"] == 103
        assert b"later" in content(alone)
