"""Recording the stream of writes, as `appendfsync` says.

The trail hands over its stream (`record`) before the first replies of a turn of the event loop leave that
tell of it. Those replies, and all others of this turn, are held back until its end (`_commit`), when what the
trail has by then is taken, too, everything is written in one write and, with `always`, brought to the disk by
one fdatasync. So no reply promises what is not at least in the kernel's hands, and a hundred clients share a
sync. With `everysec` a thread syncs once a second. While it is at it, Redis keeps what is acknowledged in
memory for up to two seconds, because a write may hang on the same disk; whoever kills it then loses that. We
write: what is acknowledged outlives the process.

What cannot be written stays in memory, writes are refused (MISCONF), and it is tried again every second. With
`always` there is no way to keep what was promised, and the worker ends.

Source: aof.c of Redis 7, flushAppendOnlyFile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from node.core.reactor import at_turn_end
from node.core.reply_writer import encode_command
from node.errors import ReplyError
from node.persistence.aof.file import Background, LogFile

SLOW_SYNC_SECONDS: Final = 2.0
SYNC_SECONDS: Final = 1.0
COMPLAIN_SECONDS: Final = 30.0


class Recorder:
    """Writes to `file`, which `switch` sets; None: records nothing. `state_changed` is called when `error`
    may have changed."""

    def __init__(self, worker: Any, background: Background, state_changed: Callable[[], None]) -> None:
        self._worker = worker
        self._state_changed = state_changed
        self._background = background
        self.file: LogFile | None = None
        self._at_turn_end: Callable[[Callable[[], Any]], Any] | None = None
        self._buffer: list[bytes] = []
        self.buffered = 0
        """Bytes that are not written yet."""
        self.delayed_syncs = 0
        self.write_error: OSError | None = None
        self.sync_error: OSError | None = None
        self._synced_size = 0
        self._last_sync = 0.0
        self._last_attempt = 0.0
        self._sync_began = 0.0
        self._sync_is_slow = False
        self._complained_at = -COMPLAIN_SECONDS
        self._second = 0
        self._recorded_offset = 0
        """The replication offset up to which the stream has come, has been written, and is on the disk."""
        self._written_offset = 0
        self.synced_offset = 0

    @property
    def error(self) -> ReplyError | None:
        """What writes are refused with while the file cannot be written."""
        error = self.write_error or self.sync_error
        if error is None:
            return None
        return ReplyError(f"MISCONF Errors writing to the AOF file: {error.strerror}")

    @property
    def breaks_its_word(self) -> bool:
        """With `always`: whether replies are held that must not go, as what they acknowledge is not kept."""
        return self.error is not None and self._worker.config.appendfsync == "always"

    def switch(self, file: LogFile | None) -> None:
        """Write what there is to the old file, and all that follows to `file`."""
        trail = self._worker.trail
        trail.flush()
        self.flush()
        if self.file is not None:
            if file is not None:
                self._sync_in_background(self.file, self._written_offset)
            self.file.close()
        self.file = file
        if file is None:
            self._buffer.clear()
            self.buffered = 0
            self._forget_errors()
            trail.detach_log()
            return
        self._synced_size = file.size
        self._recorded_offset = self._written_offset = trail.offset
        trail.attach_log(self.record)
        self.name_database()

    def name_database(self) -> None:
        """A replica records its primary's stream as it comes: say where in it we are. A primary's own stream
        says it itself at the beginning of a file."""
        database = self._worker.replication.stream_database
        if database is not None and self.file is not None:
            self._worker.trail.flush()
            self.record(encode_command([b"SELECT", b"%d" % database]))

    def select_database(self) -> None:
        """Say in the file which database what follows is for, whatever came before."""
        replicated = self._worker.replication.stream_database
        database = self._worker.trail.selected_db if replicated is None else replicated
        if database >= 0:
            self.record(encode_command([b"SELECT", b"%d" % database]))

    def record(self, chunk: bytes) -> None:
        """More of the stream; it begins and ends between commands."""
        if self._worker.config.aof_timestamp_enabled:
            second = self._worker.engine.now // 1000
            if second > self._second:
                self._second = second
                chunk = b"#TS:%d\r\n%b" % (second, chunk)
        self._buffer.append(chunk)
        self.buffered += len(chunk)
        self._recorded_offset = self._worker.trail.offset
        if not self._worker.engine.outbox.awaits_log:
            self._worker.engine.outbox.await_log(self._commit)
            if self._at_turn_end is None:
                self._at_turn_end = at_turn_end(asyncio.get_running_loop())
            self._at_turn_end(self._commit)

    def _commit(self) -> None:
        """The end of the turn: write, and let the replies go."""
        if self._worker.engine.outbox.awaits_log:
            self.write_now()
            if self.breaks_its_word:
                return  # the worker ends, and what it could not keep stays unsaid
            self._worker.engine.outbox.logged()

    def flush(self) -> None:
        """Write what was recorded, and sync as the setting says."""
        if self.file is None:
            return
        if self._buffer:
            self._watch_sync()
            self._write(self.file)
        if not self._buffer and self.file.size > self._synced_size:
            self._sync(self.file)

    def tick(self) -> None:
        """Called some times a second: what failed, and the second of `everysec`."""
        if self.write_error is None or time.monotonic() - self._last_attempt >= SYNC_SECONDS:
            self.flush()

    def write_now(self) -> None:
        """All that was recorded, to the file: it outlives the process, if not a power cut."""
        self._worker.trail.flush()
        self.flush()

    def sync_now(self) -> None:
        """All that was recorded, to the disk, waiting for it. Raises OSError."""
        self.write_now()
        if self.write_error is not None:
            raise self.write_error
        if self.file is not None:
            self.file.sync()
            self._synced(self.file.size, self._written_offset)

    # --- writing -------------------------------------------------------------------------------------

    def _watch_sync(self) -> None:
        """Say, once a sync, that it takes longer than a disk should: writes may hang on it."""
        slow = self._background.syncs > 0 and time.monotonic() - self._sync_began >= SLOW_SYNC_SECONDS
        if slow and not self._sync_is_slow:
            self.delayed_syncs += 1
            self._worker.log.notice(
                "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without "
                "waiting for fsync to complete, this may slow down the server."
            )
        self._sync_is_slow = slow

    def _write(self, file: LogFile) -> None:
        data = self._buffer[0] if len(self._buffer) == 1 else b"".join(self._buffer)
        self._last_attempt = began = time.monotonic()
        written, error = file.write(data)
        self._worker.slowness.note("aof-write", time.monotonic() - began)
        if error is not None:
            self._buffer = [data[written:]]
            self.buffered = len(data) - written
            self._write_failed(error)
            return
        self._buffer.clear()
        self.buffered = 0
        self._written_offset = self._recorded_offset
        if self.write_error is not None:
            self.write_error = None
            self._worker.log.warning("AOF write error looks solved. The server can write again.")
            self._state_changed()

    def _write_failed(self, error: OSError) -> None:
        now = time.monotonic()
        if now - self._complained_at >= COMPLAIN_SECONDS:
            self._complained_at = now
            self._worker.log.warning(f"Error writing to the AOF file: {error.strerror}")
        self.write_error = error
        self._state_changed()
        if self._worker.config.appendfsync == "always":
            self._worker.fail(
                "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting..."
            )

    # --- syncing -------------------------------------------------------------------------------------

    def _sync(self, file: LogFile) -> None:
        policy = self._worker.config.appendfsync
        busy = self._worker.config.no_appendfsync_on_rewrite and self._worker.snapshots.children.current
        if policy == "no":
            self._synced(file.size, self._written_offset)  # as good as it is ever going to be
            return
        if busy:
            return
        if policy == "always":
            self._sync_and_wait(file)
        elif not self._background.syncs and time.monotonic() - self._last_sync >= SYNC_SECONDS:
            self._last_sync = time.monotonic()
            self._sync_in_background(file, self._written_offset)

    def _sync_and_wait(self, file: LogFile) -> None:
        began = time.monotonic()
        try:
            file.sync()
        except OSError as error:
            self.sync_error = error
            self._state_changed()
            self._worker.fail(
                "Can't persist AOF for fsync error when the AOF fsync policy is 'always': "
                f"{error.strerror}. Exiting..."
            )
            return
        self._worker.slowness.note("aof-fsync-always", time.monotonic() - began)
        self._synced(file.size, self._written_offset)

    def _sync_in_background(self, file: LogFile, offset: int) -> None:
        size = file.size
        self._sync_began = time.monotonic()

        def done(error: OSError | None) -> None:
            changed = (error is None) != (self.sync_error is None)
            self.sync_error = error
            if changed:
                self._state_changed()
            if error is None:
                self._synced(size if file is self.file else 0, offset)

        self._background.sync(file, done)

    def _synced(self, size: int, offset: int) -> None:
        self._synced_size = max(self._synced_size, size)
        if offset > self.synced_offset:
            self.synced_offset = offset
            self._worker.replication.waits.check()

    def _forget_errors(self) -> None:
        self.write_error = self.sync_error = None
        self._state_changed()
