"""What does it cost to wait for a replica? SETs per second to one primary with one replica.

    asynchronous     as always
    WAIT 1           every SET is followed by a WAIT 1, which is what a client can do by itself: one that
                     pipelines waits for all the writes of a pipeline by one WAIT at its end
    WAIT 1 for each  after every single SET
    synchronous      `synchronous-replicas 1`: the server holds the reply back, for many clients at once

The rows are measured in turn, several times; the figure is the median. CPU is that of the primary and its
replica, in microseconds for each SET. The generator sends ready-made bytes and counts lines, so that it takes
as little of the machine as possible.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import uvloop

from cluster.slot_tags import tag_of
from tests.bench.measure import cpu_nanoseconds
from tests.chaos.stage import OK, Plan, Stage, stage
from tests.harness.resp import encode
from tests.harness.servers import Server

CLIENTS = 50
VALUE = b"x" * 64
KEYS = 1000
CATCH_UP = 30.0
"""Seconds in which a replica does what the run before has left it."""
DIRECTIVE = "synchronous-replicas"


@dataclass(frozen=True)
class Way:
    """One way of writing, to one kind of server."""

    name: str
    kind: str
    synchronous: int = 0
    wait_at_end: bool = False
    wait_for_each: bool = False

    def requests(self, client: int, depth: int) -> bytes:
        """One pipeline of `depth` SETs."""
        wait = encode("WAIT", 1, 0)
        tag = tag_of(0).decode()
        numbers = range(client * depth, (client + 1) * depth)
        sets = [encode("SET", f"{{{tag}}}{number % KEYS}", VALUE) for number in numbers]
        between = wait if self.wait_for_each else b""
        return b"".join(each + between for each in sets) + (wait if self.wait_at_end else b"")

    def lines(self, depth: int) -> int:
        """Of the replies to one pipeline."""
        return depth * (1 + self.wait_for_each) + self.wait_at_end


WAYS = (
    Way("asynchronous", "shoal"),
    Way("synchronous", "shoal", synchronous=1),
    Way("WAIT 1", "shoal", wait_at_end=True),
    Way("WAIT 1 for each", "shoal", wait_for_each=True),
    Way("asynchronous", "valkey"),
    Way("WAIT 1", "valkey", wait_at_end=True),
    Way("WAIT 1 for each", "valkey", wait_for_each=True),
)


@dataclass
class Samples:
    way: Way
    depth: int
    rates: list[float] = field(default_factory=list)
    """SETs per second."""
    costs: list[float] = field(default_factory=list)
    """Microseconds of CPU of all servers, for each SET."""

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    @property
    def cost(self) -> float:
        return statistics.median(self.costs)


class _Client(asyncio.Protocol):
    """Sends the same pipeline again once all lines of its replies have come."""

    def __init__(self, requests: bytes, lines: int) -> None:
        self._requests = requests
        self._lines = lines
        self._awaited = 0
        self.rounds = 0
        self.broken = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def begin(self) -> None:
        self._awaited = self._lines
        self._transport.write(self._requests)

    def data_received(self, data: bytes) -> None:
        if data[0] == ord("-"):
            self.broken = data.decode()
            return
        self._awaited -= data.count(b"\n")
        if self._awaited <= 0:
            self.rounds += 1
            self.begin()

    def connection_lost(self, error: Exception | None) -> None:
        self.broken = self.broken or f"connection lost: {error}"


async def _drive(node: Server, way: Way, depth: int, seconds: float) -> tuple[int, float]:
    """SETs done, and the seconds that took."""
    loop = asyncio.get_running_loop()
    clients = []
    for number in range(CLIENTS):
        requests, lines = way.requests(number, depth), way.lines(depth)
        _, client = await loop.create_connection(
            lambda requests=requests, lines=lines: _Client(requests, lines), node.host, node.port
        )
        clients.append(client)
    started = time.monotonic()
    for client in clients:
        client.begin()
    await asyncio.sleep(seconds)
    taken = time.monotonic() - started
    broken = [client.broken for client in clients if client.broken]
    assert not broken, broken[0]
    done = sum(client.rounds for client in clients) * depth
    for client in clients:
        client._transport.abort()
    return done, taken


def measure(
    depths: list[int], rounds: int, seconds: float, tell: Callable[[str], None] = lambda text: None
) -> list[Samples]:
    samples = [Samples(way, depth) for depth in depths for way in WAYS]
    with ExitStack() as stack:
        kinds = sorted({way.kind for way in WAYS})
        stages = {kind: stack.enter_context(stage(Plan(cluster=kind))) for kind in kinds}
        for number in range(rounds):
            for each in samples:
                sample(stages[each.way.kind], each, seconds)
            tell(f"round {number + 1} of {rounds}")
    return samples


def sample(running: Stage, into: Samples, seconds: float) -> None:
    """One run of one way, which holds for all members while it runs."""
    way = into.way
    if way.kind == "shoal":
        for node in running.nodes:
            assert node.run("CONFIG", "SET", DIRECTIVE, way.synchronous) == OK
    primary, replica = running.shards[0]
    with primary.resp(timeout=CATCH_UP) as client:
        tag = tag_of(0).decode()
        caught_up = client.pipeline(("SET", f"{{{tag}}}", "-"), ("WAIT", 1, int(CATCH_UP * 1000)))
        assert caught_up[1] == 1, f"the replica did not catch up: {caught_up}"
    pids = [node.pid for node in (primary, replica)]
    before = sum(map(cpu_nanoseconds, pids))
    done, taken = uvloop.run(_drive(primary, way, into.depth, seconds))
    spent = sum(map(cpu_nanoseconds, pids)) - before
    into.rates.append(done / taken)
    into.costs.append(spent / done / 1000)


def rows(samples: list[Samples]) -> list[tuple[object, ...]]:
    """With the throughput of each way as a share of the same program's asynchronous one."""
    base = {(each.way.kind, each.depth): each.rate for each in samples if each.way.name == "asynchronous"}
    return [
        (
            f"{each.way.kind}, {each.way.name}",
            each.depth,
            round(each.rate),
            each.rate / base[each.way.kind, each.depth],
            each.cost,
        )
        for each in samples
    ]
