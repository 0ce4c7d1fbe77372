"""A worker's figures for Prometheus, at `metrics-port`: what INFO, SLOWLOG and LATENCY tell, by the names
that redis_exporter has for it (series.py), and what only a shoal worker has, which begins with `shoal_`.

Nothing is kept for this: a scrape reads what is counted anyway, one part at a time, so that clients wait for
none of it. Keys are never looked at, and slots are told one by one only as far as `metrics-slots` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client.metrics_core import Metric

from node.core import statistics
from node.handlers import info
from node.listeners import open_tcp
from node.metrics.exposition import families, of_requests, page_of
from node.metrics.figures import Figure, counter, gauge
from node.metrics.series import COUNTERS, GAUGES
from node.metrics.web import WebServer

if TYPE_CHECKING:
    from node.worker import Worker

WORDS = {"ok": 1, "err": 0}
SECTIONS = (
    info.server,
    info.clients,
    info.memory,
    info.persistence,
    info.stats,
    info.replication,
    info.cpu,
    info.cluster,
)


async def serve(worker: Worker) -> WebServer:
    """Raises ListenError."""
    config = worker.config
    server = WebServer({"/metrics": page_of(lambda: collect(worker))})
    sockets = open_tcp(config.metrics_bind, config.metrics_port, config.tcp_backlog, worker.log.warning)
    await server.start(sockets)
    return server


def collect(worker: Worker) -> Iterator[Metric]:
    for section in SECTIONS:
        fields = section(worker)
        yield from families(_of_fields(fields))
        if section is info.replication:
            yield from families(_of_replication(fields))
    yield from families(_of_instance(worker))
    yield from families(_of_databases(worker))
    engine = worker.engine
    stats, latencies = statistics.command_stats(engine), statistics.latencies(engine)
    yield from of_requests(stats, worker.error_counts, latencies, "Time of execution")
    yield from families(_of_slowness(worker))
    yield from families(_of_synchrony(worker))
    if worker.tier is not None:
        yield from families(_of_storage(worker.tier.info()))
    yield from families(worker.cluster.figures())


def _of_fields(fields: dict[str, Any]) -> Iterator[Figure]:
    for field, value in fields.items():
        number = WORDS.get(value, value) if isinstance(value, str) else value
        if field in GAUGES:
            yield gauge(f"redis_{GAUGES[field]}", f"{field} of INFO", number)
        elif field in COUNTERS:
            yield counter(f"redis_{COUNTERS[field]}", f"{field} of INFO", number)
        elif field == "latest_fork_usec":
            yield gauge("redis_latest_fork_seconds", "How long the last fork took", value / 1e6)


def _of_instance(worker: Worker) -> Iterator[Figure]:
    config, server = worker.config, info.server(worker)
    yield gauge("redis_up", "The worker runs", 1)
    yield gauge(
        "redis_instance_info",
        "Who this is",
        1,
        role=worker.replication.role,
        maxmemory_policy=config.maxmemory_policy,
        **{
            name: str(server.get(name, ""))
            for name in ("redis_version", "shoal_version", "redis_mode", "os", "tcp_port", "run_id")
        },
        process_id=str(server["process_id"]),
        availability_zone=config.availability_zone,
        node_id=worker.cluster.node_id,
    )
    yield gauge("redis_start_time_seconds", "Unix time of the start", worker.started_at / 1000)
    yield gauge("redis_config_maxclients", "maxclients", config.maxclients)
    yield gauge("redis_config_maxmemory", "maxmemory", config.maxmemory)


def _of_databases(worker: Worker) -> Iterator[Figure]:
    for db, cycle in zip(worker.databases, worker.expiry, strict=True):
        if len(db) or not db.index:
            label = f"db{db.index}"
            yield gauge("redis_db_keys", "Keys", len(db), db=label)
            yield gauge("redis_db_keys_expiring", "Keys that expire", db.expiring, db=label)
            text = "Mean of what keys still have to live"
            yield gauge("redis_db_avg_ttl_seconds", text, cycle.average_ttl / 1000, db=label)
            text = "Hashes with fields that expire"
            yield gauge("redis_db_keys_with_expiring_items", text, db.expiring_hashes, db=label)


def _of_replication(fields: dict[str, Any]) -> Iterator[Figure]:
    if "master_host" in fields:
        primary = {"master_host": str(fields["master_host"]), "master_port": str(fields["master_port"])}
        read_only = str(fields["slave_read_only"])
        yield gauge("redis_slave_info", "Whose replica this is", 1, read_only=read_only, **primary)
        up = fields["master_link_status"] == "up"
        yield gauge("redis_master_link_up", "The stream of the primary comes", up, **primary)
        for name in ("master_last_io_seconds_ago", "master_sync_in_progress", "slave_repl_offset"):
            yield gauge(f"redis_{name}", f"{name} of INFO", fields[name], **primary)
    for number in range(fields["connected_slaves"]):
        seen = dict(part.split("=", 1) for part in fields[f"slave{number}"].split(","))
        who = {"slave_ip": seen["ip"], "slave_port": seen["port"], "slave_state": seen["state"]}
        text = "What a replica has confirmed of the stream"
        yield gauge("redis_connected_slave_offset_bytes", text, seen["offset"], **who)
        text = "Since a replica was last heard of"
        yield gauge("redis_connected_slave_lag_seconds", text, seen["lag"], **who)


def _of_slowness(worker: Worker) -> Iterator[Figure]:
    log, events = worker.slowness.log, worker.slowness.events.events
    last = next(iter(log.newest(1)), None)
    yield gauge("redis_slowlog_length", "Entries of the slow log", len(log))
    yield gauge("redis_slowlog_last_id", "Number of its newest entry", last.number if last else 0)
    text = "How long the command of the newest entry took"
    yield gauge("redis_last_slow_execution_duration_seconds", text, last.cost / 1e6 if last else 0)
    for name, event in events.items():
        latest = event.latest
        yield gauge("redis_latency_spike_last", "Unix time of the last one", latest.at, event_name=name)
        length = latest.milliseconds / 1000
        yield gauge("redis_latency_spike_duration_seconds", "Its length", length, event_name=name)


def _of_synchrony(worker: Worker) -> Iterator[Figure]:
    outbox, synchrony = worker.engine.outbox, worker.replication.synchrony
    wanted = worker.config.synchronous_replicas
    yield gauge("shoal_synchronous_replicas", "How many must have a write before it is acknowledged", wanted)
    behind = max(0, outbox.promised - outbox.copied) if synchrony.wanted else 0
    text = "Bytes of the stream that replies wait for"
    yield gauge("shoal_synchronous_unacknowledged_bytes", text, behind)
    text = "Writes are refused, because there are too few replicas"
    yield gauge("shoal_synchronous_lacks_replicas", text, synchrony.lacks_replicas)
    text = "Nothing is told of data, because a majority has not confirmed that this is the primary"
    yield gauge("shoal_lease_lapsed", text, outbox.lapsed)


def _of_storage(fields: dict[str, Any]) -> Iterator[Figure]:
    """INFO's section of the disk tier."""
    for field, value in fields.items():
        if field in ("storage_spilled_keys", "storage_commits"):
            yield counter(f"shoal_{field}", f"{field} of INFO", value)
        elif field != "storage_engine":
            yield gauge(f"shoal_{field}", f"{field} of INFO", WORDS.get(value, value))
