"""Figures of the process, and rates."""

from __future__ import annotations

import os

import psutil
import pytest

from node.handlers.info import human
from node.metrics import process
from node.metrics.rates import SAMPLES, Rate


def test_rate_is_the_mean_of_the_last_samples() -> None:
    rate = Rate(1000)
    assert rate.per_second == 0
    rate.sample(1100, 10)
    assert rate.per_second == pytest.approx(100)
    rate.sample(1200, 10)
    assert rate.per_second == pytest.approx(50)
    for tick in range(SAMPLES):
        rate.sample(1300 + 100 * tick, 10)
    assert rate.per_second == 0


def test_rate_survives_a_reset_counter_and_a_clock_that_stands() -> None:
    rate = Rate(1000, 500)
    rate.sample(1100, 0)
    rate.sample(1100, 900)
    assert rate.per_second == 0
    rate.sample(1200, 20)
    assert rate.per_second == pytest.approx(100)


def test_process_figures() -> None:
    seen = psutil.Process(os.getpid())
    assert process.resident_bytes() == pytest.approx(seen.memory_info().rss, rel=0.2)
    assert process.peak_resident_bytes() >= process.resident_bytes() * 0.9
    assert process.machine_bytes() == psutil.virtual_memory().total
    used = process.cpu_seconds()
    assert used.user > 0
    assert used.main_thread_user <= used.user + 0.1


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1536, "1.50K"), (5 << 20, "5.00M"), (3 << 40, "3.00T")],
)
def test_human_sizes(size: int, text: str) -> None:
    assert human(size) == text
