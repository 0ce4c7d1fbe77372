"""Reading an append-only file back: its parts in order, each executed.

A base may be a snapshot, or, in a file from before there were several, a snapshot with commands behind it.
Commands are executed by a session that is obeyed; nothing expires while it lasts, since the file says itself
what went when.

Only the last part may break off, inside a command or a transaction: that is what a power cut leaves. With
`aof-load-truncated` it is cut back to its last whole command, otherwise it is refused. Anything else that is
wrong is damage: the file is named, with the offset and the reason, and nothing is changed.

Source: aof.c of Redis 7, loadAppendOnlyFiles and loadSingleAppendOnlyFile.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from node.core.replay import Damaged, Replay
from node.persistence.aof.manifest import Manifest
from node.persistence.loading import Loader
from node.persistence.rdb import RdbReader

READ_SIZE: Final = 64 * 1024
SLICE_SECONDS: Final = 0.02
SNAPSHOT_MAGICS: Final = (b"REDIS", b"VALKEY")
BACKUP_AND_FIX: Final = "Make a backup of your AOF file, then use `shoal check-aof --fix` on its directory."


class AofError(Exception):
    """The append-only file cannot be read. The text has a line for each thing to be said."""


class AofReader:
    """Reads the parts of `manifest` in `directory` into a worker. `position` is how far it is, in bytes of
    all. `start`: an increment and an offset in it; what is before is in the worker's store."""

    def __init__(
        self, worker: Any, directory: str, manifest: Manifest, start: tuple[int, int] | None = None
    ) -> None:
        self._worker = worker
        self._directory = directory
        self._manifest = manifest
        self._start = start
        self.started = int(time.time())
        self.position = 0
        self.total = 0
        self._before = 0
        """Bytes of the parts that are done."""

    def measure(self) -> int:
        """Bytes of all parts. Raises AofError where one is missing."""
        self.total = 0
        for part in self._manifest.parts:
            try:
                self.total += os.path.getsize(self._path(part.name))
            except OSError as error:
                raise AofError(
                    f"Unable to obtain the AOF file {part.name} length. stat: {error.strerror}"
                ) from None
        return self.total

    async def read(self) -> None:
        """Execute everything; the event loop turns meanwhile. Raises AofError, RdbError and OSError."""
        parts = self._manifest.parts
        sequence, offset = self._start or (0, 0)
        if self._start is not None:
            parts = tuple(part for part in self._manifest.increments if part.sequence >= sequence)
        with _nothing_expires(self._worker.engine.databases):
            for part in parts:
                started = time.monotonic()
                start = offset if part.kind == "i" and part.sequence == sequence else 0
                await self._read_part(part.name, start, is_last=part is parts[-1])
                kind = "base" if part.kind == "b" else "incr"
                self._worker.log.notice(
                    f"DB loaded from {kind} file {part.name}: {time.monotonic() - started:.3f} seconds"
                )
        self._worker.anteroom.settle()

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)

    async def _read_part(self, name: str, start: int, *, is_last: bool) -> None:
        path = self._path(name)
        with open(path, "rb", buffering=0) as file:
            if not start and file.read(max(map(len, SNAPSHOT_MAGICS))).startswith(SNAPSHOT_MAGICS):
                file.seek(0)
                start = await self._read_snapshot(file, name)
            file.seek(start)
            replay = await self._read_commands(file, name, start)
        self._before += start + replay.done
        self.position = self._before
        if replay.incomplete:
            self._cut(path, name, start + replay.good, is_last)

    async def _read_snapshot(self, file: BinaryIO, name: str) -> int:
        """Returns the offset of what follows the snapshot."""
        log = self._worker.log
        log.notice(f"Reading RDB base file on AOF loading... ({name})")
        take_function = self._worker.functions.load_from_file
        reader = RdbReader(file, name, log.warning, take_function, show_key=log.key)
        loader = Loader(reader, name, self._worker.engine.databases)
        while not loader.load_slice():
            self.position = self._before + reader.offset
            await self._worker.durability.breathe()
        for move in reader.arrivals:
            self._worker.anteroom.open(*move)
        return reader.offset

    async def _read_commands(self, file: BinaryIO, name: str, start: int) -> Replay:
        """Execute the commands from `start` on; the stream ends where it ends."""
        session = self._worker.internal_session()
        replay = Replay(session)
        deadline = time.monotonic() + SLICE_SECONDS
        try:
            while chunk := file.read(READ_SIZE):
                replay.feed(chunk)
                if time.monotonic() > deadline:
                    self.position = self._before + start + replay.done
                    await self._worker.durability.breathe()
                    deadline = time.monotonic() + SLICE_SECONDS
        except Damaged as damage:
            raise AofError(
                f"Bad file format reading the append only file {name} at offset {start + replay.done}: "
                f"{damage}. {BACKUP_AND_FIX}"
            ) from None
        return replay

    def _cut(self, path: str, name: str, good: int, is_last: bool) -> None:
        log = self._worker.log
        broken = f"Unexpected end of file reading the append only file {name} at offset {good}"
        if not is_last:
            raise AofError(f"{broken}, which is not the last of its parts.")
        if not self._worker.config.aof_load_truncated:
            raise AofError(
                f"{broken}. {BACKUP_AND_FIX} Alternatively you can set the 'aof-load-truncated' "
                "configuration option to yes and restart the server."
            )
        log.warning(f"!!! Warning: short read while loading the AOF file {name}!!!")
        log.warning(f"Truncating the AOF {name} at offset {good}")
        os.truncate(path, good)
        log.warning(f"AOF {name} loaded anyway because aof-load-truncated is enabled")


@contextlib.contextmanager
def _nothing_expires(databases: list[Any]) -> Iterator[None]:
    for db in databases:
        db.shows_expired = True
    try:
        yield
    finally:
        for db in databases:
            db.shows_expired = False
