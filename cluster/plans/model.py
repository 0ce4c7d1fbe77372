"""What planners take and give: nodes, views of them, and moves of slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from cluster.addresses import address_text
from cluster.plans.places import Place
from cluster.slots import NO_SLOTS, count, members


class PlanError(Exception):
    """What was asked cannot be planned. The text is one line for the operator."""


@dataclass(frozen=True)
class NodeInfo:
    """A member of a cluster, as a member describes it to the outside."""

    id: str
    host: str
    port: int
    slots: int = NO_SLOTS
    """what it serves, as a bitmap (cluster/slots.py); empty for a replica"""
    primary_id: str | None = None
    """the primary it replicates; None for a primary"""
    flags: frozenset[str] = frozenset()
    """as CLUSTER NODES prints them: `master`, `fail?`, `noaddr`, ..."""
    epoch: int = 0
    bus_port: int = 0
    linked: bool = True
    """whether the describing member has its bus link to this one up"""
    zone: str = ""
    """where it says it is (`availability-zone`); empty if it was not asked, or was not told"""

    @property
    def address(self) -> str:
        return address_text(self.host, self.port)

    @property
    def place(self) -> Place:
        return Place(self.host, self.zone)

    @property
    def slot_count(self) -> int:
        return count(self.slots)

    @property
    def is_primary(self) -> bool:
        return self.primary_id is None

    @property
    def failed(self) -> bool:
        """FAIL, agreed by a majority; a mere suspicion (`fail?`) does not count."""
        return "fail" in self.flags


@dataclass(frozen=True)
class View:
    """The cluster as the member `observer` sees it. Open slots are known only to the member they are open
    on."""

    observer: NodeInfo
    nodes: Mapping[str, NodeInfo]
    """by id, the observer included"""
    migrating: Mapping[int, str] = field(default_factory=dict)
    """slot -> id of the node it goes to"""
    importing: Mapping[int, str] = field(default_factory=dict)
    """slot -> id of the node it comes from"""

    @property
    def settled(self) -> set[str]:
        """Ids of all but those with whom it is still shaking hands."""
        return {node.id for node in self.nodes.values() if "handshake" not in node.flags}

    @property
    def claims(self) -> dict[str, int]:
        """Id of each node that serves slots -> which."""
        return {node.id: node.slots for node in self.nodes.values() if node.slots}

    def owners(self) -> dict[int, str]:
        """slot -> id of the primary that serves it."""
        return {slot: node.id for node in self.nodes.values() for slot in members(node.slots)}


@dataclass(frozen=True)
class Move:
    """One slot from one primary to another, by id."""

    slot: int
    source: str
    target: str


def lowest(slots: int, number: int) -> list[int]:
    """The lowest `number` slots of a set: those moved first, as redis-cli does, so that ranges stay few."""
    return list(islice(members(slots), number))


def apportion(total: int, weights: Mapping[str, float], favoured: Mapping[str, int]) -> dict[str, int]:
    """`total` things in whole shares proportional to `weights` (largest remainder, so the sum is exact).

    What is left after rounding down goes one by one first to those whose `favoured` number lies above
    their share: who holds more already need not give it away. Raises PlanError when all weights are 0.
    """
    weight_sum = sum(weights.values())
    if weight_sum <= 0:
        raise PlanError("all weights are 0: nobody could hold the slots")
    exact = {name: total * weight / weight_sum for name, weight in weights.items()}
    shares = {name: int(share) for name, share in exact.items()}
    left = total - sum(shares.values())
    by_claim = sorted(
        (name for name in weights if weights[name] > 0),
        key=lambda name: (
            exact[name] - shares[name] < 1e-9,  # its share is whole: it has no claim to more
            favoured.get(name, 0) <= shares[name],
            shares[name] - exact[name],
            name,
        ),
    )
    for name in by_claim[:left]:
        shares[name] += 1
    return shares
