"""Freeing what is large without keeping anybody waiting.

A value of a million members takes a tenth of a second to free. Where a command says so (UNLINK, FLUSHALL
ASYNC), or a setting (the `lazyfree-lazy-…` ones, `replica-lazy-flush`), it leaves the keyspace at once,
comes here, and is taken apart in pieces: BUDGET seconds in each turn of the loop, so that other clients
notice little of it. Redis has a thread for this. Here all memory belongs to the one thread there is. Who
asked for all to be freed (FLUSHALL SYNC) is kept waiting for it, as in Redis 8, but nobody else is.

Only values of more than LARGE members come here, as in Redis, and only those that nobody else holds; others
are freed on the spot, which costs less. What is here is still counted in `used_memory`, which falls as it
is freed.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from node.core import memory
from node.core.buried_keys import BuriedKeys, bury_keys
from node.replies import OK

if TYPE_CHECKING:
    from node.session.session import Session
    from node.worker import Worker

LARGE: Final = 64
"""Members from which on it is worth while."""
BUDGET: Final = 0.001
"""Seconds of a turn of the loop."""
PIECE: Final = 64
"""Blocks that are freed between two looks at the clock."""
PACKED: Final = frozenset(("listpack", "listpackex", "intset"))
"""Encodings that are one block, however many members it has."""


class Graveyard:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._values: list[Any] = []
        self._keys: list[BuriedKeys] = []
        self._digging = False
        self._mourners: list[Session] = []
        self.freed = 0
        """Values and keys, since the start or CONFIG RESETSTAT."""
        for db in worker.databases:
            db.on_left = self.bury
        databases, config = worker.databases, worker.config

        def on_expire(value: bool) -> None:
            for db in databases:
                db.leaves_expired = value

        def on_replace(value: bool) -> None:
            for db in databases:
                db.leaves_replaced = value

        def on_delete(value: bool) -> None:
            for db in databases:
                db.leaves_deleted = value

        for name, follow in (
            ("lazyfree-lazy-expire", on_expire),
            ("lazyfree-lazy-server-del", on_replace),
            ("lazyfree-lazy-user-del", on_delete),
        ):
            follow(getattr(config, name.replace("-", "_")))
            config.on_change(name, follow)

    @property
    def pending(self) -> int:
        """Values and keys that are not freed yet."""
        return len(self._values) + sum(map(len, self._keys))

    def is_busy(self) -> bool:
        """Whether anything is not freed yet."""
        return bool(self._values or self._keys)

    def bury(self, value: Any) -> None:
        """Keep this value, which left the keyspace, and free it in pieces, if it is large. Else do nothing:
        whoever lets go of it frees it."""
        if len(value) > LARGE and value.encoding not in PACKED:
            self._values.append(value)
            self._dig_soon()

    def empty(self, db: Any, lazily: bool) -> None:
        """Drop all keys of a database."""
        if not lazily:
            db.clear()
        elif len(db):
            self._keys.append(bury_keys(db))
            self._dig_soon()

    def empty_for(self, session: Session, databases: Sequence[Any]) -> bool:
        """Drop all keys of these databases. If it takes long to free them, `session` is suspended and gets OK
        when that is done; returns whether it waits. Who cannot wait holds up the others."""
        if not self._worker.blocking.may_wait(session):
            for db in databases:
                db.clear()
        else:
            for db in databases:
                self.empty(db, True)
            self.dig(BUDGET)
            if self.pending:
                session.suspend()
                self._mourners.append(session)
                return True
        self._worker.memory.emptied()
        return False

    def dig(self, seconds: float) -> bool:
        """Free for about so long, at least one piece. False if there was nothing to free."""
        if not self._values and not self._keys:
            return False
        until = time.monotonic() + seconds
        self._free_piece()
        while (self._values or self._keys) and time.monotonic() < until:
            self._free_piece()
        return True

    def _free_piece(self) -> None:
        if self._values:
            if self._values[-1].dissolve(PIECE) < PIECE:
                self._values.pop()
                self.freed += 1
        else:
            keys = self._keys[-1]
            self.freed += keys.dissolve(PIECE) - len(self._values)  # its large values are freed on their own
            if not len(keys):
                self._keys.pop()
        memory.settle()  # else who wants a large block next, INFO for one, files what many turns have freed

    def _dig_soon(self) -> None:
        if not self._digging:
            self._digging = True
            asyncio.get_running_loop().call_soon(self._dig_on)

    def _dig_on(self) -> None:
        self._digging = False
        self.dig(BUDGET)
        if self._values or self._keys:
            self._dig_soon()
            return
        if self._mourners:
            mourners, self._mourners = self._mourners, []
            self._worker.memory.emptied_in_pieces(functools.partial(_resume, mourners))


def _resume(mourners: list[Session]) -> None:
    for session in mourners:
        session.resume(OK)
