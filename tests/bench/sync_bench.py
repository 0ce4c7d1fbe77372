"""Full synchronizations between our worker and valkey-server 9.1.2, in all four pairings.

    python -m tests.bench.sync_bench [--keys N] [--collections N] [--writes N] [--rounds N] [--loads NAME...]

Primaries hold the same keys, and a client writes to the one at work all the time. The time is that from
REPLICAOF, to an empty replica, until its link is up; the replica is then asked whether it has everything. All
pairings take turns. Told are the medians, of time and of both servers' CPU, and the longest that the writing
client waited; and ratios to Valkey's as a primary of the same kind of replica. With `--loads`, for each of
these values of `repl-diskless-load`.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests.bench.measure import cpu_nanoseconds, fill
from tests.bench.snapshot_bench import fill_collections
from tests.harness.resp import Resp, encode
from tests.harness.servers import Server, server
from tests.harness.wait import eventually

KINDS = ("shoal", "valkey")
BATCH = 20
BAR = 1.2
POLL_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Sample:
    seconds: float
    primary_cpu: float
    """Seconds, of the parent alone: the child that writes the snapshot is gone by then."""
    replica_cpu: float
    longest_wait: float
    """Seconds that one batch of writes took."""


class Writer:
    """Sends `rate` SETs a second to `primary`, in batches, and notes how long the slowest took."""

    def __init__(self, primary: Server, rate: int, keys: int) -> None:
        self._primary = primary
        self._pause = BATCH / rate if rate else 0.0
        self._keys = keys
        self._stop = threading.Event()
        self.longest = 0.0

    def run(self) -> None:
        with self._primary.resp(timeout=60) as client:
            for number in itertools.count():
                if self._stop.wait(self._pause):
                    return
                key = b"key:%012d" % (number * 7919 % self._keys)
                began = time.monotonic()
                client.send(encode("SET", key, b"y" * 64) * BATCH)
                for _ in range(BATCH):
                    client.read()
                self.longest = max(self.longest, time.monotonic() - began)

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()


def synchronize(primary: Server, replica: Server, rate: int, keys: int) -> Sample:
    writer = Writer(primary, rate, keys)
    with replica.resp(timeout=120) as asked, writer() if rate else contextlib.nullcontext():
        pids = (primary.pid, replica.pid)
        cpu, began = [cpu_nanoseconds(pid) for pid in pids], time.monotonic()
        asked.command("REPLICAOF", primary.host, primary.port)
        while not is_up(asked):
            assert time.monotonic() - began < 120, f"{replica!r} does not get there: {replica.log[-2000:]}"
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - began
        spent = [(cpu_nanoseconds(pid) - before) / 1e9 for pid, before in zip(pids, cpu, strict=True)]
    settle(primary, replica)
    return Sample(seconds, *spent, writer.longest)


def is_up(replica: Resp) -> bool:
    return bool(replica.command("ROLE")[3] == b"connected")


def settle(primary: Server, replica: Server) -> None:
    """The replica has everything; then it is empty again."""
    eventually(
        lambda: replica.run("DBSIZE") == primary.run("DBSIZE"), f"{replica!r} has all keys", timeout=60
    )
    replica.run("REPLICAOF", "NO", "ONE")
    with replica.resp(timeout=60) as client:
        client.command("FLUSHALL", "SYNC")


def show(samples: dict[tuple[str, str, str], list[Sample]]) -> None:
    table = Table(
        "primary", "replica", "loads", "s", "to valkey's", "primary's CPU, s", "replica's", "longest wait, ms"
    )
    medians = {
        row: [statistics.median(column) for column in zip(
            *((s.seconds, s.primary_cpu, s.replica_cpu, s.longest_wait * 1000) for s in found), strict=True
        )]
        for row, found in samples.items()
    }  # fmt: skip
    for (primary, replica, load), (seconds, primary_cpu, replica_cpu, wait) in medians.items():
        ratio = seconds / medians["valkey", replica, load][0]
        table.add_row(
            primary, replica, load, f"{seconds:.2f}", f"{ratio:.2f}x" + (" (!)" if ratio > BAR else ""),
            f"{primary_cpu:.2f}", f"{replica_cpu:.2f}", f"{wait:.0f}",
        )  # fmt: skip
    Console(width=110).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000, help="strings")
    parser.add_argument("--value-size", type=int, default=64, help="bytes, which cannot be compressed")
    parser.add_argument("--collections", type=int, default=0)
    parser.add_argument("--writes", type=int, default=5_000, help="a second")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loads", nargs="+", default=["disabled"], help="values of repl-diskless-load")
    options = parser.parse_args()
    samples: dict[tuple[str, str, str], list[Sample]] = {}
    with contextlib.ExitStack() as stack:
        primaries = {kind: stack.enter_context(server(kind)) for kind in KINDS}
        replicas = {kind: stack.enter_context(server(kind)) for kind in KINDS}
        for each in primaries.values():
            fill(each.port, options.keys, options.value_size, compressible=False)
            fill_collections(each, options.collections)
        for _ in range(options.rounds):
            for load, replica, primary in itertools.product(options.loads, KINDS, KINDS):
                replicas[replica].run("CONFIG", "SET", "repl-diskless-load", load)
                sample = synchronize(primaries[primary], replicas[replica], options.writes, options.keys)
                samples.setdefault((primary, replica, load), []).append(sample)
    show(samples)


if __name__ == "__main__":
    main()
