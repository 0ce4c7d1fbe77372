"""What a member tells Prometheus of its cluster: CLUSTER INFO by redis_exporter's names, and by our own what
elections, moves of slots and, if it is asked for, the busiest slots are about."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from node.core.slot_use import slot_use_by, slot_use_of
from node.metrics.figures import Figure, counter, gauge

if TYPE_CHECKING:
    from cluster.member import Member
    from node.worker import Worker

WORDS = {"ok": 1, "fail": 0}
CPU, BYTES_IN, BYTES_OUT, READS, WRITES = range(5)
"""Of the engine's figures of a slot; time in µs"""


def figures(member: Member, worker: Worker) -> Iterator[Figure]:
    coordinator = member.coordinator
    yield from _of_info(coordinator.info())
    nodes = coordinator.topology.nodes.values()
    for state in ("failed", "timed_out"):
        number = sum(bool(getattr(node, state)) for node in nodes)
        yield gauge("shoal_cluster_nodes_not_well", "As this member sees it", number, state=state)
    for name, times in coordinator.history.items():
        yield counter(f"shoal_cluster_{name}", HISTORY[name], times)
    secrets = member.links.secrets
    text = "Messages of the bus without the seal of a secret"
    for name, number in (("refused", secrets.refused), ("taken", secrets.unsealed)):
        yield counter("shoal_cluster_unsealed_messages", text, number, outcome=name)
    yield from _of_migrations(member)
    limit = worker.config.metrics_slots
    if limit and worker.config.cluster_slot_stats_enabled:
        yield from _of_slots(worker.engine, worker.databases, limit)


HISTORY = {
    "failures_seen": "Nodes that were marked as failing",
    "elections": "Elections that this member stood for",
    "elections_won": "Those it won",
    "failovers": "How often this member has taken its primary's place, by vote or without",
    "votes": "Votes that it gave",
}


def _of_info(fields: dict[str, int | str]) -> Iterator[Figure]:
    for name, value in fields.items():
        text = f"{name} of CLUSTER INFO"
        if name in ("cluster_stats_messages_sent", "cluster_stats_messages_received"):
            yield counter(f"redis_cluster_messages_{name.rpartition('_')[2]}", text, value)
        elif not name.startswith("cluster_stats_"):
            yield gauge(f"redis_{name}", text, WORDS[value] if isinstance(value, str) else value)


def _of_migrations(member: Member) -> Iterator[Figure]:
    migrations = member.migrations
    for operation, slots in (("export", migrations.exporting()), ("import", migrations.importing())):
        text = "Slots on their way elsewhere, and on their way here"
        yield gauge("shoal_migrating_slots", text, slots.bit_count(), operation=operation)
        for outcome in ("success", "failed", "cancelled"):
            times = migrations.outcomes[operation, outcome]
            text = "Moves of slots that have ended"
            yield counter("shoal_migrations", text, times, operation=operation, outcome=outcome)
    text = "Bytes sent in moves that are going on"
    sent = sum(job.sent for job in migrations.jobs if job.in_progress)
    yield gauge("shoal_migrations_sent_bytes", text, sent)


def _of_slots(engine: Any, databases: list[Any], limit: int) -> Iterator[Figure]:
    """Those that took most processor time."""
    times = slot_use_by(engine, CPU)  # of those that have left this node nothing is kept
    used = [slot for slot, time in enumerate(times) if time]
    for slot in heapq.nlargest(limit, used, key=times.__getitem__):
        use, label = slot_use_of(engine, slot), {"slot": str(slot)}
        keys = sum(db.count_in_slot(slot) for db in databases)
        yield gauge("shoal_slot_keys", "Keys", keys, **label)
        yield counter("shoal_slot_cpu_seconds", "Of its commands", use[CPU] / 1e6, **label)
        for kind, figure in (("read", READS), ("write", WRITES)):
            yield counter("shoal_slot_requests", "By what they did", use[figure], kind=kind, **label)
        for way, figure in (("in", BYTES_IN), ("out", BYTES_OUT)):
            yield counter("shoal_slot_network_bytes", "Of them", use[figure], direction=way, **label)
