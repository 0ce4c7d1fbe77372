"""Snapshots of our worker beside those of redis-server 8.2.3 and valkey-server 9.1.2.

    python -m tests.bench.snapshot_bench [--keys N] [--collections N] [--rounds N]

All servers hold the same strings and collections, and take turns. SAVE and loading (DEBUG RELOAD NOSAVE of
the file, into an empty server) are told in keys a second, of CPU time and of the clock. Then a client
writes, one request at a time, before a background save and during it, again in turns: the medians of each
round's p99 are told, which one burst of the machine does not move, and how long the server stood still for
the fork. What was copied is told as a share of the memory used: by the child alone, while nobody wrote; and
with what a client's writes to random keys cost, which is the parent's doing, and grows with the time that the
save takes."""

from __future__ import annotations

import argparse
import contextlib
import functools
import random
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import redis
from rich.console import Console
from rich.table import Table

from tests.bench.measure import cpu_nanoseconds, fill
from tests.harness.resp import Resp
from tests.harness.servers import Server, server
from tests.harness.wait import eventually

KINDS = ("shoal", "redis", "valkey")
FOREIGN = "shoal, redis' file"
SECONDS_BEFORE = 2.0

Samples = dict[tuple[str, str], list[tuple[float, float]]]
"""(server, what it did) → keys a second, by CPU time and by the clock, of each round."""


def fill_collections(each: Server, count: int) -> None:
    """`count` of each type: small ones, and one in a hundred large."""
    with each.client() as client:
        pipe: redis.client.Pipeline = client.pipeline(transaction=False)
        for number in range(count // 4):
            size = 2000 if number % 100 == 0 else 20
            pipe.hset(f"hash:{number}", mapping={f"field:{n}": f"value {n}" for n in range(size)})
            pipe.sadd(f"set:{number}", *(f"member:{n}" for n in range(size)))
            pipe.zadd(f"zset:{number}", {f"member:{n}": n * 1.5 for n in range(size)})
            pipe.rpush(f"list:{number}", *(f"item {n}" for n in range(size)))
            if number % 100 == 99:
                pipe.execute()
        pipe.execute()


def keys_per_second(each: Server, keys: int, command: Callable[[], object]) -> tuple[float, float]:
    """By CPU time, by the clock."""
    cpu, clock = cpu_nanoseconds(each.pid), time.monotonic()
    command()
    return keys * 1e9 / (cpu_nanoseconds(each.pid) - cpu), keys / (time.monotonic() - clock)


def measure_speed(
    servers: dict[str, Server], rounds: int
) -> dict[tuple[str, str], list[tuple[float, float]]]:
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for kind, each in servers.items():
            with each.client(socket_timeout=300) as client:
                keys = client.dbsize()
                sample = keys_per_second(each, keys, client.save)
                found.setdefault((kind, "save"), []).append(sample)
                found.setdefault((kind, "load"), []).append(load(each, client, keys))
        ours = servers["shoal"]
        shutil.copy(servers["redis"].directory / "dump.rdb", ours.directory / "dump.rdb")
        with ours.client(socket_timeout=300) as client:
            found.setdefault((FOREIGN, "load"), []).append(load(ours, client, client.dbsize()))
    return found


def load(each: Server, client: redis.Redis, keys: int) -> tuple[float, float]:
    client.flushall()
    sample = keys_per_second(each, keys, lambda: client.execute_command("DEBUG", "RELOAD", "NOSAVE"))
    assert client.dbsize() == keys
    return sample


def write_while(client: Resp, keys: int, goes_on: Callable[[], bool]) -> list[float]:
    """Latencies in ms of SETs of random keys."""
    latencies = []
    while goes_on():
        for _ in range(100):
            key = f"key:{random.randrange(keys):012d}"
            began = time.perf_counter()
            client.command("SET", key, "y" * 64)
            latencies.append((time.perf_counter() - began) * 1000)
    return latencies


def lasting(seconds: float) -> Callable[[], bool]:
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() < deadline


@dataclass(slots=True)
class Calm:
    """What background saves leave of a server's calm, by rounds."""

    before: list[float] = field(default_factory=list)
    """The 99th percentile of latencies, in ms."""
    during: list[float] = field(default_factory=list)
    fork: list[float] = field(default_factory=list)
    """In ms."""
    copied_by_child: float = 0.0
    """What a save copied while nobody wrote, as a share of the memory used."""
    copied: list[float] = field(default_factory=list)
    """What was copied while a client wrote all the time."""


def is_saving(each: Server) -> bool:
    return bool(each.info("persistence")["rdb_bgsave_in_progress"])


def measure_calm(servers: dict[str, Server], keys: int, rounds: int) -> dict[str, Calm]:
    found = {kind: Calm() for kind in servers}
    for kind, each in servers.items():
        each.run("BGSAVE")
        eventually(
            functools.partial(lambda one: not is_saving(one), each), "the end of the save", timeout=120
        )
        found[kind].copied_by_child = copied_share(each)
    for _ in range(rounds):
        for kind, each in servers.items():
            measure_save(each, keys, found[kind])
    return found


def measure_save(each: Server, keys: int, calm: Calm) -> None:
    with each.resp() as client:
        calm.before.append(p99(write_while(client, keys, lasting(SECONDS_BEFORE))))
        client.command("BGSAVE")
        calm.during.append(p99(write_while(client, keys, lambda: is_saving(each))))
    calm.fork.append(each.info("stats")["latest_fork_usec"] / 1000)
    calm.copied.append(copied_share(each))


def copied_share(each: Server) -> float:
    """Of the memory used, by the last save."""
    return float(each.info("persistence")["rdb_last_cow_size"] / each.info("memory")["used_memory"])


def p99(latencies: list[float]) -> float:
    return statistics.quantiles(latencies, n=100)[98]


def show_speed(samples: Samples) -> None:
    def median(row: tuple[str, str], column: int) -> float:
        return statistics.median(sample[column] for sample in samples[row])

    table = Table("server", "what", "kkeys/s of CPU", "to redis", "kkeys/s", "to redis")
    for kind, what in samples:
        cells = [
            cell
            for column in (0, 1)
            for cell in (
                f"{median((kind, what), column) / 1000:.0f}",
                f"{median((kind, what), column) / median(('redis', what), column):.2f}x",
            )
        ]
        table.add_row(kind, what, *cells)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000, help="strings")
    parser.add_argument("--collections", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        servers = {kind: stack.enter_context(server(kind, save="", appendonly="no")) for kind in KINDS}
        for each in servers.values():
            fill(each.port, options.keys)
            fill_collections(each, options.collections)
        show_speed(measure_speed(servers, options.rounds))
        table = Table(
            "server",
            "p99 before, ms",
            "during",
            "ratio",
            "fork, ms",
            "copied by the child",
            "with the writes'",
        )
        for kind, calm in measure_calm(servers, options.keys, options.rounds).items():
            before, during = statistics.median(calm.before), statistics.median(calm.during)
            table.add_row(
                kind, f"{before:.2f}", f"{during:.2f}", f"{during / before:.2f}x",
                f"{statistics.median(calm.fork):.1f}", f"{calm.copied_by_child:.1%}",
                f"{statistics.median(calm.copied):.1%}",
            )  # fmt: skip
        Console().print(table)


if __name__ == "__main__":
    main()
