"""Keys of slots that are on their way here, before they are ours.

A slot that moves here as a whole arrives while its old owner still serves it. Until it changes hands nobody
may see its keys: not KEYS, not SCAN, not DBSIZE; nor may they expire or be evicted. So they do not wait among
our keys, but in databases of their own, a `Room` for each move. When the slot is ours its tables change hands
(`admit`, which takes no time per key); if the move is given up the room is emptied (`dismiss`), in pieces
where replicas and the log have to hear of every key.

Our replicas, our log, our snapshots and our store (node/storage/arrivals) have these keys, too, because they
must go on where we end. A replica opens the same rooms (`CLUSTER SYNCSLOTS ESTABLISH` stands in the stream),
and `apply` finds out for each command of the stream in which of them it belongs. A snapshot names the moves
and their slots; who loads one, or a log, puts everything among the other keys at first, and moves it to its
room at the end (`settle`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from node.core.command_rows import GATE_LOADING
from node.core.database import Database
from node.core.key_slot import key_slot
from node.core.slot_transfer import transfer_slots
from node.session.arrivals import ArrivalsSession

if TYPE_CHECKING:
    from node.worker import Worker

Ranges = Sequence[tuple[int, int]]

ABOUT_TRANSACTIONS: Final = frozenset((b"MULTI", b"EXEC", b"DISCARD"))


class Room:
    """The keys of one move, by database, and who puts them there."""

    def __init__(self, worker: Worker, name: bytes, ranges: Ranges) -> None:
        self.name = name
        self.ranges = list(ranges)
        self.databases = [empty_like(db) for db in worker.databases]
        self.session = ArrivalsSession(worker.engine, worker, self.databases)
        if worker.tier is not None:
            worker.tier.arrivals.join(self)

    def __contains__(self, slot: int) -> bool:
        return any(first <= slot <= last for first, last in self.ranges)

    def __len__(self) -> int:
        return sum(map(len, self.databases))

    def slots(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def leave_store(self) -> None:
        """What comes of these keys from here on is nobody's to keep."""
        for db in self.databases:
            if db.cold is not None:
                db.cold.clear()
                db.cold = None

    def set_clock(self, now: int) -> None:
        """Unix ms, for the commands that follow."""
        for db in self.databases:
            db.now = now


def empty_like(db: Any) -> Any:
    """An empty database of the same number and settings in which nothing is ever too old."""
    room = Database(db.index)
    room.shows_expired = room.hides_expired = True
    room.tracks_frequency = db.tracks_frequency
    room.on_left = db.on_left
    return room


class Anteroom:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.rooms: dict[bytes, Room] = {}
        """By the name of the move, 40 hex characters."""

    def open(self, name: bytes, ranges: Ranges) -> Room:
        """A move of these slots (first, last) begins."""
        room = self.rooms[name] = Room(self._worker, name, ranges)
        return room

    def admit(self, name: bytes) -> int:
        """The slots are ours: so are the keys. Returns how many."""
        room = self.rooms.pop(name)
        admitted = 0
        for source, target in zip(room.databases, self._worker.databases, strict=True):
            admitted += sum(transfer_slots(source, target, first, last) for first, last in room.ranges)
            if source.cold is not None:
                target.cold.take_over(source.cold)
        return admitted

    def dismiss(self, name: bytes, *, told: bool, done: Callable[[], object] = lambda: None) -> None:
        """The move is given up. `told`: replicas, which may not know rooms, and the log hear of each key;
        `done` is called when they have."""
        room = self.rooms.pop(name)
        room.leave_store()
        if self._is_loading:
            for db in self._worker.databases:
                for slot in room.slots():
                    db.clear_slot(slot)
        if told and self._worker.trail.enabled:
            self._worker.departures.discard(room.databases, room.ranges, room.session, done)
            return
        for db in room.databases:
            self._worker.graveyard.empty(db, True)
        done()

    def clear(self) -> None:
        """All data goes."""
        for room in self.rooms.values():
            room.leave_store()
            for db in room.databases:
                self._worker.graveyard.empty(db, True)
        self.rooms.clear()

    def settle(self) -> None:
        """Something was loaded: what belongs in a room leaves the other keys."""
        for room in self.rooms.values():
            for source, target in zip(self._worker.databases, room.databases, strict=True):
                for first, last in room.ranges:
                    transfer_slots(source, target, first, last)
        if not self._worker.cluster.enabled:
            self.clear()  # nobody will tell how the moves end

    def count_in_slot(self, database: int, slot: int) -> int:
        """Keys of the slot that are here already."""
        return sum(
            room.databases[database].count_in_slot(slot) for room in self.rooms.values() if slot in room
        )

    @property
    def _is_loading(self) -> bool:
        return bool(self._worker.engine.gate & GATE_LOADING)

    def apply(self, session: Any, argv: list[bytes]) -> Any:
        """Let `session`, or that of the room where it belongs, execute a command of our primary's stream."""
        if argv[0].upper() in ABOUT_TRANSACTIONS:
            for room in self.rooms.values():
                room.session.apply(argv)
            return session.apply(argv)
        found = self._room_of(argv)
        if found is None:
            return session.apply(argv)
        found.set_clock(self._worker.engine.now)
        found.session.replicated = session.replicated
        found.session.db = found.databases[session.db.index]
        return found.session.apply(argv)

    def _room_of(self, argv: list[bytes]) -> Room | None:
        command = self._worker.find(argv)
        if command is None:
            return None
        for position in command.key_positions(argv):
            slot = key_slot(argv[position])
            return next((room for room in self.rooms.values() if slot in room), None)
        return None
