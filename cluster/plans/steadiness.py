"""When to balance, for who does it again and again: not at every gust, not twice the same slot, not by day.

    Windows    the times of day at which slots may move Steadiness the last samples of the load: something is
    done only when all of them are out of balance, and then by their mean; a slot that has moved rests for a
    while

The two thresholds make a gap: balancing begins beyond the greater one and goes on to the smaller, so that
what is measured has to change much until it begins again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time

from cluster.plans.load import GOAL, LoadPlan, plan_by_load
from cluster.plans.model import NodeInfo, PlanError


@dataclass(frozen=True)
class Windows:
    """Times of day as (begin, end), the end excluded; one that ends before it begins lasts over midnight.
    None at all means always."""

    spans: tuple[tuple[time, time], ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Windows:
        """`02:00-05:00`. Raises PlanError."""
        return cls(tuple(_span(text) for text in texts))

    def is_open(self, now: time) -> bool:
        return not self.spans or any(
            begin <= now < end if begin < end else now >= begin or now < end for begin, end in self.spans
        )


def _span(text: str) -> tuple[time, time]:
    begin, _, end = text.partition("-")
    try:
        span = time.fromisoformat(begin.strip()), time.fromisoformat(end.strip())
    except ValueError as error:
        raise PlanError(f"{text!r} is not a window of time like 02:00-05:00") from error
    if span[0] == span[1]:
        raise PlanError(f"{text!r} ends when it begins")
    return span


@dataclass(frozen=True)
class Limits:
    """`threshold`, `goal`: percent; `samples`: how many must be out of balance; `rest`: seconds for which a
    slot that has moved stays; `most`: moves of a round."""

    threshold: float = 20.0
    goal: float = GOAL
    samples: int = 3
    rest: float = 3600.0
    most: int = 256


class Steadiness:
    """Takes a sample after the other; times are seconds of any clock that only goes forward."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._samples: deque[tuple[Sequence[float], float]] = deque(maxlen=limits.samples)
        """(loads, spread in percent)"""
        self._moved: dict[int, float] = {}

    def consider(
        self,
        nodes: Mapping[str, NodeInfo],
        loads: Sequence[float],
        now: float,
        weights: Mapping[str, float] | None = None,
        use_empty: bool = False,
    ) -> LoadPlan | None:
        """What to do by the samples up to this one: a plan, without moves as long as nothing needs to be
        done; None if there is no load at all."""
        limits = self._limits
        if not sum(loads) > 0:
            self._samples.clear()
            return None
        self._moved = {slot: at for slot, at in self._moved.items() if now - at < limits.rest}
        idle = plan_by_load(nodes, loads, weights, math.inf, limits.goal, use_empty, most=0)
        self._samples.append((loads, idle.spread_before))
        if not self._is_called_for(nodes, weights, use_empty):
            return idle
        mean = [sum(each) / len(each) for each in zip(*(loads for loads, _ in self._samples), strict=True)]
        return plan_by_load(
            nodes, mean, weights, limits.threshold, limits.goal, use_empty, self._moved.keys(), limits.most
        )

    def _is_called_for(
        self, nodes: Mapping[str, NodeInfo], weights: Mapping[str, float] | None, use_empty: bool
    ) -> bool:
        """Nodes to be emptied or filled wait for no second sample."""
        wanted = weights or {}
        if any(node.slots and wanted.get(node.id) == 0 for node in nodes.values()):
            return True
        if use_empty and any(node.is_primary and not node.slots for node in nodes.values()):
            return True
        enough = len(self._samples) == self._limits.samples
        return enough and all(spread > self._limits.threshold for _, spread in self._samples)

    def moved(self, slots: Iterable[int], now: float) -> None:
        """These have moved, or begun to; what was sampled before tells nothing of the nodes any more."""
        self._moved |= dict.fromkeys(slots, now)
        self.forget()

    def forget(self) -> None:
        """The samples so far."""
        self._samples.clear()
