"""Carrying out a fix plan."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from cluster.migration.classic import COUNTED_TOGETHER, SlotMover
from cluster.operations.atomic import jobs_of
from cluster.operations.link import NodeLink, Refused
from cluster.operations.server_info import keys_per_database
from cluster.operations.survey import Survey
from cluster.plans.check import uncovered_slots
from cluster.plans.fix import FixPlan, open_slots
from cluster.plans.model import Move
from cluster.slots import ALL_SLOTS, NO_SLOTS, from_iterable, members

KeysHeld = dict[int, dict[str, int]]
"""slot -> id of a primary -> how many keys of the slot it holds"""


def keys_held(survey: Survey, lost: Collection[str] = ()) -> KeysHeld:
    """For each open or unserved slot: id of each primary -> how many of its keys that one holds, 0 left
    out. What `lost` served counts as unserved."""
    uncovered = uncovered_slots(survey.views, lost)
    questionable = sorted({*open_slots(survey.views), *members(uncovered)})
    held: KeysHeld = {slot: {} for slot in questionable}
    for node in survey.primaries:
        for slot, keys in _count(survey.link(node.id), questionable):
            held[slot][node.id] = held[slot].get(node.id, 0) + keys
    return held


def stray_keys(survey: Survey) -> KeysHeld:
    """Keys that lie with primaries that do not own their slots, where no move accounts for it: of slots that
    are not open, do not move as a whole, and are served by somebody."""
    told = from_iterable(open_slots(survey.views)) | uncovered_slots(survey.views) | _on_their_way(survey)
    stray: KeysHeld = {}
    for node in survey.primaries:
        link = survey.link(node.id)
        own = sum(keys for _, keys in _count(link, list(members(node.slots))))
        if own == sum(keys_per_database(link).values()):
            continue
        for slot, keys in _count(link, list(members(ALL_SLOTS & ~node.slots & ~told))):
            found = stray.setdefault(slot, {})
            found[node.id] = found.get(node.id, 0) + keys
    return stray


def _on_their_way(survey: Survey) -> int:
    """Slots that move as a whole: their keys are with both sides until the end."""
    slots = NO_SLOTS
    for node in survey.primaries:
        try:
            jobs = jobs_of(survey.link(node.id))
        except Refused:  # it does not know that way
            continue
        for job in jobs:
            slots |= job.slots if job.in_progress else NO_SLOTS
    return slots


def _count(link: NodeLink, slots: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(slot, number of keys), 0 left out, for each database."""
    for database in link.databases() if slots else ():
        with link.database(database):
            for start in range(0, len(slots), COUNTED_TOGETHER):
                some = slots[start : start + COUNTED_TOGETHER]
                counts = link.call_all([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in some])
                yield from ((slot, keys) for slot, keys in zip(some, counts, strict=True) if keys)


def carry_out(plan: FixPlan, survey: Survey, mover: SlotMover, report: Callable[[str], None]) -> None:
    """Adopt what nobody serves, finish moves, bring stranded keys home, close what is left open.

    Raises OperationError at the first step that a node refuses; what was done stays, and fixing again goes on
    from there.
    """
    for node_id in dict.fromkeys(node_id for _, node_id in plan.adopt):
        adopt_slots(survey, [slot for slot, adopter in plan.adopt if adopter == node_id], node_id)
    if plan.adopt:
        report(f"{len(plan.adopt)} unserved slots have new owners")
    mover.run(plan.finish)
    if plan.finish:
        report(f"{len(plan.finish)} interrupted moves finished")
    for move in plan.bring_home:
        mover.drain([move.slot], move.source, move.target)
    for slot, node_id in plan.close:
        survey.link(node_id).call("CLUSTER", "SETSLOT", slot, "STABLE")
    if plan.close:
        report(f"{len(plan.close)} slots closed")
    for move in plan.gather:
        gather(survey, mover, move)
    if plan.gather:
        report(f"stray keys of {len(plan.gather)} slots gathered")


def adopt_slots(survey: Survey, slots: Sequence[int], node_id: str) -> None:
    """Give slots to a primary and tell the others.

    The new owner may still believe that they belong to a dead node, so it is made to forget that before. It
    takes a new epoch afterwards, or the others would go on to believe the old owner's greater one.
    """
    owner = survey.link(node_id)
    # Refused where nobody was known: that is as well.
    owner.pipeline([("CLUSTER", "DELSLOTS", slot) for slot in slots])
    owner.call_all([("CLUSTER", "ADDSLOTS", slot) for slot in slots])
    owner.call_all([("CLUSTER", "SETSLOT", slot, "STABLE") for slot in slots])
    owner.call("CLUSTER", "BUMPEPOCH")
    for other in survey.primaries:
        if other.id != node_id:
            survey.link(other.id).call_all([("CLUSTER", "SETSLOT", slot, "NODE", node_id) for slot in slots])


def gather(survey: Survey, mover: SlotMover, move: Move) -> None:
    """Bring keys of a slot from a primary that does not own it to the one that does. Of keys that both have,
    clients know the owner's value: the other is deleted.

    While its slot counts as importing, who holds the keys gives them away (MIGRATE), and deletes them for
    those who say ASKING.
    """
    holder, owner = survey.link(move.source), survey.link(move.target)
    holder.call("CLUSTER", "SETSLOT", move.slot, "IMPORTING", move.target)
    for database in holder.databases():
        with holder.database(database), owner.database(database):
            total = holder.call("CLUSTER", "COUNTKEYSINSLOT", move.slot)
            keys = holder.call("CLUSTER", "GETKEYSINSLOT", move.slot, total)
            known = owner.call_all([("EXISTS", key) for key in keys])
            for key in (key for key, both in zip(keys, known, strict=True) if both):
                holder.call_all([("ASKING",), ("DEL", key)])
    mover.drain([move.slot], move.source, move.target)
    holder.call("CLUSTER", "SETSLOT", move.slot, "STABLE")
