"""Taking a backup: the snapshots of all primaries, several at a time, until all of them fit together.

A snapshot is checked while it is written: it is decoded to its last key, its own checksum is compared, and
what it amounts to goes into the manifest. The file gets its name once it is on the disk.

Slots may change their owners meanwhile, by a failover or a reshard. So everybody is asked again at the end,
and what the change touched is taken anew (cluster/plans/backup.py), a few times. Whatever ends this early
leaves nothing behind; even a crash leaves a directory without a manifest only, which is no backup.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from cluster.backup.layout import Access, await_layout
from cluster.backup.ledger import Ledger
from cluster.backup.manifest import MANIFEST, Manifest, SnapshotFile, digest_text, save
from cluster.backup.snapshot import BrokenOff, SnapshotStream
from cluster.operations.link import OperationError, Unreachable
from cluster.operations.server_info import keys_per_database, read_info
from cluster.plans.backup import Holder, Layout, plan_backup
from cluster.readings.info import server_version
from cluster.slots import format_ranges
from node.persistence.files import remove, sync_directory, write_fully
from node.persistence.rdb import RdbError, RdbReader

ROUNDS = 4
_PAINT_SECONDS = 0.1
_UNFINISHED = ".part"

Progress = Callable[[int, int, int], object]
"""Told, some times a second: keys so far, keys to expect, bytes so far."""


class Taker:
    """One backup. `warnings`, once it is done: what could not be kept, such as data of modules, in words."""

    def __init__(
        self, directory: Path, access: Access, layout: Layout, parallel: int, on_progress: Progress
    ) -> None:
        self._directory = directory
        self._access = access
        self._layout = layout
        self._parallel = parallel
        self._on_progress = on_progress
        self._stopping = threading.Event()
        self._transfers: list[_Transfer] = []
        self.warnings: list[str] = []

    def take(self) -> Manifest:
        """Raises OperationError; then, and when interrupted, nothing is left."""
        try:
            made = self._make_directory()
            try:
                manifest = self._take()
                save(manifest, self._directory)
            except BaseException:
                self._clean_up(made)
                raise
        except OSError as error:
            raise OperationError(f"{self._directory} cannot be written to: {error.strerror}") from error
        return manifest

    def _make_directory(self) -> bool:
        """Whether it was not there before."""
        if not self._directory.exists():
            self._directory.mkdir(parents=True)
            return True
        if any(self._directory.iterdir()):
            whole = (self._directory / MANIFEST).exists()
            what = "holds a backup already" if whole else "is not empty"
            raise OperationError(f"{self._directory} {what}", "choose another directory")
        return False

    def _clean_up(self, remove_directory: bool) -> None:
        for name in (MANIFEST, f"{MANIFEST}{_UNFINISHED}"):
            remove(str(self._directory / name))
        for transfer in self._transfers:
            transfer.discard()
        if remove_directory:
            self._directory.rmdir()

    def _take(self) -> Manifest:
        started = _now()
        layout = self._layout
        taken: dict[Holder, SnapshotFile] = {}
        trouble = "slots went on changing their owners"
        for _ in range(ROUNDS):
            self._access = self._access.widened(layout)
            files, lost = self._take_all(plan_backup(taken, layout).take)
            taken |= files
            trouble = str(lost) if lost else trouble
            layout = await_layout(self._access)
            plan = plan_backup(taken, layout)
            for holder in plan.discard:
                remove(str(self._directory / taken.pop(holder).name))
            if not plan.take:
                self.warnings = [word for each in self._transfers for word in each.warnings]
                ordered = tuple(taken[holder] for holder in layout.holders)
                return Manifest(layout.clustered, started, _now(), ordered)
        raise OperationError(
            f"no backup in {ROUNDS} rounds: {trouble}", "run it again when the cluster is at rest"
        )

    def _take_all(
        self, holders: tuple[Holder, ...]
    ) -> tuple[dict[Holder, SnapshotFile], OperationError | None]:
        """The snapshots that could be had, and why not, where the connection or the server was lost. Raises
        OperationError for everything that trying again would not mend."""
        done: dict[Holder, SnapshotFile] = {}
        lost: OperationError | None = None
        with ThreadPoolExecutor(self._parallel) as pool:
            try:
                transfers = [self._transfer(holder) for holder in holders]
                running = {pool.submit(transfer.run): transfer for transfer in transfers}
                while running:
                    ended, _ = wait(running, timeout=_PAINT_SECONDS, return_when=FIRST_COMPLETED)
                    self._paint()
                    for future in ended:
                        transfer = running.pop(future)
                        try:
                            done[transfer.holder] = future.result()
                        except (Unreachable, BrokenOff) as error:
                            transfer.discard()
                            lost = error
            except BaseException:
                self._stop(pool)
                raise
        return done, lost

    def _transfer(self, holder: Holder) -> _Transfer:
        for former in [each for each in self._transfers if each.holder.id == holder.id]:
            former.discard()
            self._transfers.remove(former)
        transfer = _Transfer(holder, self._access, self._directory, self._stopping)
        self._transfers.append(transfer)
        return transfer

    def _stop(self, pool: ThreadPoolExecutor) -> None:
        self._stopping.set()
        pool.shutdown(wait=False, cancel_futures=True)
        for transfer in self._transfers:
            transfer.interrupt()

    def _paint(self) -> None:
        keys = sum(transfer.ledger.total for transfer in self._transfers)
        size = sum(transfer.size for transfer in self._transfers)
        self._on_progress(keys, sum(transfer.expected for transfer in self._transfers), size)


class _Transfer:
    """One snapshot on its way into its file; `run` is for a thread of its own."""

    def __init__(self, holder: Holder, access: Access, directory: Path, stopping: threading.Event) -> None:
        self.holder = holder
        self.ledger = Ledger()
        self.expected = 0
        """How many keys the server says it has."""
        self.size = 0
        self.warnings: list[str] = []
        self._access = access
        self._path = directory / f"{holder.id}.rdb"
        self._part = directory / f"{holder.id}.rdb{_UNFINISHED}"
        self._stopping = stopping
        self._stream: SnapshotStream | None = None
        self._file: BinaryIO | None = None
        self._sha256 = hashlib.sha256()
        self._functions = 0

    def run(self) -> SnapshotFile:
        with closing(self._access.link(self.holder)) as link:
            version = server_version(read_info(link))
            self.expected = sum(keys_per_database(link).values())
        stream = SnapshotStream(self.holder, self._access.credentials)
        with closing(stream) as self._stream, self._part.open("wb", buffering=0) as self._file:
            reader = self._read_all()
            os.fsync(self._file.fileno())
        self._part.rename(self._path)
        sync_directory(str(self._path.parent))
        return SnapshotFile(
            name=self._path.name,
            bytes=self.size,
            sha256=self._sha256.hexdigest(),
            node=self.holder.id,
            address=self.holder.address,
            server=version,
            rdb_version=reader.version,
            slots=format_ranges(self.holder.slots),
            epoch=self.holder.epoch,
            keys=dict(sorted(self.ledger.keys.items())),
            expiring=self.ledger.expiring,
            functions=self._functions,
            digest=digest_text(self.ledger.digest),
        )

    def read(self, size: int, /) -> bytes:
        """The next piece of the snapshot, which is in the file by then."""
        if self._stopping.is_set():
            raise OperationError("stopped")
        assert self._stream is not None and self._file is not None
        piece = self._stream.read(size)
        write_fully(self._file.fileno(), piece)
        self._sha256.update(piece)
        self.size += len(piece)
        return piece

    def interrupt(self) -> None:
        """Make `run` end, from another thread."""
        if self._stream is not None:
            self._stream.close()

    def discard(self) -> None:
        for path in (self._part, self._path):
            remove(str(path))

    def _read_all(self) -> RdbReader:
        reader = RdbReader(self, f"the snapshot of {self.holder.address}", self.warnings.append, self._count)
        try:
            for entry in reader:
                self.ledger.add(entry)
        except RdbError as error:
            raise OperationError(str(error), "no backup was made") from error
        while self.read(1):  # the mark behind it has to be read, too
            pass
        return reader

    def _count(self, _code: bytes) -> None:
        self._functions += 1


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
