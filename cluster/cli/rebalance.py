"""`shoal rebalance`: give every primary its share of the slots, with as few moves as possible.

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
    UsageProblem,
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
from cluster.operations.survey import Survey
from cluster.plans.journal import Options
from cluster.plans.rebalance import plan_rebalance


@connecting
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
    """Even out the slots between the primaries, while clients read and write."""
    with open_survey(address, credentials) as survey:
        require_sound(survey)
        weights = dict(_parse_weight(survey, text) for text in weight or [])
        moves = plan_rebalance(survey.nodes, weights, threshold, use_empty)
        options = Options(classic, pipeline, timeout, replace, parse_bytes(bandwidth), max_p99)
        carry_out_moves(survey, "rebalance", moves, options, How(dry_run, yes, json, journal))


def _parse_weight(survey: Survey, text: str) -> tuple[str, float]:
    name, equals, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        equals = ""
    if not equals:
        raise UsageProblem(f"{text!r} is not a weight like 7001=2")
    return survey.find(name).id, value
