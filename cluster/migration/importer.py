"""The target's end of the connection: hands and senses of one `ImportJob`.

The source's connection began as a client's. Since ESTABLISH what it sends is a stream of commands like a
primary's, executed in a room of its own (node/keyspace/anteroom), and never answered, but for the words of
the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cluster.migration.effects import Effect, Hangup, Send
from cluster.migration.import_job import ImportJob
from node.core.engine import GATE_OUT_OF_MEMORY
from node.core.memory import used_bytes
from node.core.replay import Damaged, Replay
from node.core.reply_writer import encode_command
from node.keyspace.anteroom import Room

if TYPE_CHECKING:
    from node.worker import Worker

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
        self._spare_the_store()

    def _spare_the_store(self) -> None:
        """The rest of a snapshot waits while a disk tier is much behind."""
        tier = self._worker.tier
        if tier is None or self._closed or not self._job.receives_snapshot:
            return
        if tier.arrivals.hold_up(lambda: self._link.hold_reading(False)):
            self._link.hold_reading(True)

    def _refuse(self, reason: str) -> None:
        self._worker.log.warning(
            f"A command of slot migration {self._job.description()} failed here: {reason}"
        )
        if not self._closed:
            self._told(self._job, self._job.refused(self._worker.engine.now))
