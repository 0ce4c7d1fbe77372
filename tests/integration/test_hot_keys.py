"""HOTKEYS: what is put down to which key, what is refused, and that it ends.

No oracle has the command yet; the form and the errors are those of Redis 8.6 by its documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.resp import NULL_BULK, Error, Simple
from tests.harness.servers import Server, server
from tests.harness.wait import eventually

OK = Simple("OK")
START = ("HOTKEYS", "START", "METRICS", 2, "CPU", "NET")


@pytest.fixture(scope="module")
def alone() -> Iterator[Server]:
    with server("shoal") as node:
        yield node


@pytest.fixture(scope="module")
def member() -> Iterator[Server]:
    """A cluster of one; slots from 100 on."""
    with server("shoal", cluster_enabled="yes", cluster_require_full_coverage="no") as node:
        node.run("CLUSTER", "ADDSLOTSRANGE", 100, 16383)
        eventually(lambda: b"cluster_state:ok" in node.run("CLUSTER", "INFO"), "its slots are served")
        yield node


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"alone", "member"} & set(request.fixturenames):
        request.getfixturevalue(name).run("HOTKEYS", "STOP")
        request.getfixturevalue(name).run("HOTKEYS", "RESET")


def paired(flat: list[Any]) -> dict[Any, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def found(node: Server) -> dict[bytes, Any]:
    (report,) = node.run("HOTKEYS", "GET")
    return paired(report)


@pytest.mark.parametrize(
    "words, error",
    [
        ("", "METRICS parameter is required"),
        ("METRICS", "METRICS parameter is required"),
        ("COUNT 1 METRICS 1 CPU", "METRICS parameter is required"),
        ("METRICS 0", "METRICS count must be > 0 and <= 2"),
        ("METRICS x CPU", "METRICS count must be > 0 and <= 2"),
        ("METRICS 3 CPU NET GPU", "METRICS count must be > 0 and <= 2"),
        ("METRICS 2 CPU", "METRICS count does not match number of metric types provided"),
        ("METRICS 2 CPU CPU", "METRICS CPU defined more than once!"),
        ("METRICS 2 net NET", "METRICS NET defined more than once!"),
        ("METRICS 2 GPU NYET", "METRICS no valid metrics passed. Supported: CPU|NET"),
        ("METRICS 1 CPU NET", "syntax error"),
        ("METRICS 1 CPU COUNT", "syntax error"),
        ("METRICS 1 CPU FOO 1", "syntax error"),
        ("METRICS 1 CPU COUNT 0", "COUNT must be between 1 and 64"),
        ("METRICS 1 CPU COUNT 65", "COUNT must be between 1 and 64"),
        ("METRICS 1 CPU DURATION 0", "DURATION must be between 1 and 1000000"),
        ("METRICS 1 CPU SAMPLE 0", "SAMPLE ratio must be positive"),
    ],
)
def test_what_start_refuses(alone: Server, words: str, error: str) -> None:
    assert alone.run("HOTKEYS", "START", *words.split()) == Error(f"ERR {error}")
    assert alone.run("HOTKEYS", "STOP") == NULL_BULK


@pytest.mark.parametrize(
    "words, error",
    [
        ("SLOTS 2 100", "not enough slot numbers provided"),
        ("SLOTS 0", "SLOTS count must be between 1 and 16384"),
        ("SLOTS 1 -1", "Invalid or out of range slot"),
        ("SLOTS 1 16384", "Invalid or out of range slot"),
        ("SLOTS 1 abc", "Invalid or out of range slot"),
        ("SLOTS 2 100 100", "duplicate slot number"),
        ("SLOTS 1 100 SLOTS 1 101", "SLOTS parameter already specified"),
        ("SLOTS 1 99", "slot 99 not handled by this node"),
    ],
)
def test_slots_that_start_refuses(member: Server, words: str, error: str) -> None:
    assert member.run(*START, *words.split()) == Error(f"ERR {error}")


def test_only_clusters_have_slots(alone: Server) -> None:
    refused = alone.run(*START, "SLOTS", 1, 0)
    assert refused == Error("ERR SLOTS parameter cannot be used in non-cluster mode")


def test_the_life_of_a_watch(alone: Server) -> None:
    assert alone.run("HOTKEYS", "GET") == NULL_BULK
    assert alone.run("HOTKEYS", "START", "METRICS", 2, "GPU", "NET") == OK
    assert alone.run(*START) == Error("ERR hotkey tracking session already in progress")
    assert alone.run("HOTKEYS", "RESET") == Error(
        "ERR hotkey tracking session in progress, stop tracking first"
    )
    alone.run("SET", "k", "v")
    assert found(alone)[b"tracking-active"] == 1
    assert alone.run("HOTKEYS", "STOP") == OK
    alone.run("SET", "later", "v")
    stopped = found(alone)
    assert stopped[b"tracking-active"] == 0
    assert list(paired(stopped[b"by-net-bytes"])) == [b"k"]
    assert {b"by-cpu-time-us", b"total-cpu-time-user-ms"}.isdisjoint(stopped)
    assert alone.run("HOTKEYS", "RESET") == OK
    assert alone.run("HOTKEYS", "GET") == NULL_BULK


def test_it_ends_by_itself(alone: Server) -> None:
    alone.run(*START, "DURATION", 1)
    eventually(lambda: not found(alone)[b"tracking-active"], "the watch ends")
    assert found(alone)[b"collection-duration-ms"] >= 1000
    assert alone.run(*START) == OK, "another takes its place"


def test_bytes_are_put_down_to_the_keys_of_all_kinds_of_commands(alone: Server) -> None:
    alone.run("SET", "plain", "x")
    alone.run(*START, "COUNT", 20)
    with alone.resp() as client:
        client.pipeline(*[("GET", "plain")] * 10)  # a compiled handler
        client.command("LPUSH", "list", "x" * 1000)  # one in Python
        client.command("MSET", "m1", "x" * 500, "m2", "x" * 500)  # several keys, in equal parts
        client.command("MULTI")
        client.command("SET", "queued", "x" * 300)
        client.command("EXEC")
        client.command("EVAL", "return redis.call('set', KEYS[1], string.rep('x', 9))", 1, "scripted")
        client.command("GET", "plain", "too many words")
        client.command("PING")
    by_bytes = paired(found(alone)[b"by-net-bytes"])
    assert by_bytes.keys() == {b"plain", b"list", b"m1", b"m2", b"queued", b"scripted"}
    assert by_bytes[b"plain"] == 10 * (len("*2\r\n$3\r\nGET\r\n$5\r\nplain\r\n") + len("$1\r\nx\r\n"))
    assert by_bytes[b"m1"] == by_bytes[b"m2"]
    assert 1000 < by_bytes[b"list"] < 1100 and 500 < by_bytes[b"m1"] < 550
    assert found(alone)[b"total-net-bytes"] == found(alone)[b"net-bytes-all-commands-all-slots"]
    assert sum(by_bytes.values()) == pytest.approx(found(alone)[b"total-net-bytes"], abs=1)


def test_time_is_put_down_to_the_slow_key(alone: Server) -> None:
    alone.run("RPUSH", "long", *range(20_000))
    alone.run(*START, "COUNT", 2)
    with alone.resp() as client:
        client.pipeline(*[("LRANGE", "long", "0", "-1")] * 5, *[("GET", "short")] * 200)
    report = found(alone)
    by_time = paired(report[b"by-cpu-time-us"])
    assert next(iter(by_time)) == b"long"
    assert 0 < sum(by_time.values()) <= report[b"all-commands-all-slots-us"]


def test_one_of_ten(alone: Server) -> None:
    alone.run(*START, "SAMPLE", 10)
    with alone.resp() as client:
        client.pipeline(*[("GET", "a")] * 5000)
    report = found(alone)
    assert report[b"sample-ratio"] == 10
    drawn = paired(report[b"by-net-bytes"])[b"a"]
    assert drawn == report[b"total-net-bytes"]
    assert drawn == pytest.approx(report[b"net-bytes-all-commands-all-slots"] / 10, rel=0.3)


def test_keys_too_long_to_be_kept_are_left_out(alone: Server) -> None:
    alone.run(*START)
    alone.run("SET", "k" * 16385, "v")
    alone.run("SET", "k" * 16384, "v")
    assert list(paired(found(alone)[b"by-net-bytes"])) == [b"k" * 16384]


def test_only_the_slots_that_were_named(member: Server) -> None:
    assert found_after(member, START)[b"selected-slots"] == [[100, 16383]]
    slot = member.run("CLUSTER", "KEYSLOT", "here")
    slots = (slot, 105, 104, 200)
    report = found_after(member, (*START, "SAMPLE", 1, "SLOTS", len(slots), *slots))
    assert list(paired(report[b"by-net-bytes"])) == [b"here"]
    assert [each for each in report[b"selected-slots"] if slot not in each] == [[104, 105], [200]]
    assert report[b"net-bytes-all-commands-selected-slots"] < report[b"net-bytes-all-commands-all-slots"]
    assert b"net-bytes-sampled-commands-selected-slots" not in report
    report = found_after(member, (*START, "SAMPLE", 2, "SLOTS", 1, slot))
    assert {b"sampled-commands-selected-slots-us", b"all-commands-selected-slots-us"} <= report.keys()


def found_after(node: Server, start: tuple[Any, ...]) -> dict[bytes, Any]:
    """What a watch has found of two keys in different slots."""
    assert node.run(*start) == OK
    for key in ("here", "there"):
        node.run("SET", key, "v")
    assert node.run("HOTKEYS", "STOP") == OK
    return found(node)
