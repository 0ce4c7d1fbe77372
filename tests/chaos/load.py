"""Scripts on real clients: threads with redis-py, or tasks on an event loop with redis.asyncio.

    with ThreadLoad(connect, workers=2) as load:       # connect() -> a client, one for each thread
    with TaskLoad(connect_async, workers=4) as load:   # the same, awaited; one for each task
        load.wait_for(1000)                            # requests that succeeded, from now on
    load.losses, load.errors, load.journal

Every client is as its users have it: with its own ways to repeat requests and to refresh its map. An error
is what they would see. Leaving the context stops the load; a request that does not end then fails the test.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests.chaos.ledger import Loss
from tests.chaos.script import Entry, Script
from tests.chaos.threads import ThreadGroup
from tests.harness.wait import eventually

KEYS_PER_WORKER = 500


def some_keys(count: int, tag: str = "key") -> list[str]:
    return [f"{tag}:{number}" for number in range(count)]


class Load(ThreadGroup):
    """What both kinds have in common. `keys` are shared out among the workers; loads that run side by side
    need different ones."""

    def __init__(self, workers: int, keys: Sequence[str] = (), seed: int = 1) -> None:
        super().__init__()
        keys = keys or some_keys(KEYS_PER_WORKER * workers)
        self.scripts = [Script(keys[part::workers], seed + part) for part in range(workers)]

    @property
    def journal(self) -> list[Entry]:
        """All finished requests, in order of their ends."""
        entries = [entry for script in self.scripts for entry in list(script.journal)]
        return sorted(entries, key=lambda entry: entry.ended)

    @property
    def succeeded(self) -> int:
        return sum(not entry.error for script in self.scripts for entry in list(script.journal))

    @property
    def errors(self) -> list[Entry]:
        return [entry for entry in self.journal if entry.error]

    @property
    def losses(self) -> list[Loss]:
        return [loss for script in self.scripts for loss in script.ledger.losses]

    @property
    def impossible(self) -> list[str]:
        return [text for script in self.scripts for text in script.impossible]

    def wait_for(self, count: int, timeout: float = 60.0) -> None:
        """Until so many more requests succeeded."""
        self.wait_until(self.succeeded + count, timeout)

    def wait_until(self, goal: int, timeout: float = 60.0) -> None:
        """Until so many requests succeeded in all."""
        eventually(
            lambda: self.broken or self.succeeded >= goal,
            lambda: f"{goal} requests; {self.succeeded} succeeded, the last errors: {self.errors[-3:]}",
            timeout=timeout,
        )
        if self.broken:
            raise AssertionError("a worker of the load ended") from self.broken[0]

    def check_all(self, read: Callable[[Sequence[str]], Sequence[bytes | None]]) -> None:
        """Judge every key once the load has stopped; `read` gives the values of some keys."""
        for script in self.scripts:
            keys = list(script.ledger)
            for start in range(0, len(keys), 1000):
                some = keys[start : start + 1000]
                for key, value in zip(some, read(some), strict=True):
                    script.check(key, value)


class ThreadLoad(Load):
    """One thread and one client for each worker."""

    def __init__(
        self, connect: Callable[[], Any], workers: int, keys: Sequence[str] = (), seed: int = 1
    ) -> None:
        super().__init__(workers, keys, seed)
        self._connect = connect
        for script in self.scripts:
            self._add_thread(functools.partial(self._run, script))

    def _run(self, script: Script) -> None:
        with self._connect() as client:
            while not self._stop.is_set():
                request = script.next()
                try:
                    reply = request.send(client)
                except Exception as error:
                    script.failed(request, error)
                else:
                    script.succeeded(request, reply)


class TaskLoad(Load):
    """One event loop, in a thread of its own, and one task and one client for each worker.

    The tasks do not share a client: whenever redis-py 8.1 renews its map, it closes connections that other
    tasks are about to use, which then fail with an AttributeError. They do so with Valkey's cluster, too.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[Any]], workers: int, keys: Sequence[str] = (), seed: int = 1
    ) -> None:
        super().__init__(workers, keys, seed)
        self._connect = connect
        self._add_thread(lambda: asyncio.run(self._run_all()))

    async def _run_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for script in self.scripts:
                group.create_task(self._run(script))

    async def _run(self, script: Script) -> None:
        async with await self._connect() as client:
            while not self._stop.is_set():
                request = script.next()
                try:
                    reply = await request.send(client)
                except Exception as error:
                    script.failed(request, error)
                else:
                    script.succeeded(request, reply)
