"""What members must agree on, or had better: time, settings, versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cluster.plans.check import Problem
from cluster.plans.diagnosis.facts import Facts

MOST_SKEW = 1.0
"""Seconds"""
SHORT_TIMEOUT, LONG_TIMEOUT = 1000, 60_000
"""cluster-node-timeout, ms"""
SHARED = (
    "cluster-node-timeout",
    "appendonly",
    "appendfsync",
    "maxmemory-policy",
    "requirepass",
    "masterauth",
    "synchronous-replicas",
    "cluster-require-full-coverage",
    "notify-keyspace-events",
)
"""Settings that are to be the same everywhere, since any replica may become the primary"""
SECRETS = ("requirepass", "masterauth")


def findings(servers: Sequence[Facts]) -> Iterator[Problem]:
    members = [server for server in servers if server.member is not None]
    yield from _time(members)
    yield from _node_timeout(members)
    yield from _settings(members)
    versions = {server.version for server in members if server.version}
    if len(versions) > 1:
        yield Problem(
            "versions",
            "advice",
            f"members are of different versions: {', '.join(sorted(versions))}",
            "finish the upgrade; meanwhile use what all of them have",
        )


def _time(members: Sequence[Facts]) -> Iterator[Problem]:
    clocks = {server.address: server.clock_ahead for server in members if server.clock_ahead is not None}
    if not clocks:
        return
    first, last = min(clocks, key=lambda each: clocks[each]), max(clocks, key=lambda each: clocks[each])
    skew = clocks[last] - clocks[first]
    if skew > MOST_SKEW:
        yield Problem(
            "clock",
            "warning",
            f"the clock of {last} is {skew:.1f} s ahead of that of {first}: keys expire too early or too late"
            " after a failover",
            "let all hosts synchronize their clocks (NTP)",
        )


def _node_timeout(members: Sequence[Facts]) -> Iterator[Problem]:
    limits = [limit for server in members if (limit := server.number("cluster-node-timeout")) is not None]
    if limits and min(limits) < SHORT_TIMEOUT:
        yield Problem(
            "node-timeout",
            "warning",
            f"cluster-node-timeout is {min(limits)} ms: a pause that short is taken for a failure",
            "`shoal set-timeout 5000`",
        )
    elif limits and max(limits) > LONG_TIMEOUT:
        yield Problem(
            "node-timeout",
            "advice",
            f"cluster-node-timeout is {max(limits)} ms: nobody takes over from a dead primary before",
            "`shoal set-timeout 15000`",
        )


def _settings(members: Sequence[Facts]) -> Iterator[Problem]:
    for name in SHARED:
        values: dict[str, list[str]] = {}
        for server in members:
            if name in server.settings:
                values.setdefault(server.settings[name], []).append(server.address)
        if len(values) > 1:
            odd = min(values.values(), key=len)
            shown = "" if name in SECRETS else f": {', '.join(sorted(map(repr, values)))}"
            yield Problem(
                "settings",
                "warning",
                f"members differ in {name}{shown}; {', '.join(odd)} is the odd one out",
                f"`shoal call CONFIG SET {name} …` sets it everywhere",
            )
