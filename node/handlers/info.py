"""INFO: the state of a worker in sections of `field:value` lines.

Field names are Redis', for the tools that read them. A field is there only if this worker knows its true
value; what describes parts it does not have (jemalloc, I/O threads, modules) is left out rather than made
up.

What `used_memory` is, node/metrics/memory tells.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from node.core import statistics
from node.event_loop import multiplexing_api
from node.handlers.migrate import idle_link_count
from node.handlers.registry import command
from node.metrics import memory_report, process, request_stats
from node.replies import Verbatim
from node.version import REDIS_VERSION, SHOAL_VERSION

Fields = dict[str, Any]
LRU_CLOCK_MASK = 0xFFFFFF


def human(size: int) -> str:
    """`1536` → `1.50K`, as Redis' `..._human` fields have it."""
    value = float(size)
    for unit in ("B", "K", "M", "G", "T"):
        if value < 1024:
            return f"{size}B" if unit == "B" else f"{value:.2f}{unit}"
        value /= 1024
    return f"{value:.2f}P"


def server(worker: Any) -> Fields:
    config, now = worker.config, worker.engine.now
    uptime = (now - worker.started_at) // 1000
    return {
        "redis_version": REDIS_VERSION,
        "shoal_version": SHOAL_VERSION,
        "redis_mode": "cluster" if config.cluster_enabled else "standalone",
        "os": process.system_name(),
        "arch_bits": process.pointer_bits(),
        "multiplexing_api": multiplexing_api(),
        "monotonic_clock": "POSIX clock_gettime",
        "python_version": process.python_version(),
        "process_id": os.getpid(),
        "process_supervised": "no",
        "run_id": worker.run_id,
        "tcp_port": config.port or config.tls_port,
        "server_time_usec": now * 1000,
        "uptime_in_seconds": uptime,
        "uptime_in_days": uptime // 86400,
        "hz": config.hz,
        "configured_hz": config.hz,
        "lru_clock": now // 1000 & LRU_CLOCK_MASK,
        "executable": sys.executable,
        "config_file": config.file or "",
        "io_threads_active": 0,
        **({"availability_zone": config.availability_zone} if config.availability_zone else {}),
        **_shutdown(worker, now),
        **_listeners(config),
    }


def _shutdown(worker: Any, now: int) -> Fields:
    ends_at = worker.ending.ends_at
    return {} if ends_at is None else {"shutdown_in_milliseconds": max(0, ends_at - now)}


def _listeners(config: Any) -> Fields:
    listeners = []
    binds = "".join(f",bind={address}" for address in config.bind)
    if config.port:
        listeners.append(f"name=tcp{binds},port={config.port}")
    if config.unixsocket:
        listeners.append(f"name=unix,bind={config.unixsocket}")
    if config.tls_port:
        listeners.append(f"name=tls{binds},port={config.tls_port}")
    return {f"listener{number}": listener for number, listener in enumerate(listeners)}


def clients(worker: Any) -> Fields:
    sessions = [session for session in worker.clients.values() if not session.link.is_closing]
    return {
        "connected_clients": sum(session.kind != "replica" for session in sessions)
        + (worker.replication.primary_client is not None),
        "maxclients": worker.config.maxclients,
        "client_recent_max_input_buffer": max((s.link.pending_input for s in sessions), default=0),
        "client_recent_max_output_buffer": max((s.link.pending_output for s in sessions), default=0),
        "blocked_clients": sum(session.suspended and not session.sends_slots for session in sessions),
        "tracking_clients": len(worker.tracking.sessions),
        "pubsub_clients": sum(session.kind == "pubsub" for session in sessions),
        "watching_clients": sum(bool(session.watched) for session in sessions),
        "total_watched_keys": len({key for session in sessions for key in session.watched}),
        "clients_in_timeout_table": worker.blocking.timed_count,
        "total_blocking_keys": worker.blocking.key_count,
        "total_blocking_keys_on_nokey": worker.blocking.needed_key_count,
    }


def memory(worker: Any) -> Fields:
    shown: Fields = {}
    for name, value in memory_report.info(worker).items():
        shown[name] = value
        if name in memory_report.HUMAN:
            shown[f"{name}_human"] = human(value)
    return shown


def persistence(worker: Any) -> Fields:
    return worker.durability.info()


def stats(worker: Any) -> Fields:
    engine, databases = worker.engine, worker.databases
    return {
        **worker.activity.requests(),
        "rejected_connections": worker.rejected_connections,
        "expired_keys": sum(db.expired for db in databases),
        "expired_subkeys": worker.field_expiry.expired,
        **expiry(worker),
        **worker.eviction.stats(),
        "evicted_clients": worker.client_eviction.evicted,
        "evicted_scripts": worker.scripts.evicted,
        "keyspace_hits": sum(db.hits for db in databases),
        "keyspace_misses": sum(db.misses for db in databases),
        "pubsub_channels": worker.pubsub.channel_count,
        "pubsub_patterns": worker.pubsub.pattern_count,
        "pubsubshard_channels": worker.pubsub.shard_channel_count,
        "tracking_total_keys": len(worker.tracking.table),
        "tracking_total_items": worker.tracking.table.item_count,
        "tracking_total_prefixes": worker.tracking.prefix_count,
        "latest_fork_usec": worker.snapshots.children.last_fork_us,
        "total_forks": worker.snapshots.children.total_forks,
        "migrate_cached_sockets": idle_link_count(worker),
        "slave_expires_tracked_keys": len(worker.replication.local_keys),
        "total_error_replies": sum(worker.error_counts.values()),
        **worker.activity.turns(),
        "io_threaded_reads_processed": 0,
        "io_threaded_writes_processed": 0,
        "client_query_buffer_limit_disconnections": engine.query_limit_disconnections,
        "client_output_buffer_limit_disconnections": worker.output_limits.disconnections,
        **worker.access.info(),
        **worker.replication.stats(),
    }


