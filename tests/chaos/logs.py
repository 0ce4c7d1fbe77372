"""Logs: lists that grow by one entry with each write, so that in the end all that was lost can be counted.

A log has one writer, which appends 0, 1, 2 ... in pipelines, and several readers. An entry is *acknowledged*
when the reply to its RPUSH has come. Once all is over and healed,

    lost    an acknowledged entry that is not there
    stale   a read that began after the acknowledgement of an entry that is there in the end, and did not
            show it: somebody answered who had no right to any more
    unasked an entry that nobody wrote

A list is full after LENGTH entries, and its writer goes on with the next, in another slot.
"""

from __future__ import annotations

import itertools
import random
import time
from dataclasses import dataclass, field

import redis
from redis.crc import key_slot

from tests.chaos.clients import ERRORS, Threads

LENGTH = 128
PAUSE = 0.01
AT_ONCE = 200
"""Logs that are read in one pipeline in the end."""


@dataclass(slots=True)
class Log:
    key: str
    sent: int = 0
    """Entries 0 to that were sent, whatever became of them."""
    acknowledged: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each of `acknowledged` was."""
    reads: list[Miss] = field(default_factory=list)
    """Those which missed something."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A read that did not show entries which had been acknowledged before it began."""

    ended: float
    missing: frozenset[int]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that must not be: when it was, and of which log."""

    when: float
    key: str
    what: str


@dataclass
class Count:
    acknowledged: int = 0
    lost: list[Event] = field(default_factory=list)
    """Each with the time of its acknowledgement."""
    stale: list[Event] = field(default_factory=list)
    unasked: list[Event] = field(default_factory=list)


class Logs:
    """All logs of a run. `depth` is how many entries go into one pipeline."""

    def __init__(self, seed: int, depth: int) -> None:
        self._chance = random.Random(seed)
        self._depth = depth
        self._names = itertools.count()
        self._growing: dict[int, Log] = {}
        """Number of a writer -> its log."""
        self.all: list[Log] = []

    def add_writers(self, threads: Threads, count: int, patience: float) -> None:
        for _ in range(count):
            number = len(self._growing)
            self._growing[number] = self._fresh()
            threads.add(
                f"writer of logs {number}",
                lambda client, number=number: self._append(threads, client, number),  # type: ignore[misc]
                patience,
            )

    def add_readers(self, threads: Threads, count: int, patience: float) -> None:
        for number in range(count):
            threads.add(f"reader of logs {number}", lambda client: self._read(threads, client), patience)

    def _fresh(self) -> Log:
        log = Log(f"log:{next(self._names)}")
        self.all.append(log)
        return log

    def _append(self, threads: Threads, client: redis.RedisCluster, number: int) -> None:
        log = self._growing[number]
        if log.sent >= LENGTH:
            log = self._growing[number] = self._fresh()
        entries = range(log.sent, log.sent + self._depth)
        log.sent += self._depth
        pipeline = client.pipeline()
        for entry in entries:
            pipeline.rpush(log.key, entry)
        try:
            replies = pipeline.execute(raise_on_error=False)
        except ERRORS:
            threads.pause(PAUSE)
            return
        now = time.monotonic()
        for entry, reply in zip(entries, replies, strict=True):
            if not isinstance(reply, Exception):
                log.times.append(now)
                log.acknowledged.append(entry)  # last: readers count these
        if isinstance(replies[-1], Exception):
            threads.pause(PAUSE)

    def _read(self, threads: Threads, client: redis.RedisCluster) -> None:
        log = self._growing[self._chance.choice(list(self._growing))]
        known = len(log.acknowledged)
        try:
            found = client.lrange(log.key, 0, -1)
        except ERRORS:
            threads.pause(PAUSE)
            return
        missing = frozenset(log.acknowledged[:known]) - set(map(int, found))  # type: ignore[arg-type]
        if missing:
            log.reads.append(Miss(time.monotonic(), missing))

    def count(self, client: redis.RedisCluster) -> Count:
        """Read all logs and judge them; the load must have ended, and the cluster be whole."""
        total = Count()
        by_slot = sorted(self.all, key=lambda log: key_slot(log.key.encode()))
        for start in range(0, len(by_slot), AT_ONCE):
            some = by_slot[start : start + AT_ONCE]
            pipeline = client.pipeline()
            for log in some:
                pipeline.lrange(log.key, 0, -1)
            for log, found in zip(some, pipeline.execute(), strict=True):
                judge(log, frozenset(map(int, found)), total)
        return total


def judge(log: Log, found: frozenset[int], total: Count) -> None:
    """Add to `total` what is wrong with a log of which these entries are there in the end."""
    total.acknowledged += len(log.acknowledged)
    for entry, when in zip(log.acknowledged, log.times, strict=True):
        if entry not in found:
            total.lost.append(Event(when, log.key, f"entry {entry}"))
    for read in log.reads:
        if hidden := read.missing & found:
            total.stale.append(Event(read.ended, log.key, f"without {sorted(hidden)}"))
    for entry in found:
        if not 0 <= entry < log.sent:
            total.unasked.append(Event(time.monotonic(), log.key, f"entry {entry}"))
