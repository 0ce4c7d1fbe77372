"""The target's end of the connection: hands and senses of one `ImportJob`.

The source's connection began as a client's. Since ESTABLISH what it sends is a stream of commands like a
primary's, executed in a room of its own (node/keyspace/anteroom), and never answered, but for the words of
the protocol.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from cluster.migration.effects import Effect, Hangup, Send
from cluster.migration.import_job import ImportJob
from node.core.command_rows import GATE_OUT_OF_MEMORY
from node.core.memory import used_bytes
from node.core.replay import Damaged, Replay
from node.core.reply_writer import encode_command
from node.keyspace.anteroom import Room

if TYPE_CHECKING:
    from node.worker import Worker

TURN_SECONDS: Final = 0.003
"""What the commands of one source may take of a turn of the loop, and some more, since a piece is executed
whole. Our clients come next. (A socket that is full lets the loop read megabytes in one turn otherwise.)"""

Perform = Callable[[ImportJob, list[Effect]], None]


class Importer:
    def __init__(
        self,
        worker: Worker,
        job: ImportJob,
        room: Room,
        link: Any,
        perform: Perform,
        staged: Callable[[], int],
    ) -> None:
        """`link`: the connection on which ESTABLISH is being served. `staged()`: bytes that all imports
        hold."""
        self._worker = worker
        self._job = job
        self._room = room
        self._link = link
        self._told = perform
        self._staged = staged
        self._replay = Replay(room.session)
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._turn_began = 0.0
        """Of time.monotonic(), 0 if nothing came in this turn."""
        self._waits_for_store = False
        self.held = 0
        """Bytes of memory that what came takes."""
        link.divert(self._received)
        link.client.sends_slots = True

    def is_of(self, session: Any) -> bool:
        return session is self._room.session

    def perform(self, effect: Effect) -> None:
        match effect:
            case Send():
                self._link.send(encode_command(list(effect.argv)))
            case Hangup():
                self.close()

    def close(self) -> None:
        """Nothing is executed or told any more. What was sent still leaves."""
        if not self._closed:
            self._closed = True
            self._room.session.replicated = True  # what is left of its stream concerns nobody
            self._link.close()

    def _received(self, data: bytes) -> None:
        if self._closed:
            return
        if not data:
            self._closed = True
            self._told(self._job, self._job.lost(self._worker.engine.tick()))
            return
        if not self._turn_began:
            self._turn_began = time.monotonic()
            self._loop.call_soon(self._turn_is_over)
        now = self._worker.engine.now
        self._job.received(now)
        self._room.set_clock(now)
        before = used_bytes()
        try:
            self._replay.feed(data)
        except Damaged as damage:
            self._refuse(str(damage))
        else:
            if self._replay.error is not None:
                self._refuse(self._replay.error.decode("utf-8", "replace"))
        self.held += used_bytes() - before
        limit = self._worker.config.slot_migration_max_staging_bytes
        if not self._closed and limit and self._staged() > limit:
            self._told(self._job, self._job.too_large(now))
        if not self._closed and self._worker.engine.gate & GATE_OUT_OF_MEMORY:
            self._told(self._job, self._job.out_of_memory(now))
        self._worker.trail.flush()
        self._give_way()

    def _give_way(self) -> None:
        """Read on at once, in the next turn, or when a disk tier is not much behind any more, if the rest of
        the snapshot may wait for that."""
        tier = self._worker.tier
        if tier is not None and self._job.receives_snapshot and not self._waits_for_store:
            self._waits_for_store = tier.arrivals.hold_up(self._store_has_caught_up)
        if self._waits_for_store or time.monotonic() - self._turn_began > TURN_SECONDS:
            self._link.hold_reading(True)

    def _turn_is_over(self) -> None:
        self._turn_began = 0.0
        self._read_on()

    def _store_has_caught_up(self) -> None:
        self._waits_for_store = False
        self._read_on()

    def _read_on(self) -> None:
        if not self._closed and not self._waits_for_store:
            self._link.hold_reading(False)

    def _refuse(self, reason: str) -> None:
        self._worker.log.warning(
            f"A command of slot migration {self._job.description()} failed here: {reason}"
        )
        if not self._closed:
            self._told(self._job, self._job.refused(self._worker.engine.now))
