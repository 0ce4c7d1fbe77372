"""What was measured of one row in one setting, and how it compares.

Each server was measured once per round, in turns. A figure is the median over the rounds; a ratio is that of
the medians, ours to the better oracle's. Its spread, from the lowest to the highest, is that of the ratios of
single rounds, whose runs followed each other at once: what disturbed one most likely disturbed the others.
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.bench.measure import Sample
from tests.bench.rows import ROWS, Row
from tests.bench.servers import KINDS


@dataclass(frozen=True, slots=True)
class Setting:
    """In what a row is measured besides its command."""

    pipeline: int = 1
    value_size: int = 64
    clients: int = 50
    aof: bool = False
    replica: bool = False

    @property
    def server(self) -> tuple[bool, bool]:
        return self.aof, self.replica


@dataclass(frozen=True, slots=True)
class Calls:
    """System calls of a server per request."""

    calls: float


PARTS: dict[str, type[Sample] | type[Calls]] = {"rows": Sample, "latency": Sample, "calls": Calls}
"""What is measured of a row: under a load as high as it goes, at a share of that, and its system calls."""

MORE_IS_BETTER = ("throughput",)


@dataclass(slots=True)
class Result:
    row: Row
    setting: Setting
    part: str = "rows"
    samples: dict[str, list[Any]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    """For each kind one of the part's class per round."""

    @property
    def key(self) -> tuple[str, str, Setting]:
        return self.part, self.row.name, self.setting

    def figures(self, kind: str, figure: str) -> list[float]:
        return [getattr(sample, figure) for sample in self.samples[kind]]

    def median(self, kind: str, figure: str) -> float:
        return statistics.median(self.figures(kind, figure))

    def ratio(self, figure: str) -> float:
        return _ratio(figure, [self.median(kind, figure) for kind in KINDS])

    def spread(self, figure: str) -> tuple[float, float]:
        rounds = zip(*(self.figures(kind, figure) for kind in KINDS), strict=True)
        ratios = [_ratio(figure, list(each)) for each in rounds]
        return min(ratios), max(ratios)

    def as_data(self) -> dict[str, Any]:
        samples = {kind: [asdict(sample) for sample in each] for kind, each in self.samples.items()}
        return {"part": self.part, "row": self.row.name, **asdict(self.setting), "samples": samples}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Result:
        """What `as_data` gave; other fields may be beside it."""
        sample = PARTS[data["part"]]
        samples = {kind: [sample(**each) for each in data["samples"][kind]] for kind in KINDS}
        setting = Setting(**{name: data[name] for name in Setting.__dataclass_fields__})
        return cls(ROWS[data["row"]], setting, data["part"], samples)


def _ratio(figure: str, values: list[float]) -> float:
    """Of the first to the best of the others."""
    ours, *theirs = values
    return ours / (max(theirs) if figure in MORE_IS_BETTER else min(theirs))
