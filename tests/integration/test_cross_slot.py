"""What `--cross-slot` allows and refuses, and that nothing is lost or left behind.

That replies are those of one server is compared in tests/compat/test_through_proxy.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Thread

import pytest

from node.core.key_slot import key_slot
from proxy.requests.cross_slot import SCRIPT
from tests.harness.busy import busy
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import NULL_BULK, Error, Simple
from tests.harness.wait import eventually

CROSSSLOT = Error("CROSSSLOT Keys in request don't hash to the same slot")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, kind=["valkey", "shoal"]) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(cluster: RunningCluster) -> Iterator[ShoalProxy]:
    with ShoalProxy(cluster.addresses, "--cross-slot", "all", "--cross-slot-memory", "1000000") as running:
        yield running


@pytest.fixture(autouse=True)
def empty(proxy: ShoalProxy) -> None:
    proxy.run("FLUSHALL")


def test_what_is_refused_unless_allowed(cluster: RunningCluster, proxy: ShoalProxy) -> None:
    read, write = ("SINTER", "a", "b"), ("SINTERSTORE", "c", "a", "b")
    proxy.run("SADD", "a", 1, 2)
    proxy.run("SADD", "b", 2, 3)
    assert (proxy.run(*read), proxy.run(*write)) == ([b"2"], 1)
    for refused in [
        ("MSETNX", "a", 1, "b", 2),
        ("LMPOP", 2, "a", "b", "LEFT"),
        ("EVAL_RO", "return 1", 2, "a", "b"),
        ("BLMOVE", "l", "m", "LEFT", "LEFT", 1),
    ]:
        assert proxy.run(*refused) == CROSSSLOT
    with ShoalProxy(cluster.addresses, "--cross-slot", "reads") as reads:
        assert (reads.run(*read), reads.run(*write)) == ([b"2"], CROSSSLOT)
        assert reads.run("RENAME", "a", "b") == CROSSSLOT
        assert reads.run("SORT", "a", "BY", "w_*", "GET", "#") == [b"1", b"2"]
        assert reads.run("SORT", "a", "BY", "w_*", "STORE", "b") == CROSSSLOT
    with proxy.resp() as client:
        assert client.command("MULTI") == Simple("OK")
        assert client.command("SADD", "a", 1) == Simple("QUEUED")
        assert client.command("SINTER", "a", "b") == CROSSSLOT
    assert proxy.run("DBSIZE") == 3


def test_patterns_of_sort(proxy: ShoalProxy) -> None:
    """Those that a worker would take for its own slot's, and what makes no sense; see also tests/compat."""
    proxy.run("RPUSH", "a", 1, 2)
    proxy.run("SET", "{b}w1", 2)
    proxy.run("SET", "{b}w2", 1)
    assert proxy.run("SORT", "a", "BY", "{b}w*", "STORE", "b") == 2
    assert proxy.run("LRANGE", "b", 0, -1) == [b"2", b"1"]
    assert proxy.run("SORT", "a", "GET", "a", "STORE", "b") == 2
    assert proxy.run("LRANGE", "b", 0, -1) == [b"", b""]
    assert proxy.run("SORT", "a", "BY", "w*", "LIMIT", "x", 1) == Error(
        "ERR value is not an integer or out of range"
    )
    assert proxy.run("SORT", "a", "BY", "w*", "GET") == Error("ERR syntax error")


def test_memory_is_bounded(proxy: ShoalProxy) -> None:
    proxy.run("SET", "big", "x" * 1_200_000)
    proxy.run("SET", "small", "xyz")
    assert proxy.run("LCS", "big", "small", "LEN") == 1  # the big one stays where it is
    refused = proxy.run("BITOP", "NOT", "c", "big")
    assert isinstance(refused, Error) and "more than cross-slot-memory (1000000)" in str(refused)
    assert proxy.run("EXISTS", "c") == 0


def test_a_copy_that_cannot_be_made_changes_nothing(cluster: RunningCluster) -> None:
    for worker in cluster.nodes:
        tag = next(f"{{{n}}}" for n in range(1000) if cluster.owner_of(f"{{{n}}}") is worker)
        worker.run("SADD", tag + "kept", 1)
        good = worker.run("DUMP", tag + "kept")
        names = [tag + "one", tag + "two", tag + "kept"]
        words = [3, *names, 2, 0, good, 0, good[:-1] + b"?", "SINTERSTORE", names[2], names[0], names[1]]
        failed = worker.run("EVAL", SCRIPT, *words)
        assert isinstance(failed, Error) and "payload version or checksum" in str(failed)
        assert worker.run("EXISTS", *names) == 1
        words[words.index(good[:-1] + b"?")] = good
        words[words.index("SINTERSTORE")] = "ZINTERSTORE"  # whose second argument is no number
        assert isinstance(worker.run("EVAL", SCRIPT, *words), Error)
        assert worker.run("EXISTS", *names) == 1


