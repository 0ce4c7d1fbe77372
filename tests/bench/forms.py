"""The forms of the bench: which rows, in which settings, how long. Data, and how options change them."""

from __future__ import annotations

import fnmatch
import itertools
from dataclasses import dataclass, replace

from tests.bench.rows import ROWS, SHAPES, Row, Shape
from tests.bench.runs import Extent, Setting


@dataclass(frozen=True, slots=True)
class Grid:
    """All settings that combine these."""

    pipelines: tuple[int, ...] = (1, 16)
    sizes: tuple[int, ...] = (64,)
    clients: tuple[int, ...] = (50,)
    aof: tuple[bool, ...] = (False,)
    replicas: tuple[bool, ...] = (False,)

    def settings(self) -> list[Setting]:
        combined = itertools.product(self.aof, self.replicas, self.sizes, self.clients, self.pipelines)
        return [
            Setting(pipeline, size, clients, aof, replica)
            for aof, replica, size, clients, pipeline in combined
        ]


@dataclass(frozen=True, slots=True)
class Form:
    extent: Extent
    rows: str = "*"
    """Patterns, separated by commas."""
    shapes: str = "*"
    grids: tuple[Grid, ...] = (Grid(),)

    def selected_rows(self) -> list[Row]:
        return [ROWS[name] for name in _matching(self.rows, ROWS)]

    def selected_shapes(self) -> list[Shape]:
        return [SHAPES[name] for name in _matching(self.shapes, SHAPES)]

    def settings(self) -> list[Setting]:
        return list(dict.fromkeys(setting for grid in self.grids for setting in grid.settings()))

    def with_axes(self, **axes: tuple[int, ...] | None) -> Form:
        """The same with these fields of its grids replaced, where they are given."""
        given = {name: values for name, values in axes.items() if values is not None}
        return replace(self, grids=tuple(replace(grid, **given) for grid in self.grids))  # type: ignore[arg-type]


def _matching(patterns: str, names: dict[str, Row] | dict[str, Shape]) -> list[str]:
    wanted = patterns.lower().split(",") if patterns else []
    for pattern in wanted:
        if not fnmatch.filter(names, pattern):
            raise SystemExit(f"no such row: {pattern}; there are {', '.join(names)}")
    return [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in wanted)]


USUAL = Form(Extent(keys=1_000_000, rounds=5, seconds=2.0), rows="set,get", shapes="string")
QUICK = Form(Extent(keys=100_000, rounds=3, seconds=0.15), shapes="string")
FULL = Form(
    Extent(keys=1_000_000, rounds=5, seconds=0.3),
    grids=(
        # Each thing that may differ by itself: all of them combined would take a day.
        Grid(pipelines=(1, 16, 100)),
        Grid(sizes=(3, 1024)),
        Grid(clients=(1, 1000)),
        Grid(aof=(True,)),
        Grid(replicas=(True,)),
        Grid(aof=(True,), replicas=(True,)),
    ),
)
