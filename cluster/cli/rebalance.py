"""`shoal rebalance`: give every primary its share of the slots, or of what they cost, with as few moves as
possible.

By load, a share is met within the threshold (cluster/plans/load.py tells the rules). Requests and CPU time
are watched for some seconds first.

JSON: {"moves": [{"from", "to", "count", "slots": ranges}], "plan": its name, "moved": {"slots", "keys",
"seconds"}}. With --dry-run there is only "moves". With --by there is, too: {"by", "unit", "nodes":
[{"address", "before", "after", "share"}], "spread_percent": {"before", "after"},
"slots_heavier_than_a_share": [slot]}.
"""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.common import DEFAULT_ADDRESS, Address, UsageProblem, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.how_to_move import AS_USUAL, How, moving
from cluster.cli.loads import loads_as_json, print_loads
from cluster.cli.moving import carry_out_moves
from cluster.cli.output import narrator
from cluster.operations.drafting import require_sound
from cluster.operations.link import ANONYMOUS, Credentials, OperationError
from cluster.operations.slot_loads import Measure, measured
from cluster.operations.survey import Survey
from cluster.plans.load import GOAL, plan_by_load
from cluster.plans.rebalance import THRESHOLD, plan_rebalance

WATCHED_SECONDS = 10.0

Weights = Annotated[
    list[str] | None,
    typer.Option(
        "--weight", metavar="NODE=NUMBER", help="A node's share relative to the others' 1; 0 empties it."
    ),
]
UseEmpty = Annotated[bool, typer.Option("--use-empty", help="Fill primaries that have no slots, too.")]


@connecting
@moving
def rebalance(
    address: Address = DEFAULT_ADDRESS,
    by: Annotated[
        Measure | None,
        typer.Option("--by", help="Even out this load of the slots. Default: how many they are."),
    ] = None,
    watch: Annotated[
        float,
        typer.Option("--watch", min=0.1, metavar="SECONDS", help="For how long to watch ops or cpu first."),
    ] = WATCHED_SECONDS,
    weight: Weights = None,
    use_empty: UseEmpty = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            min=0,
            help="Leave it alone if all are within this many percent."
            f" Default: {THRESHOLD:.0f}, or {GOAL:.0f} by load.",
        ),
    ] = None,
    how: How = AS_USUAL,
    credentials: Credentials = ANONYMOUS,
) -> None:
    """Even out the slots between the primaries, or their load, while clients read and write."""
    with open_survey(address, credentials) as survey:
        require_sound(survey)
        weights = parse_weights(survey, weight)
        if by is None:
            limit = THRESHOLD if threshold is None else threshold
            moves = plan_rebalance(survey.nodes, weights, limit, use_empty)
            carry_out_moves(survey, "rebalance", moves, how)
            return
        if by.is_rate:
            narrator(how.json)(f"watching the {by} of all slots for {watch:g} s")
        limit = GOAL if threshold is None else threshold
        loads = measured(survey, by, watch)
        if not any(loads):
            advice = "are there keys, and clients that use them?"
            raise OperationError(f"no slot has any {by} to balance by", advice)
        plan = plan_by_load(survey.nodes, loads, weights, limit, limit, use_empty)
        if not how.json:
            print_loads(plan, survey.nodes, by)
        reasons = loads_as_json(plan, survey.nodes, by)
        carry_out_moves(survey, f"rebalance --by {by}", plan.moves, how, reasons)


def parse_weights(survey: Survey, texts: list[str] | None) -> dict[str, float]:
    """By id. Raises UsageProblem, PlanError if nobody is called so."""
    return dict(_parse_weight(survey, text) for text in texts or [])


def _parse_weight(survey: Survey, text: str) -> tuple[str, float]:
    name, equals, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        equals = ""
    if not equals:
        raise UsageProblem(f"{text!r} is not a weight like 7001=2")
    return survey.find(name).id, value
