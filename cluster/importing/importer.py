"""The steps of an import (see the package). Each is called in turn; all raise OperationError, and then the
target has a part of the data, the source is as it was.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.backup.courier import Courier, Job
from cluster.backup.layout import Access
from cluster.backup.restoring import (
    How,
    Restored,
    Restorer,
    make_ready,
    replacing,
    restore_functions,
    restore_job,
)
from cluster.importing.dirty import Key
from cluster.importing.stream import SourceStream
from cluster.operations.link import ErrorReply, NodeLink, OperationError
from cluster.operations.server_info import keys_per_database, read_info
from cluster.plans.backup import Layout
from node.core.key_slot import key_slot
from node.core.reply_writer import encode_command
from node.errors import ReplyError
from node.persistence.rdb import Entry, RdbError, RdbReader, load_payload

FEW_KEYS = 200
"""So many dirty keys are left to the pause; below it more rounds would only go after new ones."""
MOST_ROUNDS = 50
"""After that the source writes faster than we copy, and the pause will take longer."""
ARRIVAL_SECONDS = 30.0
"""For the rest of the stream to arrive, once writes are paused."""
_POLL = 0.02
_PAUSE_RENEWALS = 3
"""In the time of one pause, so that a slow step does not outlast it."""
_FENCE = 1_000_000
"""As `min-replicas-to-write`: nobody has so many, so every write is refused."""

OnKeys = Callable[[int], object]
"""Told how many keys have been copied in this step."""


@dataclass
class Side:
    """One of the two, the source or the target."""

    access: Access
    layout: Layout

    @contextmanager
    def links(self) -> Iterator[list[NodeLink]]:
        """To all its primaries."""
        links = [self.access.link(holder) for holder in self.layout.holders]
        try:
            yield links
        finally:
            for link in links:
                link.close()

    @property
    def keys(self) -> dict[int, int]:
        """How many, by database."""
        found: dict[int, int] = {}
        with self.links() as links:
            for link in links:
                for database, number in keys_per_database(link).items():
                    found[database] = found.get(database, 0) + number
        return found


class Importer:
    def __init__(self, source: Side, target: Side, fill: How, directory: Path | None) -> None:
        self.source = source
        self.target = target
        self.rounds = 0
        self.copied = 0
        """Keys that have been put into the target, those of all rounds."""
        self.deleted = 0
        self.paused_seconds = 0.0
        self._fill = fill
        self._directory = directory
        self._streams: list[SourceStream] = []
        self._fetching: Courier | None = None
        self._storing: Courier | None = None
        self._libraries: dict[bytes, None] = {}
        self._tells_moment = True
        """The source has PEXPIRETIME. Older ones tell the time that is left (PTTL)."""

    def close(self) -> None:
        for stream in self._streams:
            stream.close()
        for courier in (self._fetching, self._storing):
            if courier is not None:
                courier.close()

    # --- 1 and 2: snapshots

    def follow(self) -> None:
        """Begin to follow every primary of the source."""
        with self.source.links() as links:
            version = read_info(links[0], "server").get("redis_version", "0")
        self._tells_moment = int(version.split(".")[0]) >= 7
        for holder in self.source.layout.holders:
            self._streams.append(SourceStream(holder, self.source.access.credentials, self._directory))

    def await_snapshots(self, on_bytes: Callable[[int], object]) -> None:
        for stream in self._streams:
            while not stream.await_snapshot(0.1):
                on_bytes(self.snapshot_bytes)
            stream.require_sound()
        on_bytes(self.snapshot_bytes)

    @property
    def snapshot_bytes(self) -> int:
        return sum(stream.snapshot_bytes for stream in self._streams)

    def copy_snapshots(self, on_keys: OnKeys) -> None:
        """The keys, and the functions."""

        def paint(done: Restored) -> None:
            self._require_sound()
            on_keys(done.keys + done.expired)

        restorer = Restorer(self.target.access, self.target.layout, self._fill, paint)
        if self._fill.flush:
            make_ready([], self.target.access, self.target.layout, self._fill)
        self.copied += restorer.run(self._entries()).keys
        if self._libraries:
            with self.target.links() as links:
                policy = "REPLACE" if self._fill.replace or self._fill.flush else "APPEND"
                for link in links:
                    restore_functions(link, list(self._libraries), policy)

    def _entries(self) -> Iterator[Entry]:
        for stream in self._streams:
            stream.snapshot.seek(0)
            try:
                name = f"the snapshot of {stream.holder.address}"
                yield from RdbReader(stream.snapshot, name, _ignore, self._libraries.setdefault)
            except RdbError as error:
                raise OperationError(str(error)) from error

    # --- 3: rounds

    def catch_up(self, on_keys: OnKeys) -> None:
        """Round by round, until few keys are dirty."""
        for _ in range(MOST_ROUNDS):
            self._require_sound()
            if self.dirty <= FEW_KEYS:
                return
            self.copy_dirty(on_keys)

    @property
    def dirty(self) -> int:
        return sum(len(stream.touched) for stream in self._streams)

    def copy_dirty(self, on_keys: OnKeys) -> None:
        """One round: what is dirty now, as it is when we come to it."""
        self._require_sound()
        keys: set[Key] = set()
        for stream in self._streams:
            keys |= stream.touched.take()
        fetching, storing = self._couriers()
        before = self.copied + self.deleted
        for number, (database, key) in enumerate(sorted(keys)):
            fetching.select(database)
            fetching.put(self._fetch_job(database, key))
            if number % 1024 == 0:
                on_keys(self.copied + self.deleted - before)
        fetching.drain()
        storing.drain()
        on_keys(self.copied + self.deleted - before)
        self.rounds += bool(keys)
        if any([stream.touched.take_functions() for stream in self._streams]):
            self._copy_functions()

    def _couriers(self) -> tuple[Courier, Courier]:
        if self._fetching is None or self._storing is None:
            source, target = self.source, self.target
            self._fetching = Courier(source.access, source.layout, self._fetched, lambda job: job.commands)
            self._storing = Courier(target.access, target.layout, self._stored, _repeated)
        return self._fetching, self._storing

    def _fetch_job(self, database: int, key: bytes) -> Job:
        expiry = b"PEXPIRETIME" if self._tells_moment else b"PTTL"
        commands = [encode_command([b"DUMP", key]), encode_command([expiry, key])]
        return Job(key_slot(key), key, commands, database)

    def _fetched(self, job: Job, address: str, replies: list[Any]) -> None:
        assert self._storing is not None
        for reply in replies:
            if isinstance(reply, ErrorReply):
                raise OperationError(f"{address} does not give away {job.key[:128]!r}: {reply.text}")
        payload, expire_at = replies
        self._storing.select(job.memo)
        if payload is None or expire_at == -2:
            delete = encode_command([b"DEL", job.key])
            self._storing.put(Job(job.slot, job.key, [delete], _DELETED))
            return
        try:
            if expire_at > 0 and not self._tells_moment:
                expire_at += round(time.time() * 1000)
            entry = Entry(job.memo, job.key, load_payload(payload), max(expire_at, 0))
        except ReplyError as error:
            raise OperationError(
                f"{address} has {job.key[:128]!r} in a form that cannot be read: {error.text}",
                "is it of a module?",
            ) from error
        self._storing.put(restore_job(entry, replace=True))

    def _stored(self, job: Job, address: str, replies: list[Any]) -> None:
        for reply in replies:
            if isinstance(reply, ErrorReply):
                raise OperationError(f"{address} does not take {job.key[:128]!r}: {reply.text}")
        if job.memo is _DELETED:
            self.deleted += 1
        else:
            self.copied += 1

    def _copy_functions(self) -> None:
        with self.source.links() as sources, self.target.links() as targets:
            dump = sources[0].call("FUNCTION", "DUMP")
            for link in targets:
                link.call("FUNCTION", "RESTORE", dump, "REPLACE")

    # --- 4: the switch

    @contextmanager
    def paused(self, seconds: float) -> Iterator[Pause]:
        """Within, the source lets its writers wait, for `seconds` unless it is renewed. Entered when all that
        was written before has been read."""
        with self.source.links() as links:
            pause = Pause(links, seconds)
            try:
                pause.renew()
                self._await_streams(links)
                yield pause
            finally:
                pause.end()
                self.paused_seconds = pause.lasted

    def copy_rest(self, pause: Pause) -> None:
        """All that is dirty still. Raises OperationError if the pause ended before."""
        while self.dirty or any(stream.touched.functions_changed for stream in self._streams):
            self.copy_dirty(lambda keys: pause.keep())
        pause.keep()

    def _await_streams(self, links: list[NodeLink]) -> None:
        deadline = time.monotonic() + ARRIVAL_SECONDS
        for link, stream in zip(links, self._streams, strict=True):
            written = int(read_info(link, "replication")["master_repl_offset"])
            while stream.offset < written:
                stream.require_sound()
                if time.monotonic() >= deadline:
                    raise OperationError(
                        f"{link.address} has written up to {written}, of which only {stream.offset} arrived",
                        "run it again; until then clients go on at the source",
                    )
                time.sleep(_POLL)

    def _require_sound(self) -> None:
        for stream in self._streams:
            stream.require_sound()


class Pause:
    """Writers of the source wait. It ends by itself if we do."""

    def __init__(self, links: list[NodeLink], seconds: float) -> None:
        self._links = links
        self._seconds = seconds
        self._began = time.monotonic()
        self._renewed = 0.0

    @property
    def lasted(self) -> float:
        """Seconds since its beginning."""
        return time.monotonic() - self._began

    def renew(self) -> None:
        """Let it last `seconds` from now on."""
        for link in self._links:
            link.call("CLIENT", "PAUSE", round(self._seconds * 1000), "WRITE")
        self._renewed = time.monotonic()

    def keep(self) -> None:
        """Renew it if a good part of it has gone by. To be called often by what takes long. Raises
        OperationError when it has ended meanwhile: then something may have been written."""
        gone = time.monotonic() - self._renewed
        if gone >= self._seconds:
            raise OperationError(
                f"the pause of {self._seconds:g} s was over before all was copied",
                "run it again with a longer --pause",
            )
        if gone > self._seconds / _PAUSE_RENEWALS:
            self.renew()

    def finish(self, empty: bool, fence: bool) -> None:
        """End it: with `empty`, the source's keys are deleted before a writer that waits comes to its turn;
        with `fence`, it refuses all writes until an operator allows them again. A server executes what
        arrives together before it turns to those who waited."""
        emptying: list[tuple[str, ...]] = [("CLIENT", "UNPAUSE"), ("FLUSHALL", "ASYNC")]
        fencing = ("CONFIG", "SET", "min-replicas-to-write", str(_FENCE))
        commands = [*(emptying if empty else []), *([fencing] if fence else []), ("CLIENT", "UNPAUSE")]
        for link in self._links:
            link.call_all(commands)

    def end(self) -> None:
        for link in self._links:
            with contextlib.suppress(OperationError):  # then it ends by itself
                link.pipeline([("CLIENT", "UNPAUSE")])

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Within, it is renewed by a thread: for what waits for people or for other programs."""
        over = threading.Event()
        problems: list[OperationError] = []

        def renew() -> None:
            while not over.wait(self._seconds / (2 * _PAUSE_RENEWALS)):
                try:
                    self.keep()
                except OperationError as error:
                    problems.append(error)
                    return

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        for problem in problems:
            raise problem


_DELETED = object()


def _repeated(job: Job) -> list[bytes]:
    return job.commands if job.memo is _DELETED else replacing(job)


def _ignore(_warning: str) -> None:
    """Of data that no key is made of, such as that of modules."""
