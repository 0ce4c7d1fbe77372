"""INFO of a proxy: of its own process, its clients and connections; and, merged, of the workers.

Sections and fields are named as in Redis. Server, Clients, Replication, CPU and Cluster are the proxy's own,
because the client talks to one server and this is it; `Proxy` lists the workers. All other sections are of
the workers' (worker_info.py), with what is counted here in Stats. What each of several processes counts
(siblings.py) is added up.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from node.errors import one_line
from node.metrics.percentiles import percentiles
from node.replies import Verbatim
from proxy.local.clients import Description
from proxy.local.version import REDIS_VERSION
from proxy.requests.codec import decode_reply, encode_reply, is_error
from proxy.requests.worker_info import Sections, merged, parse

if TYPE_CHECKING:
    from proxy.requests.commands import Commands
    from proxy.workers.upstreams import UpstreamPool

SHARES = (50.0, 99.0)
"""Percentiles of the microseconds until a worker's replies were there"""
MOST_SHOWN = 10
"""Hot keys"""
EVERYTHING = {"all", "default", "everything"}
OWN = {"server", "clients", "replication", "cpu", "cluster", "proxy"}


Figures = Mapping[str, str]


def info_text(
    commands: Commands, wanted: Sequence[str], workers: Sections, others: Sequence[Figures] = ()
) -> str:
    """Our sections and those of the workers, of both what is `wanted`. `others`: figures of our siblings."""
    everything = not wanted or not EVERYTHING.isdisjoint(wanted)
    sections: dict[str, dict[str, Any]] = {"Server": _server(commands), "Clients": _clients(commands)}
    own: dict[str, dict[str, Any]] = {
        "Replication": {"role": "master", "connected_slaves": 0},
        "CPU": _cpu(),
        "Cluster": {"cluster_enabled": int(commands.facade is not None)},
        "Proxy": _proxy(commands),
    }
    for title, fields in workers.items():
        if title == "Stats":
            sections[title] = {**fields, **_stats(commands)}
        elif title not in sections and title not in own:
            sections[title] = dict(fields)
        elif title in own:
            sections[title] = own.pop(title)  # where INFO is used to have it
    sections.update(own)
    if others:
        sections = {title: _with(fields, others) for title, fields in sections.items()}
        sections["Proxy"] |= _processes([figures(commands), *others])
    return "\r\n".join(
        f"# {title}\r\n" + "".join(f"{key}:{value}\r\n" for key, value in fields.items())
        for title, fields in sections.items()
        if everything or title.lower() in wanted
    )


def figures(commands: Commands) -> dict[str, str]:
    """What processes of one proxy tell each other."""
    counts = {
        "process_id": os.getpid(),
        "connected_clients": len(commands.clients),
        **_states(commands),
        "dedicated_connections": commands.sessions.dedicated.lent,
        "dedicated_connections_idle": commands.sessions.dedicated.idle,
    }
    if commands.mirroring is not None:
        counts |= commands.mirroring.counts()
    return {name: str(value) for name, value in (counts | _stats(commands) | _cpu()).items()}


def figures_text(commands: Commands) -> str:
    return "\r\n".join(f"{name}:{value}" for name, value in figures(commands).items())


def _with(fields: Mapping[str, Any], others: Sequence[Figures]) -> dict[str, Any]:
    """The sums of the fields that are figures; the other fields as they are."""
    summed = dict(fields)
    for name in summed.keys() & others[0].keys() - {"process_id"}:
        values = [str(fields[name]), *(each[name] for each in others if name in each)]
        fraction = any("." in value for value in values)
        summed[name] = f"{sum(map(float, values)):.6f}" if fraction else sum(map(int, values))
    return summed


def _processes(each: Sequence[Figures]) -> dict[str, Any]:
    rows = sorted(each, key=lambda row: int(row["process_id"]))
    return {
        f"process{number}": f"pid={row['process_id']},clients={row['connected_clients']}"
        for number, row in enumerate(rows)
    }


def asks_workers(wanted: Sequence[str]) -> bool:
    return not wanted or not OWN.issuperset(wanted)


