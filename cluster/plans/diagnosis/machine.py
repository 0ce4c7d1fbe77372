"""Memory, kernel settings and limits. What only the host itself can tell is known where the doctor runs on
it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cluster.plans.check import Problem
from cluster.plans.diagnosis.facts import Facts

SPARE_FILES = 32
"""besides clients: the log, snapshots, the bus"""
ALMOST_FULL = 0.95
GB = 1 << 30


def findings(server: Facts) -> Iterator[Problem]:
    limit, used = server.number("maxmemory"), server.told("used_memory")
    if limit == 0:
        yield Problem(
            "maxmemory",
            "warning",
            f"{server.address} has no maxmemory: it grows until the kernel ends it, or swaps",
            "CONFIG SET maxmemory to its share of the host, less a third for snapshots and buffers",
        )
    elif limit and used > ALMOST_FULL * limit and server.setting("maxmemory-policy") == "noeviction":
        yield Problem(
            "full",
            "error",
            f"{server.address} uses {100 * used // limit} % of maxmemory, beyond which writes are refused",
            "CONFIG SET maxmemory higher, or move slots elsewhere: `shoal rebalance --by memory`",
        )
    yield from _limits(server)
    yield from _kernel(server)


def _limits(server: Facts) -> Iterator[Problem]:
    machine, clients = server.machine, server.number("maxclients")
    if machine is None:
        return
    if machine.open_files is not None and clients and machine.open_files < clients + SPARE_FILES:
        yield Problem(
            "open-files",
            "warning",
            f"{server.address} may have {machine.open_files} files open, and {clients} clients (maxclients)"
            " need as many and some",
            "raise the limit (`ulimit -n`, LimitNOFILE= of a unit), or lower maxclients",
        )
    backlog = server.number("tcp-backlog")
    if backlog and machine.most_waiting is not None and machine.most_waiting < backlog:
        yield Problem(
            "backlog",
            "warning",
            f"{server.address} has tcp-backlog {backlog}, and the kernel allows {machine.most_waiting}",
            f"sysctl net.core.somaxconn={backlog}",
        )


def _kernel(server: Facts) -> Iterator[Problem]:
    machine = server.machine
    if machine is None:
        return
    if machine.overcommit not in (None, 1) and server.keeps_data:
        yield Problem(
            "overcommit",
            "warning",
            f"{server.address} is on a host with vm.overcommit_memory {machine.overcommit}: snapshots fork,"
            " and may be refused where memory is more than half full",
            "sysctl vm.overcommit_memory=1",
        )
    if machine.huge_pages == "always":
        yield Problem(
            "huge-pages",
            "warning",
            f"{server.address} is on a host with transparent huge pages: while a snapshot is taken each write"
            " may copy 2 MB",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        )


def findings_of_hosts(servers: Sequence[Facts]) -> Iterator[Problem]:
    """Those of one host share its memory."""
    together: dict[str, list[Facts]] = {}
    for server in servers:
        together.setdefault(server.host, []).append(server)
    for host, residents in together.items():
        memory = max(server.told("total_system_memory") for server in residents)
        limits = sum(server.number("maxmemory") or 0 for server in residents)
        if 0 < memory < limits:
            yield Problem(
                "host-memory",
                "warning",
                f"host {host} has {memory / GB:.1f} GB, and its {len(residents)} servers may use"
                f" {limits / GB:.1f} GB (maxmemory)",
                "lower maxmemory, or move some of them to another host",
            )
