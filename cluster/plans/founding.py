"""Who makes a cluster of workers that have found each other, and when.

Workers that know where to look for others (`cluster-seeds`), and how many their cluster is to have
(`cluster-expected-size`), need nobody to create it. Once so many know each other, the one with the lowest id
is the founder. It acts only if all of them see exactly the same members: so nobody who might have a lower id
is known to any of them, and there is one founder. Who comes a moment later finds slots served, and is late
(`homes.py`). What a founder that died has left half done is gone on with when it is back, or by the next in
the order of ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from cluster.plans.create import CreatePlan, plan_create
from cluster.plans.homes import is_present
from cluster.plans.model import NodeInfo, View
from cluster.slots import SLOT_COUNT


class Part(Enum):
    """What a member has to do now."""

    WAIT = auto()
    FOUND = auto()
    """It is the founder, as far as it can see alone."""
    JOIN = auto()
    """The cluster is there."""


def present(view: View) -> set[str]:
    """Ids of those in sight, the observer among them."""
    return {node.id for node in view.nodes.values() if is_present(node)} | {view.observer.id}


def part_of(view: View, size: int) -> Part:
    """What the observer of `view` has to do in a cluster that is to have `size` members."""
    if sum(slots.bit_count() for slots in view.claims.values()) >= SLOT_COUNT:
        return Part.JOIN
    there = present(view)
    if len(there) >= size and view.observer.id == min(there):
        return Part.FOUND
    return Part.WAIT


def all_see(views: Iterable[View], there: set[str]) -> bool:
    """Whether everybody who is there has told, and sees just those."""
    told = {view.observer.id: view for view in views}
    return told.keys() == there and all(present(view) == there for view in told.values())


def plan_founding(nodes: Iterable[NodeInfo], replicas: int) -> CreatePlan:
    """`nodes`: those who are there. Raises PlanError if they are too few for so many replicas."""
    zones = {(node.host, node.port): node.zone for node in nodes}
    return plan_create(sorted(zones), replicas, zones)
