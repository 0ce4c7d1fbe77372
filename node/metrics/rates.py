"""Rates per second of growing counters: INFO's `instantaneous_...` fields.

A rate is the mean of the last samples, so that one quiet or busy tenth of a second does not decide it.
Whoever has a timer calls `sample`; the class knows no clock and no counters.
"""

from __future__ import annotations

from collections import deque

SAMPLES = 16
"""As many as Redis keeps: 1.6 s at ten samples a second."""


class Rate:
    """The pace of one counter that only grows."""

    def __init__(self, now_ms: int, value: int = 0) -> None:
        self._at = now_ms
        self._value = value
        self._samples: deque[float] = deque(maxlen=SAMPLES)

    def sample(self, now_ms: int, value: int) -> None:
        """Note the counter's value at a time; a counter that went back was reset, and starts anew."""
        elapsed = now_ms - self._at
        if elapsed <= 0:
            return
        self._samples.append(max(0, value - self._value) * 1000 / elapsed)
        self._at = now_ms
        self._value = value

    @property
    def per_second(self) -> float:
        return sum(self._samples) / len(self._samples) if self._samples else 0.0
