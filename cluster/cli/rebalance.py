"""`shoal rebalance`: give every primary its share of the slots, with as few moves as possible.

JSON: {"moves": [{"from", "to", "count", "slots": ranges}], "plan": its name, "moved": {"slots", "keys",
"seconds"}}. With --dry-run there is only "moves".
"""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.common import DEFAULT_ADDRESS, Address, UsageProblem, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.how_to_move import AS_USUAL, How, moving
from cluster.cli.moving import carry_out_moves
from cluster.operations.drafting import require_sound
from cluster.operations.link import ANONYMOUS, Credentials
from cluster.operations.survey import Survey
from cluster.plans.rebalance import plan_rebalance


@connecting
@moving
def rebalance(
    address: Address = DEFAULT_ADDRESS,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            "--weight", metavar="NODE=NUMBER", help="A node's share relative to the others' 1; 0 empties it."
        ),
    ] = None,
    use_empty: Annotated[
        bool, typer.Option("--use-empty", help="Fill primaries that have no slots, too.")
    ] = False,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, help="Leave it alone if all are within this many percent.")
    ] = 2.0,
    how: How = AS_USUAL,
    credentials: Credentials = ANONYMOUS,
) -> None:
    """Even out the slots between the primaries, while clients read and write."""
    with open_survey(address, credentials) as survey:
        require_sound(survey)
        weights = dict(_parse_weight(survey, text) for text in weight or [])
        moves = plan_rebalance(survey.nodes, weights, threshold, use_empty)
        carry_out_moves(survey, "rebalance", moves, how)


def _parse_weight(survey: Survey, text: str) -> tuple[str, float]:
    name, equals, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        equals = ""
    if not equals:
        raise UsageProblem(f"{text!r} is not a weight like 7001=2")
    return survey.find(name).id, value
