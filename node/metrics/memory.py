"""How much memory this worker uses, known at any moment.

`used` is the sum of what is known exactly and what has to be estimated:

- The blocks of the compiled core: entries, tables, collections, buffers, Lua's states. Counted where they
  are allocated (core/memory), so exact, and current.
- Python's large blocks, of more than 512 bytes: replication backlog, output waiting for clients, big
  intermediate values. Counted as well.
- Python's small objects: only their number is known. What came since the start is taken for SMALL_OBJECT
  bytes each, and looked at several times a second.
- What the process took to start: interpreter, modules, command table. The operating system told, once, just
  before the data was loaded.

Unused memory that the allocator keeps for itself, fragmentation, is not in it; it is the difference to
`process.resident_bytes`. When much has been freed at once, the allocator is asked to give it back (`trim`),
its large places one by one before that.

`fixed` is the part of `used` that only changes with `sample`. Whoever compares with a limit before each
command takes it off the limit and compares with the counted part alone (node/keyspace/eviction).
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from node.core import memory
from node.metrics import process

if TYPE_CHECKING:
    from node.worker import Worker

SMALL_OBJECT = 56
"""Bytes of a small object of Python's, on average: heads of values, short strings, entries of sessions."""

TRIM_LEAST = 8 << 20
"""Bytes that must have become free before the allocator is asked for them."""
TRIM_SHARE = 0.1
"""And which share of what was used."""
TRIM_COST = 0.01
"""Share of the time that trimming may take."""
SETTLED = 0.0002
"""Seconds that a step of its filing takes at most when there is nothing left to file."""
BUDGET = 0.0005
"""Seconds of a turn of the loop in which pages are given back."""


class MemoryUse:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        if _plain_allocators():
            memory.watch_python()
        self.fixed = 0
        """Bytes of `used` that are not counted but estimated."""
        self.startup = 0
        """`used` before there was any data."""
        self.peak = 0
        self.peak_at = 0
        """Unix seconds."""
        self._base = 0
        self._base_objects = 0
        self._highest = 0
        """The most that was counted since the allocator last gave memory back."""
        self._before = 0
        self._next_trim = 0.0
        self._settling = False
        self._waiting: list[Callable[[], None]] = []
        """To be called after the next trim in pieces."""
        self.start()
        worker.cron_jobs.append(self.sample)

    def start(self) -> None:
        """There is no data yet: what the process has now is what it took to start."""
        self._base = process.anonymous_bytes() - self.counted
        self._base_objects = sys.getallocatedblocks()
        self.fixed = self._base
        self.startup = self.used
        self.forget_peak()

    @property
    def counted(self) -> int:
        return memory.used_bytes() + memory.python_bytes()

    @property
    def used(self) -> int:
        return max(0, self.fixed + self.counted)

    def forget_peak(self) -> None:
        """CONFIG RESETSTAT."""
        self.peak = self.used
        self.peak_at = self._worker.engine.now // 1000

    def note_peak(self, used: int) -> None:
        if used > self.peak:
            self.peak = used
            self.peak_at = self._worker.engine.now // 1000

    def estimate(self) -> None:
        """Renew `fixed`. Takes a microsecond for each MB of small objects."""
        objects = sys.getallocatedblocks() - self._base_objects
        self.fixed = self._base + objects * SMALL_OBJECT

    def sample(self) -> None:
        """Look at what is not counted, and whether memory can be given back. Several times a second."""
        self.estimate()
        self.note_peak(self.used)
        counted = self.counted
        self._highest = max(self._highest, counted)
        freed = self._highest - counted
        # While it is still falling, more will become free: wait for the end of it.
        much = freed > max(TRIM_LEAST, self._highest * TRIM_SHARE)
        if much and counted >= self._before and time.monotonic() >= self._next_trim:
            self._give_back()
        self._before = counted

    def _give_back(self) -> None:
        """Trim, in pieces, so that nobody waits long."""
        if not self._settling:
            self._settling = True
            self._settle()

    def _settle(self) -> None:
        """Have the allocator file what was freed, a part in each turn of the loop, and trim after that: else
        `trim` would take 50 ms where 200,000 keys went from among others."""
        began = time.monotonic()
        memory.settle()
        if time.monotonic() - began > SETTLED:
            asyncio.get_running_loop().call_soon(self._settle)
        else:
            self._hollow_out()

    def _hollow_out(self) -> None:
        """Give back the pages of large free places, BUDGET seconds' worth in each turn of the loop, and trim
        after that: else `trim` would take 15 ms for each 100 MB."""
        until = time.monotonic() + BUDGET
        while memory.hollow():
            if time.monotonic() > until:
                asyncio.get_running_loop().call_soon(self._hollow_out)
                return
        memory.fill_in()
        self._settling = False
        self.trim()
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()

    def emptied(self) -> None:
        """Databases were emptied while everybody waited. As in Redis, what that left goes back to the system
        at once: new data would fill the places of the old, which lie anywhere."""
        if self._highest - self.counted > TRIM_LEAST:
            self.trim()

    def emptied_in_pieces(self, then: Callable[[], None]) -> None:
        """Databases were emptied while only some waited, who are told by `then`: it is called when the system
        has what is to be given back, perhaps at once."""
        if self._highest - self.counted > TRIM_LEAST:
            self._waiting.append(then)
            self._give_back()
        else:
            then()

    def trim(self) -> bool:
        """Have the allocator give free memory back to the system; returns whether it had any."""
        began = time.monotonic()
        given = memory.trim()
        ended = time.monotonic()
        self._highest = self.counted
        self._next_trim = ended + (ended - began) / TRIM_COST
        self._worker.slowness.note("malloc-trim", ended - began)
        return given

    def unused_in_allocator(self) -> int:
        """Bytes in RAM that the allocator holds and nobody uses. What it says of itself is not asked for: it
        would walk over all of its free blocks."""
        return max(0, process.anonymous_bytes() - self.used)


def _plain_allocators() -> bool:
    """Whether Python's allocators are the usual ones. Those with debugging hooks cannot be counted."""
    return not sys.flags.dev_mode and not os.environ.get("PYTHONMALLOC")
