"""Who executes the commands that bring the keys of a slot which is not ours yet.

It is obeyed like a primary, because the slot's owner has decided all of it; it leaves a trail, because our
replicas and our log must have these keys, too. Its databases are those of a room (node/keyspace/anteroom),
and what happens there is nobody's event: nobody can wait for, watch or cache what nobody sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.session.session import Session

if TYPE_CHECKING:
    from node.core.engine import Engine
    from node.worker import Worker


class ArrivalsSession(Session):
    __slots__ = ("_databases",)

    def __init__(self, engine: Engine, worker: Worker, databases: list[Any]) -> None:
        super().__init__(engine, worker, worker.take_session_id())
        self._databases = databases
        self.db = databases[0]
        self.obeyed = True

    @property
    def databases(self) -> list[Any]:
        return self._databases

    def changed(self, key: bytes, event: Any, dirty: int = 1) -> None:
        self.engine.dirty += dirty
        self.db.changed(key)
