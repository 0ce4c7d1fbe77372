"""Planning a new cluster: who is primary, who replicates whom, who serves which slots.

Slots are divided as `redis-cli --cluster create` divides them, so that both give the same cluster:
0-5460, 5461-10922, 10923-16383 for three. Nodes are taken from the zones in turn, and in each from its hosts,
so that primaries spread over both. Replicas are then placed to lose as little as possible with one zone or
host (`places.py`): first no replica beside its own primary, then no two replicas of one primary together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations

from cluster.plans.model import PlanError
from cluster.plans.places import Place, cost, crowding
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
    zones: Mapping[Address, str] = field(default_factory=dict)
    """Where each said it was."""

    @property
    def addresses(self) -> list[Address]:
        return [address for primary in self.primaries for address in (primary.address, *primary.replicas)]

    @property
    def shared_hosts(self) -> int:
        """How many replicas sit on their primary's host."""
        return sum(
            address[0] == primary.address[0] for primary in self.primaries for address in primary.replicas
        )

    @property
    def shared_zones(self) -> int:
        """How many primaries have all their replicas in their own zone, though there is another."""
        if len(set(self.zones.values()) - {""}) < 2:
            return 0
        families = [
            {self.zones.get(address, "") for address in (primary.address, *primary.replicas)}
            for primary in self.primaries
            if primary.replicas
        ]
        return sum(len(zones) == 1 and "" not in zones for zones in families)


def divide_slots(parts: int) -> list[tuple[int, int]]:
    """All slots in `parts` ranges (first, last) of equal size within one, rounded as redis-cli rounds."""
    share = SLOT_COUNT / parts
    edges = [math.floor(share * i - 1 + 0.5) for i in range(1, parts)]
    firsts = [0, *(edge + 1 for edge in edges)]
    return list(zip(firsts, [*edges, SLOT_COUNT - 1], strict=True))


def plan_create(addresses: Sequence[Address], replicas: int, zones: Mapping[Address, str] = {}) -> CreatePlan:
    """`replicas` for each primary; nodes left over become further replicas. `zones`: of those that know
    theirs. Raises PlanError for fewer than three primaries, an address named twice, or a negative number of
    replicas."""
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
    spread = _alternate(addresses, zones)
    primaries = [
        PlannedPrimary(address, first, last)
        for address, (first, last) in zip(spread, divide_slots(count), strict=False)
    ]
    _Placement(zones).place(primaries, spread[count:])
    return CreatePlan(primaries, zones)


def _alternate(addresses: Sequence[Address], zones: Mapping[Address, str]) -> list[Address]:
    """One node of each zone in turn, and of each of its hosts in turn."""
    by_hosts = _in_turn(addresses, lambda address: address[0])
    return _in_turn(by_hosts, lambda address: zones.get(address, ""))


def _in_turn(addresses: Sequence[Address], group_of: Callable[[Address], str]) -> list[Address]:
    """One of each group in turn, groups in order of first mention."""
    groups: dict[str, list[Address]] = {}
    for address in addresses:
        groups.setdefault(group_of(address), []).append(address)
    longest = max(map(len, groups.values()))
    return [nodes[i] for i in range(longest) for nodes in groups.values() if i < len(nodes)]


@dataclass(frozen=True)
class _Placement:
    """Gives replicas to primaries."""

    zones: Mapping[Address, str]

    def place(self, primaries: list[PlannedPrimary], waiting: Sequence[Address]) -> None:
        remaining = list(waiting)
        while remaining:
            for primary in primaries[: len(remaining)]:
                chosen = min(remaining, key=partial(self._cost, primary))
                remaining.remove(chosen)
                primary.replicas.append(chosen)
        self._separate(primaries)

    def _place_of(self, address: Address) -> Place:
        return Place(address[0], self.zones.get(address, ""))

    def _cost(self, primary: PlannedPrimary, replica: Address) -> int:
        siblings = list(map(self._place_of, primary.replicas))
        return cost(self._place_of(replica), self._place_of(primary.address), siblings)

    def _crowding(self, primary: PlannedPrimary) -> int:
        return crowding(self._place_of(primary.address), list(map(self._place_of, primary.replicas)))

    def _separate(self, primaries: list[PlannedPrimary]) -> None:
        """Swap replicas between primaries for as long as a swap lessens what shares a host or a zone.

        Every swap lowers the sum of their crowding, a whole number, so this ends.
        """
        improved = True
        while improved:
            improved = False
            for one, other in combinations(primaries, 2):
                for i in range(len(one.replicas)):
                    for j in range(len(other.replicas)):
                        improved |= self._swap_if_better(one, i, other, j)

    def _swap_if_better(self, one: PlannedPrimary, i: int, other: PlannedPrimary, j: int) -> bool:
        before = self._crowding(one) + self._crowding(other)
        one.replicas[i], other.replicas[j] = other.replicas[j], one.replicas[i]
        if self._crowding(one) + self._crowding(other) < before:
            return True
        one.replicas[i], other.replicas[j] = other.replicas[j], one.replicas[i]
        return False
