"""Keyspace notifications: `notify-keyspace-events`.

Every change of a key has an event (`keyspace/events`). Where the setting asks for the event's class, it is
published twice: on `__keyspace@<db>__:<key>` with the event's name as the message (`K`), and on
`__keyevent@<db>__:<event>` with the key as the message (`E`). Nothing of it leaves this worker: events are
not broadcast in a cluster, nor replicated, since replicas have events of their own.

The engine tells of changes only while the setting asks for any, so nobody else pays.

Source: Redis' documentation "Redis keyspace notifications".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from node.core.command_rows import GATE_LOADING
from node.keyspace import events

if TYPE_CHECKING:
    from node.config import Config
    from node.core.engine import Client, Engine
    from node.keyspace.events import Event

ALL_CLASSES = frozenset("g$lshzxetd")
"""What `A` stands for."""


class Notifications:
    """`publish(channel, message)` is called for each event that is asked for."""

    def __init__(self, engine: Engine, config: Config, publish: Callable[[bytes, bytes], Any]) -> None:
        self._engine = engine
        self._publish = publish
        self._classes: frozenset[str] = frozenset()
        self._keyspace = self._keyevent = False
        self.follow(config.notify_keyspace_events)
        config.on_change("notify-keyspace-events", self.follow)

    def follow(self, letters: str) -> None:
        """Take over the setting. Without `K` or `E` there is no channel for any event."""
        self._keyspace, self._keyevent = "K" in letters, "E" in letters
        classes = frozenset(letters) - {"K", "E", "A"} | (ALL_CLASSES if "A" in letters else frozenset())
        self._classes = classes if self._keyspace or self._keyevent else frozenset()
        if self._classes:
            self._engine.observe(self._changed)
        else:
            self._engine.unobserve(self._changed)
        for db in self._engine.databases:
            db.on_missed = self._missed if "m" in self._classes else None
            db.on_added = self._added if "n" in self._classes else None

    def _changed(self, client: Client, key: bytes, event: Event) -> None:
        self.notify(client.db.index, key, event)

    def expired(self, db_index: int, key: bytes) -> None:
        """A database dropped a key because of its age."""
        self.notify(db_index, key, events.EXPIRED)

    def _missed(self, db: Any, key: bytes) -> None:
        self.notify(db.index, key, events.KEY_MISS)

    def _added(self, db: Any, key: bytes) -> None:
        if not self._engine.gate & GATE_LOADING:
            self.notify(db.index, key, events.NEW)

    def notify(self, db_index: int, key: bytes, event: Event) -> None:
        if event.flag not in self._classes:
            return
        if self._keyspace:
            self._publish(b"__keyspace@%d__:%b" % (db_index, key), event.name)
        if self._keyevent:
            self._publish(b"__keyevent@%d__:%b" % (db_index, event.name), key)
