"""The file that is written: bytes to the file, and the file to the disk.

A write that did not go in whole is undone, so that the file does not end in half a command; where that
cannot be done either, the rest is to be written where the half ends.

fdatasync takes as long as the disk wants. `LogFile.sync` waits for it; `Background` has a thread do it, in
order, as well as the deletion of large files.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class LogFile:
    """`path` is created where it is missing; where it is not, it is continued, or emptied if it is to be
    `fresh`: a file that no manifest names is what a crash has left."""

    def __init__(self, path: str, *, fresh: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if fresh else 0)
        self._descriptor = os.open(path, flags, 0o644)
        self.size = os.fstat(self._descriptor).st_size
        """In bytes, of what has been written."""

    def write(self, data: bytes) -> tuple[int, OSError | None]:
        """Append; returns how many bytes of `data` the file holds now, and what kept it from taking all."""
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, memoryview(data)[written:])
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
                written = 0
            self.size += written
            return written, error
        self.size += written
        return written, None

    def sync(self) -> None:
        """Bring what was written to the disk. Raises OSError."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)

    def duplicate(self) -> int:
        """A descriptor for another thread, which closes it."""
        return os.dup(self._descriptor)


class Background:
    """One thread for what a disk takes its time with."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self.syncs = 0
        """How many are waiting or under way."""

    def sync(self, file: LogFile, done: Callable[[OSError | None], None]) -> None:
        """Bring `file` to the disk; `done(error)` is called on the event loop."""
        self.syncs += 1
        descriptor = file.duplicate()

        def ended(error: OSError | None) -> None:
            self.syncs -= 1
            done(error)

        self._run(lambda: _sync_and_close(descriptor), ended)

    def remove(self, path: str, done: Callable[[OSError | None], None]) -> None:
        """Delete a file, which takes long where it is large."""
        self._run(lambda: _remove(path), done)

    def close(self) -> None:
        """Wait for what is under way."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    def _run(self, job: Callable[[], None], ended: Callable[[OSError | None], None]) -> None:
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "aof")

        def work() -> None:
            error = None
            try:
                job()
            except OSError as problem:
                error = problem
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(ended, error)

        self._thread.submit(work)


def _sync_and_close(descriptor: int) -> None:
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
