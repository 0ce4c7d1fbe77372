"""CLIENT PAUSE, COMMAND and HOTKEYS through the proxy."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from node.core.key_slot import key_slot
from tests.compat.differential import replies
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Error, Resp, Simple, encode
from tests.harness.servers import Oracle
from tests.harness.wait import eventually

OK, QUEUED = Simple("OK"), Simple("QUEUED")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(cluster: RunningCluster) -> Iterator[ShoalProxy]:
    with ShoalProxy(cluster.addresses[:1]) as running:
        yield running


@pytest.fixture
def client(proxy: ShoalProxy) -> Iterator[Resp]:
    with proxy.resp(timeout=10) as connection:
        assert connection.command("FLUSHALL") == OK
        yield connection


def test_a_pause_of_writes_lets_reads_pass(proxy: ShoalProxy, client: Resp) -> None:
    with proxy.resp(timeout=10) as writer, proxy.resp(timeout=10) as waiting, proxy.resp() as reader:
        assert waiting.pipeline(("MULTI",), ("GET", "k")) == [OK, QUEUED]
        writer.command("SET", "k", 0)
        assert client.command("CLIENT", "PAUSE", 100_000, "WRITE") == OK
        writer.send(encode("GET", "k") + encode("INCR", "k") + encode("GET", "k") + encode("PING"))
        assert writer.read() == b"0"
        waiting.send(encode("EXEC") + encode("BLPOP", "list", 0))
        assert waiting.read() == [b"0"]
        assert writer.silent() and waiting.silent()
        assert reader.pipeline(("GET", "k"), ("PING",), ("DBSIZE",)) == [b"0", Simple("PONG"), 1]
        assert client.command("CLIENT", "UNPAUSE") == OK
        assert [writer.read() for _ in range(3)] == [1, b"1", Simple("PONG")]
        assert client.command("RPUSH", "list", "x") == 1
        assert waiting.read() == [b"list", b"x"]
        assert writer.command("INCR", "k") == 2


def test_a_pause_of_everything_ends_by_itself(proxy: ShoalProxy, client: Resp) -> None:
    with proxy.resp(timeout=10) as other:
        began = time.monotonic()
        assert client.command("CLIENT", "PAUSE", 300) == OK
        assert client.command("CLIENT", "PAUSE", 1, "WRITE") == OK, "it is no shorter than before"
        with proxy.resp(timeout=10) as late:
            late.send(encode("GET", "k") * 3)
            assert other.command("SET", "k", 1) == OK
            assert time.monotonic() - began > 0.29
            assert len([late.read() for _ in range(3)]) == 3


def test_who_leaves_while_it_waits_has_asked_for_nothing(proxy: ShoalProxy, client: Resp) -> None:
    assert client.command("CLIENT", "PAUSE", 100_000, "WRITE") == OK
    with proxy.resp() as leaving:
        leaving.send_command("SET", "never", 1)
    eventually(lambda: client.command("CLIENT", "LIST").count(b"\n") == 1, "it is gone")
    assert client.command("CLIENT", "UNPAUSE") == OK
    assert client.command("EXISTS", "never") == 0


WORDS = """
CLIENT PAUSE | CLIENT PAUSE x | CLIENT PAUSE -1 | CLIENT PAUSE 1 MAYBE | CLIENT PAUSE 1 WRITE ALL
CLIENT UNPAUSE | CLIENT UNPAUSE x | COMMAND GETKEYS GET k | COMMAND GETKEYS MSET a 1 b 2
COMMAND GETKEYS PING
COMMAND GETKEYS NONSENSE | COMMAND GETKEYS GET | COMMAND GETKEYSANDFLAGS SORT a STORE b
COMMAND LIST FILTERBY x
COMMAND NONSENSE | COMMAND LIST FILTERBY PATTERN xread* | COMMAND INFO nosuch
"""


@pytest.mark.parametrize("protocol", [2, 3])
def test_words_are_those_of_one_server(protocol: int, proxy: ShoalProxy, redis_oracle: Oracle) -> None:
    script = [each.split() for line in WORDS.strip().splitlines() for each in line.split(" | ")]
    argvs = [[word.encode() for word in words] for words in script]
    ours, theirs = replies(proxy, argvs, protocol), replies(redis_oracle, argvs, protocol)
    for argv, own, their in zip(argvs, ours, theirs, strict=True):
        assert sorted(own.split(b"\r\n")) == sorted(their.split(b"\r\n")), argv


def test_hot_keys_of_all_workers_are_one_report(cluster: RunningCluster, client: Resp) -> None:
    keys = ["a", "b", "c", "d", "e", "f"]
    assert client.command("HOTKEYS", "STOP").wire == "$-1"
    assert client.command("HOTKEYS", "START", "METRICS", 2, "CPU", "NET", "COUNT", 4) == OK
    again = client.command("HOTKEYS", "START", "METRICS", 1, "CPU")
    assert again == Error("ERR hotkey tracking session already in progress")
    for times, key in enumerate(keys, 1):
        for _ in range(times * 5):
            client.command("SET", key, "x" * 100)
    assert client.command("HOTKEYS", "STOP") == OK
    (flat,) = client.command("HOTKEYS", "GET")
    report = dict(zip(flat[::2], flat[1::2], strict=True))
    assert report[b"selected-slots"] == [[0, 5460], [5461, 10922], [10923, 16383]]
    assert report[b"by-net-bytes"][::2] == [b"f", b"e", b"d", b"c", b"b", b"a"]
    assert report[b"tracking-active"] == 0
    assert client.command("HOTKEYS", "RESET") == OK
    assert client.command("HOTKEYS", "GET").wire == "$-1"


def test_hot_slots_are_asked_of_their_owners(client: Resp) -> None:
    slots = [key_slot(b"a"), key_slot(b"b")]
    assert client.command("HOTKEYS", "START", "METRICS", 1, "NET", "SLOTS", 2, *slots) == OK
    for key in ("a", "b", "c"):
        client.command("SET", key, 1)
    assert client.command("HOTKEYS", "STOP") == OK
    (flat,) = client.command("HOTKEYS", "GET")
    report = dict(zip(flat[::2], flat[1::2], strict=True))
    assert report[b"selected-slots"] == sorted([slot] for slot in slots)
    assert set(report[b"by-net-bytes"][::2]) == {b"a", b"b"}
    assert client.command("HOTKEYS", "RESET") == OK
    bad = client.command("HOTKEYS", "START", "METRICS", 1, "NET", "SLOTS", 1, 99999)
    assert bad == Error("ERR Invalid or out of range slot")
