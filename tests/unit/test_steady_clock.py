"""The clock that nobody sets."""

from __future__ import annotations

import time

from node.core.steady_clock import steady_ms

SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def test_it_begins_at_unix_time() -> None:
    assert abs(steady_ms() - time.time() * 1000) < 60_000


def since_boot() -> float:
    """ms"""
    return time.clock_gettime_ns(SINCE_BOOT) / 1e6


def test_it_counts_what_passes_since_the_boot() -> None:
    before_began, began, after_began = since_boot(), steady_ms(), since_boot()
    while since_boot() - after_began < 20:
        before, counted, after = since_boot(), steady_ms() - began, since_boot()
        assert before - after_began - 15 < counted < after - before_began + 15
