"""Reads of hot keys through the proxy, shared and cached: what they may return while others write.

One client writes versions of keys through one proxy and notes when each is acknowledged; others read through
another proxy. A strict read never returns less than what was acknowledged before it began, nor less than the
same client has read before. Any other one returns a version that was the last at most `--hot-cache-age`
before it began, whatever became of the lines on which the proxy is told of changes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.harness.busy import busy
from tests.harness.cutter import CLIENTS, Cutter
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Simple, encode
from tests.harness.servers import Server, server
from tests.harness.wait import eventually

OK = Simple("OK")
KEYS = ("a", "b")
AGE = 0.3
CLOCK = 0.005
"""Seconds by which clocks in whole milliseconds may be off"""


@pytest.fixture(scope="module")
def cutter() -> Iterator[Cutter]:
    with Cutter() as running:
        yield running


@pytest.fixture(scope="module")
def worker(cutter: Cutter) -> Iterator[Server]:
    """A cluster of one. What it says to proxies can be held back; tests talk to it directly."""
    node = server("shoal", cluster_enabled="yes")
    node.config |= cutter.place(node)
    with node:
        cutter.open()
        node.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        eventually(lambda: b"cluster_state:ok" in node.run("CLUSTER", "INFO"), "its slots are served")
        yield node


@pytest.fixture(scope="module")
def proxy(worker: Server) -> Iterator[ShoalProxy]:
    options = ("--hot-reads", "cache", "--hot-reads-rate", "10", "--hot-cache-age", str(int(AGE * 1000)))
    with ShoalProxy([worker.address], *options) as running:
        yield running


class Writer:
    """Versions of all keys, one after the other. `acknowledged[v]` is when version v was."""

    def __init__(self, proxy: ShoalProxy) -> None:
        self.connection = proxy.resp(timeout=10)
        self.acknowledged = [time.monotonic()]
        for key in KEYS:
            self.connection.command("SET", key, 0)

    def write(self) -> None:
        version = len(self.acknowledged)
        for key in KEYS:
            assert self.connection.command("SET", key, version) == OK
        self.acknowledged.append(time.monotonic())


class Reader:
    def __init__(self, proxy: ShoalProxy, writer: Writer, key: str, strict: bool) -> None:
        self.connection = proxy.resp(timeout=10)
        self.writer = writer
        self.key = key
        self.strict = strict
        self.last = 0
        self.count = self.older = 0
        if strict:
            assert self.connection.command("CLIENT", "CAPA", "strict") == OK

    def read(self) -> None:
        acknowledged = self.writer.acknowledged
        newest, began = len(acknowledged) - 1, time.monotonic()
        version = int(self.connection.command("GET", self.key))
        self.count += 1
        if self.strict:
            assert version >= max(newest, self.last)
            self.last = version
        elif version < newest:
            self.older += 1
            assert began - acknowledged[version + 1] <= AGE + CLOCK


def facts(proxy: ShoalProxy) -> dict[str, int]:
    return {
        name: int(value)
        for name, value in proxy.facts().items()
        if name.startswith("hot_") and value.isdigit()
    }


def test_versions_under_load(worker: Server, proxy: ShoalProxy) -> None:
    with ShoalProxy([worker.address]) as other, ExitStack() as stack:
        writer = Writer(other)
        readers = [
            Reader(proxy, writer, key, strict) for key in KEYS for strict in (True, False) for _ in "12"
        ]
        for reader in readers:
            stack.enter_context(busy(reader.read))
        eventually(lambda: len(hot_keys(proxy)) == 2, "the keys are hot")
        stack.enter_context(busy(writer.write))
        before = facts(proxy)
        for _ in range(3):
            lines = worker.run("CLIENT", "LIST").decode().splitlines()
            for line in lines:
                if " flags=tB " in line:
                    worker.run("CLIENT", "KILL", "ID", line.split()[0].removeprefix("id="))
            reads = [reader.count for reader in readers]
            eventually(
                lambda reads=reads: (
                    all(r.count > n + 100 for r, n in zip(readers, reads, strict=True))
                    and facts(proxy)["hot_cache_bytes"]
                ),
                "all have read, and replies are kept again",
            )
        after = facts(proxy)
    assert after["hot_reads_shared"] > before["hot_reads_shared"]
    assert after["hot_reads_from_cache"] > before["hot_reads_from_cache"]


def hot_keys(proxy: ShoalProxy) -> set[str]:
    shown = proxy.facts().items()
    return {value.rpartition("key=")[2] for name, value in shown if name.startswith("hot_key")}


def test_a_client_sees_its_own_writes_in_order(proxy: ShoalProxy) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(proxy.resp(timeout=10)) for _ in range(3)]
        for reader in clients[1:]:
            stack.enter_context(busy(lambda reader=reader: reader.command("GET", "own")))
        eventually(lambda: "own" in hot_keys(proxy), "it is hot")
        for version in range(200):
            one, two = b"%d" % version, b"%d+" % version
            told = clients[0].pipeline(
                ("GET", "none"),
                ("SET", "own", one),
                ("GET", "own"),
                ("MSET", "own", two, "x", 1),
                ("GET", "own"),
            )
            assert (told[2], told[4]) == (one, two)
            assert clients[0].pipeline(("GET", "own"), ("SET", "own", one), ("GET", "own")) == [two, OK, one]


def test_what_changes_elsewhere_is_not_kept_for_long(worker: Server, proxy: ShoalProxy) -> None:
    with proxy.resp() as client, proxy.resp() as reader, busy(lambda: reader.command("GET", "told")):
        eventually(lambda: "told" in hot_keys(proxy), "it is hot")
        for change in (
            ("SET", "told", 1),
            ("APPEND", "told", 1),
            ("DEL", "told"),
            ("SET", "told", 2, "PX", 20),
        ):
            worker.run(*change)
            eventually(lambda: client.command("GET", "told") == worker.run("GET", "told"), str(change))
        worker.run("SET", "told", 3)
        worker.run("FLUSHALL")
        eventually(lambda: client.command("GET", "told") == worker.run("GET", "told"), "it is gone")


TO_PROXIES = [(1, CLIENTS)]


def test_a_strict_read_takes_no_answer_that_may_be_older(
    cutter: Cutter, worker: Server, proxy: ShoalProxy
) -> None:
    """The answer to one read is on its way while a write is acknowledged; a read that begins then waits."""
    with proxy.resp(timeout=10) as first, proxy.resp(timeout=10) as second:
        second.command("CLIENT", "CAPA", "strict")
        worker.run("SET", "held", "old")
        with busy(lambda: first.command("GET", "held")):
            eventually(lambda: "held" in hot_keys(proxy), "it is hot")
            eventually(lambda: second.command("GET", "held") == b"old")
        try:
            cutter.set(TO_PROXIES, "silence")
            first.send(encode("CLIENT", "CAPA", "strict") + encode("GET", "held"))
            assert first.read() == OK
            eventually(lambda: in_flight(proxy), "it is asked for")
            worker.run("SET", "held", "new")
            second.send_command("GET", "held")
            assert second.silent()
        finally:
            cutter.heal()
        assert first.read() in (b"old", b"new")
        assert second.read() == b"new"


def in_flight(proxy: ShoalProxy) -> bool:
    shown = proxy.facts().items()
    return any("in_flight=1" in value for name, value in shown if name.startswith("upstream"))


def test_no_reply_is_kept_longer_than_allowed_though_nothing_is_heard(
    cutter: Cutter, worker: Server, proxy: ShoalProxy
) -> None:
    with proxy.resp(timeout=10) as client, proxy.resp(timeout=10) as reader:
        worker.run("SET", "aged", "old")
        with busy(lambda: reader.command("GET", "aged")):
            eventually(lambda: "aged" in hot_keys(proxy), "it is hot")
            eventually(lambda: client.command("GET", "aged") == b"old" and facts(proxy)["hot_cache_bytes"])
            try:
                cutter.set(TO_PROXIES, "silence")
                worker.run("SET", "aged", "new")
                changed = time.monotonic()
                while True:
                    began = time.monotonic()
                    client.send_command("GET", "aged")
                    if client.silent(0.1):
                        break
                    assert client.read() == b"old"
                    assert began - changed <= AGE + CLOCK
            finally:
                cutter.heal()
            assert client.read() == b"new"


def test_errors_and_other_forms_are_answered_each(proxy: ShoalProxy) -> None:
    with proxy.resp() as client, proxy.resp(protocol=3) as other, proxy.resp() as reader:
        client.command("DEL", "form")
        client.command("HSET", "form", "f", "v")
        with busy(lambda: reader.command("HGETALL", "form")):
            eventually(lambda: "form" in hot_keys(proxy), "it is hot")
            for _ in range(50):
                assert client.command("GET", "form").prefix == "WRONGTYPE"
                assert client.command("HGETALL", "form") == [b"f", b"v"]
                assert other.command("HGETALL", "form").pairs == [(b"f", b"v")]
                assert client.pipeline(("HGET", "form", "f"), ("HLEN", "form"), ("PING",))[:2] == [b"v", 1]
