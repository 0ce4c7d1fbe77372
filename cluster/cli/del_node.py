"""`shoal del-node NODE`: its slots and replicas go to others, then it leaves.

JSON: {"node": {"id", "address"}, "moves": [as of rebalance], "rehomed": [{"replica", "primary"}], "notes":
[text], "moved": {"slots", "keys", "seconds"} | null, "untold": [address]}. "untold" could not be told to
forget the node.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import typer

from cluster.cli.common import DEFAULT_ADDRESS, Address, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.how_to_move import AS_USUAL, How, moving
from cluster.cli.moving import move_by_plan, moves_as_json, print_moves
from cluster.cli.output import confirm, narrator, print_json, say
from cluster.operations.drafting import require_sound
from cluster.operations.forming import Report
from cluster.operations.link import ANONYMOUS, Credentials, NodeLink, Unreachable
from cluster.operations.membership import await_views, dismiss, rehome
from cluster.operations.survey import Survey
from cluster.plans.membership import Departure, plan_departure
from cluster.plans.model import NodeInfo

Member = Annotated[str, typer.Argument(metavar="NODE", help="Which member: address, port or id.")]
Shutdown = Annotated[bool, typer.Option("--shutdown", help="Stop its process in the end, too.")]


@connecting
@moving
def del_node(
    node: Member,
    address: Address = DEFAULT_ADDRESS,
    shutdown: Shutdown = False,
    how: How = AS_USUAL,
    credentials: Credentials = ANONYMOUS,
) -> None:
    """Take a member out: move its slots and replicas to others, let all forget it, and reset it.

    Clients notice nothing. A node that is down and serves nothing is only forgotten.
    """
    tell = narrator(quiet=how.json)
    with open_survey(address, credentials) as survey:
        leaver = survey.find(node)
        plan = plan_departure(survey.nodes, leaver.id)
        if plan.moves:
            require_sound(survey)
        result = _result(survey, leaver, plan)
        if not how.json:
            _print_plan(survey, leaver, plan)
        if not how.dry_run:
            if not how.yes:
                confirm(f"Take {leaver.address} out of the cluster?", how.json)
            if plan.moves:
                result["moved"] = move_by_plan(survey, "del-node", plan.moves, how)[0]
            result["untold"] = take_out(survey, leaver, tell, shutdown)
    if how.json:
        print_json(result)
    elif not how.dry_run:
        say(f"done: {leaver.address} is no member any more")


def take_out(survey: Survey, leaver: NodeInfo, tell: Report, shutdown: bool) -> list[str]:
    """What is left to do when the leaver serves nothing. Returns who could not be told."""

    def bare(nodes: dict[str, NodeInfo]) -> bool:
        return leaver.id not in nodes or not nodes[leaver.id].slots

    await_views(survey, bare, f"that {leaver.address} serves nothing")
    # Its replicas, and it itself, may have followed its last slots by themselves (replica migration).
    for replica, primary in plan_departure(survey.nodes, leaver.id).rehomed:
        tell(f"{survey.nodes[replica].address} is to replicate {survey.nodes[primary].address}")
        rehome(survey, replica, primary)
    await_views(
        survey,
        lambda nodes: not any(each.primary_id == leaver.id for each in nodes.values()),
        f"that nobody replicates {leaver.address}",
    )
    tell(f"all forget {leaver.address}")
    answers = any(view.observer.id == leaver.id for view in survey.views)
    untold = dismiss(survey, leaver.id)
    if untold:
        names = ", ".join(untold)
        tell(f"warning: {names} could not be told, and may bring it back; `shoal forget` tells them")
    if shutdown and answers:
        stop(survey.link(leaver.id))
    return untold


def stop(link: NodeLink) -> None:
    """Stop the process behind a link. One that is gone is as well."""
    with suppress(Unreachable):  # it answers by closing the connection
        link.call("SHUTDOWN", "NOSAVE")


def _result(survey: Survey, leaver: NodeInfo, plan: Departure) -> dict[str, Any]:
    nodes = survey.nodes
    return {
        "node": {"id": leaver.id, "address": leaver.address},
        "moves": moves_as_json(plan.moves, nodes),
        "rehomed": [
            {"replica": nodes[replica].address, "primary": nodes[primary].address}
            for replica, primary in plan.rehomed
        ],
        "notes": plan.notes,
        "moved": None,
        "untold": [],
    }


def _print_plan(survey: Survey, leaver: NodeInfo, plan: Departure) -> None:
    nodes = survey.nodes
    if plan.moves:
        print_moves(plan.moves, nodes)
    for replica, primary in plan.rehomed:
        say(f"{nodes[replica].address} is to replicate {nodes[primary].address}")
    say(f"{leaver.address} is to leave")
    for note in plan.notes:
        say(f"note: {note}")
