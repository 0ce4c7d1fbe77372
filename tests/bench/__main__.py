"""Our worker beside redis-server 8.2.3 and valkey-server 9.1.2, driven in alternation.

    python -m tests.bench                       the usual form: GET and SET, pipeline 1 and 16, 1M keys
    python -m tests.bench --quick               all rows in three minutes, 100k keys
    python -m tests.bench --bars                what is promised, and whether it holds: a quarter of an hour
    python -m tests.bench --full                all rows, and each setting by itself: some hours
    python -m tests.bench --json result.json    the same figures for a machine; --plot FILE.svg draws them

`--rows 'l*,hget' --pipelines 1,16,100 --sizes 3,1024 --clients 1 --aof no,everysec --replicas 0,1` choose
from a form, or add to it; settings are combined. `--parts rows,latency,calls,memory` chooses what of a row is
measured (runs.py tells how), and `--shapes` of which keys the memory. Each figure is the median of `--rounds`
runs in alternation; ratios are ours to the better of the two oracles, below 1 is better for all but
throughput, with their spread over the rounds.

All servers are in cluster mode, with nothing turned off (servers.py), on a CPU that the load does not use.
How long it will take is told at the beginning. With `--json` a run may be interrupted, or bounded by
`--minutes`: the same command goes on where it ended. With `--bars` the exit code is 1 where one is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tests.bench import forms
from tests.bench.bars import judge
from tests.bench.forms import Form, estimate
from tests.bench.pinning import available, pin_load
from tests.bench.plot import draw
from tests.bench.record import Record
from tests.bench.report import describe, show, show_bars
from tests.bench.results import PARTS, Result
from tests.bench.runs import measure
from tests.bench.system_calls import can_count
from tests.bench.weights import Weight, weigh

T = TypeVar("T")


def listed(parse: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """A parser of values separated by commas."""
    return lambda text: tuple(parse(word) for word in text.split(","))


def policy(word: str) -> bool:
    return {"no": False, "everysec": True}[word]


def flag(word: str) -> bool:
    return {"0": False, "1": True}[word]


def part(word: str) -> str:
    if word not in (*PARTS, "memory"):
        raise ValueError(word)
    return word


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", dest="form", action="store_const", const=forms.QUICK)
    parser.add_argument("--full", dest="form", action="store_const", const=forms.FULL)
    parser.add_argument(
        "--bars", action="store_true", help="judge; without --full, all that it takes, in short"
    )
    parser.add_argument("--parts", type=listed(part), help="rows, latency, calls, memory")
    parser.add_argument("--rows", help="patterns of names, separated by commas")
    parser.add_argument("--shapes", help="of which to measure memory: patterns")
    parser.add_argument("--pipelines", type=listed(int))
    parser.add_argument("--sizes", type=listed(int), help="of values, in bytes")
    parser.add_argument("--clients", type=listed(int), help="connections")
    parser.add_argument("--aof", type=listed(policy), help="append-only file: no, everysec")
    parser.add_argument("--replicas", type=listed(flag), help="0, 1")
    parser.add_argument("--keys", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of one run as hard as it goes, about")
    parser.add_argument("--open-seconds", type=float, help="of one at 70 %% of that")
    parser.add_argument("--no-pin", action="store_true", help="leave it to the kernel who runs on which CPU")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which to stop")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="an SVG of the rows in the usual setting")
    return parser.parse_args()


def chosen_form(options: argparse.Namespace) -> Form:
    form: Form = options.form or forms.USUAL
    if options.bars and form is not forms.FULL:
        form = forms.BARS
    chosen = {name: getattr(options, name) for name in ("rows", "shapes", "parts")}
    extent = {name: getattr(options, name) for name in ("keys", "rounds", "seconds", "open_seconds")}
    form = replace(
        form,
        extent=replace(form.extent, **{name: value for name, value in extent.items() if value}),
        **{name: value for name, value in chosen.items() if value is not None},
    )
    if "calls" in form.parts and not can_count():
        print("system calls cannot be counted here: that takes root, and tracefs", file=sys.stderr)
        form = replace(form, parts=tuple(each for each in form.parts if each != "calls"))
    axes = {name: getattr(options, name) for name in ("pipelines", "sizes", "clients", "aof", "replicas")}
    return form.with_axes(**axes)


class Progress:
    """One line of what was measured last and how much is left, and the time by which to stop."""

    def __init__(self, total: int, minutes: float) -> None:
        self._total = total
        self._done = 0
        self._ends_at = time.monotonic() + minutes * 60

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self._ends_at

    def watch(self, measured: Iterator[Result] | Iterator[Weight], record: Record) -> None:
        for each in measured:
            record.add(each)
            self._done += 1
            name = each.shape.name if isinstance(each, Weight) else _describe(each)
            words = f"{self._done}/{self._total} {name}"
            print(f"\r{words:<75}", end="", file=sys.stderr, flush=True)
            if self.is_over:
                print("\nthe time is up; the same command goes on", file=sys.stderr)
                break


def _describe(result: Result) -> str:
    figure = {"rows": "cpu", "latency": "p999", "calls": "calls"}[result.part]
    return f"{result.row.name} {describe(result.setting)} {figure} {result.ratio(figure):.2f}"


def run(form: Form, options: argparse.Namespace) -> Record:
    record = Record(options.json, form.extent)
    tasks = [task for task in form.tasks() if not record.has(task)]
    shapes = [shape for shape in form.selected_shapes() if not record.has(shape.name)]
    minutes = estimate(tasks, shapes, form.extent) / 60
    print(f"{len(tasks)} results and {len(shapes)} weights: about {minutes:.0f} minutes", file=sys.stderr)
    cpus = available() if options.no_pin else pin_load()
    progress = Progress(len(tasks) + len(shapes), options.minutes)
    with closing(measure(tasks, form.extent, [] if options.no_pin else cpus)) as results:
        progress.watch(results, record)
    if not progress.is_over:
        with closing(weigh(shapes, options.keys)) as weights:
            progress.watch(weights, record)
    print(file=sys.stderr)
    return record


def main() -> int:
    options = parse_options()
    form = chosen_form(options)
    record = run(form, options)
    results, weights = record.results(form.tasks()), record.weights()
    show(results, weights)
    if options.plot:
        options.plot.write_text(draw(results))
    verdicts = judge(results, weights) if options.bars else []
    if options.bars:
        show_bars(verdicts)
    return 1 if any(one.state == "missed" for one in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
