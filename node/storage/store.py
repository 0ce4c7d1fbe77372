"""The store, as a worker reads it: an LMDB environment that only the scribe (scribe.py) writes to.

Three tables: `records` (place -> record, node/core/cold.pyx and record_head.pxd), `awaited` (moment and
place, of keys of which something expires), and `notes` (what is known of the whole). A reader sees them as
of one commit until it calls `renew`; so what was told to the scribe appears all at once.

LMDB was chosen over RocksDB (rocksdict 0.3.29, LZ4, 32 MB of cache, bloom filters) by these figures of
Python's bindings: random places, values half random and half repetitive, 2,000 to 5,000 puts to a synced
commit, everything in the page cache. Microseconds of CPU for each operation, all threads; disk as a multiple
of the values' bytes.

                           100 bytes x 1M    1,000 bytes x 500k    10,000 bytes x 80k
                           LMDB   RocksDB     LMDB   RocksDB        LMDB   RocksDB
    get                     3.7    10.4        3.8     9.6           4.7    16.2
    get of what is not      3.0     2.5        2.9     2.0           2.9     2.8
    put, first             10.0     4.6       20.1     8.9          10.7    45.5
    put, again             17.5     7.0       27.6    16.2          24.6    35.6
    disk                   2.3x    0.8x       2.2x    0.5x          1.3x    0.7x
    longest stall (ms)      32      58         32     193            43     520

Reads are what clients wait for; writes happen in another process, behind their back. LMDB has no threads of
its own, which is what lets a worker fork, and no compactions that stall it; another process reads a
consistent state while it is written to. The prices: places of at most 511 bytes, and more disk for small
values (`rdbcompression` shrinks the rest).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import lmdb

from node.persistence.files import StoreError

MAP_SIZE: Final = 1 << 40
"""Bytes of address space, and so the most that a store can hold."""
RECORDS: Final = b"records"
AWAITED: Final = b"awaited"
NOTES: Final = b"notes"
MOMENT: Final = 8


def open_environment(path: str, *, writable: bool) -> Any:
    """The environment in the directory `path`. Raises StoreError."""
    try:
        return lmdb.open(
            path, map_size=MAP_SIZE, max_dbs=3, readonly=not writable, readahead=False, create=writable
        )
    except lmdb.Error as error:
        raise StoreError(f"{path}: {error}") from None


class Store:
    """Reads the store in the directory `path`. Raises StoreError if there is none, or it is damaged."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        self._environment = open_environment(self.path, writable=False)
        try:
            self._records, self._awaited, self._notes = (
                self._environment.open_db(name, create=False) for name in (RECORDS, AWAITED, NOTES)
            )
        except lmdb.Error as error:
            raise StoreError(f"{self.path}: {error}") from None
        self._begin()

    def _begin(self) -> None:
        self._view = self._environment.begin(db=self._records)
        self.get = self._view.get
        """The record at a place; None if there is none."""

    def renew(self) -> None:
        """See what has been committed since."""
        self._view.abort()
        self._begin()

    def reopen_in_child(self) -> None:
        """A forked process must have its own environment. Before it opens anything else: the inherited one's
        descriptors are closed with it."""
        self._environment.close()
        self._open()

    def close(self) -> None:
        self._view.abort()
        self._environment.close()

    def walk(self, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The (place, record)s from the place `first` on and before `last`, in order."""
        with self._view.cursor() as cursor:
            if cursor.set_range(first):
                for place, record in cursor:
                    if place >= last:
                        return
                    yield place, record

    def awaited(self, after: bytes, until: int, limit: int) -> list[bytes]:
        """Moments with their places, as they stand in the table: those behind `after`, up to Unix ms
        `until`."""
        end = until.to_bytes(MOMENT, "big")
        entries: list[bytes] = []
        with self._view.cursor(self._awaited) as cursor:
            if cursor.set_range(after):
                for entry, _ in cursor:
                    if entry[:MOMENT] > end or len(entries) >= limit:
                        break
                    if entry != after:
                        entries.append(entry)
        return entries

    def note(self, name: bytes) -> bytes | None:
        return self._view.get(name, db=self._notes)  # type: ignore[no-any-return]

    def notes(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All notes whose names begin with `prefix`."""
        with self._view.cursor(self._notes) as cursor:
            if cursor.set_range(prefix):
                for name, body in cursor:
                    if not name.startswith(prefix):
                        return
                    yield name, body

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return os.stat(os.path.join(self.path, "data.mdb")).st_blocks * 512
