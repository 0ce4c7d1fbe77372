"""Planning a rebalance: the fewest moves after which every primary serves its share.

A share is proportional to a node's weight. Weight 0 empties a node, as before it is taken away; a node
without slots keeps none unless asked for (it may be there for another purpose). Shares are whole numbers
within one of the exact ones, and rounding favours who already serves more, so no slot moves only because of
rounding.
"""

from __future__ import annotations

from collections.abc import Mapping

from cluster.plans.model import Move, NodeInfo, PlanError, apportion, lowest

THRESHOLD = 2.0
"""Percent."""


def effective_weights(
    nodes: Mapping[str, NodeInfo], weights: Mapping[str, float] | None = None, use_empty: bool = False
) -> dict[str, float]:
    """id of each primary -> its weight. `weights` by id; who is not named weighs 1, or 0 if it is empty and
    not to be used. Raises PlanError."""
    given = weights or {}
    for node_id, weight in given.items():
        if node_id not in nodes or not nodes[node_id].is_primary:
            named = nodes[node_id].address if node_id in nodes else node_id
            raise PlanError(f"{named} is no primary of this cluster, so it can have no weight")
        if not 0 <= weight < float("inf"):
            raise PlanError(f"the weight of {nodes[node_id].address} must be 0 or more")
    primaries = [node for node in nodes.values() if node.is_primary]
    return {node.id: given.get(node.id, 1.0 if node.slots or use_empty else 0.0) for node in primaries}


def target_shares(
    nodes: Mapping[str, NodeInfo], weights: Mapping[str, float] | None = None, use_empty: bool = False
) -> dict[str, int]:
    """id of each primary -> how many slots it should serve."""
    effective = effective_weights(nodes, weights, use_empty)
    held = {node_id: nodes[node_id].slot_count for node_id in effective}
    return apportion(sum(held.values()), effective, favoured=held)


def plan_rebalance(
    nodes: Mapping[str, NodeInfo],
    weights: Mapping[str, float] | None = None,
    threshold: float = THRESHOLD,
    use_empty: bool = False,
) -> list[Move]:
    """The moves, grouped by source and target; none when every node is within `threshold` percent of its
    share.

    A node that must be emptied, or filled from nothing, is always past the threshold.
    """
    shares = target_shares(nodes, weights, use_empty)
    surplus = {node_id: nodes[node_id].slot_count - share for node_id, share in shares.items()}
    if not any(_is_past(excess, shares[node_id], threshold) for node_id, excess in surplus.items()):
        return []
    givers = sorted((n for n in surplus if surplus[n] > 0), key=lambda n: (-surplus[n], n))
    takers = sorted((n for n in surplus if surplus[n] < 0), key=lambda n: (surplus[n], n))
    moves: list[Move] = []
    offered = {giver: lowest(nodes[giver].slots, surplus[giver]) for giver in givers}
    for taker in takers:
        wanted = -surplus[taker]
        for giver in givers:
            given, offered[giver] = offered[giver][:wanted], offered[giver][wanted:]
            moves += [Move(slot, giver, taker) for slot in given]
            wanted -= len(given)
    return moves


def _is_past(excess: int, share: int, threshold: float) -> bool:
    if excess == 0:
        return False
    return share == 0 or abs(excess) * 100 / share > threshold
