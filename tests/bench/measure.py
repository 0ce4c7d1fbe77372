"""What one run of redis-benchmark costs a server, and what it gives.

Cost is the CPU time (user and system) of the server's threads over the run, read from the kernel in
nanoseconds, divided by the operations done. It is steadier than throughput and latency, which the load
generator and the machine share in; all are reported, and as a ratio to a peer measured in the same run.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness.commands import run_program
from tests.harness.resp import encode

BATCH = 500


@dataclass(frozen=True, slots=True)
class Load:
    """One redis-benchmark invocation: of a test that it knows by name, or of the command `argv`."""

    command: str
    pipeline: int
    requests: int
    clients: int = 50
    value_size: int = 64
    keyspace: int = 1_000_000
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    throughput: float
    """Operations per second."""
    cpu: float
    """Microseconds of server CPU per operation."""
    p50: float
    """Of the latencies, in milliseconds."""
    p99: float
    p999: float


def cpu_nanoseconds(pid: int) -> int:
    """CPU time all threads of a process have used (first field of /proc/PID/task/*/schedstat)."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run_load(port: int, pids: list[int], load: Load, timeout: float = 300) -> Sample:
    """Drive the server at `port` with `load`; `pids` are the processes whose CPU time counts."""
    before = sum(map(cpu_nanoseconds, pids))
    output = run_program(
        "redis-benchmark", "-p", str(port), "-n", str(load.requests), "-c", str(load.clients),
        "-P", str(load.pipeline), "-d", str(load.value_size), "-r", str(load.keyspace), "--precision", "3",
        *(load.argv or ("-t", load.command)),
        timeout=timeout,
    )  # fmt: skip
    spent = sum(map(cpu_nanoseconds, pids)) - before
    return Sample(_throughput(output), spent / 1000 / load.requests, *latencies(output, 50.0, 99.0, 99.9))


def _throughput(output: str) -> float:
    found = re.search(r"throughput summary: ([\d.]+)", output)
    assert found, f"redis-benchmark tells no throughput:\n{output[-2000:]}"
    return float(found[1])


def latencies(output: str, *percents: float) -> list[float]:
    """Milliseconds within which so many percent of the requests were answered: the first step of its
    distribution that reaches it, so perhaps a little too long."""
    block = output.partition("Latency by percentile distribution:")[2].partition("\n\n")[0]
    steps = [(float(p), float(ms)) for p, ms in re.findall(r"([\d.]+)% <= ([\d.]+) milliseconds", block)]
    return [min(ms for reached, ms in steps if reached >= percent) for percent in percents]


def fill(port: int, keys: int, value_size: int = 64, *, compressible: bool = True) -> None:
    """Set every key redis-benchmark will ask for (`key:` and twelve digits)."""
    rng = random.Random(keys)
    value = b"x" * value_size

    def make_value() -> bytes:
        return value if compressible else rng.randbytes(value_size)

    send_all(port, (encode("SET", b"key:%012d" % number, make_value()) for number in range(keys)))


def send_all(port: int, commands: Iterable[bytes]) -> None:
    """Send encoded commands. Their replies have to be numbers, simple or bulk strings, and no errors."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        for batch in _batches(commands):
            sock.sendall(b"".join(batch))
            replies = b""
            while replies.count(b"\r\n") - replies.count(b"$") < len(batch):
                replies += sock.recv(1 << 16)
            assert b"\n-" not in b"\n" + replies, replies[:200]


def _batches(commands: Iterable[bytes]) -> Iterator[list[bytes]]:
    """As many at a time as sockets take whose other side only sends small replies."""
    rest = iter(commands)
    while batch := list(itertools.islice(rest, BATCH)):
        yield batch
