"""What each slot of a cluster costs: keys, bytes, requests or CPU time, asked of whoever serves it.

    keys     CLUSTER COUNTKEYSINSLOT, which all have
    memory   CLUSTER SLOT-STATS where it tells memory (shoal, Redis 8.4); elsewhere some keys of each slot are
             asked for their MEMORY USAGE
    ops      reads and writes a second, by CLUSTER SLOT-STATS of shoal; Redis and Valkey do not count requests
    cpu      microseconds a second, by CLUSTER SLOT-STATS, of Redis 8.2 and Valkey 8 too

What SLOT-STATS counts, it counts from different beginnings: since the setting is on, since the slot came. So
only what is counted between two looks is comparable, and the first look gives nothing. Keys and memory are as
of now. Only primaries are asked: what replicas are read for is not part of the load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any

from cluster.operations.atomic import count_keys
from cluster.operations.link import ErrorReply, NodeLink, OperationError
from cluster.operations.survey import Survey
from cluster.plans.model import NodeInfo
from cluster.slots import SLOT_COUNT, members, ranges

SETTING = "cluster-slot-stats-enabled"
AT_ONCE = 32
"""Nodes that are asked at the same time."""
SLOTS_OF_A_REPLY = 256
SAMPLED_KEYS = 10
"""Of a slot, whose memory stands for that of all its keys."""
SLOTS_SAMPLED_AT_ONCE = 64


class Measure(StrEnum):
    KEYS = "keys"
    MEMORY = "memory"
    OPS = "ops"
    CPU = "cpu"

    @property
    def is_rate(self) -> bool:
        """Whether it is what happened between two looks."""
        return self in _COUNTERS


_COUNTERS: Mapping[Measure, tuple[bytes, ...]] = {
    Measure.OPS: (b"reads", b"writes"),
    Measure.CPU: (b"cpu-usec",),
}
_MEMORY = b"memory-bytes"
UNITS = {
    Measure.KEYS: "keys",
    Measure.MEMORY: "bytes",
    Measure.OPS: "requests/s",
    Measure.CPU: "us/s",
}

Counts = Mapping[int, float]
"""By slot."""


class LoadMeter:
    """Looks again and again. `clock`: seconds."""

    def __init__(self, measure: Measure, clock: Callable[[], float] = time.monotonic) -> None:
        self._measure = measure
        self._clock = clock
        self._before: dict[str, Counts] = {}
        self._looked = 0.0

    def look(self, survey: Survey) -> list[float] | None:
        """The load of each slot, in UNITS, since the last look; None at the first look at a rate. Raises
        OperationError if a node does not tell."""
        nodes = [node for node in survey.primaries if node.slots]
        links = [survey.link(node.id) for node in nodes]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            told = list(pool.map(self._ask, links, nodes))
        now = self._clock()
        found = {node.id: counts for node, counts in zip(nodes, told, strict=True)}
        loads = [0.0] * SLOT_COUNT
        seconds = now - self._looked if self._measure.is_rate else 1.0
        for node_id, counts in found.items():
            before = self._before.get(node_id, {})
            for slot, count in counts.items():
                # A counter that is less than it was has begun anew.
                grown = count - before.get(slot, 0.0) if count >= before.get(slot, 0.0) else count
                loads[slot] = grown / seconds if seconds > 0 else 0.0
        first = self._measure.is_rate and not self._before
        if self._measure.is_rate:
            self._before, self._looked = found, now
        return None if first else loads

    def _ask(self, link: NodeLink, node: NodeInfo) -> Counts:
        if self._measure is Measure.KEYS:
            return _keys(link, node)
        if self._measure is Measure.MEMORY:
            return _memory(link, node)
        return _counted(link, node, _COUNTERS[self._measure])


def measured(
    survey: Survey, measure: Measure, seconds: float, sleep: Callable[[float], None] = time.sleep
) -> list[float]:
    """The load of each slot; a rate is that of the next `seconds`."""
    meter = LoadMeter(measure)
    loads = meter.look(survey)
    if loads is None:
        sleep(seconds)
        loads = meter.look(survey)
    assert loads is not None
    return loads


def _keys(link: NodeLink, node: NodeInfo) -> Counts:
    slots = list(members(node.slots))
    return dict(zip(slots, map(float, count_keys(link, slots)), strict=True))


def _counted(link: NodeLink, node: NodeInfo, metrics: Sequence[bytes]) -> Counts:
    found = {}
    for slot, figures in _slot_stats(link, node.slots):
        if missing := [metric for metric in metrics if metric not in figures]:
            raise _untold(link, missing[0], figures)
        found[slot] = float(sum(figures[metric] for metric in metrics))
    return found


def _memory(link: NodeLink, node: NodeInfo) -> Counts:
    first = next(iter(members(node.slots)))
    told = link.pipeline([("CLUSTER", "SLOT-STATS", "SLOTSRANGE", first, first)])[0]
    if not isinstance(told, ErrorReply) and told and _MEMORY in told[0][1]:
        return _counted(link, node, (_MEMORY,))
    return _sampled_memory(link, node)


def _slot_stats(link: NodeLink, slots: int) -> Iterator[tuple[int, dict[bytes, int]]]:
    """Some slots at a time, so that the node serves its clients in between."""
    for first, last in ranges(slots):
        for begin in range(first, last + 1, SLOTS_OF_A_REPLY):
            words = ("CLUSTER", "SLOT-STATS", "SLOTSRANGE", begin, min(last, begin + SLOTS_OF_A_REPLY - 1))
            reply: Any = link.pipeline([words])[0]
            if isinstance(reply, ErrorReply):
                raise _refused(link, words, reply)
            for slot, figures in reply:
                yield int(slot), dict(zip(figures[::2], map(int, figures[1::2]), strict=True))


def _sampled_memory(link: NodeLink, node: NodeInfo) -> Counts:
    counts = _keys(link, node)
    slots = [slot for slot, keys in counts.items() if keys]
    found = {}
    for first in range(0, len(slots), SLOTS_SAMPLED_AT_ONCE):
        some = slots[first : first + SLOTS_SAMPLED_AT_ONCE]
        keys = link.call_all([("CLUSTER", "GETKEYSINSLOT", slot, SAMPLED_KEYS) for slot in some])
        flat = [key for names in keys for key in names]
        sizes = iter(link.call_all([("MEMORY", "USAGE", key) for key in flat]))
        for slot, names in zip(some, keys, strict=True):
            here = [size for size in (next(sizes) for _ in names) if size is not None]
            found[slot] = counts[slot] * sum(here) / len(here) if here else 0.0
    return found


def _untold(link: NodeLink, metric: bytes, figures: Mapping[bytes, int]) -> OperationError:
    if len(figures) == 1:
        return OperationError(
            f"{link.address} does not count what its slots cost",
            f"`shoal call CONFIG SET {SETTING} yes` lets all members count it, from then on",
        )
    return OperationError(
        f"{link.address} does not tell the {metric.decode()} of its slots",
        "balance by cpu, keys or memory, which it does tell",
    )


def _refused(link: NodeLink, words: Sequence[Any], reply: ErrorReply) -> OperationError:
    if "unknown" in reply.text.lower():
        return OperationError(
            f"{link.address} has no CLUSTER SLOT-STATS", "balance by keys or memory, which need none"
        )
    return link.refused(words, reply)
