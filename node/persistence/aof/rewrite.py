"""The rewrite of an append-only file: the data as they are now, in a new base, written by a forked child.

When one is due: asked for (BGREWRITEAOF), or the file has grown by `auto-aof-rewrite-percentage` since the
last, or the log was switched on. While another child is running it waits. After some failures in a row the
automatic ones are put off, a minute at first, an hour at the most.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final

from node.core.reply_writer import encode_command
from node.errors import ReplyError
from node.persistence.aof.commands import commands_of
from node.persistence.child import Orphaned, Outcome, ensure_parent
from node.persistence.files import remove, write_fully
from node.persistence.progress import copied_bytes

PURPOSE: Final = "AOF"
PATIENCE: Final = 3
"""Failures in a row from which on automatic rewrites wait."""
FIRST_DELAY: Final = 60.0
LONGEST_DELAY: Final = 3600.0
WRITE_SIZE: Final = 64 * 1024

IN_PROGRESS = ReplyError("ERR Background append only file rewriting already in progress")
NOT_STARTED = ReplyError(
    "ERR Can't execute an AOF background rewriting. Please check the server logs for more information."
)


class Rewrite:
    """`begin()` is called right before the fork, and may raise OSError; `finish(path)` with what a successful
    child wrote, to be renamed; `failed()` after one that was not."""

    def __init__(
        self,
        worker: Any,
        begin: Callable[[], None],
        finish: Callable[[str], None],
        failed: Callable[[], None],
    ) -> None:
        self._worker = worker
        self._begin = begin
        self._finish = finish
        self._failed = failed
        self.scheduled = False
        self.last_ok = True
        self.last_seconds = -1
        self.last_copied = 0
        self.count = 0
        self.failures = 0
        """In a row."""
        self._next_automatic = 0.0
        self._started = 0.0

    @property
    def suffix(self) -> str:
        """What the name of a base ends with."""
        return "rdb" if self._worker.config.aof_use_rdb_preamble else "aof"

    @property
    def in_progress(self) -> bool:
        return self._worker.snapshots.children.purpose == PURPOSE  # type: ignore[no-any-return]

    @property
    def current_seconds(self) -> int:
        return int(time.time() - self._started) if self.in_progress else -1

    def request(self) -> str:
        """BGREWRITEAOF. Returns the status line; raises ReplyError."""
        if self.in_progress:
            raise IN_PROGRESS
        if self._worker.snapshots.children.current is not None:
            self.scheduled = True
            return "Background append only file rewriting scheduled"
        if not self.start():
            raise NOT_STARTED
        return "Background append only file rewriting started"

    def start(self) -> bool:
        """Fork the child; False, with the reason in the log, if that cannot be."""
        children, log = self._worker.snapshots.children, self._worker.log
        self.scheduled = False
        self._started = time.time()
        began = time.monotonic()
        try:
            self._begin()
            child = children.start(PURPOSE, self._in_child, self._ended)
        except OSError as error:
            log.warning(f"Can't rewrite append only file in background: {error.strerror}")
            self._count_failure()
            return False
        self._pid = child.pid
        self._worker.slowness.note("fork", time.monotonic() - began)
        log.notice(f"Background append only file rewriting started by pid {child.pid}")
        return True

    def tick(self, size: int, size_after_last: int) -> None:
        """Called some times a second with the bytes of the file, now and after the last rewrite."""
        if self._worker.snapshots.children.current is not None:
            return
        if self.scheduled:
            self.start()
            return
        config = self._worker.config
        if not config.auto_aof_rewrite_percentage or size <= config.auto_aof_rewrite_min_size:
            return
        growth = size * 100 // max(size_after_last, 1) - 100
        if growth >= config.auto_aof_rewrite_percentage and time.monotonic() >= self._next_automatic:
            self._worker.log.notice(f"Starting automatic rewriting of AOF on {growth}% growth")
            self.start()

    def stop(self) -> None:
        """End a rewrite under way; the file stays as it was."""
        self.scheduled = False
        if self.in_progress:
            self._worker.log.warning("There is a child rewriting the AOF. Killing it!")
            self._worker.snapshots.children.kill()
            remove(self._temporary(self._pid))

    def write(self, path: str) -> None:
        """Write the data to `path`, and bring it to the disk. Raises OSError."""
        with open(path, "wb", buffering=0) as file:
            descriptor = file.fileno()
            if self._worker.config.aof_use_rdb_preamble:
                self._worker.snapshots.write_to(
                    lambda chunk: write_fully(descriptor, chunk), {}, aof_base=True
                )
            else:
                self._write_commands(descriptor)
            os.fsync(descriptor)

    def _write_commands(self, descriptor: int) -> None:
        pending = bytearray()
        functions = (library.code for library in self._worker.functions)
        rooms = self._worker.anteroom.rooms.values()
        for command in commands_of(self._worker.engine.databases, functions, rooms):
            pending += encode_command(command)
            if len(pending) >= WRITE_SIZE:
                write_fully(descriptor, pending)
                pending.clear()
        write_fully(descriptor, pending)

    def _temporary(self, pid: int) -> str:
        return str(self._worker.config.path(f"temp-rewriteaof-bg-{pid}.aof"))

    def _in_child(self) -> bytes:
        self._worker.log.role = "C"
        path = self._temporary(os.getpid())
        self.write(path)
        try:
            ensure_parent()
        except Orphaned:
            remove(path)
            raise
        copied = copied_bytes()
        self._worker.log.notice(f"Fork CoW for AOF rewrite: {copied >> 20} MB")
        return b"%d" % copied

    def _ended(self, outcome: Outcome) -> None:
        log = self._worker.log
        self.last_seconds = int(time.time() - self._started)
        path = self._temporary(self._pid)
        if outcome.ok:
            log.notice("Background AOF rewrite terminated with success")
            self.last_copied = int(outcome.report)
            self._conclude(path)
            return
        if outcome.signal is not None:
            log.warning(f"Background AOF rewrite terminated by signal {outcome.signal}")
        else:
            reason = outcome.report.decode("utf-8", "surrogateescape")
            log.warning(f"Background AOF rewrite terminated with error: {reason}")
        self._give_up(path)

    def _conclude(self, path: str) -> None:
        """The new base is in `path`."""
        try:
            self._finish(path)
        except OSError as error:
            self._worker.log.warning(f"Error trying to put the rewritten AOF in its place: {error}")
            self._give_up(path)
            return
        self.last_ok = True
        self.failures = 0
        self.count += 1
        self._worker.log.notice("Background AOF rewrite finished successfully")

    def _give_up(self, path: str) -> None:
        remove(path)
        self._count_failure()
        self._failed()

    def _count_failure(self) -> None:
        self.last_ok = False
        self.failures += 1
        if self.failures >= PATIENCE:
            delay = min(FIRST_DELAY * 2 ** (self.failures - PATIENCE), LONGEST_DELAY)
            self._next_automatic = time.monotonic() + delay
