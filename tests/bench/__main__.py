"""Our worker beside redis-server 8.2.3 and valkey-server 9.1.2, driven in alternation.

    python -m tests.bench                       the usual form: GET and SET, pipeline 1 and 16, 1M keys
    python -m tests.bench --quick               all rows in two to three minutes, 100k keys
    python -m tests.bench --full                all rows, and each setting by itself: an hour or two
    python -m tests.bench --json result.json    the same figures for a machine; --plot FILE.svg draws them

`--rows 'l*,hget' --pipelines 1,16,100 --sizes 3,1024 --clients 1 --aof no,everysec --replicas 0,1` choose
from a form, or add to it; settings are combined. Every figure is the median of `--rounds` runs in
alternation; ratios are ours to the better of the two oracles (below 1 is better for CPU and memory, above 1
for throughput). The exit code is 1 where a bar is missed and `--bars` was given.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tests.bench.forms import FULL, QUICK, USUAL, Form
from tests.bench.plot import draw
from tests.bench.report import as_json, describe, missed_bars, show
from tests.bench.runs import Result, measure
from tests.bench.weights import weigh

T = TypeVar("T")


def listed(parse: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """A parser of values separated by commas."""
    return lambda text: tuple(parse(word) for word in text.split(","))


def policy(word: str) -> bool:
    return {"no": False, "everysec": True}[word]


def flag(word: str) -> bool:
    return {"0": False, "1": True}[word]


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", dest="form", action="store_const", const=QUICK, default=USUAL)
    parser.add_argument("--full", dest="form", action="store_const", const=FULL)
    parser.add_argument("--rows", help="patterns of names, separated by commas")
    parser.add_argument("--shapes", help="of which to measure memory: patterns, '' for none")
    parser.add_argument("--pipelines", type=listed(int))
    parser.add_argument("--sizes", type=listed(int), help="of values, in bytes")
    parser.add_argument("--clients", type=listed(int), help="connections")
    parser.add_argument("--aof", type=listed(policy), help="append-only file: no, everysec")
    parser.add_argument("--replicas", type=listed(flag), help="0, 1")
    parser.add_argument("--keys", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="that one run lasts, about")
    parser.add_argument("--bars", action="store_true", help="fail where a bar is missed")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="an SVG of the rows in the usual setting")
    return parser.parse_args()


def chosen_form(options: argparse.Namespace) -> Form:
    form: Form = options.form
    given = {name: value for name in ("rows", "shapes") if (value := getattr(options, name)) is not None}
    extent = {name: value for name in ("keys", "rounds", "seconds") if (value := getattr(options, name))}
    form = replace(form, extent=replace(form.extent, **extent), **given)
    axes = {name: getattr(options, name) for name in ("pipelines", "sizes", "clients", "aof", "replicas")}
    return form.with_axes(**axes)


def progress(result: Result) -> None:
    words = f"{result.row.name} {describe(result.setting)}: {result.cpu_ratio:.2f}"
    print(f"\r{words:<60}", end="", file=sys.stderr, flush=True)


def main() -> int:
    options = parse_options()
    form = chosen_form(options)
    weights = weigh(form.selected_shapes(), 64, options.keys)
    results = measure(form.selected_rows(), form.settings(), form.extent, progress)
    print(file=sys.stderr)
    show(results, weights)
    if options.json:
        options.json.write_text(json.dumps(as_json(results, weights), indent=2))
    if options.plot:
        options.plot.write_text(draw(results))
    missed = missed_bars(results, weights)
    for line in missed if options.bars else ():
        print(f"missed: {line}")
    return 1 if options.bars and missed else 0


if __name__ == "__main__":
    sys.exit(main())
