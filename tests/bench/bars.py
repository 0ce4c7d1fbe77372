"""What is promised beside redis-server and valkey-server, and whether it holds.

All of it is about 50 connections and values of 64 bytes, and holds for each way a server was set up: alone,
with append-only file, with a replica. A bar is judged by the ratio of the medians. Where that is beyond the
bar, but the rounds were on both sides of it, the bar is open: the run was too short, or the machine too busy,
to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.bench.results import Result, Setting
from tests.bench.weights import Weight

FAST_ROWS = ("get", "set", "incr")
FAST_BAR = 0.6
PIPELINED = 16
JUDGED = Setting()
ROUNDING = 0.005
"""System calls are told with two digits."""


@dataclass(frozen=True, slots=True)
class Bar:
    """`figure` of the rows of `part` at `pipeline` is at most `limit`; of throughput, at least."""

    title: str
    part: str
    figure: str
    limit: float
    pipeline: int
    fast: bool | None = None
    """Of FAST_ROWS; of all others; of any, if None."""

    def concerns(self, result: Result) -> bool:
        plain = replace(result.setting, pipeline=JUDGED.pipeline, aof=False, replica=False) == JUDGED
        of_rows = self.fast is None or self.fast == (result.row.name in FAST_ROWS)
        return plain and of_rows and result.part == self.part and result.setting.pipeline == self.pipeline


BARS = (
    Bar("CPU, pipeline 16, GET, SET and INCR", "rows", "cpu", FAST_BAR, PIPELINED, fast=True),
    Bar("CPU, pipeline 16, every other row", "rows", "cpu", 1.0, PIPELINED, fast=False),
    Bar("CPU, pipeline 1", "rows", "cpu", 1.0, 1),
    Bar("throughput, pipeline 16", "rows", "throughput", 1.0, PIPELINED),
    Bar("throughput, pipeline 1", "rows", "throughput", 1.0, 1),
    Bar("system calls per request, pipeline 1", "calls", "calls", 1.0 + ROUNDING, 1),
    Bar("p99.9 at 70 % of saturation, pipeline 1", "latency", "p999", 1.0, 1),
    Bar("p99.9 at 70 % of saturation, pipeline 16", "latency", "p999", 1.0, PIPELINED),
)
MEMORY = "memory per key"


@dataclass(frozen=True, slots=True)
class Verdict:
    title: str
    name: str
    ratio: float
    limit: float
    spread: tuple[float, float]
    at_least: bool = False

    @property
    def state(self) -> str:
        """met, open or missed"""
        beyond = self.ratio < self.limit if self.at_least else self.ratio > self.limit
        if not beyond:
            return "met"
        low, high = self.spread
        return "open" if low <= self.limit <= high else "missed"

    def __str__(self) -> str:
        low, high = self.spread
        return f"{self.name} {self.ratio:.2f} ({low:.2f}-{high:.2f})"


def judge(results: list[Result], weights: list[Weight]) -> list[Verdict]:
    return [*_judged_results(results), *_judged_weights(weights)]


def _judged_results(results: list[Result]) -> Iterator[Verdict]:
    for bar in BARS:
        for result in filter(bar.concerns, results):
            ways = ["AOF"] * result.setting.aof + ["replica"] * result.setting.replica
            yield Verdict(
                " + ".join([bar.title, *ways]),
                result.row.name,
                result.ratio(bar.figure),
                bar.limit,
                result.spread(bar.figure),
                bar.figure == "throughput",
            )


def _judged_weights(weights: list[Weight]) -> Iterator[Verdict]:
    for weight in weights:
        if weight.shape.bar is not None:
            alone = (weight.ratio, weight.ratio)
            title = f"{MEMORY}, at most {weight.shape.bar}"
            yield Verdict(title, weight.shape.name, weight.ratio, weight.shape.bar, alone)


def limit_of(result: Result, figure: str) -> float | None:
    """The bar that a figure has to meet, if one is about it."""
    return next((bar.limit for bar in BARS if bar.figure == figure and bar.concerns(result)), None)
