"""How long a client is kept waiting while something heavy is done for another.

    python -m tests.bench.latency_bench                  a million members or keys, two to three minutes
    python -m tests.bench.latency_bench --full           five millions
    python -m tests.bench.latency_bench --only '*DEL*'   some situations; --list names them
    python -m tests.bench.latency_bench --json FILE

A probe (probe.py) asks one small thing after the other, in a process of its own. Told is the longest it
waited, and its 99.9th percentile, in ms, for our worker, redis-server 8.2.3 and valkey-server 9.1.2; and
how long the heavy thing itself took. With `--rounds`, everything is done as often, and the least of each
figure is told: a busy machine adds pauses of its own, and they do not come each time. Starred is where ours
is above BAR and above the better of the two by more than FACTOR.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.probe import Probe
from tests.bench.servers import KINDS
from tests.bench.situations import Group, Situation, Stage, Unknown, groups, stage_on

QUICK = 1_000_000
FULL = 5_000_000
BAR = 10.0
"""Milliseconds."""
FACTOR = 1.25


@dataclass(frozen=True, slots=True)
class Seen:
    """Milliseconds."""

    longest: float
    p999: float
    took: float

    def least(self, other: Seen | None) -> Seen:
        if other is None:
            return self
        return Seen(min(self.longest, other.longest), min(self.p999, other.p999), min(self.took, other.took))


Results = dict[str, dict[str, Seen]]
"""By situation, by kind of server; a server that does not know the command is not there."""


def watch(situation: Situation, stage: Stage) -> Seen | None:
    situation.prepare(stage)
    try:
        with Probe(stage.server.port) as probe:
            began = time.perf_counter()
            situation.act(stage)
            took = time.perf_counter() - began
            situation.finish(stage)
    except Unknown:
        return None
    return Seen(probe.waits.longest, probe.waits.p999, took * 1000)


def measure(group: Group, many: int, results: Results) -> None:
    """One round of a group on each server; the least of what was seen is kept."""
    for kind in KINDS:
        with stage_on(kind, group, many) as stage:
            for situation in group.situations:
                seen = watch(situation, stage)
                print(f"{kind:8}{situation.name:32}{cell(seen)}", file=sys.stderr, flush=True)
                if seen is not None:
                    row = results.setdefault(situation.name, {})
                    row[kind] = seen.least(row.get(kind))


def is_missed(row: dict[str, Seen]) -> bool:
    theirs = [row[kind].longest for kind in KINDS[1:] if kind in row]
    return row["shoal"].longest > max(BAR, min(theirs, default=0.0) * FACTOR)


def cell(seen: Seen | None) -> str:
    return f"{seen.longest:.1f}  {seen.p999:.2f}  {seen.took:.0f}" if seen is not None else "-"


def show(results: Results) -> None:
    table = Table("longest wait, p99.9, and what the act took, in ms")
    for kind in KINDS:
        table.add_column(kind, justify="right")
    table.add_column("")
    for name, row in results.items():
        table.add_row(name, *(cell(row.get(kind)) for kind in KINDS), "*" if is_missed(row) else "")
    Console(width=120).print(table)


def chosen(pattern: str) -> list[Group]:
    """The groups with what the pattern fits. The first situation of each makes what the others need."""
    found = []
    for group in groups():
        if any(fnmatch.fnmatch(each.name, pattern) for each in group.situations):
            kept = tuple(
                each
                for place, each in enumerate(group.situations)
                if place == 0 or fnmatch.fnmatch(each.name, pattern)
            )
            found.append(replace(group, situations=kept))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m tests.bench.latency_bench",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--full", dest="many", action="store_const", const=FULL, default=QUICK)
    parser.add_argument("--many", type=int, help="members or keys")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="*", help="a pattern of names")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.list:
        print("\n".join(each.name for group in chosen(options.only) for each in group.situations))
        return
    results: Results = {}
    try:
        for group in chosen(options.only):
            for _ in range(options.rounds):
                measure(group, options.many, results)
    finally:
        show(results)
    if options.json:
        figures = {
            name: {kind: [seen.longest, seen.p999, seen.took] for kind, seen in row.items()}
            for name, row in results.items()
        }
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
