"""`shoal info`: how the cluster is doing, one line per member.

JSON: {"cluster": {"primaries", "replicas", "slots_served", "keys", "problems"}, "nodes": [as of `shoal
nodes`, and of those that answer "version", "keys", "memory_bytes", "clients", "ops_per_second",
"replication_offset", "replication_link", "lag_bytes"]}.
"""

from __future__ import annotations

from typing import Any

from cluster.cli.common import DEFAULT_ADDRESS, Address, Json, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.nodes import describe, in_families, role_of
from cluster.cli.output import coloured, counted, human_bytes, print_json, print_table, say
from cluster.operations.link import ANONYMOUS, Credentials, NodeLink
from cluster.operations.server_info import read_info
from cluster.operations.survey import Survey
from cluster.plans.check import check, uncovered_slots
from cluster.plans.model import NodeInfo
from cluster.readings.info import server_version
from cluster.slots import SLOT_COUNT, count

_NUMERIC = ["slots", "keys", "memory", "clients", "ops/s", "lag"]
_DISPENSABLE = ["version", "clients", "memory"]
"""Where the terminal is narrow, in this order."""


@connecting
def info(
    address: Address = DEFAULT_ADDRESS, credentials: Credentials = ANONYMOUS, json: Json = False
) -> None:
    """Show slots, keys, memory, clients and replication of every member."""
    with open_survey(address, credentials) as survey:
        answering = {view.observer.id for view in survey.views}
        rows = []
        for node in in_families(survey.nodes):
            row = describe(node, survey)
            if node.id in answering:
                row |= _figures(node, survey.link(node.id))
            rows.append(row)
        summary = _summary(survey, rows)
    _add_lag(rows)
    if json:
        print_json({"cluster": summary, "nodes": rows})
        return
    columns = ["address", "role", "state", "version", *_NUMERIC]
    print_table("", columns, map(_cells, rows), numeric=_NUMERIC, dispensable=_DISPENSABLE)
    say("")
    say(
        f"{summary['primaries']} primaries, {counted(summary['replicas'], 'replica')};"
        f" {summary['slots_served']} of {SLOT_COUNT} slots served; {summary['keys']} keys;"
        f" {counted(summary['problems'], 'problem')}" + (", see `shoal check`" if summary["problems"] else "")
    )


def _figures(node: NodeInfo, link: NodeLink) -> dict[str, Any]:
    fields = read_info(link)
    return {
        "version": server_version(fields),
        "keys": link.call("DBSIZE"),
        "memory_bytes": int(fields.get("used_memory", 0)),
        "clients": int(fields.get("connected_clients", 0)),
        "ops_per_second": int(fields.get("instantaneous_ops_per_sec", 0)),
        "replication_offset": int(fields.get("master_repl_offset", 0)),
        "replication_link": fields.get("master_link_status") if not node.is_primary else None,
    }


def _add_lag(rows: list[dict[str, Any]]) -> None:
    """Bytes of the replication stream that a replica has yet to receive."""
    offsets = {row["id"]: row.get("replication_offset") for row in rows}
    for row in rows:
        ahead = offsets.get(row["primary"])
        if ahead is not None and row.get("replication_offset") is not None:
            row["lag_bytes"] = max(0, ahead - row["replication_offset"])


def _cells(row: dict[str, Any]) -> list[Any]:
    state = row["state"]
    if state == "ok" and row.get("replication_link") == "down":
        state = "not in sync"
    return [
        row["address"],
        role_of(row),
        coloured(state, good=state == "ok"),
        row.get("version", ""),
        row["slot_count"] if row["role"] == "primary" else "",
        row.get("keys", ""),
        human_bytes(row["memory_bytes"]) if "memory_bytes" in row else "",
        row.get("clients", ""),
        row.get("ops_per_second", ""),
        human_bytes(row["lag_bytes"]) if "lag_bytes" in row else "",
    ]


def _summary(survey: Survey, rows: list[dict[str, Any]]) -> dict[str, Any]:
    primaries = [row for row in rows if row["role"] == "primary"]
    return {
        "primaries": len(primaries),
        "replicas": len(rows) - len(primaries),
        "slots_served": SLOT_COUNT - count(uncovered_slots(survey.views)),
        "keys": sum(row.get("keys", 0) for row in primaries),
        "problems": len(check(survey.views, survey.unreachable)),
    }