def merging(
    commands: Commands, wanted: Sequence[str], resp: int, others: Sequence[Figures] = ()
) -> Callable[[Sequence[bytes]], bytes]:
    """Makes one INFO of the workers' raw replies and our own. Workers that cannot be asked are left out."""

    def merge(replies: Sequence[bytes]) -> bytes:
        texts = [decode_reply(reply) for reply in replies if not is_error(reply)]
        reports = [parse((text.text if isinstance(text, Verbatim) else text).decode()) for text in texts]
        return encode_reply(Verbatim(info_text(commands, wanted, merged(reports), others)), resp)

    return merge


def _server(commands: Commands) -> dict[str, Any]:
    uptime = int(time.monotonic() - commands.front.started)
    return {
        "redis_version": REDIS_VERSION,
        "redis_mode": "cluster" if commands.facade else "standalone",
        "server_name": "shoal-proxy",
        "process_id": os.getpid(),
        "tcp_port": commands.front.port,
        "uptime_in_seconds": uptime,
        "uptime_in_days": uptime // 86400,
    }


def _clients(commands: Commands) -> dict[str, Any]:
    tracking = commands.sessions.tracking
    return {
        "connected_clients": len(commands.clients),
        "maxclients": commands.front.max_clients,
        **_states(commands),
        "tracking_clients": len(tracking.modes),
    }


def _states(commands: Commands) -> dict[str, int]:
    """How many clients wait, listen and watch."""
    clients = commands.clients.values()
    sessions = [client.session for client in clients if client.session is not None]
    return {
        "blocked_clients": sum(Description(client, commands).is_blocked for client in clients),
        "pubsub_clients": sum(bool(session.subscriptions) for session in sessions),
        "watching_clients": sum(session.watch is not None for session in sessions),
    }


def _pools(commands: Commands) -> list[UpstreamPool]:
    """Of all services: each user has its own, if workers decide who clients are."""
    others = [service.pool for service in commands.users.services] if commands.users else []
    return [commands.front.pool, *others]


def _stats(commands: Commands) -> dict[str, Any]:
    tracking = commands.sessions.tracking
    pools = _pools(commands)
    return {
        "total_connections_received": commands.front.connections_received,
        "rejected_connections": commands.front.connections_rejected,
        "total_requests_forwarded": sum(each.requests for pool in pools for each in pool.upstreams()),
        "redirections_followed": sum(pool.redirections for pool in pools),
        "tracking_total_keys": len(tracking.table),
        "tracking_total_items": tracking.table.item_count,
        "tracking_total_prefixes": tracking.prefix_count,
    }


def _cpu() -> dict[str, Any]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"used_cpu_sys": f"{usage.ru_stime:.6f}", "used_cpu_user": f"{usage.ru_utime:.6f}"}


def _hot_reads(commands: Commands) -> dict[str, Any]:
    hot_reads = commands.hot_reads
    if hot_reads is None:
        return {}
    fields = {
        "hot_reads_shared": hot_reads.shared,
        "hot_reads_from_cache": hot_reads.hits,
        "hot_cache_bytes": hot_reads.kept,
    }
    for number, (key, rate) in enumerate(hot_reads.rates()[:MOST_SHOWN]):
        fields[f"hot_key{number}"] = f"reads_per_second={rate},key={one_line(key)}"
    return fields


def _proxy(commands: Commands) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "slots_served": commands.topology.slots_served,
        "map_refreshes": commands.topology.refreshes,
        "map_changes": commands.topology.changes,
        "dedicated_connections": commands.sessions.dedicated.lent,
        "dedicated_connections_idle": commands.sessions.dedicated.idle,
        "peak_resident_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    if commands.replica_reads is not None:
        fields.update(commands.replica_reads.facts())
    if commands.mirroring is not None:
        fields |= commands.mirroring.counts() | commands.mirroring.facts()
    fields |= _hot_reads(commands)
    for number, upstream in enumerate(commands.pool.upstreams()):
        fields[f"upstream{number}"] = (
            f"addr={upstream!r},resp={upstream.version},state={upstream.state_name},"
            f"in_flight={upstream.in_flight},bytes={upstream.bytes_in_flight},requests={upstream.requests},"
            f"errors={upstream.errors},{percentiles(SHARES, upstream.latencies[1]) or 'p50=0,p99=0'}"
        )
    return fields
