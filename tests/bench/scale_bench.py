"""How throughput grows with the number of workers: 1, 2, 4 members of one cluster, each pinned to a CPU.

    python -m tests.bench.scale_bench [--workers 1,2,4] [--kinds shoal,redis,valkey] [--json FILE]

Each worker has a load generator of its own (load.py, in a closed loop), which asks it for keys of its
slots. Workers get the first half of the CPUs in turn, generators the second half; where there are too few,
they share all of them. So told are, besides the throughput: that of one worker times their number, as a
share; the CPU per operation, which has to stay where it is if workers do not hinder each other; and how
much of the machine the workers had, the rest being the generators' and the kernel's. A machine is full when
that does not grow any more, and what is left to compare then is operations per second of the workers' CPU.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from redis.crc import key_slot
from rich.console import Console
from rich.table import Table

from tests.bench.filling import fill
from tests.bench.load import Request, Traffic, closed_loop, connections
from tests.bench.measure import cpu_nanoseconds
from tests.bench.pinning import available, pin_process
from tests.bench.rows import Fill
from tests.bench.servers import KINDS, primaries, slots_of
from tests.harness.servers import Server

VALUE_SIZE = 64
COMMANDS = {"get": ("GET",), "set": ("SET", "x" * VALUE_SIZE)}
FIRST_REQUESTS = 10_000


@dataclass(frozen=True, slots=True)
class Scaled:
    """The medians of one kind, number of workers, command and pipeline."""

    kind: str
    workers: int
    command: str
    pipeline: int
    throughput: float
    """Of all together, per second."""
    cpu: float
    """Microseconds of the workers' CPU per operation."""
    share: float
    """Of the machine's CPUs, what the workers had."""


def plan(workers: int, cpus: list[int]) -> list[tuple[int, int]]:
    """For each worker its CPU, and that of its load."""
    if len(cpus) >= 2 * workers:
        return [(cpus[number], cpus[len(cpus) // 2 + number]) for number in range(workers)]
    return [(cpus[number % len(cpus)], cpus[(number + 1) % len(cpus)]) for number in range(workers)]


def tag(number: int, count: int) -> str:
    """A word whose slot is one of that worker's."""
    first, last = slots_of(number, count)
    return next(word for word in map(str, itertools.count()) if first <= key_slot(word.encode()) <= last)


def requests(command: str, workers: int) -> list[Request]:
    name, *values = COMMANDS[command]
    return [
        Request.of((name, f"{{{tag(number, workers)}}}:__rand_int__", *values)) for number in range(workers)
    ]


def drive_all(
    members: list[Server], traffics: list[Traffic], cpus: list[int], count: int
) -> tuple[float, float]:
    """`count` requests to each member at once: seconds, and ns of the members' CPU."""
    failures: list[Exception] = []
    ready = threading.Barrier(len(members) + 1)

    def drive(member: Server, traffic: Traffic, cpu: int) -> None:
        try:
            os.sched_setaffinity(0, {cpu})
            with connections(member.port, traffic.clients) as sockets:
                ready.wait(10)
                closed_loop(sockets, [], traffic, count)
        except Exception as failure:
            failures.append(failure)

    threads = [
        threading.Thread(target=drive, args=each) for each in zip(members, traffics, cpus, strict=True)
    ]
    for thread in threads:
        thread.start()
    ready.wait(10)
    began, before = time.monotonic(), sum(cpu_nanoseconds(each.pid) for each in members)
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return time.monotonic() - began, sum(cpu_nanoseconds(each.pid) for each in members) - before


def scale(kind: str, workers: int, options: argparse.Namespace) -> Iterator[Scaled]:
    cpus = available()
    with primaries(kind, workers) as members:
        places = plan(workers, cpus)
        for member, (cpu, _) in zip(members, places, strict=True):
            pin_process(member.pid, [cpu])
        for number, member in enumerate(members):
            fill(member, Fill("MSET", f"{{{tag(number, workers)}}}:# VALUE"), options.keys, VALUE_SIZE)
        loads = [cpu for _, cpu in places]
        for command, pipeline in itertools.product(("set", "get"), options.pipelines):
            traffics = [
                Traffic(request, pipeline, options.clients, options.keys)
                for request in requests(command, workers)
            ]
            seconds, _ = drive_all(members, traffics, loads, FIRST_REQUESTS)
            count = max(FIRST_REQUESTS, int(FIRST_REQUESTS * options.seconds / seconds))
            rounds = [drive_all(members, traffics, loads, count) for _ in range(options.rounds)]
            total = count * workers
            yield Scaled(
                kind, workers, command, pipeline,
                statistics.median(total / seconds for seconds, _ in rounds),
                statistics.median(cpu / 1000 / total for _, cpu in rounds),
                statistics.median(cpu / 1e9 / seconds / len(cpus) for seconds, cpu in rounds),
            )  # fmt: skip


def show(found: list[Scaled]) -> None:
    alone = {(one.kind, one.command, one.pipeline): one for one in found if one.workers == 1}
    table = Table(
        "server", "command", "pipeline", "workers", "kops/s", "of n times one", "µs/op", "of the machine"
    )
    for each in sorted(
        found, key=lambda one: (one.command, one.pipeline, KINDS.index(one.kind), one.workers)
    ):
        one = alone.get((each.kind, each.command, each.pipeline))
        grown = f"{each.throughput / each.workers / one.throughput:.2f}" if one else ""
        table.add_row(
            each.kind, each.command, str(each.pipeline), str(each.workers), f"{each.throughput / 1000:.0f}",
            grown, f"{each.cpu:.2f}", f"{each.share:.0%}",
        )  # fmt: skip
    Console(width=110).print(table)


def main() -> None:
    def numbers(text: str) -> list[int]:
        return [int(word) for word in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=numbers, default=[1, 2, 4])
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--pipelines", type=numbers, default=[1, 16])
    parser.add_argument("--clients", type=int, default=50, help="connections to each worker")
    parser.add_argument("--keys", type=int, default=100_000, help="of each worker")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one run, about")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = [
        each
        for workers in options.workers
        for kind in options.kinds.split(",")
        for each in scale(kind, workers, options)
    ]
    show(found)
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in found], indent=1))


if __name__ == "__main__":
    main()
