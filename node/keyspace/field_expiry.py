"""Active expiry of hash fields: those that nobody asks for any more are deleted all the same.

Each database knows which of its hashes has a field that is due (`Database.due_hash`), so a cycle does nothing
but delete, and takes a share of the time until the next at most. Only a primary does this: a replica waits
for HDEL. `active-expire-effort` (1 to 10) raises what a cycle may cost.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from node.core.hash import Hash
from node.keyspace import events

if TYPE_CHECKING:
    from node.worker import Worker

SHARE: Final = 0.05
"""Of the time between two cycles that one may take with the least effort."""
FIELDS_PER_STEP: Final = 100


class FieldExpiry:
    """A worker's. `expired` counts the fields deleted because of their age: INFO expired_subkeys."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.expired = 0

    def run(self, period: float, effort: int = 1) -> None:
        """One cycle; `period` is the time until the next, in seconds; `effort` is 1 to 10."""
        deadline = time.monotonic() + period * SHARE * (1 + (effort - 1) / 4)
        for db in self._worker.databases:
            if db.hides_expired:
                continue
            while (key := db.due_hash()) is not None:
                value = db.peek(key)
                self._delete(db, key, value, value.expired(db.now, FIELDS_PER_STEP))
                if time.monotonic() > deadline:
                    return

    def _delete(self, db: Any, key: bytes, value: Hash, fields: list[bytes]) -> None:
        worker = self._worker
        for field in fields:
            value.delete(field)
            worker.trail.add(db.index, [b"HDEL", key, field])
        self.expired += len(fields)
        worker.notifications.notify(db.index, key, events.HEXPIRED)
        worker.tracking.key_changed(key)
        if len(value):
            worker.watches.touch_expired(db.index, key)
            return
        worker.notifications.notify(db.index, key, events.DEL)
        db.delete(key)
        worker.watches.touch_expired(db.index, key)
        worker.blocking.key_expired(db.index, key)
