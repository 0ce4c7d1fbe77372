"""Our worker beside redis-server 8.2.3 and valkey-server 9.1.2, driven in alternation.

    python -m tests.bench                       the usual form: GET and SET, pipeline 1 and 16, 1M keys
    python -m tests.bench --quick               a minute's check: 100k keys, fewer requests
    python -m tests.bench --json result.json    the same figures for a machine

Every figure is the median of `--rounds` runs in alternation; ratios are ours to the better of the two oracles
(below 1 is better for CPU and memory, above 1 for throughput). The exit code is 1 where a bar is missed and
`--bars` was given.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.measure import Load, Sample, fill, resident_bytes, run_load
from tests.harness.servers import Server, server

KINDS = ("shoal", "redis", "valkey")
CPU_BARS = {1: 1.2, 16: 0.7}
"""Pipeline depth → the most CPU per operation we may use, as a ratio to the better oracle."""
MEMORY_BAR = 1.2


@dataclass(slots=True)
class Row:
    load: Load
    samples: dict[str, list[Sample]]

    def median(self, kind: str, field: str) -> float:
        return statistics.median(getattr(sample, field) for sample in self.samples[kind])

    @property
    def cpu_ratio(self) -> float:
        return self.median("shoal", "cpu") / min(self.median(kind, "cpu") for kind in KINDS[1:])

    @property
    def throughput_ratio(self) -> float:
        best = max(self.median(kind, "throughput") for kind in KINDS[1:])
        return self.median("shoal", "throughput") / best


def run_bench(options: argparse.Namespace) -> tuple[list[Row], dict[str, int]]:
    """All rows, and the resident bytes of each server once its keys were loaded."""
    with contextlib.ExitStack() as stack:
        servers: dict[str, Server] = {
            kind: stack.enter_context(server(kind, save="", appendonly="no")) for kind in KINDS
        }
        for each in servers.values():
            fill(each.port, options.keys, options.value_size)
        memory = {kind: resident_bytes(each.pid) for kind, each in servers.items()}
        rows = []
        for command in options.commands.split(","):
            for pipeline in map(int, options.pipelines.split(",")):
                requests = options.requests * (1 if pipeline == 1 else 5)
                load = Load(command, pipeline, requests, options.clients, options.value_size, options.keys)
                rows.append(Row(load, {kind: [] for kind in KINDS}))
                for _ in range(options.rounds):
                    for kind in KINDS:
                        sample = run_load(servers[kind].port, [servers[kind].pid], load)
                        rows[-1].samples[kind].append(sample)
    return rows, memory


def show(rows: list[Row], memory: dict[str, int], keys: int) -> None:
    table = Table("command", "P", "µs/op", "redis", "valkey", "CPU ratio", "kops/s", "throughput ratio")
    for row in rows:
        table.add_row(
            row.load.command.upper(),
            str(row.load.pipeline),
            *(f"{row.median(kind, 'cpu'):.2f}" for kind in KINDS),
            f"{row.cpu_ratio:.2f}",
            f"{row.median('shoal', 'throughput') / 1000:.0f}",
            f"{row.throughput_ratio:.2f}",
        )
    console = Console(width=100)
    console.print(table)
    megabytes = ", ".join(f"{kind} {size / 1e6:.0f} MB" for kind, size in memory.items())
    console.print(f"resident with {keys} keys: {megabytes}; ratio {memory_ratio(memory):.2f}")


def memory_ratio(memory: dict[str, int]) -> float:
    return memory["shoal"] / min(memory[kind] for kind in KINDS[1:])


def as_json(rows: list[Row], memory: dict[str, int]) -> dict[str, Any]:
    return {
        "rows": [
            {
                **asdict(row.load),
                "cpu_us": {kind: row.median(kind, "cpu") for kind in KINDS},
                "throughput": {kind: row.median(kind, "throughput") for kind in KINDS},
                "cpu_ratio": row.cpu_ratio,
                "throughput_ratio": row.throughput_ratio,
            }
            for row in rows
        ],
        "resident_bytes": memory,
        "memory_ratio": memory_ratio(memory),
    }


def missed_bars(rows: list[Row], memory: dict[str, int]) -> list[str]:
    missed = [
        f"{row.load.command} P={row.load.pipeline}: CPU ratio {row.cpu_ratio:.2f} > {bar}"
        for row in rows
        if (bar := CPU_BARS.get(row.load.pipeline)) is not None and row.cpu_ratio > bar
    ]
    if memory_ratio(memory) > MEMORY_BAR:
        missed.append(f"memory ratio {memory_ratio(memory):.2f} > {MEMORY_BAR}")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--commands", default="set,get")
    parser.add_argument("--pipelines", default="1,16")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=300_000, help="per run, at pipeline 1")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--value-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--bars", action="store_true", help="fail where a bar is missed")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.keys, options.requests, options.rounds = 100_000, 50_000, 3
    rows, memory = run_bench(options)
    show(rows, memory, options.keys)
    if options.json:
        options.json.write_text(json.dumps(as_json(rows, memory), indent=2))
    missed = missed_bars(rows, memory) if options.bars else []
    for line in missed:
        print(f"missed: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
