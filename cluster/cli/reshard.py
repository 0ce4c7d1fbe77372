"""`shoal reshard`: move a number of slots, with their keys, to one node while clients go on.

JSON: {"moves": [{"from", "to", "count", "slots": ranges}], "plan": its name, "moved": {"slots", "keys",
"seconds"}}. With --dry-run there is only "moves".
"""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.common import (
    DEFAULT_ADDRESS,
    Address,
    DryRun,
    Json,
    MigrateTimeout,
    Pipeline,
    Replace,
    Yes,
    open_survey,
)
from cluster.cli.connecting import connecting
from cluster.cli.moving import (
    Bandwidth,
    Classic,
    How,
    JournalDirectory,
    MaxP99,
    carry_out_moves,
    parse_bytes,
    require_sound,
)
from cluster.operations.link import ANONYMOUS, Credentials
from cluster.plans.journal import Options
from cluster.plans.reshard import plan_reshard


@connecting
def reshard(
    to: Annotated[str, typer.Option("--to", help="Who gets the slots: address, port or id.")],
    slots: Annotated[int, typer.Option("--slots", "-n", min=1, help="How many slots to move.")],
    address: Address = DEFAULT_ADDRESS,
    from_: Annotated[
        list[str] | None,
        typer.Option("--from", help="Who gives them; may be repeated. Default: all other primaries."),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    pipeline: Pipeline = 100,
    timeout: MigrateTimeout = 60.0,
    replace: Replace = False,
    classic: Classic = False,
    bandwidth: Bandwidth = "0",
    max_p99: MaxP99 = 0.0,
    journal: JournalDirectory = None,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Move slots to one node, while clients read and write."""
    with open_survey(address, credentials) as survey:
        require_sound(survey)
        sources = [survey.find(name).id for name in _listed(from_)]
        moves = plan_reshard(survey.nodes, sources, survey.find(to).id, slots)
        options = Options(classic, pipeline, timeout, replace, parse_bytes(bandwidth), max_p99)
        carry_out_moves(survey, "reshard", moves, options, How(dry_run, yes, json, journal))


def _listed(names: list[str] | None) -> list[str]:
    """`--from a --from b,c` as three names; `all` means no particular ones."""
    listed = [name for group in names or [] for name in group.split(",") if name]
    return [] if listed == ["all"] else listed
