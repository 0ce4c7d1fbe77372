"""What goes down together: hosts, and the zones they are in.

A zone is what a member was told of itself (`availability-zone`): a data centre, a rack, a node of Kubernetes.
Who was not told is in none, and then only hosts count. A replica is worth most where its primary is not, and
next where no other replica of it is, so all placing, of a new cluster as of a latecomer, goes by these costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

WITH_ITS_PRIMARY = 10_000
"""What it costs to share a place with the primary, where to share one with another replica costs 1."""


@dataclass(frozen=True)
class Place:
    host: str
    zone: str = ""


def nearness(one: Place, other: Place) -> int:
    """0 where nothing is shared, 1 a zone or a host, 2 both."""
    return (one.host == other.host) + (one.zone == other.zone != "")


def cost(replica: Place, primary: Place, siblings: Sequence[Place] = ()) -> int:
    """Of one more replica of `primary`, which has those `siblings` already."""
    beside = sum(nearness(replica, sibling) for sibling in siblings)
    return WITH_ITS_PRIMARY * nearness(replica, primary) + beside


def crowding(primary: Place, replicas: Sequence[Place]) -> int:
    """0 when all of a shard have places of their own."""
    together = sum(nearness(one, other) for one, other in combinations(replicas, 2))
    return sum(cost(replica, primary) for replica in replicas) + together
