"""Runs of all servers in alternation: what is measured of one row in one setting.

For each way a server is set up (append-only file, replica) all three kinds are started once, side by side. A
row begins with an empty database and its fill on each of them; then, setting by setting, the servers take
turns. How many requests a run has is found by a short one before, so that each lasts about as long as was
asked for: all servers get the same number, for what they hold has to stay the same.
"""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import statistics
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.bench.measure import Load, Sample, run_load, send_all
from tests.bench.rows import KEYS, REQUESTS, Fill, Row
from tests.harness.resp import Error, encode
from tests.harness.servers import Server, server

KINDS = ("shoal", "redis", "valkey")
ITEMS_IN_COMMAND = 100
FIRST_REQUESTS = 1_000


@dataclass(frozen=True, slots=True)
class Setting:
    """In what a row is measured besides its command."""

    pipeline: int = 1
    value_size: int = 64
    clients: int = 50
    aof: bool = False
    replica: bool = False

    @property
    def server(self) -> tuple[bool, bool]:
        return self.aof, self.replica


@dataclass(slots=True)
class Result:
    row: Row
    setting: Setting
    samples: dict[str, list[Sample]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def median(self, kind: str, figure: str) -> float:
        return statistics.median(getattr(sample, figure) for sample in self.samples[kind])

    @property
    def cpu_ratio(self) -> float:
        """Ours to the better oracle's."""
        return self.median("shoal", "cpu") / min(self.median(kind, "cpu") for kind in KINDS[1:])

    @property
    def throughput_ratio(self) -> float:
        best = max(self.median(kind, "throughput") for kind in KINDS[1:])
        return self.median("shoal", "throughput") / best

    @property
    def bar(self) -> float:
        return self.row.bar if self.setting.pipeline > 1 else 1.0


@dataclass(frozen=True, slots=True)
class Extent:
    """How long it may take."""

    keys: int
    rounds: int
    seconds: float


def measure(
    rows: Iterable[Row], settings: Iterable[Setting], extent: Extent, told: Callable[[Result], None]
) -> list[Result]:
    """All results, each told as soon as it is there."""
    results = []
    by_server = sorted(settings, key=lambda setting: setting.server)
    for way, group in itertools.groupby(by_server, lambda setting: setting.server):
        same_server = list(group)
        with contextlib.ExitStack() as stack:
            servers = {kind: stack.enter_context(started(kind, *way)) for kind in KINDS}
            for row in rows:
                for result in _measure_row(row, same_server, extent, servers):
                    told(result)
                    results.append(result)
    return results


@contextlib.contextmanager
def started(kind: str, aof: bool, replica: bool) -> Iterator[Server]:
    # A rewrite in the middle would be measured too.
    settings: dict[str, Any] = {"appendonly": "yes" if aof else "no", "auto_aof_rewrite_percentage": "0"}
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(server(kind, save="", **settings))
        if replica:
            stack.enter_context(server(kind, save="", appendonly="no")).follow(primary)
        yield primary


def _measure_row(
    row: Row, settings: list[Setting], extent: Extent, servers: dict[str, Server]
) -> Iterator[Result]:
    sizes = sorted({setting.value_size for setting in settings})
    if not row.is_sized:
        # It is the same for all sizes: once, and not at all where the usual size is measured elsewhere.
        settings = [
            setting for setting in settings if setting.value_size == (64 if 64 in sizes else sizes[0])
        ]
    for size, group in itertools.groupby(sorted(settings, key=_size), _size):
        for each in servers.values():
            each.run("FLUSHALL", "SYNC")
            if row.fill is not None and row.fill.count != REQUESTS:
                fill(each, row.fill, extent.keys, size)
        for setting in group:
            yield _measure_setting(row, setting, extent, servers)


def _size(setting: Setting) -> int:
    return setting.value_size


def _measure_setting(row: Row, setting: Setting, extent: Extent, servers: dict[str, Server]) -> Result:
    result = Result(row, setting)
    with contextlib.ExitStack() as stack:
        for each in servers.values():
            stack.enter_context(subscribers(each, row.subscribers))
        first = max(FIRST_REQUESTS, 4 * setting.clients) * (5 if setting.pipeline > 1 else 1)
        tries = [_run(row, setting, each, first, extent.keys) for each in servers.values()]
        requests = max(first, int(extent.seconds * statistics.median(sample.throughput for sample in tries)))
        for _ in range(extent.rounds):
            for kind, each in servers.items():
                result.samples[kind].append(_run(row, setting, each, requests, extent.keys))
    return result


def _run(row: Row, setting: Setting, each: Server, requests: int, keys: int) -> Sample:
    if row.fill is not None and row.fill.count == REQUESTS:
        fill(each, row.fill, requests, setting.value_size)
    load = Load(
        row.name, setting.pipeline, requests, setting.clients, setting.value_size, keys,
        row.argv(setting.value_size),
    )  # fmt: skip
    return run_load(each.port, [each.pid], load)


def fill(each: Server, what: Fill, keys: int, value_size: int) -> None:
    """Have the items there, those of numbers as redis-benchmark writes them."""
    head = what.head.encode().split()
    item = what.item.encode().replace(b"VALUE", b"x" * value_size)
    count = keys if what.count in (KEYS, REQUESTS) else what.count

    def commands() -> Iterator[bytes]:
        for start in range(0, count, ITEMS_IN_COMMAND):
            numbers = range(start, min(start + ITEMS_IN_COMMAND, count))
            words = b" ".join(item.replace(b"#", b"%012d" % number) for number in numbers)
            yield encode(*head, *words.split(b" "))

    send_all(each.port, commands())


@contextlib.contextmanager
def subscribers(each: Server, count: int) -> Iterator[None]:
    """So many clients that listen to `news`, and read what comes."""
    if not count:
        yield
        return
    with contextlib.ExitStack() as stack:
        ready = stack.enter_context(selectors.DefaultSelector())
        for _ in range(count):
            client = stack.enter_context(each.resp())
            reply = client.command("SUBSCRIBE", "news")
            assert not isinstance(reply, Error), reply
            ready.register(client.socket, selectors.EVENT_READ)
        waker, end = socket.socketpair()
        stack.enter_context(waker)
        stack.enter_context(end)
        ready.register(end, selectors.EVENT_READ)
        thread = threading.Thread(target=_drain, args=(ready, end))
        thread.start()
        try:
            yield
        finally:
            waker.send(b"x")
            thread.join()


def _drain(ready: selectors.BaseSelector, end: socket.socket) -> None:
    """Read from all until there is something at `end`."""
    buffer = bytearray(1 << 18)
    while True:
        for key, _ in ready.select():
            if key.fileobj is end:
                return
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.recv_into(buffer)
