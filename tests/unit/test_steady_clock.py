"""The clock that nobody sets."""

from __future__ import annotations

import time

from node.core.steady_clock import steady_ms

SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def test_it_begins_at_unix_time() -> None:
    assert abs(steady_ms() - time.time() * 1000) < 60_000


def test_it_counts_what_passes_since_the_boot() -> None:
    began, boot = steady_ms(), time.clock_gettime_ns(SINCE_BOOT)
    while (passed := (time.clock_gettime_ns(SINCE_BOOT) - boot) / 1e6) < 20:
        assert abs(steady_ms() - began - passed) < 15
