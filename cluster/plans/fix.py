"""Planning repairs: what to do with open slots and with slots that nobody serves.

A move of a slot goes through these states, and may be interrupted between any two:

    source            target            what is left to do
    owner             importing         finish: keys are all on the source yet
    owner, migrating  importing         finish: keys are on both sides
    owner, migrating  owner             the target has won; tell the others
    plain             owner             nothing
    owner, migrating  plain             finish, from the beginning

So an open slot has one remedy: find its owner and where it is bound for, and carry the move out again; what
has been done already is found done. Where nobody can be said to be the destination, the slot is closed where
it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cluster.plans.check import agreed_nodes, uncovered_slots
from cluster.plans.model import Move, NodeInfo, PlanError, View, apportion
from cluster.slots import members


@dataclass
class FixPlan:
    finish: list[Move] = field(default_factory=list)
    """moves to carry out (again)"""
    bring_home: list[Move] = field(default_factory=list)
    """keys stranded on a node that neither owns the slot nor shall: to be moved to the owner"""
    close: list[tuple[int, str]] = field(default_factory=list)
    """(slot, id of a node to be told SETSLOT STABLE), after keys have been brought home"""
    adopt: list[tuple[int, str]] = field(default_factory=list)
    """(slot that nobody serves, id of the primary to serve it)"""
    gather: list[Move] = field(default_factory=list)
    """keys on a primary that neither owns the slot nor has it open: to be moved to the owner, whose values
    win"""

    @property
    def is_empty(self) -> bool:
        return not (self.finish or self.bring_home or self.close or self.adopt or self.gather)


def plan_fix(
    views: Sequence[View],
    keys_held: Mapping[int, Mapping[str, int]],
    adopt_uncovered: bool = False,
    lost: Collection[str] = (),
    stray: Mapping[int, Mapping[str, int]] = {},
) -> FixPlan:
    """`keys_held`: for each open or unserved slot, how many keys of it each primary holds (id -> number, none
    for 0). Slots that nobody serves are given away only with `adopt_uncovered`: their primary may come back.
    `lost`: ids of primaries that do not answer and are given up. `stray`: as `keys_held`, but of those who do
    not own the slot, which is not open."""
    plan = FixPlan()
    nodes = agreed_nodes(views)
    by_id = {view.observer.id: view for view in views}
    missing = uncovered_slots(views, lost)
    for slot in open_slots(views):
        if missing >> slot & 1:
            continue
        owner = _owner(views, slot)
        _plan_open_slot(plan, slot, owner, by_id, keys_held.get(slot, {}))
    if missing and adopt_uncovered:
        _plan_adoption(plan, missing, nodes, keys_held, lost)
        orphaned = {slot for slot, _ in plan.adopt}
        plan.close += [
            (slot, view.observer.id)
            for view in views
            for slot in (*view.migrating, *view.importing)
            if slot in orphaned
        ]
    for slot, holders in stray.items():
        if not missing >> slot & 1:
            plan.gather += [Move(slot, holder, _owner(views, slot)) for holder in holders]
    return plan


def open_slots(views: Sequence[View]) -> list[int]:
    """Every slot that is migrating or importing somewhere, ascending."""
    return sorted({slot for view in views for slot in (*view.migrating, *view.importing)})


def _owner(views: Sequence[View], slot: int) -> str:
    """Who serves the slot: of those that claim it themselves, the one in the greatest epoch; else by
    hearsay."""
    claims = [view.observer for view in views if view.observer.slots >> slot & 1]
    if not claims:
        claims = [node for view in views for node in view.nodes.values() if node.slots >> slot & 1]
    return max(claims, key=lambda node: (node.epoch, node.id)).id


def _plan_open_slot(
    plan: FixPlan, slot: int, owner: str, views: Mapping[str, View], held: Mapping[str, int]
) -> None:
    importers = [node_id for node_id, view in views.items() if slot in view.importing and node_id != owner]
    destination = views[owner].migrating.get(slot) if owner in views else None
    if destination is None and len(importers) == 1 and views[importers[0]].importing[slot] == owner:
        destination = importers[0]
    if destination is not None and destination in views and destination != owner:
        plan.finish.append(Move(slot, owner, destination))
        others = [node_id for node_id in importers if node_id != destination]
    else:
        others = importers
        if owner in views and (slot in views[owner].migrating or slot in views[owner].importing):
            plan.close.append((slot, owner))
    for node_id in others:
        if held.get(node_id, 0):
            plan.bring_home.append(Move(slot, node_id, owner))
        plan.close.append((slot, node_id))
    migrating = [n for n, view in views.items() if slot in view.migrating and n != owner]
    plan.close += [(slot, node_id) for node_id in migrating]


def _plan_adoption(
    plan: FixPlan,
    missing: int,
    nodes: Mapping[str, NodeInfo],
    keys_held: Mapping[int, Mapping[str, int]],
    lost: Collection[str],
) -> None:
    """A slot goes to who holds keys of it; the others are shared out so that all serve equally many."""
    primaries = {
        node.id: node
        for node in nodes.values()
        if node.is_primary and not node.failed and node.id not in lost
    }
    if not primaries:
        raise PlanError("no primary answers that could serve the missing slots")
    keyless = []
    for slot in members(missing):
        held = {n: keys for n, keys in keys_held.get(slot, {}).items() if keys and n in primaries}
        if held:
            plan.adopt.append((slot, max(held, key=lambda n: (held[n], n))))
        else:
            keyless.append(slot)
    shares = apportion(len(keyless), dict.fromkeys(primaries, 1.0), favoured={})
    takers = [node_id for node_id, share in shares.items() for _ in range(share)]
    plan.adopt += list(zip(keyless, takers, strict=True))
