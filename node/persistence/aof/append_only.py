"""A worker's append-only file: read at the start, switched on and off, rewritten.

It is a directory of parts that a manifest names (`manifest.py`), read back by `reader.py`, written by
`recorder.py`. A rewrite begins a new increment, has a child write the data as they are at that moment to a
new base (`rewrite.py`), and then replaces the manifest by one that begins with this base. At every moment
the manifest on the disk names parts that together hold everything.

With `CONFIG SET appendonly yes` the log is good only after the first rewrite. Until then (`waiting`) what is
written goes to an increment that no manifest names.

Source: aof.c of Redis 7.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final

from node.persistence.aof.file import Background, LogFile
from node.persistence.aof.manifest import SUFFIX, Manifest, ManifestError, parse
from node.persistence.aof.reader import AofError, AofReader
from node.persistence.aof.recorder import Recorder
from node.persistence.aof.rewrite import Rewrite
from node.persistence.aof.store_rewrite import StoreRewrite
from node.persistence.files import remove, replace_file, sync_directory
from node.persistence.loading import Loading

RETRY_SECONDS: Final = 1.0


class AppendOnly:
    """`state`: off, waiting (for the first rewrite) or on."""

    def __init__(self, worker: Any, state_changed: Callable[[], None]) -> None:
        self._worker = worker
        self.state = "off"
        self.manifest = Manifest(worker.config.appendfilename)
        self._background = Background()
        self.recorder = Recorder(worker, self._background, state_changed)
        make_rewrite = Rewrite if worker.tier is None else StoreRewrite
        self.rewrite = make_rewrite(worker, self._begin_rewrite, self._finish_rewrite, self._rewrite_failed)
        self.reader: AofReader | None = None
        self._retry_at = 0.0
        self._resumes = False
        self._size_before = 0
        """Bytes of all parts but the one that is being written."""
        self.rewritten_size = 0
        """Bytes of all parts after the last rewrite, or at the start."""
        worker.config.on_change("appendonly", self._switch)
        worker.config.on_change("appendfsync", lambda _: self.recorder.flush())
        worker.cron_jobs.append(self._tick)

    @property
    def directory(self) -> str:
        return str(self._worker.config.path(self._worker.config.appenddirname))

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return self._size_before + (self.recorder.file.size if self.recorder.file else 0)

    @property
    def is_beginning(self) -> bool:
        """Switched on, and its first base is being written."""
        return self.state == "waiting" and self.rewrite.in_progress

    # --- the start -----------------------------------------------------------------------------------

    async def load(self) -> bool:
        """Read it, if there is one; False if there is none. Raises AofError, RdbError and OSError."""
        self._adopt_single_file()
        self._read_manifest()
        if not self.manifest.parts:
            return False
        self.reader = AofReader(self._worker, self.directory, self.manifest, self._start())
        try:
            self.reader.measure()
            await self.reader.read()
        finally:
            self.reader = None
        return True

    def _start(self) -> tuple[int, int] | None:
        """From where on the increments are to be read, if the rest is in the store. Raises AofError."""
        tier = self._worker.tier
        if self.manifest.continues_store:
            if tier is not None and tier.dropped_part:
                return self.next_position  # what it continues was given up for data that did not come whole
            if tier is None or not tier.holds_data:
                raise AofError(
                    f"The AOF in {self.directory} continues the store of one with `storage-engine disk`, "
                    "which is not here."
                )
            return tier.log_position or self.next_position
        if tier is not None and tier.holds_data:
            if tier.log_position == self.next_position:
                return tier.log_position  # it has been taken over, and nothing was recorded since
            raise AofError(
                f"There is data in the store, and the AOF in {self.directory} is another dataset: "
                "remove one of them."
            )
        return None

    @property
    def position(self) -> tuple[int, int] | None:
        """(sequence, offset) in the increments from where on this moment's data goes on; None while nothing
        is recorded. What follows there begins with its database's number."""
        file = self.recorder.file
        if file is None:
            return None
        self._worker.trail.flush()
        sequence = self.manifest.increment_sequence + (1 if self.state == "waiting" else 0)
        offset = file.size + self.recorder.buffered
        self.recorder.select_database()
        return sequence, offset

    @property
    def next_position(self) -> tuple[int, int]:
        """The beginning of the increment that is made next."""
        return self.manifest.increment_sequence + 1, 0

    def open(self) -> None:
        """Begin to record. The data has been loaded; where there was no file, it is its base. Raises
        OSError."""
        log = self._worker.log
        os.makedirs(self.directory, exist_ok=True)
        manifest = self.manifest
        taken_over = self._worker.tier is not None and not manifest.continues_store
        if (manifest.base is None and not manifest.increments) or taken_over:
            manifest = manifest.with_base(0, self.rewrite.suffix)
            assert manifest.base is not None
            log.notice(f"Creating AOF base file {manifest.base.name} on server start")
            self.rewrite.write(self.path(manifest.base.name))
        # What is in the store may be more than what reached the last increment's file.
        fresh = not manifest.increments or self._worker.tier is not None
        if fresh:
            manifest = manifest.with_increment()
            log.notice(f"Creating AOF incr file {manifest.increments[-1].name} on server start")
        file = LogFile(self.path(manifest.increments[-1].name), fresh=fresh)
        if manifest is not self.manifest:
            self._adopt(manifest)
        self._record_to(file)
        self.rewritten_size = self.size
        self.state = "on"
        self._discard_history()

    def _read_manifest(self) -> None:
        name = self._worker.config.appendfilename
        try:
            with open(self.path(name + SUFFIX), "rb") as file:
                self.manifest = parse(name, file.read())
        except FileNotFoundError:
            self.manifest = Manifest(name)
        except ManifestError as error:
            raise AofError(
                "\n*** FATAL AOF MANIFEST FILE ERROR ***\n"
                f"Reading the manifest file {name + SUFFIX}, at line {error.number}\n"
                f">>> '{error.line}'\n{error}"
            ) from None

    def _adopt_single_file(self) -> None:
        """A file of the time before there were parts becomes the base."""
        name = self._worker.config.appendfilename
        old = str(self._worker.config.path(name))
        if not os.path.isfile(old) or os.path.exists(self.path(name + SUFFIX)):
            return
        os.makedirs(self.directory, exist_ok=True)
        self._adopt(Manifest(name).with_foreign_base(name))
        os.rename(old, self.path(name))
        sync_directory(self.directory)
        self._worker.log.notice(
            f"Successfully migrated an old-style AOF configuration ({name}) into the AOF directory "
            f"({self._worker.config.appenddirname})."
        )

    # --- on and off ----------------------------------------------------------------------------------

    def _switch(self, wanted: bool) -> None:
        """CONFIG SET appendonly."""
        if wanted and self.state == "off":
            self.start()
        elif not wanted and self.state != "off":
            self.stop()

    def start(self) -> None:
        """Begin with a rewrite, as soon as no other child runs."""
        try:
            self._read_manifest()
        except (AofError, OSError) as error:
            self._worker.log.warning(f"The AOF that was there before is given up: {error}")
        self.state = "waiting"
        if self._worker.snapshots.children.current is None:
            self.rewrite.scheduled = not self.rewrite.start()
        else:
            self.rewrite.scheduled = True

    def stop(self) -> None:
        """End recording; everything that was recorded is in the file."""
        self.rewrite.stop()
        self.recorder.switch(None)
        remove(self._unnamed_path)
        self.state = "off"

    def pause(self) -> None:
        """The data is about to be replaced by a primary's: the log of what was ends here."""
        if self.state != "off":
            self._resumes = True
            self.stop()

    def resume(self) -> None:
        """The data has been replaced: record from here on."""
        if self._resumes and self.state == "off":
            self.start()
        self._resumes = False

    def close(self) -> None:
        """At the worker's end. What was written is on the disk then. Raises OSError."""
        self.rewrite.stop()
        if self.state != "off":
            self._worker.log.notice("Calling fsync() on the AOF file.")
            self.recorder.sync_now()
        self._background.close()

    # --- rewriting -----------------------------------------------------------------------------------

    def _begin_rewrite(self) -> None:
        os.makedirs(self.directory, exist_ok=True)
        if self.state == "waiting":
            remove(self._unnamed_path)
            self._size_before = 0
            self.recorder.switch(LogFile(self._unnamed_path, fresh=True))
        elif self.state == "on":
            manifest = self.manifest.with_increment()
            file = LogFile(self.path(manifest.increments[-1].name), fresh=True)
            self._adopt(manifest)
            self._record_to(file)

    def _finish_rewrite(self, path: str) -> None:
        manifest = self.manifest.with_base(1 if self.state == "on" else 0, self.rewrite.suffix)
        assert manifest.base is not None
        os.rename(path, self.path(manifest.base.name))
        if self.state == "waiting":
            manifest = manifest.with_increment()
            os.rename(self._unnamed_path, self.path(manifest.increments[-1].name))
        sync_directory(self.directory)
        self._adopt(manifest)
        if self.state == "waiting":
            self.state = "on"
        self._measure()
        self.rewritten_size = self.size
        self._discard_history()

    def _rewrite_failed(self) -> None:
        if self.state == "waiting":
            self.recorder.switch(None)
            remove(self._unnamed_path)
            self._retry_at = time.monotonic() + RETRY_SECONDS

    def _tick(self) -> None:
        self.recorder.tick()
        if self.state == "waiting" and self.recorder.file is None and time.monotonic() >= self._retry_at:
            self.rewrite.scheduled = True
        if self.state != "off" or self.rewrite.scheduled:
            self.rewrite.tick(self.size, self.rewritten_size)

    # --- parts ---------------------------------------------------------------------------------------

    @property
    def _unnamed_path(self) -> str:
        return self.path(f"temp-{self._worker.config.appendfilename}.incr")

    def _record_to(self, file: LogFile) -> None:
        self.recorder.switch(file)
        self._measure()

    def _measure(self) -> None:
        self._size_before = sum(os.path.getsize(self.path(part.name)) for part in self.manifest.parts[:-1])

    def _adopt(self, manifest: Manifest) -> None:
        """Let `manifest` be the one on the disk. Raises OSError."""
        path = self.path(manifest.file_name)
        replace_file(path, self.path(f"temp-{manifest.file_name}"), manifest.encode())
        self.manifest = manifest

    def _discard_history(self) -> None:
        """Delete what a rewrite has made superfluous; the manifest forgets it first."""
        history = self.manifest.history
        if not history or self._worker.config.aof_disable_auto_gc:
            return
        self._adopt(self.manifest.without_history())
        for part in history:
            self._worker.log.notice(f"Removing the history file {part.name} in the background")
            self._background.remove(self.path(part.name), self._not_removed)

    def _not_removed(self, error: OSError | None) -> None:
        if error is not None:
            self._worker.log.warning(f"A history file of the AOF cannot be removed: {error}")

    @property
    def loading(self) -> Loading | None:
        reader = self.reader
        return Loading(reader.started, reader.total, reader.position) if reader else None

    # --- figures -------------------------------------------------------------------------------------

    def info(self) -> dict[str, Any]:
        """The fields of INFO's Persistence section that concern it."""
        recorder, rewrite = self.recorder, self.rewrite
        fields: dict[str, Any] = {
            "aof_enabled": int(self.state != "off"),
            "aof_rewrite_in_progress": int(rewrite.in_progress),
            "aof_rewrite_scheduled": int(rewrite.scheduled),
            "aof_last_rewrite_time_sec": rewrite.last_seconds,
            "aof_current_rewrite_time_sec": rewrite.current_seconds,
            "aof_last_bgrewrite_status": "ok" if rewrite.last_ok else "err",
            "aof_rewrites": rewrite.count,
            "aof_rewrites_consecutive_failures": rewrite.failures,
            "aof_last_write_status": "err" if recorder.error else "ok",
            "aof_last_cow_size": rewrite.last_copied,
        }
        if self.state != "off":
            fields |= {
                "aof_current_size": self.size,
                "aof_base_size": self.rewritten_size,
                "aof_pending_rewrite": 0,
                "aof_buffer_length": recorder.buffered,
                "aof_pending_bio_fsync": self._background.syncs,
                "aof_delayed_fsync": recorder.delayed_syncs,
            }
        return fields
