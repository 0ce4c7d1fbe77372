"""What one worker of a load does: half reads, half writes, over keys of its own. No I/O.

A write is `SET key version GET`, whose reply is the version it replaced, so a loss is noticed even where no
read comes between it and the next write. redis-py repeats a request after some errors by itself; its first
try may have been carried out, so a write may find its own version.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.crc import key_slot

from tests.chaos.ledger import NONE, Impossible, Ledger

PADDING = 64
"""Values are about as long as those of the benchmarks."""


@dataclass(frozen=True, slots=True)
class Request:
    key: str
    version: int
    """NONE for a read."""

    def send(self, client: Any) -> Any:
        """The reply, or with a client of redis.asyncio an awaitable of it."""
        if self.version == NONE:
            return client.get(self.key)
        return client.set(self.key, encoded(self.version), get=True)


def encoded(version: int) -> bytes:
    return b"%d" % version + b"." * (PADDING - len(str(version)))


def decoded(value: bytes | None) -> int:
    return NONE if value is None else int(value.rstrip(b"."))


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished request. `error` is "" if it succeeded. Times are of time.monotonic()."""

    slot: int
    started: float
    ended: float
    error: str = ""


class Script:
    """Ask for `next`, carry it out, and tell `succeeded` or `failed`; one request at a time."""

    def __init__(self, keys: Sequence[str], seed: int) -> None:
        self.keys = keys
        self.slots = {key: key_slot(key.encode()) for key in keys}
        self.ledger = Ledger()
        self.journal: list[Entry] = []
        self.impossible: list[str] = []
        self._random = random.Random(seed)
        self._started = 0.0

    def next(self) -> Request:
        key = self._random.choice(self.keys)
        version = self.ledger.next_version(key) if self._random.random() < 0.5 else NONE
        self._started = time.monotonic()
        return Request(key, version)

    def succeeded(self, request: Request, reply: bytes | None) -> None:
        now = time.monotonic()
        found = decoded(reply)
        try:
            if request.version == NONE or found != request.version:
                self.ledger.found(request.key, found)
        except Impossible as error:
            self.impossible.append(str(error))
        if request.version != NONE:
            self.ledger.acknowledged(request.key, request.version, now)
        self.journal.append(Entry(self.slots[request.key], self._started, now))

    def failed(self, request: Request, error: Exception) -> None:
        if request.version != NONE:
            self.ledger.doubtful(request.key, request.version)
        text = f"{type(error).__name__}: {error}"
        self.journal.append(Entry(self.slots[request.key], self._started, time.monotonic(), text))

    def check(self, key: str, reply: bytes | None) -> None:
        """What the key holds when all is over."""
        try:
            self.ledger.found(key, decoded(reply))
        except Impossible as error:
            self.impossible.append(str(error))
