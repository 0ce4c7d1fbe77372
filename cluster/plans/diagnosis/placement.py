"""What goes down together: hosts and zones, and the majority that elections need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from cluster.plans.check import Problem
from cluster.plans.diagnosis.facts import Facts

FEWEST_VOTERS = 3


def findings(servers: Sequence[Facts]) -> Iterator[Problem]:
    members = [server for server in servers if server.member is not None]
    if not members:
        return
    voters = [server for server in members if server.member and server.member.slots]
    yield from _majority(members, voters)
    hosts = {server.host for server in members}
    if len(hosts) == 1:
        yield Problem(
            "one-host",
            "advice",
            f"all {len(members)} members are on one host: its end is that of the cluster",
            "spread primaries over three hosts at least, replicas over others than their primaries",
        )
        return
    hosts_of = {server.address: server.host for server in members}
    yield from _families(members, hosts_of)
    yield from _outvoted(voters, "host", hosts_of)
    zones = {server.address: _zone(server) for server in members}
    if len(set(zones.values()) - {""}) > 1:
        yield from _outvoted(voters, "zone", zones)


def _zone(server: Facts) -> str:
    return server.setting("availability-zone") or server.info.get("availability_zone", "")


def _majority(members: Sequence[Facts], voters: Sequence[Facts]) -> Iterator[Problem]:
    has_replicas = any(not server.is_primary for server in members)
    if 0 < len(voters) < FEWEST_VOTERS:
        yield Problem(
            "quorum",
            "error" if has_replicas else "warning",
            f"only {len(voters)} primaries with slots vote: when one dies there is no majority, and no"
            " replica takes over",
            "`shoal add-node NEW --rebalance` until there are three",
        )
    elif len(voters) % 2 == 0 and voters:
        yield Problem(
            "quorum",
            "advice",
            f"{len(voters)} primaries vote: as many may fail as of {len(voters) - 1}, and not one more",
            "an odd number makes the most of them",
        )


def _families(members: Sequence[Facts], host_of: dict[str, str]) -> Iterator[Problem]:
    """Shards with all their copies on one host. (Those in one zone `cluster/plans/check.py` finds.)"""
    by_id = {server.member.id: server for server in members if server.member}
    shared: dict[str, list[str]] = {}
    for server in members:
        primary = by_id.get(server.member.primary_id or "") if server.member else None
        if primary is not None:
            apart = host_of[server.address] != host_of[primary.address]
            shared.setdefault(primary.address, []).append("" if apart else server.address)
    for address, replicas in shared.items():
        if all(replicas):
            yield Problem(
                "same-host",
                "warning",
                f"{address} and all its replicas ({', '.join(replicas)}) are on one host,"
                f" {host_of[address]}: they go down together",
                f"`shoal add-node NEW --replica-of {address}`, with NEW on another host",
            )


def _outvoted(voters: Sequence[Facts], what: str, place: dict[str, str]) -> Iterator[Problem]:
    """Hosts or zones without which there is no majority."""
    number = Counter(place[server.address] for server in voters if place[server.address])
    for name, count in number.items():
        if count * 2 >= len(voters) and len(number) > 1:
            yield Problem(
                "majority",
                "warning",
                f"{what} {name} has {count} of {len(voters)} primaries: without it nobody can be elected",
                "`shoal failover` lets replicas elsewhere take over some of them",
            )
