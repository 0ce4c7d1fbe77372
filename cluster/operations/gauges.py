"""What all members are doing: their counters, read at once, and what two readings amount to.

A reading asks one member who there is, and everybody for the counters of INFO, side by side, so that one who
is slow or gone holds nobody up. Rates are differences of counters, so the first reading has none.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from cluster.operations.atomic import Job, jobs_of
from cluster.operations.link import Credentials, NodeLink, OperationError
from cluster.operations.server_info import read_info, server_version
from cluster.operations.survey import read_view
from cluster.plans.model import NodeInfo

ANSWER_SECONDS = 2.0
AT_ONCE = 32
HOT_SLOTS = 40
"""Of each primary, the costliest since it counts: among them are those that are costly now."""


@dataclass(frozen=True)
class Reading:
    """One member's. `problem`: why there is none."""

    fields: Mapping[str, str] = field(default_factory=dict)
    ping_ms: float = 0.0
    problem: str = ""
    jobs: tuple[Job, ...] = ()
    """Migrations that it sends."""
    slot_usec: Mapping[int, int] = field(default_factory=dict)
    """Slot → µs that its commands took, of some; empty where that is not counted."""

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
        asked = {
            node.id: self._pool.submit(_read, self._links[node.host, node.port], node)
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


def _read(link: NodeLink, node: NodeInfo) -> Reading:
    try:
        began = time.monotonic()
        link.call("PING")
        ping = (time.monotonic() - began) * 1000
        fields = read_info(link)
        primary = node.is_primary and bool(node.slots)
        return Reading(fields, ping, "", _jobs(link) if primary else (), _slot_usec(link) if primary else {})
    except OperationError as error:
        return Reading(problem=getattr(error, "reason", error.text))


def _jobs(link: NodeLink) -> tuple[Job, ...]:
    try:
        return tuple(job for job in jobs_of(link) if job.operation == "EXPORT" and job.in_progress)
    except OperationError:  # Redis has no such command
        return ()


def _slot_usec(link: NodeLink) -> dict[int, int]:
    try:
        rows = link.call("CLUSTER", "SLOT-STATS", "ORDERBY", "CPU-USEC", "LIMIT", HOT_SLOTS, "DESC")
    except OperationError:  # it does not have the command, or does not count
        return {}
    found = {}
    for slot, stats in rows:
        figures = dict(zip(stats[::2], stats[1::2], strict=True))
        found[int(slot)] = int(figures.get(b"cpu-usec", 0))
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
        "migrations": _migrations(now),
        "hot_slots": _hot_slots(before, now)[:hottest],
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
        "lag_bytes": _lag(now, node, reading),
        "in_sync": None if node.is_primary else reading.fields.get("master_link_status") == "up",
    }


def _lag(now: Sample, node: NodeInfo, reading: Reading) -> int | None:
    primary = now.readings.get(node.primary_id or "")
    if primary is None or primary.problem:
        return None
    return max(0, int(primary.number("master_repl_offset") - reading.number("slave_repl_offset")))


def _migrations(now: Sample) -> list[dict[str, Any]]:
    return [
        {
            "from": now.nodes[node_id].address,
            "to": now.nodes[job.target].address if job.target in now.nodes else job.target,
            "slots": job.slots.bit_count(),
            "state": job.state,
            "sent_bytes": job.sent,
        }
        for node_id, reading in now.readings.items()
        for job in reading.jobs
    ]


def _hot_slots(before: Sample | None, now: Sample) -> list[dict[str, Any]]:
    """Those whose commands took most time since the last sample."""
    found = []
    for node_id, reading in now.readings.items():
        earlier = before.readings.get(node_id) if before is not None else None
        if before is None or earlier is None or not earlier.slot_usec or now.at <= before.at:
            continue
        for slot, usec in reading.slot_usec.items():
            # One that was not among them before has come from below all of those.
            grown = usec - earlier.slot_usec.get(slot, min(earlier.slot_usec.values()))
            if grown > 0:
                percent = round(grown / (now.at - before.at) / 10_000, 2)
                found.append({"slot": slot, "address": now.nodes[node_id].address, "cpu_percent": percent})
    return sorted(found, key=lambda row: (-row["cpu_percent"], row["slot"]))
