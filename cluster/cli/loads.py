"""Showing how a load is spread over the nodes, before and after a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster.cli.output import human_bytes, print_table, say
from cluster.operations.slot_loads import UNITS, Measure
from cluster.plans.load import LoadPlan
from cluster.plans.model import NodeInfo

GIANTS_SHOWN = 5


def loads_as_json(plan: LoadPlan, nodes: Mapping[str, NodeInfo], measure: Measure) -> dict[str, Any]:
    return {
        "by": measure.value,
        "unit": UNITS[measure],
        "nodes": [
            {
                "address": nodes[node_id].address,
                "before": round(plan.before[node_id], 2),
                "after": round(plan.after[node_id], 2),
                "share": round(share, 2),
            }
            for node_id, share in sorted(plan.share.items(), key=lambda item: nodes[item[0]].address)
        ],
        "spread_percent": {"before": round(plan.spread_before, 2), "after": round(plan.spread_after, 2)},
        "slots_heavier_than_a_share": plan.giants,
    }


def print_loads(plan: LoadPlan, nodes: Mapping[str, NodeInfo], measure: Measure) -> None:
    told = loads_as_json(plan, nodes, measure)
    print_table(
        "",
        ["node", f"{measure} before", "after", "share"],
        [
            [row["address"], *(_figure(row[column], measure) for column in ("before", "after", "share"))]
            for row in told["nodes"]
        ],
        numeric=[f"{measure} before", "after", "share"],
    )
    say(
        f"unit: {UNITS[measure]}; at most {plan.spread_before:.1f}% off its share before,"
        f" {plan.spread_after:.1f}% after"
    )
    if plan.giants:
        more = "" if len(plan.giants) <= GIANTS_SHOWN else f" and {len(plan.giants) - GIANTS_SHOWN} more"
        shown = ", ".join(map(str, plan.giants[:GIANTS_SHOWN]))
        say(f"each heavier than the share of a node, so no plan can even them out: slots {shown}{more}")


def _figure(number: float, measure: Measure) -> str:
    return human_bytes(number) if measure is Measure.MEMORY else f"{number:.0f}"
