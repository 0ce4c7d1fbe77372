"""What all members are doing: their counters, read at once, and what two readings amount to.

A reading asks one member who there is, and everybody for the counters of INFO, side by side, so that one who
is slow or gone holds nobody up. Rates are differences of counters, so the first reading has none.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cluster.operations.atomic import Job, jobs_of
from cluster.operations.command_times import Times, percentiles, read_times
from cluster.operations.link import Credentials, NodeLink, OperationError
from cluster.operations.server_info import read_info, server_version
from cluster.operations.survey import read_view
from cluster.plans.model import NodeInfo

ANSWER_SECONDS = 2.0
AT_ONCE = 32
OPEN_SLOTS_UP_TO = 100
"""Members. Everybody's own CLUSTER NODES tells of its open slots, and is as long as the cluster is large."""
HOT_SLOTS = 40
"""Of each primary, the costliest since it counts: among them are those that are costly now."""


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


class Gauges:
    """Links to all members, kept open. A context manager."""

    def __init__(self, host: str, port: int, credentials: Credentials) -> None:
        self._credentials = credentials
        self._links = {(host, port): NodeLink(host, port, credentials, ANSWER_SECONDS)}
        self._pool = ThreadPoolExecutor(AT_ONCE)

    def __enter__(self) -> Gauges:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for link in self._links.values():
            link.close()

    def sample(self) -> Sample:
        """Raises OperationError when no member answers."""
        nodes = self._members()
        at = time.monotonic()
        thorough = len(nodes) <= OPEN_SLOTS_UP_TO
        asked = {
            node.id: self._pool.submit(_read, self._links[node.host, node.port], node, thorough)
            for node in nodes.values()
        }
        return Sample(at, nodes, {node_id: reading.result() for node_id, reading in asked.items()})

    def _members(self) -> dict[str, NodeInfo]:
        """By whoever answers first."""
        problem: OperationError | None = None
        for address, link in list(self._links.items()):
            try:
                view = read_view(link)
            except OperationError as error:
                problem = problem or error
                continue
            # Who answers is asked first the next time.
            self._links = {address: link, **self._links}
            nodes = {node.id: node for node in view.nodes.values() if "noaddr" not in node.flags}
            for node in nodes.values():
                place = (node.host, node.port)
                if node.id == view.observer.id:
                    self._links.setdefault(place, link)
                if place not in self._links:
                    self._links[place] = NodeLink(*place, self._credentials, ANSWER_SECONDS)
            return nodes
        assert problem is not None
        raise problem


def _read(link: NodeLink, node: NodeInfo, thorough: bool) -> Reading:
    try:
        began = time.monotonic()
        link.call("PING")
        ping = (time.monotonic() - began) * 1000
        fields, times = read_info(link), read_times(link)
        if not (node.is_primary and node.slots):
            return Reading(fields, ping, times=times)
        open_slots = read_view(link).migrating if thorough else {}
        return Reading(fields, ping, "", _jobs(link), open_slots, _slot_use(link), times)
    except OperationError as error:
        return Reading(problem=getattr(error, "reason", error.text))


def _jobs(link: NodeLink) -> tuple[Job, ...]:
    try:
        return tuple(job for job in jobs_of(link) if job.operation == "EXPORT" and job.in_progress)
    except OperationError:  # Redis has no such command
        return ()


def _slot_use(link: NodeLink) -> dict[int, SlotUse] | None:
    try:
        rows = link.call("CLUSTER", "SLOT-STATS", "ORDERBY", "CPU-USEC", "LIMIT", HOT_SLOTS, "DESC")
    except OperationError:  # it does not have the command, or does not count
        return None
    found = {}
    for slot, stats in rows:
        figures = dict(zip(stats[::2], stats[1::2], strict=True))
        moved = figures.get(b"network-bytes-in", 0) + figures.get(b"network-bytes-out", 0)
        operations = figures[b"reads"] + figures.get(b"writes", 0) if b"reads" in figures else None
        found[int(slot)] = SlotUse(int(figures.get(b"cpu-usec", 0)), int(moved), operations)
    return found


# --- what two samples amount to


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
