"""Runs of all servers in alternation: what is measured of one row in one setting.

For each way a server is set up (append-only file, replica) all three kinds are started once, side by side. A
row begins with an empty database and its fill on each of them; then, setting by setting, the servers take
turns. How many requests a run has is found by a short one before, so that each lasts about as long as was
asked for: all servers get the same number, for what they hold has to stay the same.

There are three parts. `rows`: redis-benchmark drives as hard as it can; CPU per operation, throughput, and
the latencies of a server without a pause. `latency`: the same with our own generator (load.py) gives each
server's throughput at saturation; then requests come at 70 % of it, of each its own, whether or not it keeps
up: p50, p99, p99.9. `calls`: the system calls per request, of a closed loop, too.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeVar

from tests.bench.filling import fill, subscribers
from tests.bench.load import Request, Traffic, closed_loop, connections, open_loop
from tests.bench.measure import Load, Sample, run_load
from tests.bench.results import Calls, Result, Setting
from tests.bench.rows import REQUESTS, Row
from tests.bench.servers import side_by_side
from tests.bench.system_calls import counting
from tests.harness.servers import Server

K = TypeVar("K")
FIRST_REQUESTS = 1_000
CALL_REQUESTS = 20_000
SHARE_OF_SATURATION = 0.7
ROOM = 1.2
"""How much more is there to be taken away than an open loop is expected to ask for."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How long it may take."""

    keys: int
    rounds: int
    seconds: float
    """Of one run as hard as it goes, about."""
    open_seconds: float
    """Of one run at a share of that."""


@dataclass(frozen=True, slots=True)
class Task:
    """One result to come."""

    part: str
    row: Row
    setting: Setting

    @property
    def key(self) -> tuple[str, str, Setting]:
        return self.part, self.row.name, self.setting


def measure(tasks: Iterable[Task], extent: Extent, cpus: list[int]) -> Generator[Result, None, None]:
    """All results, in an order that starts and fills servers as rarely as may be; servers get the first of
    `cpus`."""
    for (aof, replica), same_servers in _grouped(tasks, lambda task: task.setting.server).items():
        with side_by_side(aof=aof, replica=replica, cpus=cpus[:1]) as servers:
            same_data = _grouped(same_servers, lambda task: (task.row, task.setting.value_size))
            for (row, size), group in same_data.items():
                _prepare(row, extent.keys, size, servers)
                for task in group:
                    with ExitStack() as stack:
                        for each in servers.values():
                            stack.enter_context(subscribers(each, row.subscribers))
                        yield MEASURES[task.part](task, extent, servers)


def _grouped(tasks: Iterable[Task], key: Callable[[Task], K]) -> dict[K, list[Task]]:
    groups: dict[K, list[Task]] = {}
    for task in tasks:
        groups.setdefault(key(task), []).append(task)
    return groups


def _prepare(row: Row, keys: int, value_size: int, servers: dict[str, Server]) -> None:
    for each in servers.values():
        each.run("FLUSHALL", "SYNC")
        if row.fill is not None and row.fill.count != REQUESTS:
            fill(each, row.fill, keys, value_size)


Run = Callable[[Server, int], Sample]
"""So many requests to that server."""


def _as_hard_as_it_goes(
    task: Task, extent: Extent, servers: dict[str, Server], run: Run
) -> dict[str, list[Sample]]:
    """The samples of each kind, by runs of about the same time."""

    def filled(each: Server, requests: int) -> Sample:
        _refill(task, each, requests)
        return run(each, requests)

    first = max(FIRST_REQUESTS, 4 * task.setting.clients) * (5 if task.setting.pipeline > 1 else 1)
    tries = [filled(each, first) for each in servers.values()]
    requests = max(first, int(extent.seconds * statistics.median(sample.throughput for sample in tries)))
    samples: dict[str, list[Sample]] = {kind: [] for kind in servers}
    for _ in range(extent.rounds):
        for kind, each in servers.items():
            samples[kind].append(filled(each, requests))
    return samples


def _refill(task: Task, each: Server, requests: int) -> None:
    """What so many requests will take away."""
    if task.row.fill is not None and task.row.fill.count == REQUESTS:
        fill(each, task.row.fill, requests, task.setting.value_size)


def _measure_rows(task: Task, extent: Extent, servers: dict[str, Server]) -> Result:
    row, setting = task.row, task.setting

    def run(each: Server, requests: int) -> Sample:
        load = Load(
            row.name, setting.pipeline, requests, setting.clients, setting.value_size, extent.keys,
            row.argv(setting.value_size),
        )  # fmt: skip
        return run_load(each.port, [each.pid], load)

    return Result(row, setting, "rows", _as_hard_as_it_goes(task, extent, servers, run))


def _traffic(task: Task, extent: Extent) -> Traffic:
    request = Request.of(task.row.argv(task.setting.value_size))
    return Traffic(request, task.setting.pipeline, task.setting.clients, extent.keys)


def _measure_latency(task: Task, extent: Extent, servers: dict[str, Server]) -> Result:
    traffic = _traffic(task, extent)

    def run(each: Server, requests: int) -> Sample:
        with connections(each.port, traffic.clients) as sockets:
            return closed_loop(sockets, [each.pid], traffic, requests)

    saturated = _as_hard_as_it_goes(task, extent, servers, run)
    rates = {
        kind: SHARE_OF_SATURATION * statistics.median(sample.throughput for sample in samples)
        for kind, samples in saturated.items()
    }
    result = Result(task.row, task.setting, "latency")
    for number in range(extent.rounds):
        for kind, each in servers.items():
            _refill(task, each, int(rates[kind] * (extent.open_seconds + 0.1) * ROOM))
            with connections(each.port, traffic.clients) as sockets:
                sample = open_loop(sockets, [each.pid], traffic, rates[kind], extent.open_seconds, number + 1)
            result.samples[kind].append(sample)
    return result


def _measure_calls(task: Task, extent: Extent, servers: dict[str, Server]) -> Result:
    traffic = _traffic(task, extent)
    result = Result(task.row, task.setting, "calls")
    for _ in range(extent.rounds):
        for kind, each in servers.items():
            _refill(task, each, CALL_REQUESTS)
            # They are connected before the count begins.
            with connections(each.port, traffic.clients) as sockets, counting(each.pid) as counter:
                before = counter.read()
                closed_loop(sockets, [each.pid], traffic, CALL_REQUESTS)
                result.samples[kind].append(Calls((counter.read() - before) / CALL_REQUESTS))
    return result


MEASURES = {"rows": _measure_rows, "latency": _measure_latency, "calls": _measure_calls}
