"""Clients that write all the time through the proxies, and remember what they were promised.

Each has keys of its own, and writes a greater number to each in turn. What was acknowledged must be there in
the end, or something greater, whose acknowledgement was lost on its way. A client knows both proxies, as from
behind a load balancer: it goes to the other when its connection is lost, and repeats its request there, once.
What fails even so is an error that it has seen.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.harness.wait import eventually

KEYS = 20
"""of each client"""


class Anywhere(redis.Connection):
    """A connection to whichever of `addresses` answers, beginning after the one that was used last."""

    def __init__(self, addresses: Sequence[tuple[str, int]], **options: Any) -> None:
        self._addresses = itertools.cycle(addresses)
        self._count = len(addresses)
        super().__init__(**options)

    def _connect(self) -> Any:
        problem: OSError | None = None
        for _ in range(self._count):
            self.host, self.port = next(self._addresses)
            try:
                return super()._connect()
            except OSError as error:
                problem = error
        raise problem or OSError("no address")


def client_of(ports: list[int]) -> redis.Redis:
    """It repeats once, elsewhere, what failed for a lost connection."""
    pool = redis.ConnectionPool(
        connection_class=Anywhere,
        addresses=[("127.0.0.1", port) for port in ports],
        socket_timeout=30,
        retry=Retry(NoBackoff(), 1),
        decode_responses=True,
    )
    return redis.Redis(connection_pool=pool)


class Writers:
    """Used in a `with` block; nobody writes any more behind it."""

    def __init__(self, ports: list[int], count: int = 2, pause: float = 0.02) -> None:
        self.ports = ports
        self.pause = pause
        self.acknowledged: dict[str, int] = {}
        self.errors: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(name,)) for name in range(count)]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, name: int) -> None:
        with client_of(self.ports[name % 2 :] + self.ports[: name % 2]) as client:
            for number in itertools.count(1):
                if self._stop.wait(self.pause):
                    return
                key = f"writer:{name}:{number % KEYS}"
                try:
                    client.set(key, number)
                except redis.RedisError as error:
                    self.errors.append(f"{time.strftime('%T')} {type(error).__name__}: {error}")
                else:
                    self.acknowledged[key] = number

    def goes_on(self, timeout: float = 120.0) -> None:
        """Wait until every key was written anew, so all slots in question are served."""
        before = dict(self.acknowledged)
        behind: list[str] = []

        def all_written() -> bool:
            behind[:] = [key for key, number in before.items() if self.acknowledged[key] <= number]
            return not behind

        eventually(all_written, lambda: f"not written any more: {behind}; {self.errors[-3:]}", timeout)

    def check(self) -> None:
        """Every acknowledged write is there."""
        with client_of(self.ports) as client:
            kept = {key: int(client.get(key) or 0) for key in self.acknowledged}
        lost = {key: (number, kept[key]) for key, number in self.acknowledged.items() if kept[key] < number}
        assert not lost, f"acknowledged, and what there is: {lost}"
