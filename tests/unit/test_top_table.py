"""What `shoal top` shows of its figures, and what it leaves out where there is no room."""

from __future__ import annotations

import re
from typing import Any

import pytest
from rich.console import Console

from cluster.cli import top
from cluster.cli.top import Order

PRIMARY: dict[str, Any] = {
    "id": "a", "address": "10.0.0.1:7001", "role": "primary", "primary": None, "state": "ok", "slots": 16000,
    "version": "shoal 1", "keys": 12345, "memory_bytes": 2_000_000, "memory_limit_bytes": 4_000_000,
    "clients": 77, "ops_per_second": 1000.0, "cpu_percent": 12.0, "hit_percent": 98.0,
    "bytes_in_per_second": 5000.0, "bytes_out_per_second": 6000.0, "evicted_per_second": 0.0, "ping_ms": 0.25,
    "p50_us": 1, "p99_us": 33, "lag_bytes": None, "in_sync": None,
}  # fmt: skip
REPLICA = PRIMARY | {
    "id": "r", "address": "10.0.0.1:7002", "role": "replica", "primary": "10.0.0.1:7001", "slots": 0,
    "lag_bytes": 1500, "in_sync": False,
}  # fmt: skip
GONE = {
    "id": "g", "address": "10.0.0.2:7003", "role": "replica", "primary": "10.0.0.1:7001", "slots": 0,
    "state": "connection refused",
}  # fmt: skip
FIGURES: dict[str, Any] = {
    "cluster": {
        "primaries": 1, "replicas": 2, "not_ok": 1, "slots": 16000, "keys": 12345, "memory_bytes": 4_000_000,
        "ops_per_second": 2000,
    },
    "nodes": [GONE, REPLICA, PRIMARY],
    "migrations": [
        {"from": "10.0.0.1:7001", "to": "10.0.0.3:7001", "slots": 5, "state": "snapshotting",
         "sent_bytes": 3000, "bytes_per_second": 1000},
        {"from": "10.0.0.1:7001", "to": "10.0.0.3:7001", "slots": 2, "state": "key by key",
         "sent_bytes": None, "bytes_per_second": None},
    ],
    "hot_slots": [
        {"slot": 7, "address": "10.0.0.1:7001", "cpu_percent": 4.5, "ops_per_second": 90,
         "bytes_per_second": 2000},
    ],
}  # fmt: skip


def shown(monkeypatch: pytest.MonkeyPatch, width: int, **changes: Any) -> str:
    page = Console(width=width, highlight=False, color_system=None)
    monkeypatch.setattr(top, "console", lambda: page)
    with page.capture() as captured:
        page.print(top._picture(FIGURES | changes, Order.address))
    return captured.get()


def test_everything_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, 200)
    head, columns, primary, replica, gone, *rest = text.splitlines()
    assert "2000 ops/s" in head and "1 not ok" in head and "384 slots not served" in head
    assert tuple(columns.split()) == top._COLUMNS
    assert "2.0 MB (50 %)" in primary and "33 µs" in primary and "0.2 ms" in primary
    assert re.search(r"7002 +of :7001 +not in sync", replica) and "1.5 kB" in replica
    assert re.search(r"7003 +of 10.0.0.1:7001 +connection refused", gone)
    assert [line.rstrip() for line in rest] == [
        "moving 5 slots from 10.0.0.1:7001 to 10.0.0.3:7001: snapshotting, 3.0 kB sent, 1.0 kB/s",
        "moving 2 slots from 10.0.0.1:7001 to 10.0.0.3:7001: key by key",
        "hottest slots: 7 at 10.0.0.1:7001 4.5 % 90 ops/s 2.0 kB/s",
    ]


def test_no_line_is_folded_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    hot = [FIGURES["hot_slots"][0] | {"slot": slot} for slot in range(16000, 16004)]
    for width in (80, 100):
        text = shown(monkeypatch, width, hot_slots=hot)
        head, *_, first_move, _second, hottest = text.splitlines()
        assert len(text.splitlines()) == 8
        assert "2000 ops/s" in head and "384 slots not served" in head and "1 not ok" in head
        assert first_move.startswith("moving 5 slots from 10.0.0.1:7001 to 10.0.0.3:7001: snapshotting")
        assert hottest.startswith("hottest slots: 16000 at") and hottest.rstrip()[-1] != ","


def test_the_least_needed_columns_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    full = len(top._COLUMNS)
    before: tuple[str, ...] = top._COLUMNS
    for width in range(200, 60, -1):
        columns = tuple(shown(monkeypatch, width).splitlines()[1].split())
        if len(columns) == full - len(top._DISPENSABLE):
            break
        assert set(columns) <= set(before)
        before = columns
    assert columns == ("address", "role", "state", "slots", "ops/s", "cpu", "memory", "p99", "lag")


def test_who_does_not_count_is_told_how(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "CONFIG SET cluster-slot-stats-enabled yes" in shown(monkeypatch, 200, hot_slots=None)
    assert "hottest" not in shown(monkeypatch, 200, hot_slots=[])
