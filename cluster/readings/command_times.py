"""How long a node's commands took between two readings, by LATENCY HISTOGRAM.

Its buckets (up to 1 µs, 2, 4, ...) are counted since the node's start; what has come to them between two
readings is the distribution of that time. A percentile is told as the upper end of its bucket. Waiting for
one's turn is no part of it (a PING's time is), and what a look at the node takes is left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Times = Mapping[str, Mapping[int, int]]
"""Command -> upper end of a bucket in µs -> calls."""

OURS = frozenset(
    {
        "auth", "hello", "client|setinfo", "ping", "info", "latency|histogram", "cluster|nodes",
        "cluster|slot-stats", "cluster|getslotmigrations", "replconf",
    }
)  # fmt: skip
"""Commands that a look at the node is made of, or its replicas' reports."""


def times_of(reply: Sequence[Any]) -> dict[str, dict[int, int]]:
    """Of a reply to LATENCY HISTOGRAM."""
    found = {}
    for name, fields in zip(reply[::2], reply[1::2], strict=True):
        cumulative = dict(zip(fields[::2], fields[1::2], strict=True)).get(b"histogram_usec", [])
        calls: dict[int, int] = {}
        before = 0
        for end, total in zip(cumulative[::2], cumulative[1::2], strict=True):
            calls[end] = total - before
            before = total
        found[name.decode("latin-1").lower()] = calls
    return found


def percentiles(before: Times, now: Times, *wanted: float) -> list[int | None]:
    """µs that so many of 100 commands took at most; None while there were none."""
    calls = Counter[int]()
    for name, buckets in now.items():
        if name in OURS:
            continue
        earlier = before.get(name, {})
        if sum(buckets.values()) < sum(earlier.values()):
            earlier = {}  # it begins to count anew
        for end, count in buckets.items():
            calls[end] += max(0, count - earlier.get(end, 0))
    return [_percentile(calls, each) for each in wanted]


def _percentile(calls: Mapping[int, int], percent: float) -> int | None:
    wanted = max(1, math.ceil(sum(calls.values()) * percent / 100))
    for end in sorted(calls):
        wanted -= calls[end]
        if wanted <= 0:
            return end
    return None
