"""Which node bears which of the heavy slots: an assignment with the fewest moves.

A heavy slot fills so much of a node that no other such slot shall come to lie there. Where it lies, the
node's other slots must go until what remains has room beside it, the heaviest first; so each pair of a slot
and a node has a price, in moves, and the cheapest assignment as a whole is sought (not each slot's cheapest
place: what one gains there another may lose many times over). It is found by shortest augmenting paths with
potentials, a slot after the other, as long as the problem is not too large for that.

Most heavy slots are cheapest at home, where no other wants to be: they are taken out first, so that 1,000
nodes leave a problem of a few hundred.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

AWAY = 1.1
"""What a heavy slot's own move counts, in moves of others."""
LIGHTER = 1e-3
"""What a node's other slots count, in moves a share: of places that cost the same, the lighter."""
EXACT = 3_000_000
"""Steps that the assignment may take; beyond them each slot, the heaviest first, gets its cheapest place."""
SPARE = 32
"""Places beyond those needed: the lightest nodes."""


def seats(
    heavy: Sequence[tuple[float, str]],
    light: Mapping[str, Sequence[float]],
    shares: Mapping[str, float],
    tolerance: float,
) -> list[str]:
    """`heavy`: (load, home) of each, the heaviest first; `light`: of each node, what its other slots carry,
    summed up from the lightest; `shares`: of the nodes that may bear one. Returns a place for each; home,
    where there are too few places."""

    def price(load: float, home: str, name: str) -> float:
        share, sums = shares[name], light[name]
        bound = (1 + tolerance) * share
        room = max(bound, (1 + tolerance) * load) - load
        going = max(bisect_right(sums, bound), 1) - max(bisect_right(sums, room), 1)
        return going + (AWAY if name != home else 0.0) + LIGHTER * sums[-1] / share

    places = [home for _, home in heavy]
    lightest = sorted(shares, key=lambda name: (light[name][-1], name))
    settled = set()
    at_home = Counter(home for _, home in heavy)
    for load, home in heavy:
        cheapest = min((price(load, home, name) for name in lightest[:SPARE]), default=0.0)
        if at_home[home] == 1 and home in shares and price(load, home, home) <= cheapest:
            settled.add(home)
    asking = [index for index, (_, home) in enumerate(heavy) if home not in settled]
    homes = {heavy[index][1] for index in asking} & shares.keys()
    others = [name for name in lightest if name not in homes and name not in settled]
    free = sorted(homes) + others[: len(asking) + SPARE]
    fitting = asking[: len(free)]
    if len(fitting) ** 2 * len(free) > EXACT:
        return _greedily(heavy, set(shares), price)
    prices = [[price(*heavy[index], name) for name in free] for index in fitting]
    for index, column in zip(fitting, cheapest_assignment(prices), strict=True):
        places[index] = free[column]
    return places


def _greedily(
    heavy: Sequence[tuple[float, str]], free: set[str], price: Callable[[float, str, str], float]
) -> list[str]:
    places: list[str] = []
    for load, home in heavy:
        rated = ((price(load, home, name), name) for name in free)
        places.append(min(rated, default=(0.0, home))[1])
        free.discard(places[-1])
    return places


def cheapest_assignment(prices: Sequence[Sequence[float]]) -> list[int]:
    """The column of each row, no column twice, with the least sum; at least as many columns as rows."""
    rows, columns = len(prices), len(prices[0]) if prices else 0
    row_potential, column_potential = [0.0] * rows, [0.0] * columns
    row_of = [-1] * columns
    for row in range(rows):
        shortest, came_from, reached = [math.inf] * columns, [-1] * columns, []
        open_columns, here, column, length = list(range(columns)), row, -1, 0.0
        while True:
            base, mine = length - row_potential[here], prices[here]
            nearest, least = -1, math.inf
            for other in open_columns:
                distance = base + mine[other] - column_potential[other]
                if distance < shortest[other]:
                    shortest[other], came_from[other] = distance, column
                if shortest[other] < least:
                    nearest, least = other, shortest[other]
            column, length = nearest, least
            if row_of[column] < 0:
                break
            reached.append(column)
            open_columns.remove(column)
            here = row_of[column]
        row_potential[row] += length
        for other in reached:
            row_potential[row_of[other]] += length - shortest[other]
            column_potential[other] -= length - shortest[other]
        while column >= 0:
            before = came_from[column]
            row_of[column] = row_of[before] if before >= 0 else row
            column = before
    places = [0] * rows
    for column, row in enumerate(row_of):
        if row >= 0:
            places[row] = column
    return places
