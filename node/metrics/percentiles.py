"""What INFO latencystats and LATENCY HISTOGRAM make of an engine's measurements.

A distribution is `[(longest time in ns, calls)]`, ascending, as `Engine.latencies` gives it.
"""

from __future__ import annotations

from collections.abc import Sequence

Distribution = Sequence[tuple[int, int]]

FIRST_BOUND = 1024
"""ns: Redis counts in doublings of this, and shows them in microseconds: 1, 2, 4, ... 33, 66, ..."""


def percentile(calls: Distribution, share: float) -> float:
    """The time in microseconds within which `share` percent of the calls were done."""
    total = sum(count for _, count in calls)
    wanted = max(1, int(share * total / 100 + 0.5))
    seen = 0
    for longest, count in calls:
        seen += count
        if seen >= wanted:
            return longest / 1000
    return 0.0


def percentiles(shares: Sequence[float], calls: Distribution) -> str:
    """`p50=0.301,p99=1.007`, in microseconds, for these shares of the calls (percent)."""
    return ",".join(f"p{share:g}={percentile(calls, share):.3f}" for share in shares)


def cumulative(calls: Distribution) -> list[tuple[int, int]]:
    """[(microseconds, calls that took at most so long)], without steps that add nothing."""
    steps: list[tuple[int, int]] = []
    bound, seen = FIRST_BOUND, 0
    for longest, count in calls:
        while longest > bound:
            bound *= 2
        seen += count
        shown = (bound + bound // 128 - 1) // 1000  # the end of Redis' own bucket around that bound
        if steps and steps[-1][0] == shown:
            steps.pop()
        steps.append((shown, seen))
    return steps
