"""The snapshot that our primary sends: where it goes while it arrives, and how it becomes our data.

    Spooled     into a file, and from there into the databases when it is whole. Until then we keep our data
    Live        into the databases as it arrives (`repl-diskless-load on-empty-db`, and there is no data)
    Swapped     into spare databases as it arrives; these take the place of ours when it is whole (`swapdb`).
                Where ours are an earlier state of the same history they are served until then

With a disk tier everything is spooled: what is loaded leaves memory for the store as it comes, and the store
holds one dataset.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Protocol

from node.errors import ReplyError
from node.persistence.feed import Feed
from node.persistence.files import sync_directory
from node.persistence.rdb import RdbError
from node.persistence.spare import Spare

if TYPE_CHECKING:
    from node.replication.roles import Replication

FROM_SOCKET = "the primary's snapshot"


class Incoming(Protocol):
    is_live: bool
    """It is loaded while it arrives."""

    def store(self, data: bytes) -> None:
        """The next bytes. Raises OSError."""

    def end(self) -> None:
        """It is whole."""

    async def load(self) -> None:
        """Make it our data. Raises RdbError and OSError, and leaves no half of it."""

    def drop(self) -> None:
        """It is not needed any more."""


def choose(
    replication: Replication, worker: Any, size: int | None, hold: Callable[[bool], None], same_history: bool
) -> Incoming:
    """How to take a snapshot of `size` bytes (None: unknown), of the history of our data or of another.
    `hold(held)`: called when the primary shall wait, or go on. Raises OSError."""
    way = worker.config.repl_diskless_load
    if worker.tier is None and way == "swapdb":
        return Swapped(replication, worker, size, hold, same_history)
    if worker.tier is None and way == "on-empty-db" and not any(map(len, worker.databases)):
        return Live(replication, worker, size, hold)
    return Spooled(replication, worker)


class Spooled:
    is_live = False

    def __init__(self, replication: Replication, worker: Any) -> None:
        self._replication = replication
        self._worker = worker
        self._path = str(worker.config.path(f"temp-sync-{os.getpid()}.rdb"))
        self._file: IO[bytes] | None = open(self._path, "wb")  # noqa: SIM115 (closed when all has arrived)

    def store(self, data: bytes) -> None:
        assert self._file is not None
        self._file.write(data)

    def end(self) -> None:
        assert self._file is not None
        self._file.close()

    async def load(self) -> None:
        self._replication.link_loads()
        try:
            await self._worker.snapshots.load_file(self._path, keep_expired=True)
        except BaseException:
            self._replication.empty()
            raise
        self._keep()

    def _keep(self) -> None:
        """What was loaded is a snapshot as good as our own; it becomes our file, unless we are to keep
        none."""
        config = self._worker.config
        if config.rdb_del_sync_files and not config.save and not config.appendonly:
            self.drop()
            return
        path = self._worker.snapshots.path
        os.rename(self._path, path)
        sync_directory(os.path.dirname(path))
        self._file = None

    def drop(self) -> None:
        if self._file is None:
            return
        self._file.close()
        self._file = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


class Live:
    is_live = True

    def __init__(
        self, replication: Replication, worker: Any, size: int | None, hold: Callable[[bool], None]
    ) -> None:
        self._replication = replication
        self._worker = worker
        self._size = size
        self._feed = Feed(hold)

    def store(self, data: bytes) -> None:
        self._feed.put(data)

    def end(self) -> None:
        self._feed.end()

    async def load(self) -> None:
        self._replication.link_loads()
        try:
            await self._worker.snapshots.load_feed(self._feed, FROM_SOCKET, self._size or 0)
            await self._feed.ended()
        except BaseException:
            self._replication.empty()
            raise

    def drop(self) -> None:
        self._feed.end()


class Swapped(Live):
    def __init__(
        self,
        replication: Replication,
        worker: Any,
        size: int | None,
        hold: Callable[[bool], None],
        same_history: bool,
    ) -> None:
        super().__init__(replication, worker, size, hold)
        self._same_history = same_history

    async def load(self) -> None:
        snapshots = self._worker.snapshots
        spare = Spare(self._worker)
        try:
            await snapshots.load_feed(
                self._feed, FROM_SOCKET, self._size or 0, spare, serves=self._same_history
            )
            await self._feed.ended()
        except BaseException:
            spare.drop()
            raise
        self._replication.link_loads()
        try:
            spare.take_over()
        except ReplyError as refused:
            self._replication.empty()
            raise RdbError(FROM_SOCKET, 0, refused.text) from refused
        snapshots.settle()
