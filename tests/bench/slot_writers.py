"""Clients that write to slots while these move, each in a process of its own, so that no one's pauses are
another's.

Every key has one writer, which gives it the versions 1, 2, 3 ...; in the end the keys must hold the versions
that were acknowledged last. A write's time counts from the first try to the acknowledgement, redirections
and waiting included.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

import redis

from node.core.key_slot import key_slot
from tests.harness.resp import Error, Resp

DEPTH = 16
"""Writes that the pipelined writer has under way at once."""
SLOW = 0.002
"""Seconds from which on a write is remembered."""
PADDING = 64
PATIENCE = 30.0
JOIN_SECONDS = 60.0


@dataclass(slots=True)
class Account:
    """What one writer has seen. Times are seconds."""

    writes: int = 0
    slow: list[tuple[float, float]] = field(default_factory=list)
    """When it began, of time.monotonic(), and how long it took, of each write of more than SLOW."""
    errors: list[str] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)

    def took(self, began: float, ended: float) -> None:
        self.writes += 1
        if ended - began > SLOW:
            self.slow.append((began, ended - began))

    def longest(self, since: float) -> tuple[float, float]:
        """How long the longest write took that began after `since`, and when it began."""
        return max(((took, began) for began, took in self.slow if began > since), default=(SLOW, since))


def value_of(version: int) -> bytes:
    return b"%d" % version + b"." * (PADDING - len(str(version)))


def write_pipelined(ports: Sequence[int], keys: Sequence[str], stop: Event) -> Account:
    """In batches on raw connections; follows MOVED and ASK by itself."""
    account, chance = Account(), random.Random(1)
    links = {port: Resp(port, timeout=PATIENCE) for port in ports}
    owner: dict[int, int] = {}
    slots = {key: int(key_slot(key.encode())) for key in keys}
    while not stop.is_set():
        waiting = chance.sample(list(keys), DEPTH)
        began = time.monotonic()
        while waiting:
            port = owner.get(slots[waiting[0]], ports[0])
            batch = [key for key in waiting if owner.get(slots[key], ports[0]) == port]
            versions = [account.versions.get(key, 0) + 1 for key in batch]
            requests = (("SET", key, value_of(n)) for key, n in zip(batch, versions, strict=True))
            replies = links[port].pipeline(*requests)
            ended = time.monotonic()
            for key, version, reply in zip(batch, versions, replies, strict=True):
                if isinstance(reply, Error) and reply.prefix == "MOVED":
                    owner[slots[key]] = int(reply.text.rpartition(":")[2])
                    continue
                if isinstance(reply, Error) and reply.prefix == "ASK":
                    there = links[int(reply.text.rpartition(":")[2])]
                    _, reply = there.pipeline(("ASKING",), ("SET", key, value_of(version)))
                    ended = time.monotonic()
                waiting.remove(key)
                if isinstance(reply, Error):
                    account.errors.append(reply.text)
                    continue
                account.versions[key] = version
                account.took(began, ended)
    return account


def write_with_redis_py(ports: Sequence[int], keys: Sequence[str], stop: Event) -> Account:
    """One write at a time, by redis-py's RedisCluster."""
    account, chance = Account(), random.Random(2)
    with redis.RedisCluster(port=ports[0], host="127.0.0.1", socket_timeout=PATIENCE) as client:
        while not stop.is_set():
            key = chance.choice(keys)
            version = account.versions.get(key, 0) + 1
            began = time.monotonic()
            try:
                client.set(key, value_of(version))
            except redis.RedisError as error:
                account.errors.append(f"{type(error).__name__}: {error}")
                continue
            account.versions[key] = version
            account.took(began, time.monotonic())
    return account


Write = Callable[[Sequence[int], Sequence[str], Event], Account]


class Writers:
    """Run all of `kinds` (write_pipelined, write_with_redis_py) on their shares of `keys`. A context
    manager; `accounts` are there once it was left."""

    def __init__(self, ports: Sequence[int], keys: Sequence[str], kinds: Sequence[Write]) -> None:
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._processes = []
        self._results: list[Connection] = []
        self.accounts: list[Account] = []
        for number, write in enumerate(kinds):
            result, told = context.Pipe(duplex=False)
            share = list(keys[number :: len(kinds)])
            arguments = (write, list(ports), share, self._stop, told)
            self._processes.append(context.Process(target=_run, args=arguments, daemon=True))
            self._results.append(result)

    def __enter__(self) -> Writers:
        for process, result in zip(self._processes, self._results, strict=True):
            process.start()
            assert result.poll(JOIN_SECONDS) and result.recv() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for process, result in zip(self._processes, self._results, strict=True):
            assert result.poll(JOIN_SECONDS), "the writer has died"
            self.accounts.append(result.recv())
            process.join(JOIN_SECONDS)


def _run(write: Write, ports: Sequence[int], keys: Sequence[str], stop: Event, told: Connection) -> None:
    told.send("ready")
    told.send(write(ports, keys, stop))


def lost_writes(client: redis.Redis, accounts: Sequence[Account]) -> list[str]:
    """Keys that do not hold what was acknowledged last, asked of their owner."""
    lost = []
    for account in accounts:
        keys = list(account.versions)
        for start in range(0, len(keys), 1000):
            some = keys[start : start + 1000]
            pipe: redis.client.Pipeline = client.pipeline(transaction=False)
            for key in some:
                pipe.get(key)
            for key, value in zip(some, pipe.execute(), strict=True):
                if value is None or int(value.rstrip(b".")) != account.versions[key]:
                    lost.append(key)
    return lost
