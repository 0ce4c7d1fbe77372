"""What a worker keeps on disk: the snapshot and the append-only file together.

At the start one of them is read: the append-only file where it is switched on, because it knows more.
Whatever keeps one of them from being written has writes refused, as configured.
"""

from __future__ import annotations

import os
import time
from typing import Any

from node.core.command_rows import GATE_DISK_ERROR, GATE_LOADING
from node.errors import ReplyError
from node.persistence.aof.append_only import AppendOnly
from node.persistence.files import StoreError
from node.persistence.loading import turn_loop
from node.persistence.snapshot import Snapshots


class Durability:
    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self.error: ReplyError | None = None
        """What keeps writes from being kept, None while nothing does."""
        self.snapshots = Snapshots(worker, self.check)
        self.append_only = AppendOnly(worker, self.check)

    def check(self) -> None:
        """Something that can fail has failed, or works again."""
        tier = self._worker.tier
        self.error = self.snapshots.error or self.append_only.recorder.error or (tier and tier.error)
        if self.error is not None:
            self._worker.engine.gate |= GATE_DISK_ERROR
        else:
            self._worker.engine.gate &= ~GATE_DISK_ERROR

    @property
    def refusal(self) -> ReplyError:
        """What writes are answered with while the gate is closed."""
        assert self.error is not None
        return self.error

    @property
    def is_loading(self) -> bool:
        return bool(self._worker.engine.gate & GATE_LOADING)

    async def breathe(self) -> None:
        """Between two slices of loading: the event loop turns, and memory is kept to its limit where there
        is a disk tier."""
        if self._worker.tier is None:
            await turn_loop()
        else:
            await self._worker.tier.keep_up()

    async def load(self) -> None:
        """Read the data at the start. Raises RdbError, AofError, StoreError and OSError."""
        worker = self._worker
        tier = worker.tier
        if tier is not None:
            tier.open()
        else:
            self._refuse_store()
        if worker.config.appendonly:
            started = time.monotonic()
            if await self.append_only.load():
                worker.log.notice(
                    f"DB loaded from append only file: {time.monotonic() - started:.3f} seconds"
                )
            worker.engine.dirty = 0
        elif tier is None or not (tier.holds_data or tier.dropped_part):
            await self.snapshots.load()
        else:
            worker.anteroom.settle()
        if tier is not None:
            tier.loaded(self.append_only.next_position if worker.config.appendonly else None)
        if worker.config.appendonly:
            self.append_only.open()

    def _refuse_store(self) -> None:
        """Without the disk tier, what is in its store would be missing, and nobody would notice. Raises
        StoreError."""
        path = self._worker.config.path(self._worker.config.storage_dir)
        if os.path.exists(os.path.join(path, "data.mdb")):
            raise StoreError(
                f"{path}: the dataset is in this store of the disk tier. "
                "Start with `storage-engine disk`, or remove it."
            )

    async def reload_log(self) -> None:
        """Drop the data and read the append-only file, on the disk by then, as at a start. Raises AofError,
        RdbError and OSError."""
        worker = self._worker
        self.append_only.recorder.sync_now()
        worker.engine.gate |= GATE_LOADING
        try:
            worker.replication.empty()
            await self.append_only.load()
        finally:
            worker.engine.gate &= ~GATE_LOADING
        worker.engine.dirty = 0

    def info(self) -> dict[str, Any]:
        """The fields of INFO's Persistence section."""
        loading = self.snapshots.loading or self.append_only.loading
        fields = {
            "loading": int(loading is not None and not self.snapshots.serves_meanwhile),
            "async_loading": int(self.snapshots.serves_meanwhile),
            **self.snapshots.info(),
            **self.append_only.info(),
        }
        if loading is not None:
            fields |= {
                "loading_start_time": loading.started,
                "loading_total_bytes": loading.total,
                "loading_loaded_bytes": loading.done,
                "loading_loaded_perc": f"{100 * loading.done / max(loading.total, 1):.2f}",
            }
        return fields

    def close(self) -> None:
        """At the worker's end: what was recorded is on the disk, and no child is left."""
        self.snapshots.stop()
        try:
            self.append_only.close()
        except OSError as error:
            self._worker.log.warning(f"Fail to fsync the AOF file: {error.strerror}")
        if self._worker.tier is not None:
            try:
                self._worker.tier.close()
            except (StoreError, OSError) as error:
                self._worker.log.warning(f"Fail to bring the store up to date: {error}")
