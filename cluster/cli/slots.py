"""`shoal slots`: who serves which slots, or the slot of one key.

JSON: [{"first", "last", "primary": address | "nobody", "replicas": [address]}]; with --key it is {"slot",
"ranges": [the same]}.
"""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.common import DEFAULT_ADDRESS, Address, Json, UsageProblem, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.output import coloured, print_json, print_table, say
from cluster.operations.link import ANONYMOUS, Credentials
from cluster.operations.survey import Survey
from cluster.plans.check import uncovered_slots
from cluster.plans.model import NodeInfo
from cluster.slots import SLOT_COUNT, ranges

_UNSERVED = "nobody"


@connecting
def slots(
    address: Address = DEFAULT_ADDRESS,
    key: Annotated[str | None, typer.Option("--key", help="Only the slot of this key.")] = None,
    slot: Annotated[int | None, typer.Option("--slot", help="Only this slot.")] = None,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """List slot ranges with their primary and its replicas."""
    if slot is not None and not 0 <= slot < SLOT_COUNT:
        raise UsageProblem(f"slots are numbered 0 to {SLOT_COUNT - 1}")
    with open_survey(address, credentials) as survey:
        if key is not None:
            slot = survey.seed.call("CLUSTER", "KEYSLOT", key)
        rows = _rows(survey)
    if slot is not None:
        rows = [row for row in rows if row["first"] <= slot <= row["last"]]
    if json:
        print_json({"slot": slot, "ranges": rows} if key is not None else rows)
        return
    if key is not None:
        say(f"{key!r} is in slot {slot}")
    print_table(
        "",
        ["slots", "number", "primary", "replicas"],
        [
            [
                f"{row['first']}-{row['last']}",
                row["last"] - row["first"] + 1,
                coloured(row["primary"], good=row["primary"] != _UNSERVED),
                " ".join(row["replicas"]),
            ]
            for row in rows
        ],
        numeric=["number"],
    )


def _rows(survey: Survey) -> list[dict]:
    nodes = survey.nodes
    found = [(first, last, node) for node in nodes.values() for first, last in ranges(node.slots)]
    rows = [
        {"first": first, "last": last, "primary": node.address, "replicas": _replicas(nodes, node)}
        for first, last, node in found
        if node.is_primary and not node.failed
    ]
    for first, last in ranges(uncovered_slots(survey.views)):
        rows.append({"first": first, "last": last, "primary": _UNSERVED, "replicas": []})
    return sorted(rows, key=lambda row: row["first"])


def _replicas(nodes: dict[str, NodeInfo], primary: NodeInfo) -> list[str]:
    return sorted(node.address for node in nodes.values() if node.primary_id == primary.id)
