"""`shoal replace-node OLD NEW`: a new worker takes the place of an old one, with its data.

The new one becomes a replica of the old (or of the old one's primary, where the old is a replica), gets all
data, takes over by an agreed failover if the old is a primary, and the old leaves. No slot moves, so this
costs one copy of the data and clients see one change of owner.

JSON: {"old": {"id", "address"}, "new": {"id", "address"}, "follow": address, "takes_over": bool, "untold":
[address]}.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

from cluster.cli.add_node import Newcomer, Wait, as_newcomer, copying, reach
from cluster.cli.common import DEFAULT_ADDRESS, Address, DryRun, Json, Yes, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.del_node import Member, Shutdown, take_out
from cluster.cli.output import confirm, narrator, print_json, say
from cluster.operations.forming import require_strangers
from cluster.operations.link import ANONYMOUS, Credentials, NodeLink
from cluster.operations.membership import attach, is_member, join, promote
from cluster.operations.survey import Survey
from cluster.plans.membership import Replacement, plan_replacement
from cluster.plans.model import NodeInfo, PlanError


@connecting
def replace_node(
    old: Member,
    new: Newcomer,
    address: Address = DEFAULT_ADDRESS,
    shutdown: Shutdown = False,
    wait: Wait = 0.0,
    dry_run: DryRun = False,
    yes: Yes = False,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Let a running, empty node take the place of a member, with its data; then the old one leaves."""
    with open_survey(address, credentials) as survey, closing(reach(new, credentials, wait)) as newcomer:
        leaver, node = survey.find(old), as_newcomer(survey, newcomer)
        if leaver.id == node.id:
            raise PlanError(f"{leaver.address} cannot take its own place")
        if not is_member(survey, newcomer):
            require_strangers([newcomer])
        answering = {view.observer.id for view in survey.views}
        plan = _plan(survey, leaver, node, answering)
        result: dict[str, Any] = {
            "old": {"id": leaver.id, "address": leaver.address},
            "new": {"id": node.id, "address": node.address},
            "follow": survey.nodes[plan.follow].address,
            "takes_over": plan.take_over,
            "untold": [],
        }
        if not json:
            how = "get its data and take over from it" if plan.take_over else f"replicate {result['follow']}"
            say(f"{node.address} is to {how}; then {leaver.address} is to leave")
        if not dry_run:
            if not yes:
                confirm("Replace the node?", json)
            result["untold"] = _replace(survey, newcomer, leaver, plan, json, shutdown)
    if json:
        print_json(result)
    elif not dry_run:
        say(f"done: {node.address} has taken the place of {leaver.address}")


def _plan(survey: Survey, leaver: NodeInfo, node: NodeInfo, answering: set[str]) -> Replacement:
    """A call that was interrupted after the failover finds the old one a replica of the new one, or reset."""
    if leaver.primary_id == node.id or (node.slots and not leaver.slots):
        return Replacement(node.id, False)
    return plan_replacement(survey.nodes, leaver.id, node.place, answering)


def _replace(
    survey: Survey, newcomer: NodeLink, leaver: NodeInfo, plan: Replacement, quiet: bool, shutdown: bool
) -> list[str]:
    tell = narrator(quiet)
    node_id = join(survey, newcomer, tell)
    if plan.follow != node_id:
        with copying(quiet) as paint:
            attach(survey, newcomer, plan.follow, tell, paint)
    if plan.take_over:
        tell(f"{newcomer.address} takes over")
        promote(survey, node_id)
    return take_out(survey, survey.nodes[leaver.id], tell, shutdown)
