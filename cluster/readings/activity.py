"""What two readings of all members amount to: rates, percentiles, what moves, which slots cost most.

Rates are differences of counters, so the first reading has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cluster.plans.model import NodeInfo
from cluster.readings.command_times import Times, percentiles
from cluster.readings.info import server_version
from cluster.readings.slot_jobs import Job


class SlotUse(NamedTuple):
    """What a slot's commands have cost since that is counted."""

    usec: int
    bytes: int
    operations: int | None = None
    """Where the node tells: shoal workers do."""


@dataclass(frozen=True)
class Reading:
    """One member's. `problem`: why there is none."""

    fields: Mapping[str, str] = field(default_factory=dict)
    ping_ms: float = 0.0
    problem: str = ""
    jobs: tuple[Job, ...] = ()
    """Migrations that it sends."""
    open_slots: Mapping[int, str] = field(default_factory=dict)
    """Slot → whom it gives that slot's keys to, one by one."""
    slot_use: Mapping[int, SlotUse] | None = None
    """Of the costliest slots; None where that is not counted."""
    times: Times = field(default_factory=dict)

    def number(self, name: str) -> float:
        return float(self.fields.get(name, 0) or 0)

    @property
    def keys(self) -> int:
        found = 0
        for name, value in self.fields.items():
            if name.startswith("db") and name[2:].isdecimal():
                found += int(value.partition(",")[0].removeprefix("keys="))
        return found


@dataclass(frozen=True)
class Sample:
    at: float
    """Seconds of a clock that only goes forward."""
    nodes: Mapping[str, NodeInfo]
    readings: Mapping[str, Reading]
    """Both by id."""


def slot_use_of(rows: Sequence[Any]) -> dict[int, SlotUse]:
    """Of a reply to CLUSTER SLOT-STATS of a node that counts."""
    found = {}
    for slot, stats in rows:
        figures = dict(zip(stats[::2], stats[1::2], strict=True))
        moved = figures.get(b"network-bytes-in", 0) + figures.get(b"network-bytes-out", 0)
        operations = figures[b"reads"] + figures.get(b"writes", 0) if b"reads" in figures else None
        found[int(slot)] = SlotUse(int(figures.get(b"cpu-usec", 0)), int(moved), operations)
    return found


def compare(before: Sample | None, now: Sample, hottest: int = 5) -> dict[str, Any]:
    """{"cluster", "nodes", "migrations", "hot_slots"}, as `shoal top --json` prints it. Without `before`,
    rates are what servers say of themselves, or None."""
    rows = [_row(before, now, node) for node in now.nodes.values()]
    primaries = [row for row in rows if row["role"] == "primary" and row["state"] == "ok"]
    return {
        "cluster": {
            "primaries": sum(row["role"] == "primary" for row in rows),
            "replicas": sum(row["role"] == "replica" for row in rows),
            "not_ok": sum(row["state"] != "ok" for row in rows),
            "slots": sum(row["slots"] for row in primaries),
            "keys": sum(row["keys"] for row in primaries),
            "memory_bytes": sum(row["memory_bytes"] for row in rows if row["state"] == "ok"),
            "ops_per_second": round(sum(row["ops_per_second"] for row in rows if row["state"] == "ok")),
        },
        "nodes": rows,
        "migrations": [*_migrations(before, now), *_migrations_by_key(now)],
        "hot_slots": _hot_slots(before, now, hottest),
    }


