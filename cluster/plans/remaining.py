"""What is left to do of a create plan, where it was begun before.

Forming a cluster ends early when the caller is killed, a node dies or a port is closed. What the nodes have
by then is a part of the plan, so the same call goes on from there. It is refused when anything else is found:
other nodes that they know, slots that the plan gives to others, keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.addresses import address_text
from cluster.plans.create import Address, CreatePlan, PlannedPrimary
from cluster.plans.model import PlanError, View
from cluster.slots import from_range


@dataclass(frozen=True)
class Remaining:
    begun: bool
    """Whether anything of the plan was found done."""
    epochs: list[tuple[Address, int]]
    slots: list[PlannedPrimary]
    introductions: list[Address]
    """Nodes that do not know all others, and are known to all, yet."""
    replicas: list[tuple[Address, Address]]
    """(replica, its primary)"""

    @property
    def is_nothing(self) -> bool:
        return not (self.slots or self.introductions or self.replicas)


def what_remains(plan: CreatePlan, views: Mapping[Address, View], keys: Mapping[Address, int]) -> Remaining:
    """`views` and numbers of `keys` of all nodes of the plan. Raises PlanError when they are neither
    strangers nor on their way to this plan."""
    ids = {address: view.observer.id for address, view in views.items()}
    for address, view in views.items():
        _require_no_others(address, view, set(ids.values()))
    replicas = []
    for primary in plan.primaries:
        _require_part(primary, views[primary.address], keys[primary.address])
        for address in primary.replicas:
            if views[address].observer.primary_id is None:
                _require_empty(address, views[address], keys[address])
                replicas.append((address, primary.address))
            elif views[address].observer.primary_id != ids[primary.address]:
                raise PlanError(
                    f"{address_text(*address)} replicates another primary than it would now; {_RESET}"
                )
    alone = {address for address, view in views.items() if len(view.nodes) == 1}
    everybody = set(ids.values())
    strange = [
        address
        for address, view in views.items()
        if view.settled != everybody or any(ids[address] not in other.settled for other in views.values())
    ]
    slots = [primary for primary in plan.primaries if not views[primary.address].observer.slots]
    return Remaining(
        begun=len(alone) < len(views) or len(slots) < len(plan.primaries),
        epochs=[
            (address, epoch)
            for epoch, address in enumerate(plan.addresses, 1)
            if address in alone and not views[address].observer.epoch
        ],
        slots=slots,
        introductions=strange,
        replicas=replicas,
    )


_RESET = "CLUSTER RESET makes it forget that"


def _require_no_others(address: Address, view: View, ids: set[str]) -> None:
    others = len(view.settled - ids)  # who shakes hands goes by another id until it is done
    if others:
        raise PlanError(
            f"{address_text(*address)} already knows {others} other nodes; it is a member of a cluster;"
            " CLUSTER RESET makes it leave"
        )


def _require_part(primary: PlannedPrimary, view: View, keys: int) -> None:
    """A primary has its slots, or is empty."""
    node = view.observer
    text = address_text(*primary.address)
    if node.primary_id is not None:
        raise PlanError(f"{text} is a replica, and would be a primary now; {_RESET}")
    if not node.slots:
        _require_empty(primary.address, view, keys)
    elif node.slots != from_range(primary.first, primary.last):
        raise PlanError(f"{text} already serves slots, others than it would now; {_RESET}")


def _require_empty(address: Address, view: View, keys: int) -> None:
    text = address_text(*address)
    if view.observer.slots:
        raise PlanError(f"{text} already serves slots; {_RESET}")
    if keys:
        raise PlanError(f"{text} holds {keys} keys; give an empty node, or FLUSHALL it")
