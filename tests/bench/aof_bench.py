"""What an append-only file costs, on our worker and on the oracles.

    python -m tests.bench.aof_bench [--rounds N] [--requests N] [--pipeline N]

Each server runs once without and once for each policy; all of them take turns with the same load of SET. A
figure is the throughput with the file as a share of that without, and the CPU per operation as a multiple of
it, both medians of the rounds: a server is compared with itself, and then the servers with each other."""

from __future__ import annotations

import argparse
import contextlib
import statistics

from rich.console import Console
from rich.table import Table

from tests.bench.measure import Load, Sample, run_load
from tests.harness.servers import Server, server

KINDS = ("shoal", "redis", "valkey")
POLICIES = ("no file", "everysec", "always")


def started(stack: contextlib.ExitStack, kind: str, policy: str) -> Server:
    settings = {"appendonly": "no"} if policy == "no file" else {"appendonly": "yes", "appendfsync": policy}
    # A rewrite in the middle would be measured too.
    return stack.enter_context(server(kind, None, save="", auto_aof_rewrite_percentage="0", **settings))


def measure(options: argparse.Namespace) -> dict[tuple[str, str], list[Sample]]:
    load = Load("set", options.pipeline, options.requests)
    samples: dict[tuple[str, str], list[Sample]] = {}
    with contextlib.ExitStack() as stack:
        servers = {(kind, policy): started(stack, kind, policy) for policy in POLICIES for kind in KINDS}
        for _ in range(options.rounds):
            for which, each in servers.items():
                samples.setdefault(which, []).append(run_load(each.port, [each.pid], load))
    return samples


def show(samples: dict[tuple[str, str], list[Sample]], options: argparse.Namespace) -> None:
    def median(kind: str, policy: str, field: str) -> float:
        return statistics.median(getattr(sample, field) for sample in samples[kind, policy])

    table = Table(
        "server", "policy", "throughput kept", "CPU per operation",
        title=f"SET, pipeline {options.pipeline}, {options.requests} requests, {options.rounds} rounds",
    )  # fmt: skip
    for policy in POLICIES[1:]:
        for kind in KINDS:
            kept = median(kind, policy, "throughput") / median(kind, POLICIES[0], "throughput")
            cost = median(kind, policy, "cpu") / median(kind, POLICIES[0], "cpu")
            table.add_row(kind, policy, f"{kept:.2f}", f"{cost:.2f}x")
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=400_000)
    parser.add_argument("--pipeline", type=int, default=16)
    options = parser.parse_args()
    show(measure(options), options)


if __name__ == "__main__":
    main()
