"""A plan of moves made shorter: a few are taken back, and one fewer found that do as well.

    shrink    Each few moves that belong together (all combinations, where the plan is short) are taken back;
              what is then out of bounds is searched for fewer moves that mend it, along all promising ways.
    shake     Some random moves of a node are taken back, another of its heaviest slots moves instead, and the
              rest is mended greedily. What needs no more moves than before is kept, so that plans as long as
              each other lead on to shorter ones that nothing small leads to. Chance is the same each time.

Bounds are those of what each node may carry; a node that is beyond them already is not to be farther. Slots
move from their home only, once: a way over a third node would be a move too many.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from itertools import combinations

from cluster.plans.chance import Chance

Weighed = tuple[float, int]
"""(load, slot)"""

PARTNERS = 6
"""Nodes that a slot may come from or go to, beside those out of bounds."""
WAYS = 100
"""Steps of one search for fewer moves."""
ALL_OF = {1: 1 << 14, 2: 60, 3: 20, 4: 10}
"""Size of a combination -> how long a plan may be whose combinations are all tried."""
NEAR = {2: 12, 3: 6}
"""Of longer ones: how many moves of one node are combined."""
LONGEST = {1: 1 << 14, 2: 1 << 14, 3: 40, 4: 10}
ROUNDS = 3
SHAKES = 200
SHAKEN = 100
"""Longer plans are not shaken: chance would find too little."""
_LAST = 1 << 20
"""Greater than any slot."""


class Polishing:
    """`held`: the slots of each node's own that may move or have moved; `moved`: slot -> target; `loads`: of
    each node after these moves; `bounds`: (least, most) it may carry; `limits`: the heaviest slot that may
    come to it."""

    def __init__(
        self,
        held: Mapping[str, list[Weighed]],
        moved: Mapping[int, str],
        loads: Mapping[str, float],
        bounds: Mapping[str, tuple[float, float]],
        limits: Mapping[str, float],
    ) -> None:
        self.loads = dict(loads)
        self._moved = dict(moved)
        self._limits = limits
        self._names = [name for name, limit in limits.items() if limit]
        slack = 1e-9 * max(loads.values(), default=0.0)
        self._low = {name: min(low, loads[name]) - slack for name, (low, _) in bounds.items()}
        self._high = {name: max(high, loads[name]) + slack for name, (_, high) in bounds.items()}
        self._home = {slot: name for name, slots in held.items() for _, slot in slots}
        self._load = {slot: load for slots in held.values() for load, slot in slots}
        self._staying = {
            name: sorted(each for each in slots if each[1] not in moved) for name, slots in held.items()
        }
        self._steps = 0
        self._ranking: list[str] = []
        self._rank()

    def run(self) -> dict[int, str]:
        for _ in range(ROUNDS):
            shorter = [self._shrink(size) for size in LONGEST if len(self._moved) <= LONGEST[size]]
            if not any(shorter):
                break
        if len(self._moved) <= SHAKEN:
            self._shake(Chance(1))
        return self._moved

    # --- moves on paper

    def _rank(self) -> None:
        self._ranking = sorted(self._names, key=lambda name: self.loads[name] - self._high[name])

    def _apply(self, weighed: Weighed, target: str) -> None:
        load, slot = weighed
        home = self._home[slot]
        del self._staying[home][bisect_left(self._staying[home], weighed)]
        self.loads[home] -= load
        self.loads[target] += load
        self._moved[slot] = target

    def _take_back(self, slot: int) -> tuple[Weighed, str]:
        target, home, load = self._moved.pop(slot), self._home[slot], self._load[slot]
        insort(self._staying[home], (load, slot))
        self.loads[home] += load
        self.loads[target] -= load
        return (load, slot), target

    def _beyond(self, name: str, load: float) -> float:
        return max(load - self._high[name], self._low[name] - load, 0.0)

    def _out_of_bounds(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if self._beyond(name, self.loads[name])]

    def _is_over(self, name: str) -> bool:
        return self.loads[name] > self._high[name]

    def _emptiest(self, but: str) -> list[str]:
        return [name for name in self._ranking[: PARTNERS + 1] if name != but][:PARTNERS]

    def _fullest(self, but: str) -> list[str]:
        return [name for name in self._ranking[: -PARTNERS - 2 : -1] if name != but][:PARTNERS]

    def _pairs(self, worst: str, others: list[str]) -> list[tuple[str, str]]:
        """(source, target) of moves that could mend it, the promising first."""
        if self._is_over(worst):
            return [(worst, target) for target in dict.fromkeys(others + self._emptiest(worst))]
        return [(source, worst) for source in dict.fromkeys(others + self._fullest(worst))]

    def _candidates(self, source: str, target: str) -> list[Weighed]:
        """Slots that would bring one of the two to a bound or half way, and the heaviest."""
        slots, give, take = self._staying[source], self.loads[source], self.loads[target]
        spare, excess = give - self._low[source], give - self._high[source]
        found = slots[-4:]
        for load in (spare, excess, self._high[target] - take, self._low[target] - take, spare / 2):
            if load > 0:
                place = bisect_right(slots, (load, _LAST))
                found += slots[max(place - 1, 0) : place + 1]
        return [each for each in dict.fromkeys(found) if each[0] <= self._limits[target]]

    # --- shrink

    def _shrink(self, size: int) -> bool:
        """Whether any combination of `size` moves could be replaced by fewer."""
        before = len(self._moved)
        for slots in self._combinations(size):
            if not all(slot in self._moved for slot in slots):
                continue
            undone = [self._take_back(slot) for slot in slots]
            touched = {name for each in undone for name in (each[1], self._home[each[0][1]])}
            self._steps = 0
            if self._mend(size - 1, self._out_of_bounds(touched)):
                self._rank()
            else:
                for weighed, target in undone:
                    self._apply(weighed, target)
        return len(self._moved) < before

    def _combinations(self, size: int) -> list[tuple[int, ...]]:
        if len(self._moved) <= ALL_OF[size]:
            return list(combinations(self._moved, size))
        of_node: dict[str, list[int]] = {}
        for slot, target in self._moved.items():
            of_node.setdefault(target, []).append(slot)
            of_node.setdefault(self._home[slot], []).append(slot)
        lightest = (sorted(slots, key=self._load.__getitem__)[: NEAR[size]] for slots in of_node.values())
        near = (tuple(sorted(each)) for slots in lightest for each in combinations(slots, size))
        return list(dict.fromkeys(near))

    def _mend(self, moves: int, beyond: list[str]) -> bool:
        """Bring these back within their bounds by at most so many moves; else all is as it was."""
        over = sum(map(self._is_over, beyond))
        if not beyond or max(over, len(beyond) - over) > moves:
            return not beyond
        self._steps += 1
        worst = max(beyond, key=lambda name: (self._is_over(name), self._beyond(name, self.loads[name])))
        others = [name for name in beyond if self._is_over(name) != self._is_over(worst)]
        if moves == 1:
            pairs = self._pairs(worst, others)[: 1 if others else None]
            return any(self._mend_at_once(*pair) for pair in pairs)
        for source, target in self._pairs(worst, others):
            for weighed in self._candidates(source, target):
                if self._steps > WAYS:
                    return False
                self._apply(weighed, target)
                if self._mend(moves - 1, self._out_of_bounds({*beyond, source, target})):
                    return True
                self._take_back(weighed[1])
        return False

    def _mend_at_once(self, source: str, target: str) -> bool:
        """The heaviest slot after whose move both are within their bounds."""
        give, take, slots = self.loads[source], self.loads[target], self._staying[source]
        least = max(give - self._high[source], self._low[target] - take)
        most = min(give - self._low[source], self._high[target] - take, self._limits[target])
        place = bisect_right(slots, (most, _LAST)) - 1
        if place < 0 or slots[place][0] < least:
            return False
        self._apply(slots[place], target)
        return True

    # --- shake

    def _shake(self, chance: Chance) -> None:
        for turn in range(SHAKES):
            if not self._moved:
                return
            if turn % 50 == 0:
                self._rank()
            node = chance.choice(list(self._moved.values()))
            near = [slot for slot, to in self._moved.items() if node in (to, self._home[slot])]
            slots = set(chance.some(near, 1 + chance.below(5)))
            if chance.part() < 0.5:
                slots |= set(chance.some(list(self._moved), 1 + chance.below(3)))
            undone = [self._take_back(slot) for slot in sorted(slots)]
            touched = {name for each in undone for name in (each[1], self._home[each[0][1]])}
            instead = self._another(sorted(touched), chance)
            if not self._mend_greedily(touched, len(undone), instead, chance):
                for slot in instead:
                    self._take_back(slot)
                for weighed, target in undone:
                    self._apply(weighed, target)

    def _another(self, sources: list[str], chance: Chance) -> list[int]:
        """A heavy slot of one of these, moved anywhere, or none."""
        slots = self._staying[chance.choice(sources)]
        if not slots or chance.part() < 0.4:
            return []
        weighed = slots[-1 - min(int(-math.log(1 - chance.part()) / 0.3), len(slots) - 1)]
        target = chance.choice(self._names)
        if target == self._home[weighed[1]] or weighed[0] > self._limits[target]:
            return []
        self._apply(weighed, target)
        return [weighed[1]]

    def _mend_greedily(self, near: set[str], most: int, moves: list[int], chance: Chance) -> bool:
        """Until these, and whom it moves slots to or from, are within their bounds; `moves` grows to at most
        so many."""
        touched = near | {name for slot in moves for name in (self._home[slot], self._moved[slot])}
        while beyond := self._out_of_bounds(sorted(touched)):
            worst = max(beyond, key=lambda name: self._beyond(name, self.loads[name]))
            found: tuple[float, Weighed, str] | None = None
            for source, target in self._pairs(worst, [name for name in beyond if name != worst]):
                give, take = self.loads[source], self.loads[target]
                now = self._beyond(source, give) + self._beyond(target, take)
                for weighed in self._candidates(source, target):
                    then = self._beyond(source, give - weighed[0]) + self._beyond(target, take + weighed[0])
                    gain = (now - then) * (0.7 + 0.3 * chance.part())
                    if gain > 0 and (found is None or gain > found[0]):
                        found = (gain, weighed, target)
            if found is None or len(moves) >= most:
                return False
            self._apply(found[1], found[2])
            moves.append(found[1][1])
            touched |= {self._home[found[1][1]], found[2]}
        return True
