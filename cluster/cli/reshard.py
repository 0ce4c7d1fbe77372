"""`shoal reshard`: move a number of slots, with their keys, to one node while clients go on.

JSON: {"moves": [{"from", "to", "count", "slots": ranges}], "plan": its name, "moved": {"slots", "keys",
"seconds"}}. With --dry-run there is only "moves".
"""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.common import DEFAULT_ADDRESS, Address, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.how_to_move import AS_USUAL, How, moving
from cluster.cli.moving import carry_out_moves
from cluster.operations.drafting import require_sound
from cluster.operations.link import ANONYMOUS, Credentials
from cluster.plans.reshard import plan_reshard


@connecting
@moving
def reshard(
    to: Annotated[str, typer.Option("--to", help="Who gets the slots: address, port or id.")],
    slots: Annotated[int, typer.Option("--slots", "-n", min=1, help="How many slots to move.")],
    address: Address = DEFAULT_ADDRESS,
    from_: Annotated[
        list[str] | None,
        typer.Option("--from", help="Who gives them; may be repeated. Default: all other primaries."),
    ] = None,
    how: How = AS_USUAL,
    credentials: Credentials = ANONYMOUS,
) -> None:
    """Move slots to one node, while clients read and write."""
    with open_survey(address, credentials) as survey:
        require_sound(survey)
        sources = [survey.find(name).id for name in _listed(from_)]
        moves = plan_reshard(survey.nodes, sources, survey.find(to).id, slots)
        carry_out_moves(survey, "reshard", moves, how)


def _listed(names: list[str] | None) -> list[str]:
    """`--from a --from b,c` as three names; `all` means no particular ones."""
    listed = [name for group in names or [] for name in group.split(",") if name]
    return [] if listed == ["all"] else listed
