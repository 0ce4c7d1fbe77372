"""The forms of the bench: which rows, in which settings, how long. Data, and how options change them."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Collection
from dataclasses import dataclass, replace

from tests.bench.load import WARM_UP
from tests.bench.results import PARTS, Setting
from tests.bench.rows import KEYS, REQUESTS, ROWS, Row
from tests.bench.runs import Extent, Task
from tests.bench.servers import KINDS
from tests.bench.shapes import SHAPES, Shape

USUAL_SIZE = Setting().value_size


@dataclass(frozen=True, slots=True)
class Grid:
    """All settings that combine these."""

    pipelines: tuple[int, ...] = (1, 16)
    sizes: tuple[int, ...] = (USUAL_SIZE,)
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
    parts: tuple[str, ...] = ("rows", "latency", "calls", "memory")
    grids: tuple[Grid, ...] = (Grid(),)
    latency_grids: tuple[Grid, ...] = (Grid(),)
    """At a share of saturation."""
    call_grids: tuple[Grid, ...] = (Grid((1,)),)

    def selected_rows(self) -> list[Row]:
        return [ROWS[name] for name in _matching(self.rows, ROWS)]

    def selected_shapes(self) -> list[Shape]:
        return [SHAPES[name] for name in _matching(self.shapes, SHAPES)] if "memory" in self.parts else []

    def tasks(self) -> list[Task]:
        """Without those that differ only by what does not matter to their row."""
        by_part = {"rows": self.grids, "latency": self.latency_grids, "calls": self.call_grids}
        return [
            Task(part, row, setting)
            for part in PARTS
            if part in self.parts
            for row in self.selected_rows()
            for setting in _settings(by_part[part], row)
        ]

    def with_axes(self, **axes: tuple[int, ...] | None) -> Form:
        """The same with these fields of its grids replaced, where they are given."""
        given = {name: values for name, values in axes.items() if values is not None}

        def changed(grids: tuple[Grid, ...]) -> tuple[Grid, ...]:
            return tuple(replace(grid, **given) for grid in grids)  # type: ignore[arg-type]

        return replace(
            self,
            grids=changed(self.grids),
            latency_grids=changed(self.latency_grids),
            call_grids=changed(self.call_grids),
        )


def _settings(grids: tuple[Grid, ...], row: Row) -> list[Setting]:
    settings = dict.fromkeys(setting for grid in grids for setting in grid.settings())
    if row.is_sized:
        return list(settings)
    return list(dict.fromkeys(replace(setting, value_size=USUAL_SIZE) for setting in settings))


def _matching(patterns: str, names: Collection[str]) -> list[str]:
    wanted = patterns.lower().split(",") if patterns else []
    for pattern in wanted:
        if not fnmatch.filter(names, pattern):
            raise SystemExit(f"no such row: {pattern}; there are {', '.join(names)}")
    return [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in wanted)]


_SETTING_UP = 4.0
"""Seconds, about, until three servers stand and know each other."""
_FILL = 1e-6
"""Of one item, and as much for each command."""
_AROUND_A_RUN = 0.06
_CALLS = 0.22
_TRIES = 1.3
"""What the runs before the first round cost, which find how many requests there should be."""


def estimate(tasks: list[Task], shapes: list[Shape], extent: Extent) -> float:
    """Seconds it will take, about, on a machine that has nothing else to do."""
    hard = (extent.rounds + _TRIES) * (extent.seconds + _AROUND_A_RUN)
    of_part = {
        "rows": hard,
        "latency": hard + extent.rounds * (extent.open_seconds + WARM_UP + _AROUND_A_RUN),
        "calls": extent.rounds * _CALLS,
    }
    total = _SETTING_UP * (len({task.setting.server for task in tasks}) + len(shapes))
    for task in tasks:
        taken_away = task.row.fill is not None and task.row.fill.count == REQUESTS
        total += len(KINDS) * of_part[task.part] * (1.5 if taken_away else 1)
    for _, row, _ in {(task.setting.server, task.row, task.setting.value_size) for task in tasks}:
        if row.fill is not None and row.fill.count == KEYS:
            total += len(KINDS) * extent.keys * _FILL * (1 + 3 / row.fill.at_once)
    for shape in shapes:
        total += len(KINDS) * shape.keys * _FILL * (3 + shape.items)
    return total


USUAL = Form(
    Extent(keys=1_000_000, rounds=5, seconds=2.0, open_seconds=2.0),
    rows="set,get",
    shapes="string",
    parts=("rows", "memory"),
)
QUICK = Form(
    Extent(keys=100_000, rounds=3, seconds=0.15, open_seconds=0.5),
    shapes="string",
    parts=("rows", "memory"),
)
BARS = Form(
    QUICK.extent,
    grids=(Grid(), Grid(aof=(True,), replicas=(True,))),
    latency_grids=(Grid((1,)),),
)
"""All that is promised, in short."""
FULL = Form(
    Extent(keys=1_000_000, rounds=5, seconds=0.3, open_seconds=1.0),
    grids=(
        # Each thing that may differ by itself: all of them combined would take a day.
        Grid(pipelines=(1, 16, 100)),
        Grid(sizes=(3, 1024)),
        Grid(clients=(1, 1000)),
        Grid(aof=(True,)),
        Grid(replicas=(True,)),
        Grid(aof=(True,), replicas=(True,)),
    ),
    latency_grids=(Grid(), Grid(aof=(True,), replicas=(True,))),
    call_grids=(Grid((1,), clients=(1, 50)), Grid((1,), aof=(True,), replicas=(True,))),
)
