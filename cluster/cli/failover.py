"""`shoal failover NODE`: a replica takes its primary's place, by command.

JSON: {"promoted": address, "former": address | null, "slots": number, "how": "agreed" | "force" | "takeover",
"seconds": number}. With --dry-run "seconds" is null.
"""

from __future__ import annotations

import time
from typing import Annotated

import typer

from cluster.cli.common import DEFAULT_ADDRESS, Address, DryRun, Json, UsageProblem, Yes, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.output import confirm, print_json, say
from cluster.operations.link import ANONYMOUS, Credentials, OperationError
from cluster.operations.membership import promote
from cluster.operations.server_info import read_info
from cluster.operations.survey import Survey
from cluster.plans.membership import choose_heir

HOW = {"agreed": "", "force": "FORCE", "takeover": "TAKEOVER"}


@connecting
def failover(
    node: Annotated[
        str, typer.Argument(metavar="NODE", help="The replica; of a primary, the replica that has most.")
    ],
    address: Address = DEFAULT_ADDRESS,
    force: Annotated[bool, typer.Option("--force", help="Without the primary: it is down.")] = False,
    takeover: Annotated[
        bool, typer.Option("--takeover", help="Without the votes of the others, too: most of them are down.")
    ] = False,
    wait: Annotated[
        float, typer.Option("--wait", min=1, help="Seconds until all members have to have seen it.")
    ] = 30.0,
    dry_run: DryRun = False,
    yes: Yes = False,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Let a replica take its primary's place, and wait until all members have seen it.

    Without --force both agree on it, and no write is lost. With it, what the primary has not yet handed on
    is lost; so it asks before.
    """
    if force and takeover:
        raise UsageProblem("--takeover includes --force: give one of them")
    how = "takeover" if takeover else "force" if force else "agreed"
    with open_survey(address, credentials) as survey:
        heir = choose_heir(survey.nodes, survey.find(node), _offsets(survey))
        former = survey.nodes.get(heir.primary_id or "")
        slots = former.slot_count if former else 0
        if not json:
            say(f"{heir.address} is to take over {slots} slots from {former.address if former else 'nobody'}")
        seconds = None
        if not dry_run:
            if how != "agreed" and not yes:
                confirm("Writes that it has not received are lost. Go on?", json)
            started = time.monotonic()
            promote(survey, heir.id, HOW[how], wait)
            seconds = round(time.monotonic() - started, 3)
    if json:
        print_json(
            {
                "promoted": heir.address,
                "former": former.address if former else None,
                "slots": slots,
                "how": how,
                "seconds": seconds,
            }
        )
    elif seconds is not None:
        say(f"done: {heir.address} is the primary, as all members say, after {seconds:.1f} s")


def _offsets(survey: Survey) -> dict[str, int]:
    """How much each replica that answers has received."""
    offsets = {}
    for view in survey.views:
        if not view.observer.is_primary:
            try:
                fields = read_info(survey.link(view.observer.id), "replication")
            except OperationError:
                continue  # it loads, or has just gone: no heir
            offsets[view.observer.id] = int(fields.get("slave_repl_offset", 0))
    return offsets
