"""`shoal set-timeout MS`: cluster-node-timeout of all members.

JSON: {"milliseconds": number, "nodes": {address: "set" | "set, not written" | {"error": text}}}. "Not
written": the node has no settings file, or cannot write it, so a restart brings the old value back.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cluster.cli.common import DEFAULT_ADDRESS, Address, DryRun, Json, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.output import coloured, print_json, print_table
from cluster.operations.link import ANONYMOUS, Credentials
from cluster.operations.settings import SET, UNWRITTEN, set_everywhere


@connecting
def set_timeout(
    milliseconds: Annotated[
        int, typer.Argument(metavar="MS", min=100, help="Silence after which a node counts as failing.")
    ],
    address: Address = DEFAULT_ADDRESS,
    dry_run: DryRun = False,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Set cluster-node-timeout on every member, at run time and in its settings file. Exit code 1 if any
    refuses or does not answer."""
    with open_survey(address, credentials) as survey:
        outcome: dict[str, Any] = {}
        if dry_run:
            outcome = {view.observer.address: "to be set" for view in survey.views}
        else:
            outcome = set_everywhere(survey, "cluster-node-timeout", str(milliseconds))
        for missing, reason in survey.unreachable.items():
            outcome[missing] = {"error": f"does not answer: {reason}"}
    if json:
        print_json({"milliseconds": milliseconds, "nodes": outcome})
    else:
        rows = [[name, _cell(said)] for name, said in outcome.items()]
        print_table("", ["node", "cluster-node-timeout"], rows)
    raise typer.Exit(1 if any(isinstance(said, dict) for said in outcome.values()) else 0)


def _cell(said: Any) -> Any:
    if isinstance(said, dict):
        return coloured(said["error"], good=False)
    return coloured(said, good=said == SET) if said in (SET, UNWRITTEN) else said
