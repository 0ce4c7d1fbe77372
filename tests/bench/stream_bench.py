"""What following a stream of writes costs a replica: ours beside valkey-server's, of the same primary.

    python -m tests.bench.stream_bench [--requests N] [--rounds N] [--primary KIND]

Both are replicas of one primary at the same time, so they get the same bytes. redis-benchmark drives the
primary; the CPU time of each replica, until it has everything, is told per operation.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics

from rich.console import Console
from rich.table import Table

from tests.bench.measure import Load, cpu_nanoseconds, run_load
from tests.harness.servers import Server, server
from tests.harness.wait import eventually

KINDS = ("shoal", "valkey")
LOADS = [(command, pipeline) for command in ("set", "incr", "lpush", "hset", "zadd") for pipeline in (1, 16)]


def has_everything(primary: Server, replica: Server) -> bool:
    return bool(
        primary.info("replication")["master_repl_offset"] <= replica.info("replication")["slave_repl_offset"]
    )


def measure(primary: Server, replicas: dict[str, Server], load: Load) -> dict[str, float]:
    """Microseconds of each replica's CPU per operation."""
    before = {kind: cpu_nanoseconds(each.pid) for kind, each in replicas.items()}
    run_load(primary.port, [primary.pid], load)
    for each in replicas.values():
        eventually(lambda each=each: has_everything(primary, each), f"{each!r} has everything", timeout=60)
    return {
        kind: (cpu_nanoseconds(each.pid) - before[kind]) / 1000 / load.requests
        for kind, each in replicas.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--requests", type=int, default=200_000, help="unpipelined; ten times as many with 16"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--primary", choices=KINDS, default="valkey")
    options = parser.parse_args()
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(server(options.primary))
        replicas = {kind: stack.enter_context(server(kind)) for kind in KINDS}
        for each in replicas.values():
            each.follow(primary)
        for _ in range(options.rounds):
            for command, pipeline in LOADS:
                requests = options.requests * (10 if pipeline > 1 else 1)
                load = Load(command, pipeline, requests, keyspace=100_000)
                found.setdefault((command, pipeline), []).append(measure(primary, replicas, load))
    table = Table("command", "pipeline", *(f"{kind}, us of CPU" for kind in KINDS), "ratio")
    for (command, pipeline), samples in found.items():
        ours, theirs = (statistics.median(sample[kind] for sample in samples) for kind in KINDS)
        table.add_row(command, str(pipeline), f"{ours:.2f}", f"{theirs:.2f}", f"{ours / theirs:.2f}x")
    Console().print(table)


if __name__ == "__main__":
    main()
