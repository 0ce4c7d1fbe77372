"""Keys of slots that are not ours any more, on their way to being deleted.

A slot that has left may hold any number of keys, and each must be deleted at our replicas and in our log,
too. So the slot's tables leave the databases at once (nobody may see these keys, wherever the slot is now),
and the keys are told of and freed in pieces, BUDGET seconds in each turn of the loop. Slots of few keys are
not worth that.

So do the keys of a move here that was given up (node/keyspace/anteroom), of which nobody ever saw any.

Should a slot come back meanwhile, be done with it first (`finish_slots`): what the replicas are told must not
concern its new keys.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from node.core.database import Database
from node.core.slot_transfer import transfer_slots
from node.keyspace import events

if TYPE_CHECKING:
    from node.worker import Worker

FEW: Final = 1000
"""Keys that are deleted on the spot."""
BUDGET: Final = 0.0003
"""As every request waits for a piece; with a millisecond one of ten took that much longer."""
KEYS_AT_ONCE: Final = 100


Ranges = Sequence[tuple[int, int]]
"""First and last slot of each."""


class Departures:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._session = worker.internal_session()
        self._leaving: list[tuple[Ranges, Iterator[None]]] = []
        self._scheduled = False
        self._after: list[Callable[[], None]] = []

    @property
    def pending(self) -> bool:
        return bool(self._leaving)

    def leave(self, ranges: Ranges) -> None:
        """The slots of these ranges, first and last of each, are not ours."""
        for db in self._worker.databases:
            gone = Database(db.index)
            gone.on_left = db.on_left
            keys = sum(transfer_slots(db, gone, first, last, keeps=False) for first, last in ranges)
            if keys:
                self._leaving.append((ranges, self._delete(gone, ranges, self._session)))
                if keys <= FEW:
                    self._work(float("inf"))
        self._work_later()

    def discard(
        self,
        databases: Sequence[Any],
        ranges: Ranges,
        session: Any,
        done: Callable[[], object],
    ) -> None:
        """All keys of these databases, which are in these slots only, were in vain: `session` had put them
        there. `done` is called when the replicas and the log have heard of each."""
        few = sum(map(len, databases)) <= FEW
        self._leaving.append((ranges, self._discard(databases, ranges, session, done)))
        if few:
            self._work(float("inf"))
        self._work_later()

    def _discard(
        self,
        databases: Sequence[Any],
        ranges: Ranges,
        session: Any,
        done: Callable[[], object],
    ) -> Iterator[None]:
        for db in databases:
            yield from self._delete(db, ranges, session)
        done()

    def when_done(self, call: Callable[[], None]) -> None:
        """Call once, when nothing is left and the log has been told."""
        self._after.append(call)
        self._work_later()

    def finish(self) -> None:
        """Be done with all of them."""
        self._work(float("inf"))

    def finish_slots(self, ranges: Ranges) -> None:
        """Be done with what is left of these slots, and of those that left together with them."""
        concerned = [pieces for leaving, pieces in self._leaving if _overlap(leaving, ranges)]
        self._leaving = [each for each in self._leaving if each[1] not in concerned]
        for pieces in concerned:
            deque(pieces, maxlen=0)

    def _delete(self, db: Any, ranges: Ranges, session: Any) -> Iterator[None]:
        """Piece by piece; `session` tells of it."""
        trail = self._worker.trail
        for first, last in ranges:
            for slot in range(first, last + 1):
                while keys := db.keys_in_slot(slot, KEYS_AT_ONCE):
                    session.db = db
                    for key in keys:
                        db.delete(key, True)
                        session.changed(key, events.DEL)
                        trail.add(db.index, [b"DEL", key])
                    yield

    def _work(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._leaving and time.monotonic() < until:
            if next(self._leaving[0][1], self) is self:
                self._leaving.pop(0)

    def _work_later(self) -> None:
        if not self._scheduled and (self._leaving or self._after):
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._scheduled = False
        if self._leaving:
            self._work(BUDGET)
            self._worker.trail.flush()
        else:
            if self._after:
                self._worker.append_only.recorder.write_now()
            after, self._after = self._after, []
            for call in after:
                call()
        self._work_later()


def _overlap(some: Ranges, others: Ranges) -> bool:
    return any(first <= end and begin <= last for first, last in some for begin, end in others)
