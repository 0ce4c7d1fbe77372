"""How long was it down? Somebody who tries to write, in every part of the key space, all the time.

PROBES keys, spread evenly over the slots, are each written every few milliseconds by a task of its own on a
plain connection. It goes where MOVED points, asks anybody else when a server does not answer, and never
waits for long: so a gap between two writes that succeeded is the cluster's, not a client library's. A time
during which any of the keys had a gap is one during which not every slot accepted writes.

The tasks run on an event loop in a thread of their own.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from cluster.slot_tags import tag_of
from tests.harness.resp import encode
from tests.harness.wait import eventually

SLOTS = 16384
PATIENCE = 0.1
"""Seconds: a server that takes longer is asked again only after SUSPICION."""
SUSPICION = 0.2
NOISE = 0.2
"""Gaps up to that many seconds are those of a busy machine."""

Address = tuple[str, int]
Span = tuple[float, float]


@dataclass
class Probe:
    """One key, and when its writes succeeded: (start, end) of each."""

    key: str
    successes: list[Span] = field(default_factory=list)
    last_error: str = ""

    def wrote_after(self, since: float) -> bool:
        return bool(self.successes) and self.successes[-1][0] >= since

    def first_after(self, since: float) -> float:
        """The end of the first write that began then or later."""
        recent = itertools.takewhile(lambda span: span[0] >= since, reversed(self.successes.copy()))
        return min(end for _, end in recent)

    def gaps(self, since: float, until: float, noise: float) -> list[Span]:
        """Spans of more than `noise` seconds without a success, which counts at its end."""
        recent = itertools.takewhile(lambda span: span[1] > since, reversed(self.successes.copy()))
        ends = [since, *reversed([end for _, end in recent if end < until]), until]
        return [(begin, end) for begin, end in itertools.pairwise(ends) if end - begin > noise]


class Prober:
    """`addresses`: the members. Times are of time.monotonic()."""

    def __init__(self, addresses: Sequence[Address], keys: int = 16, every: float = 0.02) -> None:
        self._addresses = list(addresses)
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="prober", daemon=True)
        slots = [SLOTS * number // keys for number in range(keys)]
        self.probes = [Probe(f"probe:{{{tag_of(slot).decode()}}}") for slot in slots]

    def __enter__(self) -> Prober:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def wait_served(self, since: float, timeout: float) -> None:
        """Until every key was written by a write that began after `since`."""

        def failing() -> dict[str, str]:
            return {probe.key: probe.last_error for probe in self.probes if not probe.wrote_after(since)}

        eventually(
            lambda: not failing(), lambda: f"every slot accepts writes; these do not: {failing()}", timeout
        )

    def gaps(self, since: float, until: float, noise: float = NOISE) -> list[Span]:
        """When, between the two moments, not every slot accepted writes: in order, and apart."""
        merged: list[Span] = []
        for begin, end in sorted(gap for probe in self.probes for gap in probe.gaps(since, until, noise)):
            if merged and begin <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], end)
            else:
                merged.append((begin, end))
        return merged

    def recovered(self, since: float, until: float) -> float:
        """When every slot accepted writes again after something at `since` that was felt at once.

        That is, once every key has been written by a write that began after it; and if meanwhile others had
        stopped, too, as all do when a cluster is down, once they go on.
        """
        again = max(probe.first_after(since) for probe in self.probes)
        for begin, end in self.gaps(since, until):
            if begin <= again:
                again = max(again, end)
        return again

    def down(self, since: float, until: float) -> float:
        """The seconds of all gaps."""
        return sum(end - begin for begin, end in self.gaps(since, until))

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number, probe in enumerate(self.probes):
                group.create_task(_Knocker(probe, self._addresses, number).run(self._stop, self._every))


class _Knocker:
    """Writes one key, wherever it is."""

    def __init__(self, probe: Probe, addresses: Sequence[Address], number: int) -> None:
        self._probe = probe
        first = number % len(addresses)
        self._others = itertools.cycle([*addresses[first:], *addresses[:first]])
        self._count = len(addresses)
        self._suspects: dict[Address, float] = {}
        """Address -> until when it is not asked."""
        self._address = next(self._others)
        self._links: dict[Address, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def run(self, stop: threading.Event, every: float) -> None:
        for version in itertools.count():
            if stop.is_set():
                break
            started = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    reply = await self._ask(self._address, version)
            except (OSError, EOFError, TimeoutError) as error:
                self._probe.last_error = repr(error)
                self._give_up(started)
                await asyncio.sleep(0.005)
                continue
            if reply == "+OK":
                self._probe.successes.append((started, time.monotonic()))
            else:
                self._probe.last_error = reply
                self._redirect(reply)
            await asyncio.sleep(max(0.002, every - (time.monotonic() - started)))
        for address in list(self._links):
            self._hang_up(address)

    async def _ask(self, address: Address, version: int) -> str:
        if address not in self._links:
            self._links[address] = await asyncio.open_connection(*address)
        reader, writer = self._links[address]
        writer.write(encode("SET", self._probe.key, version))
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
