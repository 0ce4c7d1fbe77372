"""Filling the databases from an RDB stream, a slice at a time.

A big file takes minutes, in which a worker must still answer: PING with LOADING, its cluster with a
heartbeat. So loading runs in slices of some milliseconds and hands control back to the event loop between
them.

What a file may bring that a server would not: keys whose time has passed (a primary drops them, a replica
keeps them, because only its primary's DEL may remove them), and keys of databases that this worker does not
have (refused: they must not vanish).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from node.core.rdb_fill import Filler
from node.core.rdb_source import Starved
from node.persistence.feed import Feed
from node.persistence.rdb import Entry, RdbError, RdbReader
from node.persistence.rdb.format import Malformed

SLICE_SECONDS: Final = 0.02
_CHECK_CLOCK_EVERY: Final = 64


Breathe = Callable[[], Awaitable[None]]


async def turn_loop() -> None:
    """Let the event loop turn once."""
    await asyncio.sleep(0)


class Loading(NamedTuple):
    """How far reading a file, or several, has come: since when (Unix time), bytes of all, bytes read."""

    started: int
    total: int
    done: int


class Loader:
    """Puts the entries of `reader` into `databases`.

    `drop_before`: Unix ms; entries that expired before it are dropped. 0 keeps all. `breathe` is awaited
    between slices."""

    def __init__(
        self,
        reader: RdbReader,
        name: str,
        databases: Sequence[Any],
        drop_before: int = 0,
        breathe: Breathe = turn_loop,
    ) -> None:
        self.reader = reader
        self._name = name
        self._databases = databases
        self._filler = Filler(drop_before)
        self._breathe = breathe

    @property
    def loaded(self) -> int:
        return self._filler.loaded

    @property
    def expired(self) -> int:
        return self._filler.expired

    @property
    def replaces(self) -> bool:
        """Whether a key that is there already is no error."""
        return self._filler.replaces

    @replaces.setter
    def replaces(self, value: bool) -> None:
        self._filler.replaces = value

    def load_slice(self, seconds: float = SLICE_SECONDS) -> bool:
        """Load for about so long; True when all is loaded.

        Raises RdbError, and leaves in place what came before the damage.
        """
        deadline = time.monotonic() + seconds
        while (entry := self.reader.read_entry()) is not None:
            self._put(entry)
            while self.reader.fill(self._filler, self._databases, _CHECK_CLOCK_EVERY) == _CHECK_CLOCK_EVERY:
                if time.monotonic() >= deadline:
                    return False
            if time.monotonic() >= deadline:
                return False
        return True

    async def load(self) -> None:
        """Load all, letting the event loop turn between the slices."""
        while not self.load_slice():
            await self._breathe()

    async def load_from(self, feed: Feed) -> None:
        """Load all from what the reader reads, as it comes."""
        while True:
            try:
                if self.load_slice():
                    return
            except Starved:
                # What there is of the entry at hand is read again. With twice as much each time, this takes
                # no longer than twice what it would have taken at once.
                await feed.more(self.reader.rewind())
            else:
                await self._breathe()

    def _put(self, entry: Entry) -> None:
        if entry.database >= len(self._databases):
            raise self._error(f"database {entry.database}, but only {len(self._databases)} here", entry)
        db = self._databases[entry.database]
        try:
            if not self._filler.put(db, entry.key, entry.value, entry.expire_at):
                return
        except Malformed as twice:
            raise self._error(str(twice), entry) from None
        if entry.idle is not None:
            db.set_idle(entry.key, entry.idle)
        if entry.frequency is not None:
            db.set_frequency(entry.key, entry.frequency)

    def _error(self, reason: str, entry: Entry) -> RdbError:
        return RdbError(self._name, self.reader.offset, f"{self.reader.name_of(entry.key)}: {reason}")
