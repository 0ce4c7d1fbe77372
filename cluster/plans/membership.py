"""Planning who comes and who goes: whom a newcomer replicates, where a leaver's slots and replicas stay.

A node leaves in this order: its slots go to others, its replicas follow other primaries, it forgets all, and
all forget it. Each step leaves a cluster that serves everything, so an interruption needs no repair: the same
call again goes on from there.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import islice

from cluster.plans.model import Move, NodeInfo, PlanError
from cluster.plans.places import Place, cost
from cluster.slots import members

MAJORITY_NEEDS = 3
"""Primaries, so that a majority is left when one dies."""


@dataclass(frozen=True)
class Departure:
    moves: list[Move] = field(default_factory=list)
    rehomed: list[tuple[str, str]] = field(default_factory=list)
    """(id of a replica of the leaver, id of the primary that it shall replicate)"""
    notes: list[str] = field(default_factory=list)
    """What the operator should know before."""


@dataclass(frozen=True)
class Replacement:
    follow: str
    """Id of the primary of which the newcomer becomes a replica."""
    take_over: bool
    """Whether it takes that one's place then: it is the one that leaves."""


def neediest_primary(
    nodes: Mapping[str, NodeInfo], place: Place, without: Collection[str] = (), extra: Mapping[str, int] = {}
) -> NodeInfo:
    """Who should get a new replica at `place`: the primary with the fewest, if possible in another zone and
    on another host, if possible with slots. `without`: ids that do not count; `extra`: replicas that are
    promised already. Raises PlanError."""
    candidates = [
        node for node in nodes.values() if node.is_primary and not node.failed and node.id not in without
    ]
    if not candidates:
        raise PlanError("there is no primary that a replica could follow")
    replicas = Counter(
        node.primary_id for node in nodes.values() if not node.failed and node.id not in without
    )

    def need(node: NodeInfo) -> tuple[bool, int, int, int, str]:
        backed = replicas[node.id] + extra.get(node.id, 0)
        return not node.slots, backed, cost_of(nodes, place, node), -node.slot_count, node.address

    return min(candidates, key=need)


def cost_of(nodes: Mapping[str, NodeInfo], place: Place, primary: NodeInfo) -> int:
    """What a replica of `primary` at `place` would share with those that it has (`places.py`)."""
    siblings = [node.place for node in nodes.values() if node.primary_id == primary.id and not node.failed]
    return cost(place, primary.place, siblings)


def plan_drain(nodes: Mapping[str, NodeInfo], leaver: str) -> list[Move]:
    """All slots of a primary to the others, so that those are as even as they can be without moves between
    them. Each gets one row of slots, so that ranges stay few. Raises PlanError when there is nobody else."""
    slots = nodes[leaver].slots
    if not slots:
        return []
    others = [node for node in nodes.values() if node.is_primary and not node.failed and node.id != leaver]
    takers = [node for node in others if node.slots] or others
    if not takers:
        raise PlanError(f"nobody could take the {nodes[leaver].slot_count} slots of {nodes[leaver].address}")
    filled = [(node.slot_count, node.id) for node in takers]
    heapq.heapify(filled)
    shares: Counter[str] = Counter()
    for _ in range(nodes[leaver].slot_count):
        held, taker = filled[0]
        shares[taker] += 1
        heapq.heapreplace(filled, (held + 1, taker))
    waiting = members(slots)
    return [
        Move(slot, leaver, node.id)
        for node in sorted(takers, key=lambda node: node.address)
        for slot in islice(waiting, shares[node.id])
    ]


def plan_departure(nodes: Mapping[str, NodeInfo], leaver: str) -> Departure:
    """What has to be done before `leaver` can go. Raises PlanError when it cannot."""
    node = nodes[leaver]
    if node.failed and node.slots:
        raise PlanError(
            f"{node.address} serves {node.slot_count} slots and is down: start it, or `shoal failover` one"
            " of its replicas, or give the slots up with `shoal fix --adopt`"
        )
    moves = plan_drain(nodes, leaver)
    rehomed = []
    promised: Counter[str] = Counter()
    orphans = [each for each in nodes.values() if each.primary_id == leaver]
    for replica in sorted(orphans, key=lambda each: each.address):
        primary = neediest_primary(nodes, replica.place, {leaver}, promised)
        promised[primary.id] += 1
        rehomed.append((replica.id, primary.id))
    return Departure(moves, rehomed, _notes(nodes, node))


def plan_replacement(
    nodes: Mapping[str, NodeInfo], old: str, place: Place, answering: Collection[str]
) -> Replacement:
    """How a newcomer at `place` takes the place of `old`. `answering`: ids of members that do. Raises
    PlanError."""
    node = nodes[old]
    alive = old in answering and not node.failed
    if not node.is_primary:
        primary = nodes.get(node.primary_id or "")
        if primary is None or primary.failed:
            raise PlanError(f"the primary of {node.address} is down: `shoal failover {node.address}` first")
        return Replacement(primary.id, False)
    if alive:
        return Replacement(old, True)
    if node.slots:
        raise PlanError(
            f"{node.address} is down with {node.slot_count} slots, and its data with it: start it, or"
            f" `shoal failover` one of its replicas"
        )
    return Replacement(neediest_primary(nodes, place, {old}).id, False)


def choose_heir(nodes: Mapping[str, NodeInfo], name: NodeInfo, offsets: Mapping[str, int]) -> NodeInfo:
    """Which replica takes over: `name` itself, or of the primary `name` the one that has received most.
    `offsets`: of replicas that answer, by id. Raises PlanError."""
    if not name.is_primary:
        if name.id not in offsets:
            raise PlanError(f"{name.address} does not answer, so it cannot take over")
        return name
    candidates = [node for node in nodes.values() if node.primary_id == name.id and node.id in offsets]
    if not candidates:
        raise PlanError(f"{name.address} has no replica that answers: `shoal add-node --replica-of` adds one")
    return max(candidates, key=lambda node: (offsets[node.id], node.id))


def _notes(nodes: Mapping[str, NodeInfo], leaver: NodeInfo) -> list[str]:
    notes = []
    left = [node for node in nodes.values() if node.is_primary and node.slots and node.id != leaver.id]
    if leaver.is_primary and leaver.slots and len(left) < MAJORITY_NEEDS:
        notes.append(f"{len(left)} primaries are left: without a majority of three, none can fail over")
    if not leaver.is_primary:
        siblings = [node for node in nodes.values() if node.primary_id == leaver.primary_id]
        primary = nodes.get(leaver.primary_id or "")
        if len(siblings) == 1 and primary is not None and primary.slots:
            notes.append(f"{primary.address} is left without a replica")
    return notes


def require_forgettable(nodes: Mapping[str, NodeInfo], lost: str, answering: Collection[str]) -> None:
    """Only who is down, serves nothing and has no replicas can be forgotten without harm. Raises
    PlanError."""
    node = nodes[lost]
    if lost in answering:
        raise PlanError(f"{node.address} answers, so it would come back: `shoal del-node` takes it out")
    if node.slots:
        raise PlanError(
            f"{node.address} serves {node.slot_count} slots: `shoal failover` one of its replicas, or give"
            " them up with `shoal fix --adopt`, before it is forgotten"
        )
    replicas = [each.address for each in nodes.values() if each.primary_id == lost and each.id in answering]
    if replicas:
        names = ", ".join(replicas)
        raise PlanError(f"{names} replicates {node.address}: `shoal failover {replicas[0]}` first")
