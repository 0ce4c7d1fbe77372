"""The clock that nobody sets."""

from __future__ import annotations

import time

import pytest

from node.steady_clock import steady_ms

HOUR = 3600


def test_it_begins_at_unix_time() -> None:
    assert abs(steady_ms() - time.time() * 1000) < 60_000


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_it_does_not_follow_a_clock_that_is_set(monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    before = steady_ms()
    wall = time.time_ns() + jump * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: wall)
    monkeypatch.setattr(time, "time", lambda: wall / 1e9)
    assert 0 <= steady_ms() - before < 60_000
