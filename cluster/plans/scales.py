"""Slots moved to and fro on paper, until every node carries its share of the load: the search of
plans/load.py.

Shares are found by filling: as long as the heaviest slot left exceeds a share, it is set aside with a node of
its own, and the others share the rest. Then, in this order:

    seat      heavy slots get a node each
    relieve   who carries too much gives, the heaviest slots that fit first
    fill up   who still carries too little takes

Where no single move helps, two slots are exchanged. A slot may move several times on paper; what counts is
where it ends.

A node's slots are kept sorted, and so are the nodes, by what they carry beyond their share: each step is a
few binary searches, so that 1,000 nodes with all slots take a fraction of a second.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Mapping
from itertools import accumulate

from cluster.plans.model import Move
from cluster.plans.polishing import Polishing
from cluster.plans.seats import seats

PARTNERS = 24
"""Nodes that are looked at for an exchange of two slots."""
LEAST_SHARE = 0.05
"""Of the mean load. Where giants leave so little to the others that their share is less, that is what a
tolerance is a part of: next to nothing is not worth being shared out exactly."""
_LAST = 1 << 20
"""Greater than any slot."""
_NEVER = float("inf")

Weighed = tuple[float, int]
"""(load, slot)"""


class Scales:
    """`held`: what each node has; `weights` of all of them, by id too; `tolerance`: how far a node may be
    from its share, as a fraction; `resting`: slots that stay where they are."""

    def __init__(
        self,
        held: Mapping[str, list[Weighed]],
        weights: Mapping[str, float],
        tolerance: float,
        resting: Collection[int] = (),
    ) -> None:
        self._held = held
        self._resting = resting
        self._home = {slot: name for name, slots in held.items() for _, slot in slots}
        self._weights = weights
        self._tolerance = tolerance
        self.loads = {name: sum(load for load, _ in slots) for name, slots in held.items()}
        self._least = sum(self.loads.values()) / sum(weights.values()) * LEAST_SHARE
        self._slots = {
            name: sorted(each for each in slots if each[1] not in resting) for name, slots in held.items()
        }
        """What may move, the lightest first."""
        self._seated = {
            name: max((load for load, slot in slots if slot in resting), default=0.0)
            for name, slots in held.items()
        }
        """The heaviest slot that stays there."""
        self._moved: dict[int, str] = {}
        self._givers: set[str] = set()
        """Who had too much: to them nothing goes."""
        self.giants: list[int] = []
        self._level = 0.0
        self._ranking: list[tuple[float, str]] = []
        self._fill(held)

    def _fill(self, held: Mapping[str, list[Weighed]]) -> None:
        """Find what a node of weight 1 should carry, and the giants."""
        rest, weight = sum(self.loads.values()), sum(self._weights.values())
        heaviest = max(self._weights.values())
        for load, slot in sorted((each for slots in held.values() for each in slots), reverse=True):
            host = self._weights[self._home[slot]] or heaviest
            if weight - host < 1e-9 or load <= heaviest * rest / weight:
                break
            self.giants.append(slot)
            rest -= load
            weight -= host
        self._level = rest / weight
        self._rank()

    def _rank(self) -> None:
        self._ranking = sorted((self._excess(name), name) for name in self.loads)

    # --- what is true now

    def _fair(self, name: str) -> float:
        return self._weights[name] * self._level

    def _bound(self, name: str) -> float:
        return (1 + self._tolerance) * self._fair(name)

    def _heaviest(self, name: str) -> float:
        slots = self._slots[name]
        return max(self._seated[name], slots[-1][0] if slots else 0.0)

    def _share(self, name: str) -> float:
        """What it should carry; of a node with a giant that."""
        fair = self._fair(name)
        return max(fair, self._heaviest(name)) if fair else 0.0

    def shares(self) -> dict[str, float]:
        return {name: self._share(name) for name in self.loads}

    def _excess(self, name: str) -> float:
        return self.loads[name] - self._share(name)

    def _upper(self, name: str) -> float:
        return self._share(name) + self._tolerance * self._scale(name)

    def _lower(self, name: str) -> float:
        return self._share(name) - self._tolerance * self._scale(name)

    def _scale(self, name: str) -> float:
        return max(self._share(name), self._weights[name] * self._least)

    def spread(self, loads: Mapping[str, float]) -> float:
        """How far the worst node is from its share, in percent of it."""
        return max(
            abs(loads[name] - self._share(name)) * 100 / self._scale(name) if self._weights[name] else 0.0
            for name in loads
        )

    def imbalance(self) -> float:
        return sum(abs(self._excess(name)) for name in self.loads)

    # --- moving on paper

    def _move(self, weighed: Weighed, source: str, target: str) -> None:
        for name, load in ((source, -weighed[0]), (target, weighed[0])):
            del self._ranking[bisect_left(self._ranking, (self._excess(name), name))]
            if load < 0:
                self._slots[name].pop(bisect_left(self._slots[name], weighed))
            else:
                insort(self._slots[name], weighed)
            self.loads[name] += load
            insort(self._ranking, (self._excess(name), name))
        slot = weighed[1]
        self._moved.pop(slot, None)
        if self._home[slot] != target:
            self._moved[slot] = target

    def polish(self) -> None:
        """The same with fewer moves (cluster/plans/polishing.py)."""
        giants = {
            slot
            for name, slots in self._held.items()
            for load, slot in slots
            if load > self._limit_of(name, slot)
        }
        fixed = giants | set(self._resting)
        work = Polishing(
            {name: [each for each in slots if each[1] not in fixed] for name, slots in self._held.items()},
            {slot: target for slot, target in self._moved.items() if slot not in fixed},
            self.loads,
            {name: (self._lower(name), self._upper(name)) for name in self.loads},
            {name: self._fair(name) for name in self.loads},
        )
        self._moved = {slot: self._moved[slot] for slot in self._moved if slot in fixed} | work.run()
        self.loads = work.loads

    def _limit_of(self, name: str, slot: int) -> float:
        """Heavier slots stay where they were put: where they lie tells what a node should carry. So do all
        of nodes that are to be empty."""
        return min(self._fair(name), self._fair(self._moved.get(slot, name)))

    def moves(self) -> list[Move]:
        """The heaviest first."""
        weighed = {slot: load for slots in self._held.values() for load, slot in slots}
        order = sorted(self._moved, key=lambda slot: (-weighed[slot], slot))
        return [Move(slot, self._home[slot], self._moved[slot]) for slot in order]

    # --- finding moves

    def settle(self, part: float = 0.5) -> None:
        """`part` of what a node bears: heavier slots are seated first, one a node."""
        self._empty()
        self._seat(part)
        self._relieve()
        self._fill_up()

    def _empty(self) -> None:
        """Nodes of weight 0 keep nothing."""
        for name, weight in self._weights.items():
            while not weight and self._slots[name]:
                target = next(other for _, other in self._ranking if self._weights[other])
                self._move(self._slots[name][-1], name, target)

    def _neediest(self) -> str | None:
        fit = (name for _, name in self._ranking if self._weights[name] and name not in self._givers)
        return next(fit, None)

    def _seat(self, part: float) -> None:
        """Slots heavier than `part` of what a node bears, each where that takes the fewest moves
        (cluster/plans/seats.py); none of them moves again."""
        heavy_from = max(map(self._bound, self.loads)) * part
        heavy: list[tuple[Weighed, str]] = []
        light: dict[str, list[float]] = {}
        for name, slots in self._slots.items():
            first = bisect_right(slots, (heavy_from, _LAST))
            heavy += ((weighed, name) for weighed in slots[first:])
            stays = self.loads[name] - sum(load for load, _ in slots)
            light[name] = list(accumulate((load for load, _ in slots[:first]), initial=stays))
        heavy.sort(reverse=True)
        free = [name for name, weight in self._weights.items() if weight and self._seated[name] <= heavy_from]
        places = self._places(heavy, light, free)
        if self._refill(heavy, light, places):
            places = self._places(heavy, light, free)
        for (weighed, home), place in zip(heavy, places, strict=True):
            if place != home:
                self._move(weighed, home, place)
        for (weighed, _), place in zip(heavy, places, strict=True):
            self._slots[place].remove(weighed)
            self._seated[place] = max(self._seated[place], weighed[0])

    def _places(
        self, heavy: list[tuple[Weighed, str]], light: Mapping[str, list[float]], free: list[str]
    ) -> list[str]:
        asked = [(load, home) for (load, _), home in heavy]
        return seats(asked, light, {name: self._fair(name) for name in free}, self._tolerance)

    def _refill(
        self, heavy: list[tuple[Weighed, str]], light: Mapping[str, list[float]], places: list[str]
    ) -> bool:
        """What others should carry, when those with giants keep a little beside them. Whether that is
        less."""
        rest, weight = sum(self.loads.values()), sum(self._weights.values())
        for ((load, _), _), place in zip(heavy, places, strict=True):
            if load > self._fair(place):
                rest -= load + min(light[place][-1], self._tolerance * load)
                weight -= self._weights[place]
        before = self._level
        if weight > 1e-9 and rest > 0:
            self._level = min(before, rest / weight)
            self._rank()
        return self._level < before

    def _relieve(self) -> None:
        """Until nobody carries too much, or nothing helps."""
        stuck: set[str] = set()
        while (source := self._most_burdened(stuck)) is not None:
            if not (self._give(source) or self._exchange_with_any(source, down=True)):
                stuck.add(source)

    def _most_burdened(self, stuck: Collection[str]) -> str | None:
        for excess, name in reversed(self._ranking):
            if excess <= 0:
                return None
            if name not in stuck and self.loads[name] > self._upper(name):
                return name
        return None

    def _give(self, source: str) -> bool:
        """One slot to the neediest: the heaviest with which both stay in their bounds, or a heavier one if
        that takes fewer moves, those included by which the other makes room; if there is none, that which
        evens the two out best."""
        self._givers.add(source)
        target = self._neediest()
        if target is None:
            return False
        slots = self._slots[source]
        difference = self._excess(source) - self._excess(target)
        room, spare = self._upper(target) - self.loads[target], self.loads[source] - self._lower(source)
        heaviest = bisect_right(slots, (spare, _LAST)) - 1
        fits = bisect_right(slots, (min(room, spare), _LAST)) - 1
        found = None
        if heaviest > fits and slots[heaviest][0] < difference:
            load = slots[heaviest][0]
            making_room = 1 + _heaviest_of(self._slots[target], load - room)
            excess = self.loads[source] - self._upper(source)
            instead = _heaviest_of(slots, min(load, excess), fits + 1)
            found = slots[heaviest] if making_room < instead else None
        if found is None and fits >= 0 and slots[fits][0] < difference:
            found = slots[fits]
        if found is None:
            middle = bisect_left(slots, (difference / 2, 0))
            near = [each for each in slots[max(0, middle - 1) : middle + 1] if each[0] < difference]
            found = min(near, key=lambda each: abs(each[0] - difference / 2), default=None)
        if found is None:
            return False
        self._move(found, source, target)
        return True

    def _fill_up(self) -> None:
        """Until nobody carries too little, or nothing helps."""
        stuck: set[str] = set()
        while (target := self._least_burdened(stuck)) is not None:
            if not (self._take(target) or self._exchange_with_any(target, down=False)):
                stuck.add(target)

    def _least_burdened(self, stuck: Collection[str]) -> str | None:
        for excess, name in self._ranking:
            if excess >= 0:
                return None
            if name not in stuck and self.loads[name] < self._lower(name):
                return name
        return None

    def _take(self, target: str) -> bool:
        """The heaviest slot that fits, of those who carry most."""
        room = self._upper(target) - self.loads[target]
        best: tuple[Weighed, str] | None = None
        for excess, source in self._ranking[-PARTNERS:]:
            slots = self._slots[source]
            limit = min(room, self.loads[source] - self._lower(source))
            fits = bisect_right(slots, (limit, _LAST)) - 1
            difference = excess - self._excess(target)
            if fits >= 0 and slots[fits][0] < difference and (best is None or slots[fits] > best[0]):
                best = (slots[fits], source)
        if best is None:
            return False
        self._move(best[0], best[1], target)
        return True

    # --- exchanges

    def _exchange_with_any(self, name: str, down: bool) -> bool:
        """`down`: it shall carry less afterwards; else more."""
        if down:
            others = [other for _, other in self._ranking[:PARTNERS] if other != name]
            return any(self._exchange(name, other) for other in others)
        others = [other for _, other in reversed(self._ranking[-PARTNERS:]) if other != name]
        return any(self._exchange(other, name) for other in others)

    def _exchange(self, source: str, target: str) -> bool:
        """A slot for a lighter one: the pair that evens the two out best."""
        difference = self._excess(source) - self._excess(target)
        mine, theirs = self._slots[source], self._slots[target]
        best: tuple[float, Weighed, Weighed] | None = None
        for back in theirs:
            middle = bisect_left(mine, (back[0] + difference / 2, 0))
            for forth in mine[max(0, middle - 1) : middle + 1]:
                gain = forth[0] - back[0]
                off = abs(gain - difference / 2)
                if 0 < gain < difference and (best is None or off < best[0]):
                    best = (off, forth, back)
        if best is None:
            return False
        self._move(best[1], source, target)
        self._move(best[2], target, source)
        return True


def _heaviest_of(slots: list[Weighed], load: float, below: int | None = None) -> float:
    """How many of the heaviest, of those below a place in the list, make up so much."""
    for number, place in enumerate(range((len(slots) if below is None else below) - 1, -1, -1), 1):
        load -= slots[place][0]
        if load <= 0:
            return number
    return _NEVER
