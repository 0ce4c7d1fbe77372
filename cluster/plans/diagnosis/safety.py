"""What is left of the data after a crash, and whether it is kept as was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cluster.plans.check import Problem
from cluster.plans.diagnosis.facts import Facts

FAR_BEHIND_BYTES = 16 << 20
FAR_BEHIND_SECONDS = 10

_STATUS = {
    "rdb_last_bgsave_status": "the last snapshot failed",
    "aof_last_write_status": "its append-only file could not be written the last time",
    "aof_last_bgrewrite_status": "the last rewrite of its append-only file failed",
    "storage_status": "its store cannot be written",
}


def findings(server: Facts) -> Iterator[Problem]:
    for field, what in _STATUS.items():
        if server.info.get(field) == "err":
            yield Problem(
                "persistence-failed",
                "error",
                f"{server.address} says that {what}",
                "its log tells why: is the disk full, the directory writable?",
            )
    if server.setting("appendonly") == "yes" and server.setting("appendfsync") == "no":
        yield Problem(
            "appendfsync",
            "advice",
            f"{server.address} leaves it to the kernel when its log is on the disk (appendfsync no): a power"
            " cut costs half a minute of writes",
            "CONFIG SET appendfsync everysec",
        )
    yield from _unkept(server)
    if not server.is_primary and server.info.get("master_link_status") == "down":
        yield Problem(
            "replica-cut-off",
            "error",
            f"{server.address} does not follow its primary",
            "its log tells why; a wrong masterauth, or a port that is not open, are the usual reasons",
        )


def _unkept(server: Facts) -> Iterator[Problem]:
    if not server.settings or server.keeps_data or not server.is_primary:
        return
    if not server.told("connected_slaves"):
        yield Problem(
            "no-persistence",
            "error",
            f"{server.address} keeps nothing on disk and has no replica: any end of it loses all its data",
            "CONFIG SET appendonly yes, or give it a replica; or see that it holds nothing but a cache",
        )
    else:
        yield Problem(
            "no-persistence",
            "warning",
            f"{server.address} keeps nothing on disk: started again before a replica has taken over, it is"
            " empty, and its replicas become so",
            "CONFIG SET appendonly yes, on primaries and replicas",
        )


def findings_of_pairs(servers: Sequence[Facts]) -> Iterator[Problem]:
    """Replicas that are far behind, as their primaries see them."""
    for server in servers:
        offset = server.told("master_repl_offset")
        for number in range(server.told("connected_slaves")):
            line = server.info.get(f"slave{number}", "")
            seen = dict(part.split("=", 1) for part in line.split(",") if "=" in part)
            if seen.get("state") != "online":
                continue
            behind, lag = offset - int(seen.get("offset", offset)), int(seen.get("lag", 0))
            if behind > FAR_BEHIND_BYTES or lag > FAR_BEHIND_SECONDS:
                yield Problem(
                    "lag",
                    "warning",
                    f"{seen.get('ip')}:{seen.get('port')} is {behind} bytes and {lag} s behind its primary"
                    f" {server.address}: a failover to it would lose that",
                    "is its host busy, or the way to it slow? repl-backlog-size should hold some minutes",
                )
