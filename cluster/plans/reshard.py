"""Planning a reshard: so many slots, from these nodes, to that one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cluster.plans.model import Move, NodeInfo, PlanError, apportion, lowest


def plan_reshard(
    nodes: Mapping[str, NodeInfo], sources: Sequence[str], target: str, count: int
) -> list[Move]:
    """`count` slots to the primary `target`, each of `sources` giving in proportion to what it serves.

    No sources means every other primary. Of its slots a source gives the lowest. Raises PlanError when the
    target or a source is not a primary, is named on both sides, or when the sources serve fewer slots than
    asked.
    """
    _require_primary(nodes, target)
    givers = list(dict.fromkeys(sources)) or [
        node.id for node in nodes.values() if node.is_primary and node.slots and node.id != target
    ]
    for giver in givers:
        _require_primary(nodes, giver)
        if giver == target:
            raise PlanError(f"{nodes[target].address} cannot be both source and target")
    served = {giver: nodes[giver].slot_count for giver in givers}
    available = sum(served.values())
    if count < 1:
        raise PlanError("the number of slots must be at least 1")
    if count > available:
        raise PlanError(f"{count} slots asked for, but the sources serve only {available}")
    shares = apportion(count, served, favoured={})
    return [
        Move(slot, giver, target) for giver in givers for slot in lowest(nodes[giver].slots, shares[giver])
    ]


def _require_primary(nodes: Mapping[str, NodeInfo], node_id: str) -> None:
    node = nodes.get(node_id)
    if node is None:
        raise PlanError(f"no node with id {node_id}")
    if not node.is_primary:
        raise PlanError(f"{node.address} is a replica: only primaries serve slots")
