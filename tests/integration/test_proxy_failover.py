"""Primaries are killed behind the proxy, and its clients see no error: their requests wait.

One kill in the usual run; with SHOAL_FULL=1 twenty are killed and twenty stopped.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Error, Simple, encode
from tests.harness.servers import Server
from tests.harness.wait import eventually

ROUNDS = 40 if os.environ.get("SHOAL_FULL") else 1


@pytest.fixture(scope="module")
def formed() -> Iterator[RunningCluster]:
    with cluster_of(3, replicas=1, kind=["shoal", "shoal", "valkey"], node_timeout=1000) as running:
        yield running


@pytest.fixture
def cluster(formed: RunningCluster) -> RunningCluster:
    for node in formed.nodes:
        if not node.running:
            node.start()
    formed.wait_settled()
    return formed


@contextmanager
def at_work(*rounds: Callable[[int], object]) -> Iterator[list[int]]:
    """Each function is called again and again, by a thread of its own; the list tells how often. An exception
    in one of them fails the test."""
    done = [0] * len(rounds)
    problems: list[BaseException] = []
    stop = threading.Event()

    def work(index: int) -> None:
        try:
            while not stop.is_set():
                rounds[index](done[index])
                done[index] += 1
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(rounds))]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not problems


def goes_on(done: list[int], rounds: int = 20) -> Callable[[], bool]:
    goal = [count + rounds for count in done]
    return lambda: all(count >= wanted for count, wanted in zip(done, goal, strict=True))


def serves(cluster: RunningCluster, node: Server) -> bool:
    """Whether the others still think that it does."""
    observer = next(each for each in cluster.nodes if each is not node)
    return bool(cluster.line_of(node, seen_by=observer).slots)


@pytest.mark.timeout(120 + 30 * ROUNDS)
def test_no_client_sees_that_primaries_are_killed(cluster: RunningCluster) -> None:
    with ShoalProxy(cluster.addresses) as proxy:
        raw, lone = proxy.resp(timeout=30), proxy.resp(timeout=30)
        writer = proxy.client(socket_timeout=30, retry=None)
        counter = proxy.client(socket_timeout=30, retry=None, protocol=3)
        scanner = proxy.client(socket_timeout=30, retry=None)
        writer.mset({f"stays{number}": "x" for number in range(60)})

        def many_at_once(turn: int) -> None:
            keys = [f"p{number}" for number in range(30)]
            raw.send(b"".join(encode("SET", key, turn) for key in keys) + encode("MGET", *keys))
            assert all(raw.read() == Simple("OK") for _ in keys)
            assert len(raw.read()) == len(keys)

        def split(turn: int) -> None:
            assert lone.command("MSET", *(word for number in range(9) for word in (f"m{number}", turn))) == (
                Simple("OK")
            )
            assert isinstance(lone.command("DBSIZE"), int)

        def walk(turn: int) -> None:
            assert len({key for key in scanner.scan_iter("stays*", count=20)}) == 60

        with at_work(
            lambda turn: writer.set(f"w{turn % 100}", turn),
            lambda turn: counter.incr(f"c{turn % 10}"),
            many_at_once,
            split,
            walk,
        ) as done:
            for kill in range(ROUNDS):
                eventually(goes_on(done), "clients at work", timeout=30)
                victim = cluster.primaries[kill % 3]
                if kill % 2:
                    victim.pause()  # it keeps its connections, and just says nothing
                    eventually(lambda gone=victim: not serves(cluster, gone), "it is replaced", timeout=30)
                    eventually(goes_on(done), lambda: f"clients at work again: {done}", timeout=30)
                    victim.resume()
                else:
                    victim.kill()
                    eventually(goes_on(done), lambda: f"clients at work again: {done}", timeout=30)
                    victim.start()
                cluster.wait_settled()


def test_what_waits_is_bounded_in_time_and_memory(cluster: RunningCluster) -> None:
    victim = cluster.owner_of("a")
    for replica in cluster.replicas_of(victim):
        replica.pause()
    try:
        options = ("--failover-wait", "1500", "--failover-queue", "100000")
        with ShoalProxy(cluster.addresses, *options) as proxy, proxy.resp(timeout=20) as client:
            assert client.command("SET", "a", "1") == Simple("OK")
            victim.kill()
            begun = time.monotonic()
            client.send(b"".join(encode("SET", "a", "x" * length) for length in (90_000, 20_000)))
            first, second = client.read(), client.read()
            assert isinstance(first, Error)
            assert first.text.startswith(f"CLUSTERDOWN upstream {victim.address} ")
            assert 1.4 < time.monotonic() - begun < 5
            assert second == Error("CLUSTERDOWN too many requests wait for a worker")
            begun = time.monotonic()
            assert isinstance(client.command("GET", "a"), Error)  # refused at once by now
            assert time.monotonic() - begun < 0.5
    finally:
        for node in cluster.nodes:
            if node is not victim and node.running:
                node.resume()


def test_writes_whose_fate_is_unknown_can_be_left_alone(cluster: RunningCluster) -> None:
    victim = cluster.owner_of("a")
    with ShoalProxy(cluster.addresses, "--resend", "reads") as proxy, proxy.resp(timeout=30) as client:
        assert client.command("SET", "a", "1") == Simple("OK")
        assert client.command("WAIT", "1", "5000") in (0, 1)
        victim.pause()
        client.send(encode("INCR", "a") + encode("GET", "a"))
        assert client.silent()
        victim.kill()
        assert client.read() == Error(f"ERR upstream connection lost: {victim.address}")
        assert client.read() == b"1"
        assert client.command("INCR", "a") == 2
    victim.start()
    cluster.wait_settled()