def test_order_in_a_pipeline(proxy: ShoalProxy) -> None:
    with proxy.resp() as client:
        for number in range(50):
            replies = client.pipeline(
                ("SADD", "a", number), ("SADD", "b", number), ("SINTERSTORE", "c", "a", "b"), ("SCARD", "c"),
                ("SMOVE", "a", "d", number), ("SISMEMBER", "a", number), ("SISMEMBER", "d", number),
                ("RENAME", "d", "a"), ("SCARD", "a"), ("SUNIONSTORE", "a", "b"), ("SCARD", "a"),
            )  # fmt: skip
            have = number + 1
            assert replies == [1, 1, have, have, 1, 0, 1, Simple("OK"), 1, have, have]


def test_moves_under_others_lose_and_double_nothing(proxy: ShoalProxy) -> None:
    """Elements leave the list by LMOVE of three clients and by LPOP of a fourth."""
    proxy.run("RPUSH", "from", *range(400))
    popped: list[bytes] = []

    def move() -> None:
        with proxy.resp() as client:
            while (moved := client.command("LMOVE", "from", "to", "LEFT", "RIGHT")) != NULL_BULK:
                if isinstance(moved, Error):
                    assert "nothing was moved" in str(moved)

    def pop() -> None:
        with proxy.resp() as client:
            while (element := client.command("LPOP", "from")) != NULL_BULK:
                popped.append(element)
                time.sleep(0.001)  # so that the others get some, too

    threads = [Thread(target=task) for task in (move, move, move, pop)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    moved = proxy.run("LRANGE", "to", 0, -1)
    assert popped and moved
    assert sorted(map(int, [*popped, *moved])) == list(range(400))


def test_renaming_what_others_change(proxy: ShoalProxy) -> None:
    """What is added is in the one key or in the other, and the expiry comes along."""
    proxy.run("SADD", "a", "first")
    added = []

    def add() -> None:
        member = f"m{len(added)}"
        added.append(member)
        proxy.run("SADD", "a", member)

    with busy(add):
        for _ in range(10):
            eventually(lambda: proxy.run("EXISTS", "a"), "something to rename")
            assert proxy.run("EXPIRE", "a", 1000) == 1
            renamed = proxy.run("RENAME", "a", "b")
            assert renamed == Simple("OK") or "perhaps not removed" in str(renamed)
            assert 990 <= proxy.run("TTL", "b") <= 1000
            assert proxy.run("SUNIONSTORE", "all", "all", "b") > 0
    assert set(proxy.run("SUNION", "all", "a", "b")) == {b"first", *(member.encode() for member in added)}


def test_nothing_is_left_when_the_proxy_dies(cluster: RunningCluster, proxy: ShoalProxy) -> None:
    members = range(300)
    proxy.run("RPUSH", "from", *members)
    proxy.run("SADD", "a", *members)
    proxy.run("SADD", "b", *members)
    with (
        ShoalProxy(cluster.addresses, "--cross-slot", "all") as mortal,
        mortal.resp() as mover,
        mortal.resp() as reader,
    ):
        for _ in range(50):
            reader.send_command("SUNION", "a", "b")
            reader.send_command("SUNIONSTORE", "c", "a", "b")
            mover.send_command("LMOVE", "from", "to", "LEFT", "RIGHT")
        assert isinstance(mover.read(), bytes)
        mortal.kill()
    have = [*proxy.run("LRANGE", "from", 0, -1), *proxy.run("LRANGE", "to", 0, -1)]
    assert set(map(int, have)) == set(members)
    assert len(have) <= len(members) + 1  # what was between two keys is in both
    assert proxy.run("KEYS", "*copy*") == []


def test_slots_in_motion(cluster: RunningCluster, proxy: ShoalProxy) -> None:
    """The keys' slots are on their way: ASK is followed for copies, transactions and what is watched."""
    proxy.run("SADD", "a", 1, 2)
    proxy.run("SADD", "b", 2, 3)
    slot = key_slot(b"a")
    source = cluster.owner_of("a")
    target = next(node for node in cluster.primaries if node is not source)
    target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(source))
    source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id_of(target))
    try:
        assert source.run("MIGRATE", target.host, target.port, "a", 0, 5000) == Simple("OK")
        assert proxy.run("SINTER", "a", "b") == [b"2"]
        assert proxy.run("SINTERSTORE", "b", "a", "b") == 1
        assert proxy.run("SMOVE", "a", "b", 1) == 1
        assert proxy.run("RENAME", "a", "c") == Simple("OK")
    finally:
        for node in (source, target):
            node.run("CLUSTER", "SETSLOT", slot, "STABLE")
    assert proxy.run("EXISTS", "a") == 0
    assert [sorted(proxy.run("SMEMBERS", key)) for key in "bc"] == [[b"1", b"2"], [b"2"]]