def _row(before: Sample | None, now: Sample, node: NodeInfo) -> dict[str, Any]:
    reading = now.readings[node.id]
    primary = now.nodes.get(node.primary_id or "")
    row: dict[str, Any] = {
        "id": node.id,
        "address": node.address,
        "role": "primary" if node.is_primary else "replica",
        "primary": primary.address if primary else None,
        "state": "failed" if node.failed else reading.problem or "ok",
        "slots": node.slot_count,
    }
    if reading.problem:
        return row
    earlier = before.readings.get(node.id) if before is not None else None
    seconds = now.at - before.at if before is not None else 0.0

    def rate(*names: str) -> float | None:
        if earlier is None or earlier.problem or seconds <= 0:
            return None
        # A restart begins to count anew.
        grown = sum(reading.number(name) - earlier.number(name) for name in names)
        return round(max(grown, 0.0) / seconds, 2)

    operations = rate("total_commands_processed")
    cpu = rate("used_cpu_user", "used_cpu_sys")
    p50, p99 = percentiles(earlier.times, reading.times, 50, 99) if earlier is not None else (None, None)
    hits, looks = rate("keyspace_hits"), rate("keyspace_hits", "keyspace_misses")
    return row | {
        "version": server_version(dict(reading.fields)),
        "keys": reading.keys,
        "memory_bytes": int(reading.number("used_memory")),
        "memory_limit_bytes": int(reading.number("maxmemory")),
        "clients": int(reading.number("connected_clients")),
        "ops_per_second": operations
        if operations is not None
        else reading.number("instantaneous_ops_per_sec"),
        "cpu_percent": None if cpu is None else round(cpu * 100, 1),
        "hit_percent": round(100 * hits / looks, 1) if hits is not None and looks else None,
        "bytes_in_per_second": rate("total_net_input_bytes"),
        "bytes_out_per_second": rate("total_net_output_bytes"),
        "evicted_per_second": rate("evicted_keys"),
        "ping_ms": round(reading.ping_ms, 2),
        "p50_us": p50,
        "p99_us": p99,
        "lag_bytes": _lag(now, node, reading),
        "in_sync": None if node.is_primary else reading.fields.get("master_link_status") == "up",
    }


def _lag(now: Sample, node: NodeInfo, reading: Reading) -> int | None:
    primary = now.readings.get(node.primary_id or "")
    if primary is None or primary.problem:
        return None
    return max(0, int(primary.number("master_repl_offset") - reading.number("slave_repl_offset")))


def _migrations(before: Sample | None, now: Sample) -> list[dict[str, Any]]:
    """Of whole slots."""
    rows = []
    for node_id, reading in now.readings.items():
        earlier = before.readings.get(node_id) if before is not None else None
        sent = {job.name: job.sent for job in earlier.jobs} if earlier is not None else {}
        for job in reading.jobs:
            rate = None
            if before is not None and job.name in sent and now.at > before.at:
                rate = round(max(0, job.sent - sent[job.name]) / (now.at - before.at))
            rows.append(
                {
                    "from": now.nodes[node_id].address,
                    "to": _address(now, job.target),
                    "slots": job.slots.bit_count(),
                    "state": job.state,
                    "sent_bytes": job.sent,
                    "bytes_per_second": rate,
                }
            )
    return rows


def _migrations_by_key(now: Sample) -> list[dict[str, Any]]:
    return [
        {
            "from": now.nodes[node_id].address,
            "to": _address(now, target),
            "slots": count,
            "state": "key by key",
            "sent_bytes": None,
            "bytes_per_second": None,
        }
        for node_id, reading in now.readings.items()
        for target, count in Counter(reading.open_slots.values()).items()
    ]


def _address(now: Sample, node_id: str) -> str:
    return now.nodes[node_id].address if node_id in now.nodes else node_id


def _rate(before: int | None, now: int | None, seconds: float) -> int | None:
    return None if before is None or now is None else round(max(0, now - before) / seconds)


def _hot_slots(before: Sample | None, now: Sample, most: int) -> list[dict[str, Any]] | None:
    """Those whose commands took most time since the last sample; None if no node counts."""
    if all(reading.slot_use is None for reading in now.readings.values()):
        return None
    found: list[dict[str, Any]] = []
    for node_id, reading in now.readings.items():
        earlier = before.readings.get(node_id) if before is not None else None
        if before is None or earlier is None or not earlier.slot_use or now.at <= before.at:
            continue
        seconds = now.at - before.at
        # One that was not among them before has come from below all of those.
        lowest = min(use.usec for use in earlier.slot_use.values())
        for slot, use in (reading.slot_use or {}).items():
            known = earlier.slot_use.get(slot)
            grown = use.usec - (known.usec if known is not None else lowest)
            percent = round(grown / seconds / 10_000, 2)
            if percent > 0:
                found.append(
                    {
                        "slot": slot,
                        "address": now.nodes[node_id].address,
                        "cpu_percent": percent,
                        "ops_per_second": _rate(known and known.operations, use.operations, seconds),
                        "bytes_per_second": _rate(known and known.bytes, use.bytes, seconds),
                    }
                )
    return sorted(found, key=lambda row: (-row["cpu_percent"], row["slot"]))[:most]
