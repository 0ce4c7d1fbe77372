"""What was measured, as tables. Ratios are ours to the better oracle's, with the spread of the rounds."""

from __future__ import annotations

import itertools

from rich.console import Console
from rich.table import Table

from tests.bench.bars import Verdict, limit_of
from tests.bench.results import MORE_IS_BETTER, Result, Setting
from tests.bench.servers import KINDS
from tests.bench.weights import Weight

USUAL = Setting()
WIDTH = 145
PERCENTILES = ("p50", "p99", "p999")


def show(results: list[Result], weights: list[Weight]) -> None:
    console = Console(width=WIDTH)
    by_part = {part: [each for each in results if each.part == part] for part in ("rows", "latency", "calls")}
    for table in (
        _speed(by_part["rows"]),
        _latency(by_part["rows"], "as hard as redis-benchmark goes"),
        _latency(by_part["latency"], "at 70 % of saturation"),
        _calls(by_part["calls"]),
        _memory(weights),
    ):
        if table.row_count:
            console.print(table)


def show_bars(verdicts: list[Verdict]) -> None:
    """Bar by bar: how many are met, and which are not."""
    table = Table("bar", "met", "open", "missed", "not met: ratio (of the rounds)", box=None)
    for title, group in itertools.groupby(sorted(verdicts, key=lambda one: one.title), lambda one: one.title):
        each = list(group)
        states = [one.state for one in each]
        others = ", ".join(
            f"{one}{'' if one.state == 'missed' else ' open'}" for one in each if one.state != "met"
        )
        table.add_row(title, *(str(states.count(state)) for state in ("met", "open", "missed")), others)
    Console(width=WIDTH).print(table)


def _speed(results: list[Result]) -> Table:
    table = _table("µs/op: shoal", "redis", "valkey", "ratio", "kops/s: shoal", "redis", "valkey", "ratio")
    for result in results:
        table.add_row(
            result.row.name,
            describe(result.setting),
            *(f"{result.median(kind, 'cpu'):.2f}" for kind in KINDS),
            _judged(result, "cpu"),
            *(f"{result.median(kind, 'throughput') / 1000:.0f}" for kind in KINDS),
            _judged(result, "throughput"),
        )
    return table


def _latency(results: list[Result], title: str) -> Table:
    table = _table(*(f"{kind}: kops/s p50 p99 p99.9" for kind in KINDS), "p99.9, ratio")
    table.title = f"latencies in ms, {title}"
    for result in results:
        figures = (
            f"{result.median(kind, 'throughput') / 1000:4.0f} "
            + " ".join(f"{result.median(kind, p):6.2f}" for p in PERCENTILES)
            for kind in KINDS
        )
        table.add_row(result.row.name, describe(result.setting), *figures, _judged(result, "p999"))
    return table


def _calls(results: list[Result]) -> Table:
    table = _table("system calls per request: shoal", "redis", "valkey", "ratio")
    for result in results:
        each = (f"{result.median(kind, 'calls'):.3f}" for kind in KINDS)
        table.add_row(result.row.name, describe(result.setting), *each, _judged(result, "calls"))
    return table


def _memory(weights: list[Weight]) -> Table:
    table = Table("keys of a type", "bytes per key: shoal", "redis", "valkey", "ratio", "to", box=None)
    for weight in weights:
        each = (f"{weight.bytes_per_key[kind]:,.0f}" for kind in KINDS)
        bar = weight.shape.bar
        missed = bar is not None and weight.ratio > bar
        beside = "the better" if len(weight.shape.beside) > 1 else weight.shape.beside[0]
        table.add_row(weight.shape.name, *each, _marked(f"{weight.ratio:.2f}", missed), beside)
    return table


def _table(*columns: str) -> Table:
    table = Table("row", "setting", box=None)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _judged(result: Result, figure: str) -> str:
    ratio, (low, high), limit = result.ratio(figure), result.spread(figure), limit_of(result, figure)
    missed = limit is not None and (ratio < limit if figure in MORE_IS_BETTER else ratio > limit)
    return _marked(f"{ratio:.2f} ({low:.2f}-{high:.2f})", missed)


def _marked(text: str, missed: bool) -> str:
    return f"[bold]{text}![/bold]" if missed else text


def describe(setting: Setting) -> str:
    """ "P=16", and what else is not as usual."""
    words = [f"P={setting.pipeline}"]
    if setting.value_size != USUAL.value_size:
        words.append(f"{setting.value_size} B")
    if setting.clients != USUAL.clients:
        words.append(f"c={setting.clients}")
    words += ["AOF"] * setting.aof + ["replica"] * setting.replica
    return " ".join(words)
