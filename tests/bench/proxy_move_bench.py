"""Slots that move behind the proxy: what its clients notice of it.

    python -m tests.bench.proxy_move_bench              5,461 slots with 200,000 keys, each way of moving
    python -m tests.bench.proxy_move_bench --quick      a tenth of that
    python -m tests.bench.proxy_move_bench --bars       the exit code tells of missed bars

Plain redis-py clients, which repeat nothing, read and write keys of the slots through the proxy before,
during and after the move, each in a process of its own and with a pause after each request, so that latencies
are not those of a machine that is full. Told are errors, acknowledged writes that are gone, and the 99th
percentile of the latencies before the move and since it began: until it has ended, and for two seconds at
least, because the quickest takes a few dozen requests.

Ways: `shoal` (CLUSTER MIGRATESLOTS), `plan` (`shoal reshard`), `valkey` (its CLUSTER MIGRATESLOTS), and
`keys` (`redis-cli --cluster reshard` of shoal workers, key by key, with ASK and TRYAGAIN).
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event

import redis

from tests.bench.slot_writers import PATIENCE, Account, Writers, lost_writes, value_of
from tests.bench.slots_bench import fill, key_names, move_at_once, move_by_plan, move_key_by_key
from tests.harness.proxies import ShoalProxy
from tests.harness.slot_moves import Pair, moving_pair

WAYS: dict[str, Callable[[Pair, int], float]] = {
    "shoal": move_at_once,
    "plan": move_by_plan,
    "valkey": move_at_once,
    "keys": move_key_by_key,
}
CLIENTS = 4
PAUSE = 0.001
"""Seconds"""
USED = 20_000
"""Keys that the clients use"""
WINDOW = 2.0
"""Seconds since the beginning of the move that count at least"""
KEY_BY_KEY = 0.1
"""Share of the slots that are moved key by key, which takes long"""
BAR = 2.0
"""The 99th percentile during the move, as a ratio to that before"""


@dataclass(slots=True)
class Timed(Account):
    times: list[tuple[float, float]] = field(default_factory=list)
    """When each request began, of time.monotonic(), and how long it took"""


def use_plainly(ports: Sequence[int], keys: Sequence[str], stop: Event) -> Timed:
    """A client that knows of one server, and of no failures."""
    account, chance = Timed(), random.Random(keys[0])
    with redis.Redis(port=ports[0], socket_timeout=PATIENCE, retry=None) as client:
        client.ping()
        while not stop.is_set():
            key = chance.choice(keys)
            version = account.versions.get(key, 0) + 1
            began = time.monotonic()
            try:
                if chance.random() < 0.5:
                    client.get(key)
                else:
                    client.set(key, value_of(version))
                    account.versions[key] = version
            except redis.RedisError as error:
                account.errors.append(f"{type(error).__name__}: {error}")
            account.times.append((began, time.monotonic() - began))
            time.sleep(PAUSE)
    return account


@dataclass(slots=True)
class Result:
    slots: int
    seconds: float
    requests: int
    before: float
    """99th percentile, in seconds"""
    during: float
    longest: float
    errors: list[str]
    lost: int

    @property
    def ratio(self) -> float:
        return self.during / self.before

    @property
    def is_missed(self) -> bool:
        return bool(self.errors or self.lost or self.ratio > BAR)


def percentile_99(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def measure(way: str, slots: int, keys: int, settling: float) -> Result:
    """`settling`: seconds of load before the move."""
    program = "valkey" if way == "valkey" else "shoal"
    moved = round(slots * KEY_BY_KEY) if way == "keys" else slots
    names = key_names(slots, keys)
    moving = [name for number, name in enumerate(names) if number % slots < moved]
    with moving_pair(program, program, save="", node_timeout=15_000) as pair:
        fill(pair.source, names, 0)
        with ShoalProxy([pair.source.address]) as proxy:
            used = moving[:: max(1, len(moving) // USED)]
            with Writers([proxy.port], used, [use_plainly] * CLIENTS) as clients:
                time.sleep(settling)
                began = time.monotonic()
                seconds = WAYS[way](pair, moved)
                time.sleep(max(0.0, WINDOW - seconds))
                ended = time.monotonic()
            with redis.Redis(port=proxy.port, socket_timeout=PATIENCE) as client:
                lost = lost_writes(client, clients.accounts)
    times = [each for account in clients.accounts if isinstance(account, Timed) for each in account.times]
    during = [took for start, took in times if start + took > began and start < ended]
    return Result(
        slots=moved,
        seconds=seconds,
        requests=len(times),
        before=percentile_99([took for start, took in times if start + took <= began]),
        during=percentile_99(during),
        longest=max(during),
        errors=[error for account in clients.accounts for error in account.errors],
        lost=len(lost),
    )


def text_of(way: str, result: Result) -> str:
    return (
        f"{way}: {result.slots} slots in {result.seconds:.2f} s, {result.requests} requests, "
        f"{len(result.errors)} errors, {result.lost} writes lost; p99 {result.before * 1000:.2f} ms before, "
        f"{result.during * 1000:.2f} ms during the move: {result.ratio:.2f} times; "
        f"longest {result.longest * 1000:.0f} ms"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.proxy_move_bench")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--slots", type=int, default=5461)
    parser.add_argument("--keys", type=int, default=200_000)
    parser.add_argument("--settling", type=float, default=4.0, help="seconds of load before the move")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--bars", action="store_true", help="fail where a bar is missed")
    options = parser.parse_args()
    if options.quick:
        options.slots, options.keys = options.slots // 10, options.keys // 10
    missed = False
    for way in options.ways.split(","):
        result = measure(way, options.slots, options.keys, options.settling)
        print(text_of(way, result), flush=True)
        for error in result.errors[:3]:
            print(f"{way}: {error}")
        missed |= result.is_missed
    return int(options.bars and missed)


if __name__ == "__main__":
    sys.exit(main())
