"""`shoal nodes`: who is in the cluster.

JSON: [{"id", "address", "role": "primary" | "replica", "primary": id | null, "primary_address", "state": "ok"
| text, "slot_count", "slots": ranges, "epoch", "zone"}].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster.cli.common import DEFAULT_ADDRESS, Address, Json, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.output import ROOMY, coloured, console, near, print_json, print_table
from cluster.operations.link import ANONYMOUS, Credentials
from cluster.operations.survey import Survey, first_slot
from cluster.plans.model import NodeInfo
from cluster.slots import format_ranges

FULL_ID, SHORT_ID = 40, 8
"""Letters of an id. Commands take its beginning for it."""


@connecting
def nodes(
    address: Address = DEFAULT_ADDRESS, credentials: Credentials = ANONYMOUS, json: Json = False
) -> None:
    """List the members: primaries by their slots, each followed by its replicas."""
    with open_survey(address, credentials) as survey:
        rows = [describe(node, survey) for node in in_families(survey.nodes)]
    if json:
        print_json(rows)
        return
    zones = any(row["zone"] for row in rows)
    id_length = FULL_ID if console().width >= ROOMY else SHORT_ID
    print_table(
        "",
        ["address", "role", *(["zone"] if zones else []), "state", "slots", "ranges", "epoch", "id"],
        [
            [
                row["address"],
                role_of(row),
                *([row["zone"]] if zones else []),
                coloured(row["state"], good=row["state"] == "ok"),
                row["slot_count"] if row["role"] == "primary" else "",
                row["slots"],
                row["epoch"],
                row["id"][:id_length],
            ]
            for row in rows
        ],
        numeric=["slots", "epoch"],
        dispensable=["epoch"],
    )


def role_of(row: Mapping[str, Any]) -> str:
    if row["role"] == "primary":
        return "primary"
    return f"replica of {near(row['primary_address'], row['address'])}"


def in_families(nodes: Mapping[str, NodeInfo]) -> list[NodeInfo]:
    """Primaries in order of their first slot, each followed by its replicas; replicas of strangers last."""
    ordered = sorted(nodes.values(), key=lambda node: (first_slot(node), node.address))
    families = []
    for primary in ordered:
        if primary.is_primary:
            families += [primary, *(node for node in ordered if node.primary_id == primary.id)]
    return families + [node for node in ordered if node not in families]


def describe(node: NodeInfo, survey: Survey) -> dict[str, Any]:
    """The row about `node`: what --json prints."""
    primary = survey.nodes.get(node.primary_id or "")
    state = "ok"
    if node.address in survey.unreachable:
        state = f"unreachable: {survey.unreachable[node.address]}"
    if node.failed:
        state = "failed"
    return {
        "id": node.id,
        "address": node.address,
        "role": "primary" if node.is_primary else "replica",
        "primary": node.primary_id,
        "primary_address": primary.address if primary else None,
        "state": state,
        "slot_count": node.slot_count,
        "slots": format_ranges(node.slots),
        "epoch": node.epoch,
        "zone": node.zone,
    }
