"""WATCH: which sessions want to know that a key changed before their EXEC.

The engine tells of each change while anybody watches, and only then, so that unwatched writes pay nothing.
A key that was already expired when it was watched counts as absent, and its removal later is no change (as
in Redis since 6.0.9).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.keyspace import events

if TYPE_CHECKING:
    from node.core.engine import Engine
    from node.keyspace.events import Event
    from node.session.session import Session

WatchedKey = tuple[int, bytes]
"""(database index, key)"""


class Watches:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions: dict[WatchedKey, set[Session]] = {}

    def add(self, session: Session, key: bytes) -> None:
        watched = (session.db.index, key)
        if watched not in session.watched:
            session.watched[watched] = session.db.is_live(key)
            self._sessions.setdefault(watched, set()).add(session)
            self._engine.observe(self._key_changed)

    def remove_all(self, session: Session) -> None:
        """UNWATCH, and the end of every transaction and session."""
        for watched in session.watched:
            sessions = self._sessions[watched]
            sessions.discard(session)
            if not sessions:
                del self._sessions[watched]
        session.watched.clear()
        session.watch_broken = False
        if not self._sessions:
            self._engine.unobserve(self._key_changed)

    def _key_changed(self, client: Session, key: bytes, event: Event) -> None:
        """Every transaction that watches the key will fail; not by a DEL of what was overdue when watched."""
        watched = (client.db.index, key)
        for session in self._sessions.get(watched, ()):
            session.watch_broken |= session.watched[watched] or event is not events.DEL

    def touch_expired(self, db_index: int, key: bytes) -> None:
        """A key was dropped because of its age: no change for those who watched it when it was overdue."""
        watched = (db_index, key)
        for session in self._sessions.get(watched, ()):
            session.watch_broken |= session.watched[watched]

    def touch_all(self, db_index: int) -> None:
        """A database was emptied: as `touch` for every watched key that existed in it."""
        for (index, key), sessions in self._sessions.items():
            if index == db_index:
                for session in sessions:
                    session.watch_broken |= session.watched[index, key]

    def touch_swapped(self, one: int, two: int) -> None:
        """Two databases are about to be swapped: a change for every watched key that either has."""
        databases = self._engine.databases
        for (index, key), sessions in self._sessions.items():
            if index in (one, two):
                arrives = databases[one + two - index].is_live(key)
                for session in sessions:
                    session.watch_broken |= arrives or session.watched[index, key]

    def expired_since(self, session: Session) -> bool:
        """Did a watched key that existed when it was watched disappear since, be it only by its age?"""
        databases = self._engine.databases
        return any(
            existed and not databases[index].is_live(key) for (index, key), existed in session.watched.items()
        )
