"""What was measured, as a table, for machines, and against the bars."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.runs import KINDS, Result, Setting
from tests.bench.weights import Weight

USUAL = Setting()
FIGURES = ("cpu", "throughput", "p50", "p99", "p999")
MEMORY_BAR = 1.1
"""The most that a key with a string may take, as a ratio to the better oracle."""


def show(results: list[Result], weights: list[Weight]) -> None:
    console = Console(width=110)
    for table in (_speed(results), _latency(results)) if results else ():
        console.print(table)
    if weights:
        console.print(_memory(weights))


def _speed(results: list[Result]) -> Table:
    table = _table("µs/op: shoal", "redis", "valkey", "ratio", "kops/s: shoal", "redis", "valkey", "ratio")
    for result in results:
        table.add_row(
            result.row.name,
            describe(result.setting),
            *(f"{result.median(kind, 'cpu'):.2f}" for kind in KINDS),
            _judged(result.cpu_ratio, result.bar),
            *(f"{result.median(kind, 'throughput') / 1000:.0f}" for kind in KINDS),
            f"{result.throughput_ratio:.2f}",
        )
    return table


def _latency(results: list[Result]) -> Table:
    table = _table(*(f"{kind}: p50, p99, p99.9 ms" for kind in KINDS))
    for result in results:
        figures = (" ".join(f"{result.median(kind, p):7.2f}" for p in FIGURES[2:]) for kind in KINDS)
        table.add_row(result.row.name, describe(result.setting), *figures)
    return table


def _table(*columns: str) -> Table:
    table = Table("row", "setting", box=None)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _memory(weights: list[Weight]) -> Table:
    table = Table("keys of a type", "bytes per key: shoal", "redis", "valkey", "ratio", box=None)
    for weight in weights:
        each = (f"{weight.bytes_per_key[kind]:,.0f}" for kind in KINDS)
        table.add_row(weight.shape.name, *each, _judged(weight.ratio, MEMORY_BAR))
    return table


def _judged(ratio: float, bar: float) -> str:
    return f"{ratio:.2f}" if ratio <= bar else f"[bold]{ratio:.2f}![/bold]"


def describe(setting: Setting) -> str:
    """ "P=16", and what else is not as usual."""
    words = [f"P={setting.pipeline}"]
    if setting.value_size != USUAL.value_size:
        words.append(f"{setting.value_size} B")
    if setting.clients != USUAL.clients:
        words.append(f"c={setting.clients}")
    words += ["AOF"] * setting.aof + ["replica"] * setting.replica
    return " ".join(words)


def as_json(results: list[Result], weights: list[Weight]) -> dict[str, Any]:
    return {
        "rows": [
            {
                "row": result.row.name,
                **asdict(result.setting),
                **{figure: {kind: result.median(kind, figure) for kind in KINDS} for figure in FIGURES},
                "cpu_ratio": result.cpu_ratio,
                "throughput_ratio": result.throughput_ratio,
                "bar": result.bar,
            }
            for result in results
        ],
        "memory": [
            {"keys": weight.shape.name, "bytes_per_key": weight.bytes_per_key, "ratio": weight.ratio}
            for weight in weights
        ],
    }


def missed_bars(results: list[Result], weights: list[Weight]) -> list[str]:
    missed = [
        f"{result.row.name} {describe(result.setting)}: CPU ratio {result.cpu_ratio:.2f} > {result.bar}"
        for result in results
        if result.cpu_ratio > result.bar
    ]
    return missed + [
        f"memory of a {weight.shape.name}: ratio {weight.ratio:.2f} > {MEMORY_BAR}"
        for weight in weights
        if weight.ratio > MEMORY_BAR
    ]
