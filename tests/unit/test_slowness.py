"""The slow log's entries, the latency monitor's events, their picture, and percentiles."""

from __future__ import annotations

import pytest

from node.core.database import Database
from node.cut_words import cut_word
from node.keyspace.expiry import ActiveExpiry
from node.metrics import sparkline
from node.metrics.latency_events import SAMPLES, LatencyEvents, summary
from node.metrics.percentiles import cumulative, percentile
from node.metrics.slow_log import SlowLog, redacted, shortened


def test_long_commands_are_shortened() -> None:
    assert shortened([b"a"] * 32) == [b"a"] * 32
    assert shortened([b"%d" % i for i in range(81)])[30:] == [b"30", b"... (50 more arguments)"]
    assert shortened([b"x" * 128, b"y" * 130]) == [b"x" * 128, b"y" * 128 + b"... (2 more bytes)"]
    cut_before = shortened([cut_word(b"z" * 128, 1 << 30)])
    assert cut_before == [b"z" * 128 + b"... (1073741696 more bytes)"]
    assert type(cut_before[0]) is bytes, "a reply can be made of it"


@pytest.mark.parametrize(
    ("name", "sent", "kept"),
    [
        ("auth", b"AUTH u p", b"AUTH * *"),
        ("hello", b"HELLO 3 AUTH u p SETNAME x", b"HELLO 3 AUTH * * SETNAME x"),
        ("config|set", b"CONFIG SET maxmemory 0 requirepass p", b"CONFIG SET maxmemory 0 requirepass *"),
        ("acl|setuser", b"ACL SETUSER bob >p", b"ACL SETUSER * *"),
        ("migrate", b"MIGRATE h 1 k 0 10 AUTH2 u p KEYS auth", b"MIGRATE h 1 k 0 10 AUTH2 * * KEYS auth"),
        ("migrate", b"MIGRATE h 1 e 0 10 KEYS auth x", b"MIGRATE h 1 e 0 10 KEYS auth x"),
        ("get", b"GET auth", b"GET auth"),
    ],
)
def test_secrets_are_not_kept(name: str, sent: bytes, kept: bytes) -> None:
    assert b" ".join(redacted(name, sent.split())) == kept.replace(b"*", b"(redacted)")


def test_slow_log_keeps_the_newest() -> None:
    log = SlowLog(2)
    for number in range(3):
        log.add(1, 5, "get", [b"GET", b"%d" % number], "peer:1", b"")
    assert [entry.number for entry in log.newest(-1)] == [2, 1]
    assert [entry.number for entry in log.newest(1)] == [2]
    log.cut(1)
    assert len(log) == 1
    log.clear()
    log.add(1, 5, "get", [b"GET"], "peer:1", b"")
    assert log.newest(10)[0].number == 3


def test_latency_events_keep_the_worst_of_a_second() -> None:
    events = LatencyEvents()
    events.note("command", 50, 1000)
    assert not events.events
    events.threshold = 10
    for milliseconds, now in ((9.9, 1000), (20, 1000), (15, 1999), (40, 3000)):
        events.note("command", milliseconds, now)
    event = events.events["command"]
    assert [(sample.at, sample.milliseconds) for sample in event.samples] == [(1, 20), (3, 40)]
    assert event.worst == 40
    told = summary(event, 5000)
    assert (told.count, told.average, told.deviation, told.lowest, told.highest) == (2, 30, 10, 20, 40)
    for second in range(SAMPLES + 10):
        events.note("command", 10, 10_000 + 1000 * second)
    assert len(event.samples) == SAMPLES
    assert event.worst == 40
    assert events.reset(["other"]) == 0
    assert events.reset([]) == 1


def test_sparkline() -> None:
    drawn = sparkline.draw([0, 6, 12], ["2m", "1m", "0s"]).split("\n")
    assert drawn == ["  #", " _|", " ||", "_||", "   ", "210", "mms", ""]


def test_percentiles() -> None:
    calls = [(900, 50), (3000, 49), (70_000, 1)]
    assert percentile(calls, 50) == 0.9
    assert percentile(calls, 99) == 3.0
    assert percentile(calls, 100) == 70.0
    assert percentile([], 50) == 0.0
    assert cumulative(calls) == [(1, 50), (4, 99), (132, 100)]


def test_more_effort_drops_more_expired_keys() -> None:
    """Where a tenth of the volatile keys is stale, the usual effort stops early and the greatest goes on."""
    dropped = []
    for effort in (1, 10):
        db = Database()
        for number in range(100_000):
            db.set(b"%d" % number, b"", 1000 if number % 20 == 0 else 10**15)
        db.now = 2000
        cycle = ActiveExpiry(db)
        cycle.begin(10, effort)
        while cycle.go_on():
            pass
        dropped.append(db.expired)
    assert 0 < dropped[0] < dropped[1] == 5000
