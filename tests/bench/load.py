"""Load at a rate that is given, and how long its replies take.

redis-benchmark keeps so many requests in flight: it sends less while a server is slow, so its latencies are
those of a server as busy as can be, and of fewer requests where there was a pause. Clients of an application
come when they come. Hence a generator of our own (generator.pyx): batches arrive at random times (a Poisson
process) at a given rate, over the connections in turn, whether or not former ones are answered, and a latency
counts from when a batch was due until its last reply, so that whatever a pause delays counts in full.

What the rate is to be compared with is found by the same generator in a closed loop, as redis-benchmark does
it: `closed_loop`.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from tests.bench.measure import Sample, cpu_nanoseconds
from tests.harness.compiled import compiled
from tests.harness.resp import encode

RANDOM = b"__rand_int__"
"""Stands for a random number of as many digits, as in redis-benchmark."""
WARM_UP = 0.1
LONGEST = 60.0
"""Seconds."""


@functools.cache
def generator() -> ModuleType:
    return compiled(Path(__file__).with_name("generator.pyx"), optimize="-O2")


@dataclass(frozen=True, slots=True)
class Request:
    """A request in bytes, and where its random numbers are."""

    frame: bytes
    spots: tuple[int, ...]

    @classmethod
    def of(cls, argv: Sequence[str]) -> Request:
        frame = encode(*argv) if argv else b"PING\r\n"
        spots, at = [], frame.find(RANDOM)
        while at >= 0:
            spots.append(at)
            at = frame.find(RANDOM, at + 1)
        return cls(frame, tuple(spots))


@dataclass(frozen=True, slots=True)
class Traffic:
    """A request that comes over and over."""

    request: Request
    pipeline: int
    clients: int
    keyspace: int


@contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            opened.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)))
            opened[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield opened


def closed_loop(sockets: list[socket.socket], pids: Sequence[int], traffic: Traffic, requests: int) -> Sample:
    """So many requests, as fast as they come through."""
    return _drive(sockets, pids, traffic, limit=requests, seconds=LONGEST)


def open_loop(
    sockets: list[socket.socket],
    pids: Sequence[int],
    traffic: Traffic,
    rate: float,
    seconds: float,
    seed: int,
) -> Sample:
    """Traffic at `rate` requests a second, which is told as the throughput; latencies of what comes first,
    while the server wakes up, are not counted."""
    sample = _drive(sockets, pids, traffic, rate=rate, seconds=seconds, warm_up=WARM_UP, seed=seed)
    return replace(sample, throughput=rate)


def _drive(
    sockets: list[socket.socket], pids: Sequence[int], traffic: Traffic, *, warm_up: float = 0.0, **how: float
) -> Sample:
    before = sum(map(cpu_nanoseconds, pids))
    times, answered, lasted, sent = generator().drive(
        sockets, traffic.request.frame, list(traffic.request.spots), keyspace=traffic.keyspace,
        pipeline=traffic.pipeline, warm_up=warm_up, **how,
    )  # fmt: skip
    spent = sum(map(cpu_nanoseconds, pids)) - before
    return Sample(answered / lasted, spent / 1000 / sent, *percentiles(sorted(times), 0.5, 0.99, 0.999))


def percentiles(times: Sequence[int], *shares: float) -> list[float]:
    """Of ascending ns, in ms."""
    assert times, "nothing was answered in time"
    return [times[min(len(times) - 1, int(len(times) * share))] / 1e6 for share in shares]
