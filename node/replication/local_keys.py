"""Keys that expire, and that clients of a writable replica set (`replica-read-only no`).

A replica removes no key by itself: its primary says when one has expired. Of keys that clients put here it
does not know, so they would stay, hidden, for ever. This remembers them, and lets them go when their time has
come. Where the primary sets or persists such a key later, its expiry is the primary's business, but what is
there by then goes all the same when its time is over, as in Redis.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

PER_TICK: Final = 1000
"""Keys that are looked at in one go."""


class LocalKeys:
    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._keys: dict[tuple[int, bytes], None] = {}
        worker.cron_jobs.append(self._tick)

    def __len__(self) -> int:
        return len(self._keys)

    def follow_role(self, *, writable_replica: bool) -> None:
        """The role or `replica-read-only` may have changed."""
        if writable_replica:
            self._worker.engine.observe(self._changed)
        else:
            self._worker.engine.unobserve(self._changed)
            self._keys.clear()

    def _changed(self, client: Any, key: bytes, event: object) -> None:
        if not client.obeyed and client.db.expiry(key) > 0:
            self._keys[client.db.index, key] = None

    def _tick(self) -> None:
        """Drop what has expired; look at all in turn."""
        if not self._keys:
            return
        for index, key in list(islice(self._keys, PER_TICK)):
            del self._keys[index, key]
            db = self._worker.databases[index]
            hidden, db.hides_expired = db.hides_expired, False
            expires = db.exists(key) and db.expiry(key) > 0
            db.hides_expired = hidden
            if expires:
                self._keys[index, key] = None
        self._worker.trail.flush()
