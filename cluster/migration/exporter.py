"""The source's connection to the target: hands and senses of one `ExportJob`.

Three things leave by it, in this order: the words of the protocol until the snapshot begins; the snapshot;
what was written to the slots since, and all that is written from then on. What is written during the snapshot
is kept in memory, as much as `client-output-buffer-limit replica` lets us keep for anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from cluster.migration.allowance import Allowance
from cluster.migration.effects import Authenticate, Connect, Effect, Hangup, Send, Snapshot, Stream
from cluster.migration.export_job import ExportJob
from node.core.reply_writer import encode_command
from node.core.request_reader import RequestReader
from node.core.slot_filter import SlotFilter
from node.persistence.child import ChildBusy
from node.persistence.slot_snapshot import SlotSnapshot
from node.tls.connecting import connect

if TYPE_CHECKING:
    from node.worker import Worker

HIGH_WATER: Final = 4 * 1024 * 1024
"""Bytes of the snapshot that may wait in the socket."""
LONGEST_LINE: Final = 16 * 1024
LOOK_SECONDS: Final = 0.001
"""How soon to look again whether what is on its way has become little."""

Perform = Callable[[ExportJob, list[Effect]], None]


class Exporter(asyncio.Protocol):
    """`perform(job, effects)` is told of everything that happens; it gives back the effects that are ours."""

    def __init__(
        self,
        worker: Worker,
        job: ExportJob,
        address: tuple[str, int],
        allowance: Allowance,
        perform: Perform,
        may_pause: Callable[[], bool],
    ) -> None:
        self._worker = worker
        self._job = job
        self._address = address
        self._allowance = allowance
        self._told = perform
        self._may_pause = may_pause
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._snapshot: SlotSnapshot | None = None
        self._filter: SlotFilter | None = None
        self._kept: list[bytes] | None = []
        """What was written during the snapshot; None once that is through."""
        self._kept_bytes = 0
        self._overflowed = False
        self._line = b""
        self._reader = RequestReader()
        self._waits_for_child = False
        self._look_timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def unsent(self) -> int:
        """Bytes that wait for the target."""
        return self._kept_bytes + (self._transport.get_write_buffer_size() if self._transport else 0)

    def perform(self, effect: Effect) -> None:
        match effect:
            case Connect():
                self._connecting = self._loop.create_task(self._connect())
            case Authenticate():
                config = self._worker.config
                user = [config.masteruser.encode()] if config.masteruser else []
                self._write(encode_command([b"AUTH", *user, config.masterauth.encode()]))
            case Send():
                self._write(encode_command(list(effect.argv)))
            case Snapshot():
                self._begin_snapshot()
            case Stream():
                self._begin_streaming()
            case Hangup():
                self.close()

    def _tell(self, effects: list[Effect]) -> None:
        self._told(self._job, effects)

    @property
    def _now(self) -> int:
        return self._worker.engine.tick()

    # --- the connection

    async def _connect(self) -> None:
        config, context = self._worker.config, self._worker.tls.to_primaries
        try:
            await asyncio.wait_for(
                connect(lambda: self, *self._address, context, config.bind_source_addr), config.repl_timeout
            )
        except (OSError, TimeoutError) as error:
            if not self._closed:
                self._tell(self._job.failed_to_connect(_reason(error), self._now))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._closed:
            self._transport.abort()
        else:
            self._tell(self._job.connected(self._now, has_password=bool(self._worker.config.masterauth)))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closed:
            self.close()
            self._tell(self._job.lost(self._now))

    def close(self) -> None:
        """End it, with all that belongs to it. Nothing is told any more."""
        if self._closed:
            return
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._snapshot is not None:
            self._snapshot.stop()
        if self._filter is not None:
            self._worker.trail.detach(self._filter.feed)
        if self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._closed:
            self._transport.write(data)
            self._job.sent += len(data)
            self._allowance.sent(len(data), self._now)

    def data_received(self, data: bytes) -> None:
        while data and not self._closed and self._job.reads_lines:
            line, found, data = (self._line + data).partition(b"\r\n")
            self._line = b"" if found else line
            if found:
                self._tell(self._job.replied(line.decode("utf-8", "replace"), self._now))
            elif len(line) > LONGEST_LINE:
                self.connection_lost(None)
        if data and not self._closed:
            self._hear(data)

    def _hear(self, data: bytes) -> None:
        for argv, _ in self._reader.feed(data):
            words = [word.decode("latin-1").lower() for word in argv]
            self._tell(self._job.heard(words[2] if words[:2] == ["cluster", "syncslots"] else "", self._now))
            if self._closed:
                return
        if self._reader.error is not None:
            self.connection_lost(None)
        self.look()

    # --- the snapshot and what follows

    def _begin_snapshot(self) -> None:
        """If no other child is running; else when that one ends."""
        trail, children = self._worker.trail, self._worker.snapshots.children
        snapshot = SlotSnapshot(
            self._worker, self._job.ranges, self._write, self._is_congested, self._snapshot_ended
        )
        try:
            snapshot.start()
        except ChildBusy:
            if not self._waits_for_child:
                self._waits_for_child = True
                children.when_free(self._child_is_free)
            return
        except OSError as error:
            self._worker.log.warning(
                f"Can't begin slot migration snapshot in background: fork: {error.strerror}"
            )
            self._tell(self._job.snapshot_failed(self._now))
            return
        self._snapshot = snapshot
        # What comes now is behind the fork. It must say itself which database it is for.
        trail.flush()
        trail.selected_db = -1
        self._filter = SlotFilter(self._worker.engine, self._job.ranges, self._worker.find, self._written)
        trail.attach(self._filter.feed)
        self._tell(self._job.snapshot_began(self._now))

    def _child_is_free(self) -> None:
        self._waits_for_child = False
        if not self._closed and self._snapshot is None:
            self._begin_snapshot()

    def _is_congested(self) -> bool:
        if self._transport is None or self._allowance.is_spent(self._now):
            return True
        return self._transport.get_write_buffer_size() > HIGH_WATER

    def _snapshot_ended(self, problem: str, copied: int) -> None:
        if problem:
            self._worker.log.warning(f"Background slot migration transfer error: {problem}")
            self._tell(self._job.snapshot_failed(self._now))
        else:
            self._tell(self._job.snapshot_sent(copied, self._now))

    def _written(self, data: bytes) -> None:
        """Commands that wrote to the slots."""
        if self._kept is None:
            self._write(data)
        else:
            self._kept.append(data)
            self._kept_bytes += len(data)
        limit = self._worker.config.client_output_buffer_limit["slave"].hard
        if limit and self.unsent > limit and not self._overflowed:
            self._overflowed = True
            self._loop.call_soon(self._overflow)  # a command is being executed

    def _overflow(self) -> None:
        if not self._closed:
            self._tell(self._job.overflowed(self._now))

    def _begin_streaming(self) -> None:
        kept, self._kept, self._kept_bytes = self._kept or [], None, 0
        self._write(b"".join(kept))

    def look(self) -> None:
        """Whether little enough is on its way for the writes to be held; until then, again and again."""
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None
        if self._closed:
            return
        config = self._worker.config
        limit = config.slot_migration_max_failover_repl_bytes
        self._worker.trail.flush()
        self._job.unsent = self.unsent
        if not self._job.waits_to_pause or not self._may_pause():
            return
        self._tell(
            self._job.on_its_way(self.unsent, limit, config.cluster_manual_failover_timeout, self._now)
        )
        if self._job.waits_to_pause:
            self._look_timer = self._loop.call_later(LOOK_SECONDS, self.look)


def _reason(error: OSError | TimeoutError) -> str:
    return getattr(error, "strerror", None) or str(error) or "timeout"
