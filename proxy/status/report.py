"""What has been gathered as JSON; README.md of the proxy describes it. Pure.

Bounded by the cluster: some hundred bytes for each node, EVENTS_SHOWN events, ENDED_SHOWN moves that have
ended, and 16384 numbers where slots are told one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cluster.addresses import address_text
from cluster.plans.model import NodeInfo
from cluster.readings.activity import Sample, compare
from cluster.readings.command_times import Times
from cluster.slots import ranges
from node.metrics.percentiles import Distribution
from proxy.status.chronicle import Event
from proxy.status.gatherer import Gathered, period
from proxy.status.slot_heat import SlotHeat
from proxy.workers.dialogue import Address

EVENTS_SHOWN = 50
ENDED_SHOWN = 20
HOTTEST = 10
UNREMARKABLE = {"myself", "master", "slave", "noflags", "fail"}
"""Flags that role and state tell anyway"""


def status(
    gathered: Gathered, events: Iterable[Event], proxy: Mapping[str, Any], at: float
) -> dict[str, Any]:
    """`at`: Unix time; `proxy`: what this process tells of itself."""
    sample, before = gathered.sample, gathered.before
    told = compare(before, sample, HOTTEST)
    told["nodes"].sort(key=lambda row: (row["primary"] or row["address"], row["role"], row["address"]))
    for row in told["nodes"]:
        row |= _more(sample, row["id"])
    epochs = (node.epoch for node in sample.nodes.values())
    return {
        "at": round(at, 3),
        "period": period(len(sample.nodes)),
        "problem": gathered.problem,
        "proxy": proxy,
        "cluster": told["cluster"] | {"epoch": max(epochs, default=0)},
        "nodes": told["nodes"],
        "migrations": told["migrations"],
        "ended_migrations": _ended(gathered),
        "hot_slots": told["hot_slots"],
        "events": [_event(each) for each, _ in zip(events, range(EVENTS_SHOWN), strict=False)],
    }


def _more(sample: Sample, node_id: str) -> dict[str, Any]:
    """What `shoal top` has no room for."""
    node, reading = sample.nodes[node_id], sample.readings[node_id]
    shown: dict[str, Any] = {
        "flags": sorted(node.flags - UNREMARKABLE),
        "epoch": node.epoch,
        "primary_id": node.primary_id,
    }
    if not reading.problem:
        offset = "master_repl_offset" if node.is_primary else "slave_repl_offset"
        shown["offset"] = int(reading.number(offset))
        shown["uptime_seconds"] = int(reading.number("uptime_in_seconds"))
        shown["loading"] = reading.fields.get("loading") == "1"
    return shown


def _ended(gathered: Gathered) -> list[dict[str, Any]]:
    """The latest first."""
    nodes = gathered.sample.nodes
    latest = sorted(gathered.ended, key=lambda each: each[1].changed_at, reverse=True)
    return [
        {
            "from": _name(nodes, source),
            "to": _name(nodes, job.target),
            "slots": job.slots.bit_count(),
            "state": job.state,
            "message": job.message,
            "at": job.changed_at,
        }
        for source, job in latest[:ENDED_SHOWN]
    ]


def _name(nodes: Mapping[str, NodeInfo], node_id: str) -> str:
    return nodes[node_id].address if node_id in nodes else node_id


def _event(event: Event) -> dict[str, Any]:
    return {
        "at": round(event.at, 3),
        "what": event.what,
        "node": _text(event.node),
        "other": _text(event.other),
        "slots": event.slots,
        "waited_seconds": None if event.seconds is None else round(event.seconds, 3),
    }


def _text(address: Address | None) -> str | None:
    return None if address is None else address_text(*address)


def slots(gathered: Gathered, heat: SlotHeat) -> dict[str, Any]:
    """Owners, and to whom slots are moving, as [first, last, id]; what each slot holds and is used for."""
    nodes = gathered.sample.nodes.values()
    owned = [[first, last, node.id] for node in nodes for first, last in ranges(node.slots)]
    load = heat.load()
    moving: list[list[Any]] = []
    for reading in gathered.sample.readings.values():
        moving += ([slot, slot, target] for slot, target in reading.open_slots.items())
        moving += ([first, last, job.target] for job in reading.jobs for first, last in ranges(job.slots))
    return {
        "owners": sorted(owned),
        "moving": sorted(moving),
        "keys": heat.keys,
        "load_unit": load[0] if load else None,
        "load": load[1] if load else None,
    }


def times_of(latencies: Mapping[str, Distribution]) -> Times:
    """What the proxy counts, in the form in which workers tell it: in whole microseconds."""
    found: dict[str, dict[int, int]] = {}
    for name, distribution in latencies.items():
        calls = found.setdefault(name, {})
        for longest, count in distribution:
            end = max(1, -(-longest // 1000))
            calls[end] = calls.get(end, 0) + count
    return found
