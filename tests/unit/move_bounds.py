"""How few moves could balance a load at all: lower bounds, to judge plans by (cluster/plans/load.py).

Balanced means that no node carries more than (1 + tolerance) times its share, which is `level`, or its
heaviest slot if that is more; and none less than (1 - tolerance) times `level`. Every move takes a slot from
one node and gives it to another, so each of these is a bound, and the greatest one counts:

    givers    Slots of which no node bears two (heavier than half of what it may carry, and than what fits
              beside the heaviest of all) have a node each, in the end. Beside such a slot its node must get
              rid of its heaviest others until they fit; a node without one likewise. Which of them has which
              node costs least is an assignment problem, solved exactly (`exact`), or, for large clusters,
              each for itself.
    placed    Slots heavier than some part of the level end up somewhere, each by a move unless at home, and
              what must make room for them there counts, in fractions of slots: the number of slots that make
              up some load, the heaviest first, is a convex function of that load, so that rooms for several
              slots on one node add up to no less than the rooms for each. What fits beside the heaviest slot
              of all, in what its node may differ by, needs no room, and is not among them.
    takers    Who lacks something gets at least as many slots as the heaviest of all would be enough.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

HEAVY = (0.03, 0.06, 0.1, 0.15, 0.25, 0.5)
EXACT = 6_000_000
"""Steps that the assignment may take."""

Nodes = Sequence[Sequence[float]]
"""Of each node what its slots carry."""


def fewest_moves(nodes: Nodes, level: float, tolerance: float) -> int:
    bounds = [_givers(nodes, level, tolerance), _takers(nodes, level, tolerance)]
    bounds += [_placed(nodes, level, tolerance, part * level) for part in HEAVY]
    return max(bounds)


def _givers(nodes: Nodes, level: float, tolerance: float) -> int:
    bound = (1 + tolerance) * level
    alone = max(bound / 2, _beside_heaviest(nodes, tolerance))
    heavy = [(load, name) for name, slots in enumerate(nodes) for load in slots if load > alone]
    light = [list(accumulate(sorted(x for x in slots if x <= alone), initial=0.0)) for slots in nodes]

    def removed(name: int, room: float) -> int:
        return len(light[name]) - max(bisect_right(light[name], room + 1e-9), 1)

    without = [removed(name, bound) for name in range(len(nodes))]
    costs = [
        [
            removed(name, (1 + tolerance) * max(level, load) - load) + (name != home) - without[name]
            for name in range(len(nodes))
        ]
        for load, home in heavy
    ]
    exact = len(heavy) <= len(nodes) and len(heavy) ** 2 * len(nodes) <= EXACT
    return sum(without) + (_assignment(costs) if exact and costs else sum(map(min, costs)))


def _placed(nodes: Nodes, level: float, tolerance: float, heavy_from: float) -> int:
    bound = (1 + tolerance) * level
    heavy_from = max(heavy_from, _beside_heaviest(nodes, tolerance))
    light = [sorted((x for x in slots if x <= heavy_from), reverse=True) for slots in nodes]
    sums = [list(accumulate(slots, initial=0.0)) for slots in light]

    def fraction(name: int, need: float) -> float:
        if need <= 0:
            return 0.0
        whole = bisect_right(sums[name], need) - 1
        if whole >= len(light[name]):
            return float(whole)
        return whole + (need - sums[name][whole]) / light[name][whole]

    without = [math.ceil(fraction(name, sums[name][-1] - bound) - 1e-9) for name in range(len(nodes))]
    total = float(sum(without))
    for home, slots in enumerate(nodes):
        for load in slots:
            if load > heavy_from:
                room = (1 + tolerance) * max(level, load) - load
                saved = 0.0 if load <= level else -math.inf  # a giant's node may keep more than one without
                total += min(
                    max(saved, fraction(name, sums[name][-1] - room) - without[name]) + (name != home)
                    for name in range(len(nodes))
                )
    return math.ceil(total - 1e-6)


def _beside_heaviest(nodes: Nodes, tolerance: float) -> float:
    """What the node of the heaviest slot may carry beside it."""
    return tolerance * max(load for slots in nodes for load in slots)


def _takers(nodes: Nodes, level: float, tolerance: float) -> int:
    sums = list(accumulate(sorted((x for slots in nodes for x in slots), reverse=True)))
    lacks = [(1 - tolerance) * level - sum(slots) for slots in nodes]
    return sum(bisect_right(sums, lack - 1e-9) + 1 for lack in lacks if lack > 1e-9)


def _assignment(costs: list[list[int]]) -> int:
    """The least sum of one entry in each row, no two in one column: the Hungarian method with potentials, a
    row at a time along a shortest augmenting path."""
    rows, columns = len(costs), len(costs[0])
    row_potential, column_potential = [0.0] * (rows + 1), [0.0] * (columns + 1)
    row_of = [0] * (columns + 1)
    for row in range(1, rows + 1):
        row_of[0] = row
        column, shortest = 0, [math.inf] * (columns + 1)
        came_from, done = [0] * (columns + 1), [False] * (columns + 1)
        while row_of[column]:
            done[column] = True
            here, nearest, step = row_of[column], 0, math.inf
            for other in range(1, columns + 1):
                if done[other]:
                    continue
                reduced = costs[here - 1][other - 1] - row_potential[here] - column_potential[other]
                if reduced < shortest[other]:
                    shortest[other], came_from[other] = reduced, column
                if shortest[other] < step:
                    nearest, step = other, shortest[other]
            for other in range(columns + 1):
                if done[other]:
                    row_potential[row_of[other]] += step
                    column_potential[other] -= step
                else:
                    shortest[other] -= step
            column = nearest
        while column:
            row_of[column] = row_of[came_from[column]]
            column = came_from[column]
    return round(-column_potential[0])
