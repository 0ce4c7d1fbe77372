"""Moving slots under load: ours beside Valkey's atomic migration and Redis' `redis-cli --cluster reshard`.

    python -m tests.bench.slots_bench                 5,461 slots, 1M keys, three collections of 500,000
    python -m tests.bench.slots_bench --quick         a tenth of that
    python -m tests.bench.slots_bench --bars          the exit code tells of missed bars

Two primaries of each kind (ours twice: by CLUSTER MIGRATESLOTS, and by `shoal reshard`), the source filled
alike; two writers, one pipelined and one with redis-py, write to the slots before, during and after the move.
Told are the keys moved a second, the longest write, client errors, and acknowledged writes that are gone.
Redis moves `--redis-share` of the slots only, since its way takes minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from cluster.slot_tags import tag_of
from tests.bench.slot_writers import Writers, lost_writes, write_pipelined, write_with_redis_py
from tests.harness.commands import run_program
from tests.harness.resp import encode
from tests.harness.servers import Server
from tests.harness.shoal_command import shoal_process
from tests.harness.slot_moves import Pair, moving_pair
from tests.harness.wait import eventually

KINDS = ("shoal", "plan", "valkey", "redis")
"""`plan` is ours by `shoal reshard`, in steps."""
SETTLING = 1.0
"""Seconds of load before and after the move."""
WRITTEN = 20_000
"""Keys that the writers write to."""
CHUNK = 500

BARS = {"redis": 5.0, "valkey": 1.0}
"""How many times their keys per second ours must be, at least."""
LONGEST_WRITE = 0.1
"""Seconds."""


@dataclass(slots=True)
class Result:
    slots: int
    keys: int
    seconds: float
    longest: float
    """Seconds of the longest write since the move began."""
    longest_at: float
    """How long after that it began."""
    writes: int
    errors: list[str]
    lost: int

    @property
    def rate(self) -> float:
        return self.keys / self.seconds


def key_names(slots: int, keys: int) -> list[str]:
    """So many keys, spread over the slots 0 to `slots` - 1."""
    tags = [tag_of(slot).decode() for slot in range(slots)]
    return [f"{{{tags[number % slots]}}}{number // slots}" for number in range(keys)]


def fill(node: Server, names: list[str], members: int) -> None:
    """Strings of 64 bytes, and a list, a hash and a sorted set of so many members."""
    value = b"0" + b"." * 63
    with node.resp(timeout=120) as link:

        def send(commands: list[bytes]) -> None:
            link.send(b"".join(commands))
            for _ in commands:
                link.read()

        for start in range(0, len(names), CHUNK):
            send([encode("SET", name, value) for name in names[start : start + CHUNK]])
        tag = f"{{{tag_of(0).decode()}}}"
        for start in range(0, members, CHUNK):
            numbers = range(start, min(start + CHUNK, members))
            send(
                [
                    encode("RPUSH", tag + "list", *(f"item:{n}" for n in numbers)),
                    encode("HSET", tag + "hash", *(word for n in numbers for word in (f"field:{n}", n))),
                    encode("ZADD", tag + "zset", *(word for n in numbers for word in (n * 1.5, f"m:{n}"))),
                ]
            )


def move_at_once(pair: Pair, slots: int) -> float:
    began = time.monotonic()
    pair.begin(0, slots - 1)
    eventually(lambda: pair.state(pair.source) in (b"success", b"failed"), "the move ends", timeout=600)
    assert pair.state(pair.source) == b"success", pair.job(pair.source)
    return time.monotonic() - began


def move_by_plan(pair: Pair, slots: int) -> float:
    ends = ("--from", pair.source.address, "--to", pair.target.address)
    outcome = shoal_process(
        "reshard", pair.source.address, *ends, "--slots", slots, "--yes", "--json", timeout=600
    )
    return float(outcome.json["moved"]["seconds"])


def move_key_by_key(pair: Pair, slots: int) -> float:
    began = time.monotonic()
    run_program(
        "redis-cli", "--cluster", "reshard", pair.source.address,
        "--cluster-from", pair.cluster.id_of(pair.source), "--cluster-to", pair.cluster.id_of(pair.target),
        "--cluster-slots", str(slots), "--cluster-yes",
        timeout=1800,
    )  # fmt: skip
    return time.monotonic() - began


WAYS = {"redis": move_key_by_key, "plan": move_by_plan}


def measure(kind: str, slots: int, moved: int, names: list[str], members: int) -> Result:
    """The first `moved` of `slots` slots, over which `names` are spread, move. The big collections are in the
    first of them."""
    program = "shoal" if kind == "plan" else kind
    with moving_pair(program, program, save="", node_timeout=15_000) as pair:
        fill(pair.source, names, members)
        moving = [name for number, name in enumerate(names) if number % slots < moved]
        written = moving[:: max(1, len(moving) // WRITTEN)]
        ports = [pair.source.port, pair.target.port]
        with Writers(ports, written, (write_pipelined, write_with_redis_py)) as writers:
            time.sleep(SETTLING)
            began = time.monotonic()
            seconds = WAYS.get(kind, move_at_once)(pair, moved)
            time.sleep(SETTLING)
        with pair.target.client(socket_timeout=60) as client:
            lost = lost_writes(client, writers.accounts)
        longest, longest_at = max(account.longest(began) for account in writers.accounts)
        return Result(
            slots=moved,
            keys=len(moving) + (3 if members else 0),
            seconds=seconds,
            longest=longest,
            longest_at=longest_at - began,
            writes=sum(account.writes for account in writers.accounts),
            errors=[error for account in writers.accounts for error in account.errors],
            lost=len(lost),
        )


def show(results: dict[str, Result]) -> None:
    table = Table("", "slots", "keys", "seconds", "keys/s", "longest write", "at", "writes", "errors", "lost")
    for kind, result in results.items():
        table.add_row(
            kind,
            *(f"{figure}" for figure in (result.slots, result.keys)),
            f"{result.seconds:.2f}",
            f"{result.rate:.0f}",
            f"{result.longest * 1000:.0f} ms",
            f"{result.longest_at:.2f} s",
            *(f"{figure}" for figure in (result.writes, len(result.errors), result.lost)),
        )
    Console(width=110).print(table)
    for kind, result in results.items():
        for error in result.errors[:3]:
            print(f"{kind}: {error}")


def missed_bars(results: dict[str, Result]) -> list[str]:
    ours = results.get("shoal")
    if ours is None:
        return []
    missed = [
        f"{ours.rate:.0f} keys/s, {ours.rate / results[kind].rate:.1f} times {kind}'s; the bar is {factor}"
        for kind, factor in BARS.items()
        if kind in results and ours.rate < factor * results[kind].rate
    ]
    if ours.longest > LONGEST_WRITE:
        missed.append(f"a write took {ours.longest * 1000:.0f} ms; the bar is {LONGEST_WRITE * 1000:.0f}")
    if ours.errors or ours.lost:
        missed.append(f"{len(ours.errors)} errors, {ours.lost} lost writes")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.slots_bench")
    parser.add_argument("--slots", type=int, default=5461)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--members", type=int, default=500_000, help="of each of the three collections")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--redis-share", type=float, default=0.1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--bars", action="store_true", help="fail where a bar is missed")
    options = parser.parse_args()
    if options.quick:
        options.keys, options.members = options.keys // 10, options.members // 10
    names = key_names(options.slots, options.keys)
    results = {}
    for kind in options.kinds.split(","):
        moved = round(options.slots * options.redis_share) if kind == "redis" else options.slots
        results[kind] = measure(kind, options.slots, moved, names, options.members)
    show(results)
    missed = missed_bars(results) if options.bars else []
    for line in missed:
        print(f"missed: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