def expiry(worker: Any) -> Fields:
    cycles = worker.expiry
    return {
        "expired_stale_perc": f"{max(cycle.stale_percent for cycle in cycles):.2f}",
        "expired_time_cap_reached_count": sum(cycle.time_cap_reached for cycle in cycles),
        "expire_cycle_cpu_milliseconds": int(1000 * sum(cycle.seconds for cycle in cycles)),
    }


def replication(worker: Any) -> Fields:
    return dict(worker.replication.info())


def cpu(worker: Any) -> Fields:
    used = process.cpu_seconds()
    return {
        "used_cpu_sys": f"{used.system:.6f}",
        "used_cpu_user": f"{used.user:.6f}",
        "used_cpu_sys_children": f"{used.children_system:.6f}",
        "used_cpu_user_children": f"{used.children_user:.6f}",
        "used_cpu_sys_main_thread": f"{used.main_thread_system:.6f}",
        "used_cpu_user_main_thread": f"{used.main_thread_user:.6f}",
    }


def modules(worker: Any) -> Fields:
    return {}


def command_stats(worker: Any) -> Fields:
    """Times as core/timing measures them."""
    return dict(request_stats.command_lines(statistics.command_stats(worker.engine)))


def latency_stats(worker: Any) -> Fields:
    """Percentiles in microseconds, of the commands called while `latency-tracking` is on."""
    config = worker.config
    if not config.latency_tracking:
        return {}
    shares = config.latency_tracking_info_percentiles
    return dict(request_stats.latency_lines(statistics.latencies(worker.engine), shares))


def error_stats(worker: Any) -> Fields:
    return dict(request_stats.error_lines(worker.error_counts))


def cluster(worker: Any) -> Fields:
    return dict(worker.cluster.info())


def keyspace(worker: Any) -> Fields:
    return {
        f"db{db.index}": f"keys={len(db)},expires={db.expiring},avg_ttl={cycle.average_ttl},"
        f"subexpiry={db.expiring_hashes}"
        for db, cycle in zip(worker.databases, worker.expiry, strict=True)
        if len(db)
    }


def key_sizes(worker: Any) -> Fields:
    """How many keys have about which size. This looks at every key, so it is not shown unless asked for."""
    shown: Fields = {}
    for db in worker.databases:
        sizes = db.sizes() if len(db) else {}
        for kind, field in SIZE_FIELDS.items():
            counts = sizes.get(kind, ())
            steps = [f"{size_label(step)}={count}" for step, count in enumerate(counts) if count]
            if steps:
                shown[f"db{db.index}_distrib_{field}"] = ",".join(steps)
    return shown


SIZE_FIELDS = {
    "string": "strings_sizes",
    "list": "lists_items",
    "set": "sets_items",
    "zset": "zsets_items",
    "hash": "hashes_items",
}


def size_label(step: int) -> str:
    """The least size of a step of `Database.sizes`: 0, 1, 2, 4 ... 512, 1K, 2K ... 1M ..."""
    if step == 0:
        return "0"
    tens, rest = divmod(step - 1, 10)
    return f"{1 << rest}{['', 'K', 'M', 'G', 'T', 'P', 'E'][tens]}"


def storage(worker: Any) -> Fields:
    return worker.tier.info()  # type: ignore[no-any-return]


SECTIONS: dict[str, tuple[str, Callable[[Any], Fields]]] = {
    "server": ("Server", server),
    "clients": ("Clients", clients),
    "memory": ("Memory", memory),
    "persistence": ("Persistence", persistence),
    "stats": ("Stats", stats),
    "replication": ("Replication", replication),
    "cpu": ("CPU", cpu),
    "modules": ("Modules", modules),
    "commandstats": ("Commandstats", command_stats),
    "errorstats": ("Errorstats", error_stats),
    "latencystats": ("Latencystats", latency_stats),
    "cluster": ("Cluster", cluster),
    "keyspace": ("Keyspace", keyspace),
    "storage": ("Storage", storage),
    "keysizes": ("Keysizes", key_sizes),
}
"""Section → its heading and what fills it, in the order in which they are shown."""

GROUPS = {
    "everything": set(SECTIONS),
    "all": set(SECTIONS),
    "default": set(SECTIONS) - {"commandstats", "latencystats", "keysizes"},
}


def render(worker: Any, wanted: Iterable[str]) -> str:
    """The sections of these names; `all`, `default` and `everything` stand for several. Unknown ones are
    none."""
    names: set[str] = set()
    for name in wanted:
        names |= GROUPS.get(name, {name})
    if worker.tier is None:
        names.discard("storage")
    parts = []
    for name, (heading, fill) in SECTIONS.items():
        if name in names:
            lines = [f"# {heading}", *(f"{field}:{value}" for field, value in fill(worker).items()), ""]
            parts.append("\r\n".join(lines))
    return "\r\n".join(parts)


@command("info")
def info(ctx: Any, args: list[bytes]) -> Verbatim:
    wanted = [arg.decode("latin-1").lower() for arg in args] or ["default"]
    return Verbatim(render(ctx.worker, wanted).encode("utf-8", "surrogateescape"))
