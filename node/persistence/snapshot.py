"""Snapshots: the whole data set in one RDB file, written on demand, at save points, and read at start.

A file is written beside its final place, brought to the disk (fsync), and then renamed over the old one,
whose directory is brought to the disk too. So there is always one whole snapshot, whatever happens in
between.

SAVE does it in the worker, which stands still meanwhile. BGSAVE does it in a forked child. `dirty` counts
the changes since the last snapshot; a save point (`save 300 100`) is due when so many seconds have passed
and so many changes happened. After a background save failed, the next one waits RETRY_SECONDS.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from node import errors
from node.core.command_rows import GATE_LOADING
from node.core.memory import used_bytes
from node.errors import ReplyError
from node.persistence.child import Children, Outcome, ensure_parent
from node.persistence.feed import Feed
from node.persistence.files import remove, sync_directory, write_fully
from node.persistence.loading import Loader, Loading
from node.persistence.progress import copied_bytes
from node.persistence.rdb import RdbReader, write_rdb
from node.persistence.rdb.dialects import REDIS_7_2, Dialect
from node.persistence.rdb.reader import Readable
from node.persistence.spare import Spare
from node.version import REDIS_VERSION

RETRY_SECONDS: Final = 5
PURPOSE: Final = "RDB"

SAVE_IN_PROGRESS = ReplyError("ERR Background save already in progress")
CHILD_ACTIVE = ReplyError(
    "ERR Another child process is active (AOF?): can't BGSAVE right now. "
    "Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible."
)
NOTHING_TO_CANCEL = ReplyError("ERR Background saving is currently not in progress or scheduled")


class Snapshots:
    """A worker's snapshots. `worker` gives config, engine, log and replication; `state_changed` is called
    when `error` may have changed."""

    def __init__(self, worker: Any, state_changed: Callable[[], None]) -> None:
        self._worker = worker
        self._state_changed = state_changed
        self.children = Children(lambda: sum(map(len, worker.engine.databases)))
        self.last_save = int(time.time())
        """Unix time of the last successful save, or of the start."""
        self.last_ok = True
        self.last_attempt = 0.0
        self.last_seconds = -1
        """How long the last background save took."""
        self.last_copied = 0
        """Bytes the last saving child had to copy because the parent wrote to them."""
        self.saves = 0
        self.keys_loaded = 0
        self.keys_expired = 0
        self.loaded_aux: dict[str, str] = {}
        """What the file loaded last says of itself: replication resumes from it."""
        self.loader: Loader | None = None
        self.loading_total = 0
        self.loading_started = 0
        self.serves_meanwhile = False
        """What is being loaded is not in use yet."""
        self._arrivals: list[tuple[bytes, list[tuple[int, int]]]] = []
        self._dirty_at_fork = 0
        self._scheduled = False
        self._given_up = False
        """The child under way was killed on purpose, which is no failure."""
        worker.config.on_change("stop-writes-on-bgsave-error", lambda _: state_changed())
        worker.config.on_change("save", lambda _: state_changed())
        worker.cron_jobs.append(self.tick)

    @property
    def path(self) -> str:
        return str(self._worker.config.path(self._worker.config.dbfilename))

    @property
    def in_progress(self) -> bool:
        return self.children.purpose == PURPOSE

    # saving

    def save(self) -> None:
        """SAVE: write the file now. Raises SAVE_IN_PROGRESS, and ReplyError when it cannot be written."""
        if self.in_progress:
            raise SAVE_IN_PROGRESS
        try:
            self._write_file()
        except OSError as error:
            # As in Redis, this keeps nobody from writing: who asked for it is told.
            self._worker.log.warning(f"Error trying to save the DB, can't save it: {error}")
            raise ReplyError("ERR") from None
        self._succeeded(self._worker.engine.dirty)
        self.saves += 1

    def emptied(self) -> None:
        """After FLUSHALL: with save points, the file is as empty as the data from now on. A background save
        of what was there is given up."""
        self.stop()
        if not self._worker.config.save:
            return
        try:
            self._write_file()
        except OSError as error:
            self._worker.log.warning(f"Error trying to save the DB, can't save it: {error}")
        else:
            self._succeeded(self._worker.engine.dirty)

    def background_save(self, schedule: bool = False) -> str:
        """BGSAVE: start a child, or remember to. Returns the status line; raises ReplyError."""
        if self.in_progress:
            raise SAVE_IN_PROGRESS
        if self.children.current is not None:
            if not schedule:
                raise CHILD_ACTIVE
            self._schedule()
            return "Background saving scheduled"
        self._start()
        return "Background saving started"

    def cancel(self) -> str:
        """BGSAVE CANCEL: give up the background save under way, or the one that waits. Returns the status
        line; raises NOTHING_TO_CANCEL. The file and the outcome of the last save stay as they were."""
        if self.in_progress:
            self._worker.log.notice("Background saving will be aborted due to user request")
            self._give_up()
            return "Background saving cancelled"
        if self._scheduled:
            self._worker.log.notice("Scheduled background saving will be cancelled due to user request")
            self._scheduled = False
            return "Scheduled background saving cancelled"
        raise NOTHING_TO_CANCEL

    def tick(self) -> None:
        """Start a background save when a save point is due. Called some times a second."""
        dirty = self._worker.engine.dirty
        if not dirty or self.children.current is not None or self.loader is not None:
            return
        now = time.time()
        if not self.last_ok and now - self.last_attempt < RETRY_SECONDS:
            return
        for seconds, changes in self._worker.config.save:
            if dirty >= changes and now - self.last_save > seconds:
                self._worker.log.notice(f"{changes} changes in {seconds} seconds. Saving...")
                with contextlib.suppress(ReplyError):  # logged, and tried again
                    self._start()
                return

    def save_before_exit(self) -> bool:
        """The last snapshot; whether it could be written. A background save under way is given up for it."""
        self._worker.log.notice("Saving the final RDB snapshot before exiting.")
        self.stop()
        try:
            self._write_file()
        except OSError as error:
            self._worker.log.warning(f"Error trying to save the DB, can't exit: {error}")
            return False
        self._succeeded(self._worker.engine.dirty)
        return True

    def stop(self) -> None:
        """End a background save under way; the file stays as it was."""
        if self.in_progress:
            self._worker.log.warning("There is a child saving an .rdb. Killing it!")
            self._give_up()

    def _give_up(self) -> None:
        assert self.children.current is not None
        pid = self.children.current.pid
        self._given_up = True
        self.children.kill()
        remove(self._temporary(pid))

    def write_to(
        self,
        write: Callable[[bytes], Any],
        replication: dict[str, str | int],
        *,
        aof_base: bool = False,
        dialect: Dialect = REDIS_7_2,
        data: bool = True,
        functions: bool = True,
    ) -> int:
        """Write all data as RDB through `write`; returns the number of keys. For files and replicas alike."""
        config = self._worker.config
        databases = self._worker.engine.databases
        aux: dict[str, str | int] = {
            "redis-ver": REDIS_VERSION,
            "redis-bits": 64,
            "ctime": int(time.time()),
            "used-mem": used_bytes(),
            **replication,
            "aof-base": int(aof_base),
        }
        return write_rdb(
            write,
            databases if data else (),
            aux,
            functions=[library.code for library in self._worker.functions] if functions else (),
            rooms=self._worker.anteroom.rooms.values() if data else (),
            policy=config.maxmemory_policy,
            dialect=dialect,
            tell=self.children.tell,
            compress=config.rdbcompression,
            checksum=config.rdbchecksum,
        )

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.children.when_free(self._start_scheduled)

    def _start_scheduled(self) -> None:
        if not self._scheduled:
            return  # and cancelled
        self._scheduled = False
        with contextlib.suppress(ReplyError):  # logged
            self._start()

    def _start(self) -> None:
        self.last_attempt = time.time()
        self._dirty_at_fork = self._worker.engine.dirty
        began = time.monotonic()
        try:
            child = self.children.start(PURPOSE, self._in_child, self._child_ended)
        except OSError as error:
            self._worker.log.warning(f"Can't save in background: fork: {error.strerror}")
            self.last_ok = False
            self._state_changed()
            raise ReplyError("ERR") from None
        self._worker.slowness.note("fork", time.monotonic() - began)
        self._worker.log.notice(f"Background saving started by pid {child.pid}")

    def _in_child(self) -> bytes:
        self._worker.log.role = "C"
        self._write_file(ensure_parent)
        copied = copied_bytes()
        self._worker.log.notice(f"Fork CoW for RDB: {copied >> 20} MB")
        return b"%d" % copied

    def _child_ended(self, outcome: Outcome) -> None:
        log = self._worker.log
        self.last_seconds = int(time.time() - self.last_attempt)
        given_up, self._given_up = self._given_up, False
        if outcome.ok:
            self.last_copied = int(outcome.report)
            log.notice("Background saving terminated with success")
            self._succeeded(self._dirty_at_fork)
            self.saves += 1
            return
        if outcome.signal is not None:
            log.warning(f"Background saving terminated by signal {outcome.signal}")
        else:
            log.warning(f"Background saving error: {outcome.report.decode('utf-8', 'surrogateescape')}")
        if not given_up:
            self.last_ok = False
            self._state_changed()

    def _succeeded(self, dirty: int) -> None:
        self._worker.engine.dirty -= dirty
        self.last_save = int(time.time())
        self.last_ok = True
        self._state_changed()

    @property
    def error(self) -> ReplyError | None:
        """What writes are refused with while snapshots are wanted and fail, if the configuration says so."""
        config = self._worker.config
        failing = not self.last_ok and config.stop_writes_on_bgsave_error and config.save
        return errors.MISCONF if failing else None

    def _temporary(self, pid: int) -> str:
        return str(self._worker.config.path(f"temp-{pid}.rdb"))

    def _write_file(self, before_replacing: Callable[[], None] = lambda: None) -> None:
        temporary = self._temporary(os.getpid())
        try:
            with open(temporary, "wb", buffering=0) as file:
                self.write_to(lambda chunk: write_fully(file.fileno(), chunk), self._replication_aux())
                os.fsync(file.fileno())
            before_replacing()
            os.rename(temporary, self.path)
        except BaseException:
            remove(temporary)
            raise
        sync_directory(os.path.dirname(self.path))
        self._worker.log.notice("DB saved on disk")

    def _replication_aux(self) -> dict[str, str | int]:
        """Where in the replication stream this snapshot stands: a restarted replica goes on from there."""
        return self._worker.replication.snapshot_aux()  # type: ignore[no-any-return]

    # loading

    async def load(self) -> None:
        """Load the file at start, if there is one. Raises RdbError, and OSError."""
        try:
            size = os.path.getsize(self.path)
        except FileNotFoundError:
            return
        started = time.monotonic()
        with self._loading(self.path, size, keep_expired=self._worker.config.replicaof is not None) as loader:
            await loader.load()
        self.settle()
        self._worker.log.notice(f"DB loaded from disk: {time.monotonic() - started:.3f} seconds")

    async def load_file(self, path: str, keep_expired: bool) -> None:
        """Load `path` into the databases while serving: clients are told LOADING, the event loop turns.

        The databases should be empty. Raises RdbError, and OSError.
        """
        with self._loading(path, os.path.getsize(path), keep_expired) as loader:
            await loader.load()
        self.settle()

    async def load_feed(
        self, feed: Feed, name: str, size: int, spare: Spare | None = None, *, serves: bool = False
    ) -> None:
        """Load what comes into the databases, which should be empty, or else into `spare`; then `settle` is
        to be called once that has taken their place. `size`: 0 if it is not known. `serves`: clients are
        served meanwhile. Raises RdbError."""
        with self._loading_from(feed, name, size, 0, spare, serves=serves) as loader:
            await loader.load_from(feed)
        if spare is None:
            self.settle()

    def reload(self, *, replaces: bool) -> None:
        """DEBUG RELOAD: load the file at once, while everybody waits. `replaces`: its keys win over
        those that are there, which are an error else. Raises RdbError, and OSError."""
        with self._loading(self.path, os.path.getsize(self.path), keep_expired=False) as loader:
            loader.replaces = replaces
            loader.load_slice(math.inf)
        self.settle()

    def settle(self) -> None:
        """What was loaded is in use: let what is still on its way to us wait apart."""
        for move in self._arrivals:
            self._worker.anteroom.open(*move)
        self._arrivals = []
        self._worker.anteroom.settle()

    @contextlib.contextmanager
    def _loading(self, path: str, size: int, keep_expired: bool) -> Iterator[Loader]:
        """`_loading_from` a file."""
        drop_before = 0 if keep_expired else self._worker.engine.tick()
        with (
            open(path, "rb", buffering=0) as file,
            self._loading_from(file, os.path.basename(path), size, drop_before) as loader,
        ):
            yield loader

    @contextlib.contextmanager
    def _loading_from(
        self,
        stream: Readable,
        name: str,
        size: int,
        drop_before: int,
        spare: Spare | None = None,
        *,
        serves: bool = False,
    ) -> Iterator[Loader]:
        """The state of loading around the use of a Loader of `stream`."""
        worker, engine, log = self._worker, self._worker.engine, self._worker.log
        self.loading_started = int(time.time())
        self.loading_total = size
        self.serves_meanwhile = serves
        was_loading = engine.gate & GATE_LOADING
        if not serves:
            engine.gate |= GATE_LOADING
        take_function = worker.functions.load_from_file if spare is None else spare.functions.append
        databases = engine.databases if spare is None else spare.databases
        try:
            resumable = isinstance(stream, Feed)
            reader = RdbReader(
                stream, name, log.warning, take_function, resumable=resumable, show_key=log.key
            )
            self.loader = Loader(reader, name, databases, drop_before, worker.durability.breathe)
            yield self.loader
            self.loaded_aux = reader.aux
            self.keys_loaded, self.keys_expired = self.loader.loaded, self.loader.expired
            self._arrivals = reader.arrivals
        finally:
            self.loader = None
            self.serves_meanwhile = False
            if not was_loading:
                engine.gate &= ~GATE_LOADING
        log.notice(
            f"Done loading RDB, keys loaded: {self.keys_loaded}, keys expired: {self.keys_expired}, "
            f"empty keys skipped: {reader.empty_keys_skipped}."
        )

    @property
    def loading(self) -> Loading | None:
        if self.loader is None:
            return None
        return Loading(self.loading_started, self.loading_total, self.loader.reader.offset)

    def info(self) -> dict[str, Any]:
        """The fields of INFO's Persistence section that concern snapshots."""
        child = self.children.current if self.in_progress else None
        return {
            **self.children.progress.info(),
            "rdb_changes_since_last_save": self._worker.engine.dirty,
            "rdb_bgsave_in_progress": int(child is not None),
            "rdb_last_save_time": self.last_save,
            "rdb_last_bgsave_status": "ok" if self.last_ok else "err",
            "rdb_last_bgsave_time_sec": self.last_seconds,
            "rdb_current_bgsave_time_sec": int(time.time() - child.started) if child else -1,
            "rdb_saves": self.saves,
            "rdb_last_cow_size": self.last_copied,
            "rdb_last_load_keys_expired": self.keys_expired,
            "rdb_last_load_keys_loaded": self.keys_loaded,
        }
