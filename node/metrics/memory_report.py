"""What used memory is used for: the figures behind INFO memory, MEMORY STATS and MEMORY DOCTOR.

`used` (node/metrics/memory) is divided into what it took to start, what serves clients, replicas, scripts and
the tables of keys, together the *overhead*; and the rest, which is the dataset.

The allocator, as these figures have it, is the C library's together with Python's: it has handed out what
is used, and holds besides what lies idle in it. What Python and our code take is part of `startup`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from node.metrics import process
from node.session.client_memory import memory_of

if TYPE_CHECKING:
    from node.worker import Worker


@dataclass(frozen=True, slots=True)
class Tables:
    """What the tables of one database take, in bytes."""

    index: int
    main: int
    expires: int


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """Bytes throughout, unless it says otherwise."""

    used: int
    peak: int
    startup: int
    resident: int
    """RAM of the process."""
    backlog: int
    clients_normal: int
    clients_replicas: int
    replica_buffers: int
    """What waits for replicas, besides the backlog: not counted for eviction."""
    scripts: int
    """Sources."""
    functions: int
    """Libraries."""
    lua_scripts: int
    """What the Lua state of scripts holds."""
    lua_functions: int
    tables: list[Tables]
    """Of the databases that hold keys."""
    keys: int
    idle: int
    """Held by the allocator, used by nobody."""

    @property
    def table_bytes(self) -> int:
        return sum(tables.main + tables.expires for tables in self.tables)

    @property
    def overhead(self) -> int:
        return (
            self.startup
            + self.backlog
            + self.clients_normal
            + self.clients_replicas
            + self.scripts
            + self.functions
            + self.lua
            + self.table_bytes
        )

    @property
    def lua(self) -> int:
        return self.lua_scripts + self.lua_functions

    @property
    def dataset(self) -> int:
        return max(0, self.used - self.overhead)

    @property
    def net(self) -> int:
        """What was used since the start."""
        return max(1, self.used - self.startup)

    @property
    def active(self) -> int:
        """What the allocator took from the system, given back or not."""
        return self.used + self.idle

    @property
    def allocator_resident(self) -> int:
        return min(self.active, self.resident)

    @property
    def per_key(self) -> int:
        return self.net // self.keys if self.keys else 0


def report(worker: Worker) -> MemoryReport:
    memory, replication = worker.memory, worker.replication
    used = memory.used
    memory.note_peak(used)
    backlog = replication.primary.backlog
    normal = replicas = 0
    for session in worker.clients.values():
        if session.kind == "replica":
            replicas += memory_of(session).total
        else:
            normal += memory_of(session).total
    return MemoryReport(
        used=used,
        peak=memory.peak,
        startup=memory.startup,
        resident=process.resident_bytes(),
        backlog=backlog.size if backlog is not None else 0,
        clients_normal=normal,
        clients_replicas=replicas,
        replica_buffers=replication.primary.unsent,
        scripts=worker.scripts.memory,
        functions=worker.functions.memory,
        lua_scripts=worker.scripts.lua_memory,
        lua_functions=worker.functions.lua_memory,
        tables=[Tables(db.index, *db.table_memory()) for db in worker.databases if len(db)],
        keys=sum(len(db) for db in worker.databases),
        idle=memory.unused_in_allocator(),
    )


def ratio(part: int, whole: int) -> float:
    return part / max(whole, 1)


def stats(worker: Worker) -> list[tuple[bytes, Any]]:
    """MEMORY STATS, in its order."""
    seen = report(worker)
    fields: dict[str, Any] = {
        "peak.allocated": seen.peak,
        "total.allocated": seen.used,
        "startup.allocated": seen.startup,
        "replication.backlog": seen.backlog,
        "clients.slaves": seen.clients_replicas,
        "clients.normal": seen.clients_normal,
        "cluster.links": 0,
        "aof.buffer": 0,
        "lua.caches": seen.scripts,
        "functions.caches": seen.functions,
    }
    for tables in seen.tables:
        fields[f"db.{tables.index}"] = {
            b"overhead.hashtable.main": tables.main,
            b"overhead.hashtable.expires": tables.expires,
        }
    fields |= {
        "overhead.db.hashtable.lut": seen.table_bytes,
        "overhead.db.hashtable.rehashing": 0,
        "overhead.total": seen.overhead,
        "db.dict.rehashing.count": 0,
        "keys.count": seen.keys,
        "keys.bytes-per-key": seen.per_key,
        "dataset.bytes": seen.dataset,
        "dataset.percentage": 100 * ratio(seen.dataset, seen.net),
        "peak.percentage": 100 * ratio(seen.used, seen.peak),
        "allocator.allocated": seen.used,
        "allocator.active": seen.active,
        "allocator.resident": seen.allocator_resident,
        "allocator.muzzy": 0,
        "allocator-fragmentation.ratio": ratio(seen.active, seen.used),
        "allocator-fragmentation.bytes": seen.idle,
        "allocator-rss.ratio": ratio(seen.allocator_resident, seen.active),
        "allocator-rss.bytes": seen.allocator_resident - seen.active,
        "rss-overhead.ratio": ratio(seen.resident, seen.allocator_resident),
        "rss-overhead.bytes": seen.resident - seen.allocator_resident,
        "fragmentation": ratio(seen.resident, seen.used),
        "fragmentation.bytes": seen.resident - seen.used,
    }
    return [(name.encode(), value) for name, value in fields.items()]


def info(worker: Worker) -> dict[str, Any]:
    """INFO memory, less the `_human` twins of its figures."""
    seen, memory, config = report(worker), worker.memory, worker.config
    return {
        "used_memory": seen.used,
        "used_memory_rss": seen.resident,
        "used_memory_peak": seen.peak,
        "used_memory_peak_time": memory.peak_at,
        "used_memory_peak_perc": f"{100 * ratio(seen.used, seen.peak):.2f}%",
        "used_memory_overhead": seen.overhead,
        "used_memory_startup": seen.startup,
        "used_memory_dataset": seen.dataset,
        "used_memory_dataset_perc": f"{100 * ratio(seen.dataset, seen.net):.2f}%",
        "allocator_allocated": seen.used,
        "allocator_active": seen.active,
        "allocator_resident": seen.allocator_resident,
        "allocator_muzzy": 0,
        "total_system_memory": process.machine_bytes(),
        "used_memory_lua": seen.lua_scripts,
        "used_memory_vm_eval": seen.lua_scripts,
        "used_memory_scripts_eval": seen.scripts,
        "number_of_cached_scripts": len(worker.scripts),
        "number_of_functions": worker.functions.function_count,
        "number_of_libraries": worker.functions.library_count,
        "used_memory_vm_functions": seen.lua_functions,
        "used_memory_vm_total": seen.lua,
        "used_memory_functions": seen.functions,
        "used_memory_scripts": seen.scripts + seen.functions,
        "maxmemory": config.maxmemory,
        "maxmemory_policy": config.maxmemory_policy,
        "allocator_frag_ratio": f"{ratio(seen.active, seen.used):.2f}",
        "allocator_frag_bytes": seen.idle,
        "allocator_rss_ratio": f"{ratio(seen.allocator_resident, seen.active):.2f}",
        "allocator_rss_bytes": seen.allocator_resident - seen.active,
        "rss_overhead_ratio": f"{ratio(seen.resident, seen.allocator_resident):.2f}",
        "rss_overhead_bytes": seen.resident - seen.allocator_resident,
        "mem_fragmentation_ratio": f"{ratio(seen.resident, seen.used):.2f}",
        "mem_fragmentation_bytes": seen.resident - seen.used,
        "mem_not_counted_for_evict": seen.replica_buffers,
        "mem_replication_backlog": seen.backlog,
        "mem_total_replication_buffers": seen.backlog + seen.replica_buffers,
        "mem_clients_slaves": seen.clients_replicas,
        "mem_clients_normal": seen.clients_normal,
        "mem_cluster_links": 0,
        "mem_aof_buffer": 0,
        "mem_allocator": "libc",
        "mem_overhead_db_hashtable_rehashing": 0,
        "active_defrag_running": 0,
        "lazyfree_pending_objects": worker.graveyard.pending,
        "lazyfreed_objects": worker.graveyard.freed,
    }


HUMAN = ("used_memory", "used_memory_rss", "used_memory_peak", "total_system_memory", "used_memory_lua",
         "used_memory_vm_total", "used_memory_scripts", "maxmemory")  # fmt: skip
"""Fields of INFO that are also given for people."""
