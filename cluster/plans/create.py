"""Planning a new cluster: who is primary, who replicates whom, who serves which slots.

Slots are divided as `redis-cli --cluster create` divides them, so that both give the same cluster:
0-5460, 5461-10922, 10923-16383 for three. Nodes are taken from the hosts in turn, so that primaries spread
over hosts. Replicas are then placed to lose as little as possible with one host: first no replica beside its
own primary, then no two replicas of one primary together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from cluster.plans.model import PlanError
from cluster.slots import SLOT_COUNT

FEWEST_PRIMARIES = 3

Address = tuple[str, int]
"""host, port"""


@dataclass
class PlannedPrimary:
    address: Address
    first: int
    last: int
    replicas: list[Address] = field(default_factory=list)

    @property
    def slot_count(self) -> int:
        return self.last - self.first + 1


@dataclass
class CreatePlan:
    primaries: list[PlannedPrimary]

    @property
    def addresses(self) -> list[Address]:
        return [address for primary in self.primaries for address in (primary.address, *primary.replicas)]

    @property
    def shared_hosts(self) -> int:
        """How many replicas sit on their primary's host."""
        return sum(
            address[0] == primary.address[0] for primary in self.primaries for address in primary.replicas
        )


def divide_slots(parts: int) -> list[tuple[int, int]]:
    """All slots in `parts` ranges (first, last) of equal size within one, rounded as redis-cli rounds."""
    share = SLOT_COUNT / parts
    edges = [math.floor(share * i - 1 + 0.5) for i in range(1, parts)]
    firsts = [0, *(edge + 1 for edge in edges)]
    return list(zip(firsts, [*edges, SLOT_COUNT - 1], strict=True))


def plan_create(addresses: Sequence[Address], replicas: int) -> CreatePlan:
    """`replicas` for each primary; nodes left over become further replicas. Raises PlanError for fewer than
    three primaries, an address named twice, or a negative number of replicas."""
    twice = [f"{host}:{port}" for (host, port), times in Counter(addresses).items() if times > 1]
    if twice:
        raise PlanError(f"named more than once: {', '.join(twice)}")
    if replicas < 0:
        raise PlanError("the number of replicas cannot be negative")
    count = len(addresses) // (replicas + 1)
    if count < FEWEST_PRIMARIES:
        needed = FEWEST_PRIMARIES * (replicas + 1)
        raise PlanError(
            f"{len(addresses)} nodes with {replicas} replicas each make {count} primaries; a cluster needs"
            f" at least {FEWEST_PRIMARIES}, so that a majority is left when one dies: give {needed} nodes"
        )
    spread = _alternate_hosts(addresses)
    primaries = [
        PlannedPrimary(address, first, last)
        for address, (first, last) in zip(spread, divide_slots(count), strict=False)
    ]
    _place_replicas(primaries, spread[count:])
    return CreatePlan(primaries)


def _alternate_hosts(addresses: Sequence[Address]) -> list[Address]:
    """One node of each host in turn, hosts in order of first mention."""
    by_host: dict[str, list[Address]] = {}
    for address in addresses:
        by_host.setdefault(address[0], []).append(address)
    longest = max(map(len, by_host.values()))
    return [nodes[i] for i in range(longest) for nodes in by_host.values() if i < len(nodes)]


def _place_replicas(primaries: list[PlannedPrimary], waiting: list[Address]) -> None:
    remaining = list(waiting)
    while remaining:
        for primary in primaries[: len(remaining)]:
            elsewhere = (address for address in remaining if address[0] != primary.address[0])
            chosen = next(elsewhere, remaining[0])
            remaining.remove(chosen)
            primary.replicas.append(chosen)
    _separate(primaries)


def _separate(primaries: list[PlannedPrimary]) -> None:
    """Swap replicas between primaries for as long as a swap lessens what shares a host.

    Every swap lowers the sum of `_crowding`, a whole number, so this ends.
    """
    improved = True
    while improved:
        improved = False
        for one, other in combinations(primaries, 2):
            for i in range(len(one.replicas)):
                for j in range(len(other.replicas)):
                    improved |= _swap_if_better(one, i, other, j)


def _swap_if_better(one: PlannedPrimary, i: int, other: PlannedPrimary, j: int) -> bool:
    before = _crowding(one) + _crowding(other)
    one.replicas[i], other.replicas[j] = other.replicas[j], one.replicas[i]
    if _crowding(one) + _crowding(other) < before:
        return True
    one.replicas[i], other.replicas[j] = other.replicas[j], one.replicas[i]
    return False


def _crowding(primary: PlannedPrimary) -> int:
    """0 when all of a primary's family live on hosts of their own. A replica beside its primary weighs
    most."""
    hosts = Counter(host for host, _ in primary.replicas)
    beside_primary = hosts[primary.address[0]]
    together = sum(times - 1 for times in hosts.values())
    return 10_000 * beside_primary + together
