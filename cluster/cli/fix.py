"""`shoal fix`: finish interrupted moves, and find owners for slots that have none.

JSON: the plan, {"finish": [{"from", "to", "count", "slots"}], "bring_home": [the same], "gather": [the same],
"close": [{"slot", "node"}], "adopt": [{"slot", "node"}]}. Carried out if the exit code is 0.
"""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.common import (
    DEFAULT_ADDRESS,
    Address,
    DryRun,
    Json,
    MultipleOwners,
    UsageProblem,
    Yes,
    open_survey,
)
from cluster.cli.connecting import connecting
from cluster.cli.how_to_move import MigrateTimeout, Pipeline, Replace
from cluster.cli.moving import moves_as_json, print_moves, watched_mover
from cluster.cli.output import confirm, print_json, say
from cluster.migration.classic import MoveOptions
from cluster.operations.link import ANONYMOUS, Credentials
from cluster.operations.repair import carry_out, keys_held, stray_keys
from cluster.plans.fix import FixPlan, plan_fix
from cluster.plans.model import NodeInfo
from cluster.slots import format_ranges, from_iterable


@connecting
def fix(
    address: Address = DEFAULT_ADDRESS,
    adopt: Annotated[
        bool,
        typer.Option(
            "--adopt", help="Hand slots whose primary is gone to others. Its keys are lost if it stays away."
        ),
    ] = False,
    with_unreachable: Annotated[
        bool,
        typer.Option("--with-unreachable", help="With --adopt: also of primaries that only do not answer."),
    ] = False,
    search_multiple_owners: MultipleOwners = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    pipeline: Pipeline = 100,
    timeout: MigrateTimeout = 60.0,
    replace: Replace = False,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Finish or close what an interrupted reshard left open; with --adopt, serve what nobody serves."""
    if with_unreachable and not adopt:
        raise UsageProblem("--with-unreachable says whose slots to hand to others, too: it goes with --adopt")
    with open_survey(address, credentials) as survey:
        lost = [node.id for node in survey.nodes.values() if node.address in survey.unreachable]
        lost = lost if with_unreachable else []
        stray = stray_keys(survey) if search_multiple_owners else {}
        plan = plan_fix(survey.views, keys_held(survey, lost), adopt, lost, stray)
        if json:
            print_json(plan_as_json(plan, survey.nodes))
        else:
            _print(plan, survey.nodes)
        if dry_run or plan.is_empty:
            return
        if not yes:
            confirm("Do this?", json)
        options = MoveOptions(pipeline, round(timeout * 1000), replace, credentials)
        with watched_mover(survey, options, quiet=json) as mover:
            carry_out(plan, survey, mover, report=(lambda line: None) if json else say)


def plan_as_json(plan: FixPlan, nodes: dict[str, NodeInfo]) -> dict:
    return {
        "finish": moves_as_json(plan.finish, nodes),
        "bring_home": moves_as_json(plan.bring_home, nodes),
        "close": [{"slot": slot, "node": nodes[node_id].address} for slot, node_id in plan.close],
        "gather": moves_as_json(plan.gather, nodes),
        "adopt": [{"slot": slot, "node": nodes[node_id].address} for slot, node_id in plan.adopt],
    }


def _print(plan: FixPlan, nodes: dict[str, NodeInfo]) -> None:
    if plan.is_empty:
        say("nothing to fix that can be fixed here; `shoal check` lists what is wrong")
        return
    for text, moves in (
        ("finish these moves:", plan.finish),
        ("bring stranded keys home:", plan.bring_home),
        ("gather stray keys; of those that their owner has, too, its value stays:", plan.gather),
    ):
        if moves:
            say(text)
            print_moves(moves, nodes)
    for text, pairs in (("close", plan.close), ("serve", plan.adopt)):
        for node_id in dict.fromkeys(node_id for _, node_id in pairs):
            slots = from_iterable(slot for slot, other in pairs if other == node_id)
            say(f"{text} on {nodes[node_id].address}: {format_ranges(slots)}")
