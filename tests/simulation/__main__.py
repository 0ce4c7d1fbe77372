"""How fast clusters agree, by their size, in virtual time.

    python -m tests.simulation                              6 to 100 members, 10 seeds each: some minutes
    python -m tests.simulation --sizes 200,500 --seeds 3    large ones: some more
    python -m tests.simulation --kill                       processes end, where else machines fall silent

Each line: median and 99th percentile over the seeds.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import json
import math
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.simulation.convergence import Run, run_once


def percentile(values: list[float], share: float) -> float:
    """The smallest value that is not exceeded by `share` of them."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _quietly(size: int, seed: int, node_timeout: int, silently: bool) -> Run:
    with contextlib.redirect_stdout(io.StringIO()):
        return run_once(size, seed, node_timeout, silently=silently)


def _row(size: int, runs: list[Run]) -> list[str]:
    def times(of: Callable[[Run], float]) -> str:
        values = [of(run) for run in runs]
        return f"{statistics.median(values):.2f} / {percentile(values, 0.99):.2f}"

    def median(of: Callable[[Run], float], digits: int) -> str:
        return f"{statistics.median(map(of, runs)):.{digits}f}"

    return [
        str(size),
        times(lambda run: run.known),
        times(lambda run: run.failed),
        times(lambda run: run.replaced),
        median(lambda run: run.messages, 1),
        median(lambda run: run.kilobytes, 1),
        median(lambda run: run.cpu, 2),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="6,10,20,50,100", help="members, half of them replicas")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--node-timeout", type=int, default=5000, help="ms")
    parser.add_argument("--kill", action="store_true", help="let processes end instead of machines")
    parser.add_argument("--jobs", type=int, default=1, help="processes; figures of CPU want one")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    table = Table(
        "members",
        "all know all after MEET, s",
        "FAIL known to all, s",
        "new owner known to all, s",
        "messages/s",
        "kB/s",
        "CPU ms/s",
        title=f"node timeout {options.node_timeout} ms; the last three columns: per member, at rest",
    )
    results = {}
    with ProcessPoolExecutor(options.jobs) as pool:
        for size in map(int, options.sizes.split(",")):
            run = functools.partial(
                _quietly, size, node_timeout=options.node_timeout, silently=not options.kill
            )
            runs = list(pool.map(run, range(1, options.seeds + 1)))
            results[size] = [asdict(run) for run in runs]
            row = _row(size, runs)
            Console(stderr=True).print(" · ".join(row), style="dim")  # the next size may take long
            table.add_row(*row)
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
