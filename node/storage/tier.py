"""The disk tier of a worker: what memory and the store tell each other.

Changes are written behind. A cycle (`_work`) hands dirty keys to the scribe a slice at a time, while clients
go on and make more dirty; when few are left they are handed over at once, and with them the notes that make
this moment one to come back to: how many keys each slot has, the functions, where the replication stream and
the append-only file stand. Then comes a commit. So the store always holds the whole dataset as it was at one
moment, SECONDS_BEHIND ago or little more: that is what a worker with `appendonly no` has after a crash, and
from where one with `appendonly yes` reads its log.

The memory limit does not cost data here: what `maxmemory-policy` would evict is spilled, which means that it
is in the store only. What the store has not committed cannot leave, so writers wait (`Pause`) while too much
is not.

Keys that expire, and hashes with fields that do, are found when their time has come by the table of awaited
moments. It may name moments that have been put off, or keys that are gone; whoever comes across one asks the
key.

Where the scribe fails, for want of disk perhaps, writes are refused (MISCONF), and another is told
everything since the last commit again, until it succeeds.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from node.core import records
from node.core.cold import Cold
from node.core.key_hash import set_hash_secret
from node.core.records import CLEAR, COMMIT, FORGET, NOTE, RecordWriter, frame, key_at
from node.core.sweep import Sweep
from node.errors import ReplyError
from node.persistence.files import StoreError
from node.persistence.rdb import dump_functions, load_functions
from node.storage.arrivals import Arrivals, Note
from node.storage.bringing import Bringing
from node.storage.link import ScribeLink
from node.storage.store import MOMENT, Store

if TYPE_CHECKING:
    from node.worker import Worker

SECONDS_BEHIND: Final = 1.0
"""A change waits so long at the most before a cycle begins."""
MANY: Final = 4_000
"""Dirty keys for which a cycle begins at once."""
TOO_MANY: Final = 40_000
"""Keys that the store has not committed above which writers wait."""
FEW: Final = 500
"""Dirty keys that are handed over in one go, to come to an end."""
SLICE_KEYS: Final = 100
SLICE_BYTES: Final = 256 * 1024
MOST_UNSENT: Final = 8 << 20
"""Bytes that may wait for the scribe before it gets more."""
DUE_AT_ONCE: Final = 200
"""Awaited moments that are looked at between two looks at the clock."""
EXPIRE_SECONDS: Final = 0.01
"""What a tick may spend on them."""
RETRY_SECONDS: Final = 1.0
LEAST_SPILLED: Final = 64 * 1024
SPILLED_SHARE: Final = 500
"""A spill frees so many bytes, or this fraction of the limit, more than it must, so that not each request
needs one."""
LOOKS: Final = 100_000
"""Cells that a spill looks at: about a millisecond."""
FORMAT: Final = b"1"
PAUSE: Final = "disk tier"
LONGEST_PAUSE: Final = 3_600_000

Notable = tuple[list[bytes], list[int], Note]
"""Functions, numbers of databases, and moves of slots to here."""
Slots = set[tuple[int, int]]
"""Of (number of a database in the store, slot)."""


class DiskTier:
    """`open` is called before there is any data; from then on all databases have the store behind them."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._path = str(worker.config.path(worker.config.storage_dir))
        self._writer = RecordWriter()
        self._working = False
        self._committing = False
        self._commits = 1
        self._last_commit = time.monotonic()
        self._awaiting: list[tuple[int, Callable[[], None]]] = []
        """(number of a commit, whom to call when it is done)."""
        self._unopened: set[int] = set()
        """Signals of forked children that have not opened the store yet: it must not change under them."""
        self._touched: Slots = set()
        """Of which the store's totals are out of date."""
        self._committing_touched: Slots = set()
        self._counted: Slots = set()
        """Of which it has totals."""
        self._cleared_frames: list[bytes] = []
        self._committing_cleared: list[bytes] = []
        self._noted: Notable | None = None
        """What the store knows of that; None while it is uncertain."""
        self._secret = b""
        self._awaited_after = b""
        self.error: ReplyError | None = None
        """What writes are refused with while the store cannot be written."""
        self.holds_data = False
        """Whether the store has a whole dataset."""
        self.dropped_part = False
        """Whether what was found at the start was a part of a dataset, and has been dropped."""
        self._is_catching_up = False
        """The log is being read on top of what the store has. Nothing is committed meanwhile: the store's
        moment and its position in the log go together."""
        self.log_position: tuple[int, int] | None = None
        """The append-only file's increment and offset from where on it is not in the store, as found at the
        start."""
        self.bringing = Bringing()
        self.arrivals = Arrivals(worker, self._cleared, self._begin)
        self._holds_writers = False
        self._held_up: list[Callable[[], None]] = []
        """Whom to call when the stream may go on."""
        self._is_swept = False
        """The last sweep freed next to nothing: there is no use in another before a commit."""
        self._sweeps = [Sweep(db) for db in worker.databases]
        worker.config.on_change("rdbcompression", self._compress)
        self._compress(worker.config.rdbcompression)

    def _compress(self, wanted: bool) -> None:
        self._writer.out.compress = wanted

    # --- life ----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Start the scribe and put the store behind the databases. Raises StoreError and OSError."""
        self._loop = asyncio.get_running_loop()
        self._link = self._make_link()
        self.store = Store(self._path)
        self._take_over()
        self._worker.cron_jobs.append(self._tick)
        self._worker.snapshots.children.companion = self

    def _make_link(self) -> ScribeLink:
        return ScribeLink(self._path, self._committed, self._work, self._scribe_lost)

    def _take_over(self) -> None:
        """Learn from the store's notes what it has."""
        note = self.store.note
        known = note(b"format")
        if known not in (None, FORMAT):
            raise StoreError(f"{self._path}: written in format {known!r}, which this version does not know")
        self._secret = note(b"secret") or os.urandom(16)
        set_hash_secret(self._secret)
        self._introduce()
        self._take_databases(json.loads(note(b"databases") or b"[]"))
        functions = note(b"functions")
        if note(b"partial"):
            self._worker.log.warning(
                "The store has a part of a dataset whose loading was not finished: dropped."
            )
            for db in self._worker.databases:
                db.clear()
            self.dropped_part = True
            return
        self.holds_data = self._is_catching_up = note(b"whole") is not None
        for code in load_functions(functions) if functions else ():
            self._worker.functions.load_from_file(code)
        self.arrivals.open(json.loads(note(b"rooms") or b"[]"))
        position = json.loads(note(b"log") or b"null")
        self.log_position = tuple(position) if position else None
        self._worker.snapshots.loaded_aux = json.loads(note(b"stream") or b"{}")

    def _introduce(self) -> None:
        """Note what must be known before anything else can be read."""
        self._note(b"format", FORMAT)
        self._note(b"secret", self._secret)

    def _take_databases(self, numbers: list[int]) -> None:
        databases = self._worker.databases
        if len(numbers) > len(databases):
            raise StoreError(
                f"{self._path}: has {len(numbers)} databases, the configuration {len(databases)}"
            )
        unused = (n for n in range(2 * len(databases)) if n not in numbers)
        for db in databases:
            number = numbers[db.index] if db.index < len(numbers) else next(unused)
            db.cold = Cold(number, self.store, records, self._cleared)
        by_number = {db.cold.number: db.cold for db in databases}
        for name, body in self.store.notes(b"total"):
            number, slot = int.from_bytes(name[5:7], "big"), int.from_bytes(name[7:], "big")
            keys, volatiles = int.from_bytes(body[:4], "little"), int.from_bytes(body[4:], "little")
            by_number[number].start_with(slot, keys, volatiles)
            self._counted.add((number, slot))

    def loaded(self, log_position: tuple[int, int] | None) -> None:
        """All that there was to be read at the start is in the databases: commit it, and that the append-only
        file goes on from `log_position`. Raises StoreError and OSError."""
        self.holds_data = True
        self._is_catching_up = False
        self._working = False
        if self._committing:
            self._finish_commit()
        while self._dirty:
            self._hand_over()
        self._commit(log_position, partial=False)
        self._finish_commit()

    async def keep_up(self) -> None:
        """Let the event loop turn; while a dataset is being loaded, also let the store keep up with it."""
        await asyncio.sleep(0)
        if self.behind >= MANY and not self.error and not self._is_catching_up:
            done = asyncio.Event()
            self.checkpoint(done.set)
            await done.wait()
        self._worker.eviction.relieve()

    def close(self) -> None:
        """Everything is in the store when this returns, unless the log on top of it was still being read.
        Raises StoreError and OSError."""
        self._working = False
        if self._committing:
            self._finish_commit()
        if not self._is_catching_up:
            while self._dirty:
                self._hand_over()
            self._commit(self._worker.append_only.position, partial=self._worker.durability.is_loading)
            self._finish_commit()
        self._link.close()
        self.store.close()

    def _finish_commit(self) -> None:
        self._link.finish()
        self._committed()

    # --- the cycle -----------------------------------------------------------------------------------

    @property
    def _dirty(self) -> int:
        return sum(len(db.cold.dirty) for db in self._stored())

    @property
    def behind(self) -> int:
        """Keys that the store has not committed as they are."""
        return sum(len(db.cold.dirty) + len(db.cold.in_flight) for db in self._stored())

    def _stored(self) -> Iterator[Any]:
        """All databases with the store behind them: ours, and those of keys that will be ours."""
        yield from self._worker.databases
        yield from self.arrivals.databases()

    def _tick(self) -> None:
        self._expire()
        if self.behind > TOO_MANY:
            self._hold_writers()  # whatever keeps a cycle from its end
        dirty = self._dirty
        late = time.monotonic() - self._last_commit >= SECONDS_BEHIND
        unnoted = self._noted != self._notable()
        if dirty >= MANY or (late and (dirty or self._touched or self._link.unsent or unnoted)):
            self._begin()

    def _begin(self) -> None:
        """Start a cycle, unless one is under way."""
        if not self._working and not self._committing and not self._is_catching_up:
            self._working = True
            self._loop.call_soon(self._work)

    def checkpoint(self, done: Callable[[], None]) -> None:
        """Call `done` when everything that was changed until now has been committed."""
        self._awaiting.append((self._commits + 1, done))
        self._begin()

    def spill(self, excess: int) -> None:
        """Free so many bytes, and some more, by keys that the store has. Where there are none, writers wait
        until it has what they wrote."""
        if excess <= 0 or self._is_swept:
            return
        left = excess + max(LEAST_SPILLED, self._worker.config.maxmemory // SPILLED_SHARE)
        for sweep in self._sweeps:
            if left > 0 and sweep.holds_keys:
                left -= sweep.spill(left, LOOKS)
        if left >= excess and self.behind:
            self._is_swept = True
            self._begin()
        if left > 0 and self.behind >= MANY:
            self._hold_writers()
            self._begin()

    def _hold_writers(self) -> None:
        if self.error is None:
            self._holds_writers = True
            self._worker.pause.begin(PAUSE, self._worker.engine.now + LONGEST_PAUSE, writes_only=True)

    def holds_up(self, go_on: Callable[[], None]) -> bool:
        """Whether our primary's stream, which cannot be refused as clients' writes can, has to wait until the
        store has what came before, or can be written again; `go_on` is called then."""
        if not self._holds_writers and self.error is None:
            return False
        self._held_up.append(go_on)
        return True

    def _work(self) -> None:
        """A slice of the cycle."""
        if not self._working:
            return
        if self.behind > TOO_MANY:
            self._hold_writers()
        if self._link.unsent > MOST_UNSENT:
            return  # `_work` is called when that has left
        if self._dirty > FEW or self._unopened:
            self._hand_over()
            self._link.send()
            self._loop.call_later(0.001 if self._unopened else 0, self._work)
            return
        while self._dirty:
            self._hand_over()
        self._working = False
        self._commit(self._worker.append_only.position, partial=self._worker.durability.is_loading)
        self._link.send()

    def _hand_over(self) -> None:
        for db in self._stored():
            if db.cold.dirty:
                frames, slots = self._writer.take(db, SLICE_KEYS, SLICE_BYTES)
                self._link.put(frames)
                self._touched.update((db.cold.number, slot) for slot in slots)

    def _commit(self, log_position: tuple[int, int] | None, *, partial: bool) -> None:
        """Everything has been handed over: note what belongs to this moment, and have it committed."""
        worker = self._worker
        by_number: dict[int, list[Any]] = {}
        for db in self._stored():
            by_number.setdefault(db.cold.number, []).append(db)
        for number, slot in self._touched:
            keys, volatiles = map(sum, zip(*(db.totals(slot) for db in by_number[number]), strict=True))
            name = b"total%b%b" % (number.to_bytes(2, "big"), slot.to_bytes(2, "big"))
            self._note(name, keys.to_bytes(4, "little") + volatiles.to_bytes(4, "little"))
        notable = self._notable()
        if notable != self._noted:
            self._noted = notable
            functions, numbers, moves = notable
            self._note(b"functions", dump_functions(functions))
            self._note(b"databases", json.dumps(numbers).encode())
            self._note(b"rooms", json.dumps(moves).encode())
        stream = {name: str(value) for name, value in worker.replication.snapshot_aux().items()}
        self._note(b"stream", json.dumps(stream).encode())
        self._note(b"log", json.dumps(log_position).encode())
        self._note(b"partial", b"1" if partial else b"")
        self._note(b"whole", b"1")
        self._counted |= self._touched
        self._committing_touched, self._touched = self._touched, set()
        self._committing_cleared, self._cleared_frames = self._cleared_frames, []
        self._committing = True
        self._commits += 1
        self._link.put(frame(COMMIT, self._commits.to_bytes(8, "little")))

    def _notable(self) -> Notable:
        worker = self._worker
        functions = [library.code for library in worker.functions]
        return functions, [db.cold.number for db in worker.databases], self.arrivals.note()

    def _note(self, name: bytes, body: bytes) -> None:
        self._link.put(frame(NOTE, name, body))

    def _committed(self) -> None:
        self._committing = self._is_swept = False
        self._committing_touched = set()
        self._committing_cleared = []
        self._last_commit = time.monotonic()
        for db in self._stored():
            db.landed()
        self.store.renew()
        self._awaited_after = b""
        if self.error is not None:
            self.error = None
            self._worker.log.warning("The store can be written again.")
            self._worker.durability.check()
        self._worker.pause.end(PAUSE)
        self._holds_writers = False
        held_up, self._held_up = self._held_up, []
        for go_on in held_up:
            go_on()
        self.arrivals.go_on()
        done = [call for number, call in self._awaiting if number <= self._commits]
        self._awaiting = [(number, call) for number, call in self._awaiting if number > self._commits]
        for call in done:
            call()
        if self._awaiting or self._dirty >= MANY:
            self._begin()

    def _cleared(self, number: int, slot: int) -> None:
        """A slot of a database, or all of it (-1), is empty."""
        prefix = number.to_bytes(2, "big")
        if slot >= 0:
            prefix += slot.to_bytes(2, "big")
            self._touched.add((number, slot))
        else:
            counted = self._counted | self._touched | self._committing_touched
            self._touched.update(entry for entry in counted if entry[0] == number)
        order = frame(CLEAR, prefix)
        self._cleared_frames.append(order)
        self._link.put(order)

    # --- when it fails -------------------------------------------------------------------------------

    def _scribe_lost(self, reason: str) -> None:
        """What came since the last commit is in the store no more."""
        if self.error is None:
            self._worker.log.warning(f"Can't write to the store: {reason}")
        self.error = ReplyError(f"MISCONF Errors writing to the store: {reason}")
        self._worker.durability.check()
        self._worker.pause.end(PAUSE)
        self._holds_writers = False
        self._working = True  # nothing is to be begun
        self._committing = False
        self._touched |= self._committing_touched
        self._committing_touched = set()
        self._cleared_frames = self._committing_cleared + self._cleared_frames
        self._committing_cleared = []
        self._noted = None
        for db in self._stored():
            db.lost()
        self._loop.call_later(RETRY_SECONDS, self._try_again)

    def _try_again(self) -> None:
        try:
            self._link = self._make_link()
        except (StoreError, OSError):
            self._loop.call_later(RETRY_SECONDS, self._try_again)
            return
        self._introduce()
        for order in self._cleared_frames:
            self._link.put(order)
        self._working = False
        self._begin()

    # --- forked children -----------------------------------------------------------------------------

    def accompany(self, run: Callable[[], bytes]) -> tuple[Callable[[], bytes], int, Callable[[], None]]:
        """A child needs the store as it is at the fork: nothing is committed until it has opened its own
        view of it, or ended."""
        event = os.eventfd(0)
        self._unopened.add(event)

        def in_child() -> bytes:
            self.store.reopen_in_child()
            os.eventfd_write(event, 1)
            return run()

        def opened() -> None:
            if event in self._unopened:
                self._unopened.discard(event)
                self._loop.remove_reader(event)
                os.close(event)

        self._loop.add_reader(event, opened)
        return in_child, event, opened

    # --- what expires --------------------------------------------------------------------------------

    def _expire(self) -> None:
        """Ask keys whose moment has come: those that have expired are dropped in being looked for, and
        hashes are brought to where their fields expire."""
        worker = self._worker
        if worker.databases[0].hides_expired or not worker.active_expiry or worker.durability.is_loading:
            return
        by_number = {db.cold.number: db for db in worker.databases}
        until = time.monotonic() + EXPIRE_SECONDS
        while time.monotonic() < until:
            due = self.store.awaited(self._awaited_after, worker.engine.now - 1, DUE_AT_ONCE)
            if not due:
                return
            for entry in due:
                place = entry[MOMENT:]
                key = key_at(place, self.store)
                if key is not None:
                    by_number[int.from_bytes(place[:2], "big")].exists(key)
                self._link.put(frame(FORGET, entry))
            self._awaited_after = due[-1]

    # --- figures -------------------------------------------------------------------------------------

    def info(self) -> dict[str, Any]:
        """INFO's section Storage."""
        databases = self._worker.databases
        return {
            "storage_engine": "disk",
            "storage_keys_in_memory": sum(db.size for db in databases),
            "storage_keys_on_disk_only": sum(db.cold.size for db in databases),
            "storage_keys_behind": self.behind,
            "storage_bytes": self.store.size,
            "storage_spilled_keys": sum(sweep.spilled for sweep in self._sweeps),
            "storage_commits": self._commits - 1 - self._committing,
            "storage_last_commit_age": int(time.monotonic() - self._last_commit),
            "storage_status": "err" if self.error else "ok",
        }
