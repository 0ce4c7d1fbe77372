"""The figures of runs as tables for people, and as JSON for machines."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.lab import Report, Round

Row = tuple[object, ...]
COUNTS = ("lost", "stale", "checked", "not_linearizable")
HEADINGS = (
    "fault", "count", "down: median s", "p99 s", "max s",
    "lost", "stale reads", "registers", "not linearizable",
)  # fmt: skip


def nearest_rank(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that at least that share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def show_table(title: str, names: Sequence[str], rows: Iterable[Row]) -> None:
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(names):
        table.add_column(name, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row))
    Console(width=140).print(table)


def show(report: Report, title: str) -> None:
    """A row for each kind of fault, and one for all; then what must not be."""
    kinds = sorted({each.kind for each in report.rounds})
    rows = [_row(kind, [each for each in report.rounds if each.kind == kind]) for kind in kinds]
    if len(kinds) > 1:
        rows.append(_row("all", report.rounds))
    show_table(title, HEADINGS, rows)
    console = Console(width=140, highlight=False)
    console.print(
        f"{report.acknowledged} acknowledged entries of logs, {report.operations} operations on registers, "
        f"{report.seconds:.0f} s; seed {report.plan.seed}"
    )
    if report.undecided:
        console.print(f"{report.undecided} histories were too hard to check")
    for example in report.examples:
        console.print(example, markup=False)
    for breach in report.broken:
        console.print(f"BROKEN: {breach}", markup=False)


def _row(kind: str, rounds: Sequence[Round]) -> Row:
    down = [each.down for each in rounds]
    counts = (sum(getattr(each, name) for each in rounds) for name in COUNTS)
    return kind, len(rounds), statistics.median(down), nearest_rank(down, 0.99), max(down), *counts


def as_json(report: Report) -> dict[str, Any]:
    return asdict(report) | {
        "totals": {name: report.total(name) for name in COUNTS},
        "clean": report.is_clean,
    }
