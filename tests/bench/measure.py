"""What one run of redis-benchmark costs a server, and what it gives.

Cost is the CPU time (user and system) of the server's threads over the run, read from the kernel in
nanoseconds, divided by the operations done. It is steadier than throughput, which the load generator and the
machine share in; both are reported, and always as a ratio to a peer measured in the same run.
"""

from __future__ import annotations

import csv
import io
import os
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness.commands import run_program
from tests.harness.resp import encode


@dataclass(frozen=True, slots=True)
class Load:
    """One redis-benchmark invocation."""

    command: str
    pipeline: int
    requests: int
    clients: int = 50
    value_size: int = 64
    keyspace: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    throughput: float
    """Operations per second."""
    cpu: float
    """Microseconds of server CPU per operation."""


def cpu_nanoseconds(pid: int) -> int:
    """CPU time all threads of a process have used (first field of /proc/PID/task/*/schedstat)."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run_load(port: int, pids: list[int], load: Load, timeout: float = 300) -> Sample:
    """Drive the server at `port` with `load`; `pids` are the processes whose CPU time counts."""
    before = sum(map(cpu_nanoseconds, pids))
    output = run_program(
        "redis-benchmark", "-p", str(port), "-t", load.command, "-n", str(load.requests),
        "-c", str(load.clients), "-P", str(load.pipeline), "-d", str(load.value_size),
        "-r", str(load.keyspace), "--csv",
        timeout=timeout,
    )  # fmt: skip
    spent = sum(map(cpu_nanoseconds, pids)) - before
    row = next(csv.DictReader(io.StringIO(output)))
    return Sample(throughput=float(row["rps"]), cpu=spent / 1000 / load.requests)


def fill(port: int, keys: int, value_size: int = 64, *, compressible: bool = True) -> None:
    """Set every key redis-benchmark will ask for (`key:` and twelve digits)."""
    rng = random.Random(keys)
    value = b"x" * value_size

    def make_value() -> bytes:
        return value if compressible else rng.randbytes(value_size)

    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        for batch in _batches(keys, 1000):
            sock.sendall(b"".join(encode("SET", b"key:%012d" % number, make_value()) for number in batch))
            expected = 5 * len(batch)
            while expected:
                expected -= len(sock.recv(min(expected, 1 << 16)))


def _batches(count: int, size: int) -> Iterator[range]:
    for start in range(0, count, size):
        yield range(start, min(start + size, count))
