"""INFO of a proxy: its own process, its clients, and the workers it talks to.

Sections and fields are named as in Redis where there is something to say; `proxy` lists the workers.
"""

from __future__ import annotations

import os
import resource
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxy.commands import Commands


def info_text(commands: Commands, wanted: list[str], redis_version: str) -> str:
    """The sections named in `wanted`; all of them if it is empty or says so."""
    everything = not wanted or not {"all", "default", "everything"}.isdisjoint(wanted)
    sections = {
        "server": _server(commands, redis_version),
        "clients": {"connected_clients": len(commands.clients), "maxclients": commands.max_clients},
        "memory": _memory(),
        "stats": _stats(commands),
        "replication": {"role": "master", "connected_slaves": 0},
        "cpu": _cpu(),
        "cluster": {"cluster_enabled": 0},
        "proxy": _proxy(commands),
    }
    chosen = {name: fields for name, fields in sections.items() if everything or name in wanted}
    return "\r\n".join(
        f"# {name.capitalize()}\r\n" + "".join(f"{key}:{value}\r\n" for key, value in fields.items())
        for name, fields in chosen.items()
    )


def _server(commands: Commands, redis_version: str) -> dict[str, Any]:
    uptime = int(time.monotonic() - commands.started)
    return {
        "redis_version": redis_version,
        "redis_mode": "standalone",
        "server_name": "shoal-proxy",
        "process_id": os.getpid(),
        "tcp_port": commands.port,
        "uptime_in_seconds": uptime,
        "uptime_in_days": uptime // 86400,
    }


def _memory() -> dict[str, Any]:
    """Of the whole process: what it holds for clients is not counted apart."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"used_memory_peak": peak}


def _stats(commands: Commands) -> dict[str, Any]:
    return {
        "total_connections_received": commands.connections_received,
        "rejected_connections": commands.connections_rejected,
        "total_requests_forwarded": sum(upstream.requests for upstream in commands.pool.upstreams()),
        "redirections_followed": commands.pool.redirections,
    }


def _cpu() -> dict[str, Any]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"used_cpu_sys": f"{usage.ru_stime:.6f}", "used_cpu_user": f"{usage.ru_utime:.6f}"}


def _proxy(commands: Commands) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "slots_served": commands.topology.slots_served,
        "map_refreshes": commands.topology.refreshes,
        "map_changes": commands.topology.changes,
        "dedicated_connections": commands.sessions.dedicated.lent,
        "dedicated_connections_idle": commands.sessions.dedicated.idle,
    }
    for number, upstream in enumerate(commands.pool.upstreams()):
        fields[f"upstream{number}"] = (
            f"addr={upstream!r},resp={upstream.version},state={upstream.state_name},"
            f"in_flight={upstream.in_flight},bytes={upstream.bytes_in_flight},requests={upstream.requests}"
        )
    return fields
