"""The latency monitor: when something kept the whole worker waiting, and for how long.

Each class of events (`command`, `fast-command`, `expire-cycle`, `fork`, ...) keeps its last 160 samples, one
per second at most: within a second the worst counts. Nothing is sampled that is shorter than
`latency-monitor-threshold` ms, and nothing at all while that is 0.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

SAMPLES = 160
"""As many as Redis keeps per class."""


@dataclass(slots=True)
class Sample:
    at: int
    """Unix seconds."""
    milliseconds: int


@dataclass(slots=True)
class Event:
    """One class of events; it has one sample at least."""

    worst: int = 0
    """ms, since the class was last reset."""
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    @property
    def latest(self) -> Sample:
        return self.samples[-1]


@dataclass(frozen=True, slots=True)
class Summary:
    """What the samples of one event have in common; times in ms, `period` in seconds between two samples."""

    count: int
    average: int
    deviation: int
    lowest: int
    highest: int
    period: float


class LatencyEvents:
    def __init__(self) -> None:
        self.threshold = 0
        """ms from which on events are noted; 0: none is."""
        self.events: dict[str, Event] = {}

    def note(self, name: str, milliseconds: float, now_ms: int) -> None:
        """Something of class `name` took this long and ended at Unix ms `now_ms`."""
        length = int(milliseconds)
        if not self.threshold or length < self.threshold:
            return
        event = self.events.setdefault(name, Event())
        event.worst = max(event.worst, length)
        second = now_ms // 1000
        if event.samples and event.latest.at == second:
            event.latest.milliseconds = max(event.latest.milliseconds, length)
        else:
            event.samples.append(Sample(second, length))

    def reset(self, names: list[str]) -> int:
        """Forget these classes, or all if none is named; returns how many there were."""
        known = [name for name in names or list(self.events) if self.events.pop(name, None)]
        return len(known)


def summary(event: Event, now_ms: int) -> Summary:
    lengths = [sample.milliseconds for sample in event.samples]
    average = sum(lengths) // len(lengths)
    deviation = sum(abs(length - average) for length in lengths) // len(lengths)
    seconds = max(1, now_ms // 1000 - event.samples[0].at)
    return Summary(
        len(lengths), average, deviation, min(lengths), max(lengths), seconds / max(1, len(lengths) - 1)
    )
