"""Carrying out a fix plan."""

from __future__ import annotations

from collections.abc import Callable

from cluster.migration.classic import SlotMover
from cluster.operations.survey import Survey
from cluster.plans.check import uncovered_slots
from cluster.plans.fix import FixPlan, open_slots
from cluster.slots import members


def keys_held(survey: Survey) -> dict[int, dict[str, int]]:
    """For each open or unserved slot: id of each primary -> how many of its keys that one holds, 0 left
    out."""
    questionable = sorted({*open_slots(survey.views), *members(uncovered_slots(survey.views))})
    held: dict[int, dict[str, int]] = {slot: {} for slot in questionable}
    for node in survey.primaries:
        link = survey.link(node.id)
        for database in link.databases() if questionable else ():
            with link.database(database):
                counts = link.call_all([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in questionable])
            for slot, keys in zip(questionable, counts, strict=True):
                if keys:
                    held[slot][node.id] = held[slot].get(node.id, 0) + keys
    return held


def carry_out(plan: FixPlan, survey: Survey, mover: SlotMover, report: Callable[[str], None]) -> None:
    """Adopt what nobody serves, finish moves, bring stranded keys home, close what is left open.

    Raises OperationError at the first step that a node refuses; what was done stays, and fixing again goes on
    from there.
    """
    for slot, node_id in plan.adopt:
        adopt_slot(survey, slot, node_id)
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


def adopt_slot(survey: Survey, slot: int, node_id: str) -> None:
    """Give a slot to a primary and tell the others.

    The new owner may still believe that the slot belongs to a dead node, so it is made to forget that before.
    It takes a new epoch afterwards, or the others would go on to believe the old owner's greater one.
    """
    owner = survey.link(node_id)
    owner.pipeline([("CLUSTER", "DELSLOTS", slot)])  # refused where nobody was known: that is as well
    owner.call_all(
        [
            ("CLUSTER", "ADDSLOTS", slot),
            ("CLUSTER", "SETSLOT", slot, "STABLE"),
            ("CLUSTER", "BUMPEPOCH"),
        ]
    )
    for other in survey.primaries:
        if other.id != node_id:
            survey.link(other.id).call("CLUSTER", "SETSLOT", slot, "NODE", node_id)
