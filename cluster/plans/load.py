"""Planning a rebalance by load: the fewest moves after which every primary carries its share of the work.

A load is any number that a slot has and that adds up: keys, bytes, requests or CPU time a second. A node's
share is proportional to its weight, and it is balanced within `goal` percent of that. The rules:

- The heaviest slots that fit move first, from who carries most too much to who lacks most: a heavy slot
  settles with one move what light ones need hundreds for.
- Slot s goes from a to b only if b is then less beyond its share than a was: load(s) < excess(a) - excess(b).
  So the sum of the squared excesses falls with every move, and a slot hotter than what its move would gain
  stays.
- A slot that is heavier than a whole share is a giant. No plan can share it out: whoever has it may carry it,
  and nearly nothing else; the others share what remains. The plan names giants, since only the application
  can split them.
- Slots of which no node bears two are seated first, each where least has to make room for it, which most
  often is where it is.
- While all are within `threshold` percent nothing moves, nor if a plan does not reach the goal and would mend
  less than a tenth of the imbalance: what is measured is noisy, and moves are not free.

The moves are found on paper by cluster/plans/scales.py, and made fewer by cluster/plans/polishing.py. How few
could do at all is not known in general, but tests/unit/move_bounds.py computes a lower bound, and tests hold
plans for Zipf loads to it: to 1.2 times that from an even start, to 1.3 times from an earlier plan after a
tenth of the loads were exchanged, or one move more where few do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from cluster.plans.model import Move, NodeInfo, PlanError
from cluster.plans.rebalance import effective_weights
from cluster.plans.scales import Scales, Weighed
from cluster.slots import SLOT_COUNT, members

GOAL = 5.0
"""Percent of its share by which a node may differ."""
WORTH = 0.1
"""Of the imbalance a plan must mend at least so much."""
PARTS = (0.5, 0.25, 0.14)
"""Of what a node bears: from where on slots are heavy. Which of them leads to the fewest moves none can tell
beforehand."""
FEW = 100
"""Nodes. With more only the first part is tried."""
_IDLE = 1e-3
"""What a slot without any load counts, in average slots, so that those spread, too, where all must move."""

Loads = Sequence[float]
"""By slot, all of them."""


@dataclass(frozen=True)
class LoadPlan:
    """`before`, `after`, `share`: by id of each primary that takes part. `giants`: slots that alone exceed a
    share, the heaviest first."""

    moves: list[Move]
    share: dict[str, float]
    before: dict[str, float]
    after: dict[str, float]
    giants: list[int]
    spread_before: float
    """How far the worst node is from its share, in percent of it."""
    spread_after: float


def plan_by_load(
    nodes: Mapping[str, NodeInfo],
    loads: Loads,
    weights: Mapping[str, float] | None = None,
    threshold: float = GOAL,
    goal: float = GOAL,
    use_empty: bool = False,
    resting: Collection[int] = (),
    most: int | None = None,
) -> LoadPlan:
    """`weights` and `use_empty` as of `plan_rebalance`. `resting`: slots that must stay where they are.
    `most`: moves, the most useful ones. Raises PlanError if there is no load."""
    if not sum(loads) > 0:
        raise PlanError("no slot has any load to balance by")
    floor = sum(loads) / SLOT_COUNT * _IDLE
    effective = effective_weights(nodes, weights, use_empty)
    if not any(effective.values()):
        raise PlanError("all weights are 0: nobody could hold the slots")
    taking = {name: weight for name, weight in effective.items() if weight > 0 or nodes[name].slots}
    held = {name: [(max(loads[s], floor), s) for s in members(nodes[name].slots)] for name in taking}
    goal = min(goal, threshold) / 100
    scales = Scales(held, taking, goal, resting)
    before = dict(scales.loads)
    spread = scales.spread(before)
    forced = any(not weight or not nodes[name].slots for name, weight in taking.items())
    if forced or spread > threshold:
        found = _settled(held, taking, goal, resting)
        mended = (
            found.imbalance() <= (1 - WORTH) * scales.imbalance() or found.spread(found.loads) <= 100 * goal
        )
        if forced or mended:
            scales = found
    chosen = scales.moves()[:most]
    after = dict(before)
    for move in chosen:
        load = max(loads[move.slot], floor)
        after[move.source] -= load
        after[move.target] += load
    chosen.sort(key=lambda move: (move.source, move.target, move.slot))
    giants = sorted(scales.giants, key=lambda slot: -loads[slot])
    return LoadPlan(chosen, scales.shares(), before, after, giants, spread, scales.spread(after))


def _settled(
    held: Mapping[str, list[Weighed]],
    weights: Mapping[str, float],
    goal: float,
    resting: Collection[int],
) -> Scales:
    """The shortest of some plans that differ in what is taken for heavy, among those that balance best."""
    plans = []
    for part in PARTS if len(held) <= FEW else PARTS[:1]:
        scales = Scales(held, weights, goal, resting)
        scales.settle(part)
        scales.polish()
        plans.append(scales)
    spreads = [max(scales.spread(scales.loads), 100 * goal + 1e-6) for scales in plans]
    rated = zip(spreads, (len(scales.moves()) for scales in plans), range(len(plans)), strict=True)
    return plans[min(rated)[2]]
