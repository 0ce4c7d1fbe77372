"""The chaos lab, by hand.

    python -m tests.chaos --cluster mixed --faults kill --seconds 300    faults by chance, for so long
    python -m tests.chaos --faults kill,freeze,cut,disk,move --sync 1    all of them, synchronous mode
    python -m tests.chaos --faults kill,freeze,cut,move --at-once 2      two that overlap
    python -m tests.chaos --kills 100 --freezes 50 --sync 1              so many of each
    python -m tests.chaos safety --kills 100 --freezes 50                synchronous, not, and Valkey
    python -m tests.chaos failover --kills 20 --node-timeout 5000        how long a killed primary is felt
    python -m tests.chaos cost                                           throughput of waiting for a replica

A table at the end; `--json FILE` writes the same figures for a machine. The exit code is 1 where a promise
was not kept. `--seed` repeats the choice of faults, though not the moments at which the machine lets them be.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import signal
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.chaos import cost, failover_times, safety
from tests.chaos.faults import FAMILIES, counted, endless
from tests.chaos.lab import Orders, run
from tests.chaos.stage import Plan, enter_own_namespace, in_own_namespace
from tests.chaos.table import as_json, show, show_table

MOVE = "move"
MOST_UNDER_SUPERVISION = 1.0
"""Seconds that a killed primary may be felt where a supervisor sees it die."""

Result = tuple[Any, list[str]]
"""What is written as JSON, and the promises that were not kept."""


def tell(text: str) -> None:
    Console(stderr=True, highlight=False, width=140).print(text, markup=False)


def lab(options: argparse.Namespace) -> Result:
    faults = set(options.faults.split(","))
    unknown = faults - FAMILIES.keys() - {MOVE}
    if unknown:
        raise SystemExit(f"unknown faults: {', '.join(sorted(unknown))}")
    counts = {"kill": options.kills, "freeze": options.freezes}
    if any(counts.values()):
        faults = {name for name, count in counts.items() if count} | faults & {MOVE}
        families, seconds = counted(counts, options.seed), options.seconds or float("inf")
    else:
        families, seconds = endless(faults - {MOVE}, options.seed), options.seconds or 60.0  # type: ignore[assignment]
    plan = dataclasses.replace(plan_of(options), cuts="cut" in faults, small_disks="disk" in faults)
    report = run(
        Orders(plan, families, seconds, MOVE in faults, options.at_once, options.writers, options.depth),
        tell,
    )
    show(report, plan.cluster + (f", synchronous {plan.synchronous}" if plan.synchronous else ""))
    missed = list(report.broken)
    if plan.synchronous and not report.is_clean:
        missed.append("the synchronous mode lost writes or showed what it must not")
    return as_json(report), missed


def run_safety(options: argparse.Namespace) -> Result:
    counts = {"kill": options.kills or 10, "freeze": options.freezes or 5}
    reports = safety.compare(plan_of(options), options.sync or 1, counts, tell)
    for name, report in reports.items():
        show(report, name)
    return {name: as_json(report) for name, report in reports.items()}, safety.missed_bars(reports)


def run_failover(options: argparse.Namespace) -> Result:
    times = failover_times.measure(options.kills or 20, options.node_timeout or 5000, options.seed, tell)
    names = ("until every slot accepts writes again", "kills", "median s", "p99 s", "max s")
    show_table("a primary is killed", names, failover_times.rows(times))
    rows = {row[0]: row for row in failover_times.rows(times)}
    missed = []
    if rows["shoal up"][3] > MOST_UNDER_SUPERVISION:  # type: ignore[operator]
        missed.append(f"under the supervisor it took up to {rows['shoal up'][3]:.2f} s")
    if rows["shoal"][2] > rows["valkey"][2]:  # type: ignore[operator]
        missed.append("without the supervisor it took longer than with Valkey")
    return times, missed


def run_cost(options: argparse.Namespace) -> Result:
    samples = cost.measure([1, 16], rounds=3, seconds=(options.seconds or 60.0) / 42, tell=tell)
    names = ("writes", "pipeline", "SETs a second", "of asynchronous", "µs CPU a SET")
    show_table("what it costs to wait for a replica", names, cost.rows(samples))
    return [dataclasses.asdict(each) for each in samples], []


def plan_of(options: argparse.Namespace) -> Plan:
    return Plan(
        cluster=options.cluster,
        replicas=options.replicas or options.sync + 1,
        node_timeout=options.node_timeout or 2000,
        synchronous=options.sync,
        append_only=options.aof,
        seed=options.seed,
    )


MODES = {"lab": lab, "safety": run_safety, "failover": run_failover, "cost": run_cost}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("mode", nargs="?", choices=MODES, default="lab")
    add("--cluster", choices=("shoal", "valkey", "redis", "mixed"), default="shoal")
    add("--faults", default="kill", help=f"of {', '.join(FAMILIES)}, {MOVE}")
    add("--at-once", type=int, default=1, metavar="N", help="faults in one round")
    add("--seconds", type=float, default=0, help="how long (the lab: 60 if no faults are counted)")
    add("--kills", type=int, default=0, help="so many kills instead of faults by chance")
    add("--freezes", type=int, default=0, help="so many freezes")
    add("--sync", type=int, default=0, metavar="N", help="synchronous-replicas of our workers")
    add("--writers", type=int, default=8, help="clients that write pipelines")
    add("--depth", type=int, default=32, help="writes in one of these pipelines")
    add("--replicas", type=int, default=0, help="of each primary; by default one, and one for each of --sync")
    add("--node-timeout", type=int, default=0, help="ms (2000; failover: 5000)")
    add("--aof", action="store_true", help="members keep an append-only file")
    add("--seed", type=int, default=random.randrange(1 << 32))
    add("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


def main() -> int:
    options = parsed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and so the clusters go, with their files
    if "disk" in options.faults.split(",") and not in_own_namespace():
        enter_own_namespace("tests.chaos")
    figures, missed = MODES[options.mode](options)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1, default=str))
    for breach in missed:
        tell(f"missed: {breach.splitlines()[0] if breach else breach}")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
