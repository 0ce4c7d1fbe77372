"""Writes keys without end, as the prober's own process: see prober.py.

Each key has a knocker: a task with plain connections. It goes where MOVED points, asks anybody else when a
server does not answer, and never waits for long: so a gap between two writes that succeeded is the cluster's,
not a client library's. Every REPORT seconds a line of JSON on the standard output tells of the writes that
succeeded, (number of the key, start, end) by time.monotonic(), and of the last errors.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import uvloop

from tests.harness.resp import encode

PATIENCE = 0.1
"""Seconds: a server that takes longer is asked again only after SUSPICION."""
SUSPICION = 0.2
REPORT = 0.05

Address = tuple[str, int]


@dataclass
class News:
    """Since the last report."""

    successes: list[tuple[int, float, float]] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)

    def take(self) -> str:
        line = json.dumps([self.successes, list(self.errors.items())])
        self.successes.clear()
        self.errors.clear()
        return line


class Knocker:
    """Writes one key, wherever it is. What became of it goes to `news`, by its number."""

    def __init__(self, key: str, addresses: Sequence[Address], number: int, news: News) -> None:
        self._key = key
        self._number = number
        self._news = news
        first = number % len(addresses)
        self._others = itertools.cycle([*addresses[first:], *addresses[:first]])
        self._count = len(addresses)
        self._suspects: dict[Address, float] = {}
        """Address -> until when it is not asked."""
        self._address = next(self._others)
        self._links: dict[Address, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def run(self, every: float) -> None:
        for version in itertools.count():
            started = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    reply = await self._ask(self._address, version)
            except (OSError, EOFError, TimeoutError) as error:
                self._news.errors[self._number] = repr(error)
                self._give_up(started)
                await asyncio.sleep(0.005)
                continue
            if reply == "+OK":
                self._news.successes.append((self._number, started, time.monotonic()))
            else:
                self._news.errors[self._number] = reply
                self._redirect(reply)
            await asyncio.sleep(max(0.002, every - (time.monotonic() - started)))

    async def _ask(self, address: Address, version: int) -> str:
        if address not in self._links:
            self._links[address] = await asyncio.open_connection(*address)
        reader, writer = self._links[address]
        writer.write(encode("SET", self._key, version))
        line = await reader.readline()
        if not line:
            raise EOFError(f"{address} closed the connection")
        return line.decode().rstrip()

    def _give_up(self, now: float) -> None:
        self._hang_up(self._address)
        self._suspects[self._address] = now + PATIENCE + SUSPICION
        self._another()

    def _redirect(self, reply: str) -> None:
        kind, *words = reply.split()
        if kind == "-MOVED":
            host, _, port = words[1].rpartition(":")
            self._go_to((host, int(port)))
        elif kind != "-NOREPLICAS":
            self._another()

    def _go_to(self, address: Address) -> None:
        if self._suspects.get(address, 0.0) <= time.monotonic():
            self._address = address
        else:
            self._another()

    def _another(self) -> None:
        """The next that is not suspected; the next of all if all are."""
        for _ in range(self._count):
            self._address = next(self._others)
            if self._suspects.get(self._address, 0.0) <= time.monotonic():
                return

    def _hang_up(self, address: Address) -> None:
        link = self._links.pop(address, None)
        if link is not None:
            with suppress(OSError):
                link[1].transport.abort()


async def knock(keys: Sequence[str], addresses: Sequence[Address], every: float) -> None:
    news = News()
    async with asyncio.TaskGroup() as group:
        for number, key in enumerate(keys):
            group.create_task(Knocker(key, addresses, number, news).run(every))
        while True:
            await asyncio.sleep(REPORT)
            print(news.take(), flush=True)


if __name__ == "__main__":
    wanted, members, pause = json.loads(sys.argv[1])
    uvloop.run(knock(wanted, [(host, port) for host, port in members], pause))
