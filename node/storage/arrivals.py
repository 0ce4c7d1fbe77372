"""Keys that are on their way here, in the store before they are ours.

A slot's keys wait in a room of their own (node/keyspace/anteroom), and change hands at once. If the store
heard of them only then, it would be a million keys behind in one moment, and writers would wait for it. So a
room's databases have the same store behind them, under the numbers of those that will have the keys: what
comes is dirty there, is told to the scribe in the same cycle, and is committed with the rest. Nobody looks
for it: the database that will have the keys knows that it has none of these slots in the store (cold.pyx).
All of a room stays in memory.

When the keys change hands the store has nothing to do, and what it has not heard of yet is dirty in its new
database. If the move is given up the slots are cleared in the store.

So the store always has what a snapshot would have: all our keys, those that are on their way, and a note of
the moves. Who starts from it opens the rooms again, and what is in these slots goes there
(`Anteroom.settle`).

A source sends faster than a disk writes. It waits when the store is MOST_BEHIND keys behind, as a primary's
stream does, but no longer than until its snapshot is here: then clients wait for the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from node.core import records
from node.core.cold import Cold

if TYPE_CHECKING:
    from node.keyspace.anteroom import Room
    from node.worker import Worker

MOST_BEHIND: Final = 20_000
"""Keys of all moves together that the store has not committed."""

Note = list[tuple[str, list[tuple[int, int]]]]


class Arrivals:
    """`cleared(number, slot)`: a slot is empty. `begin()`: the store should catch up."""

    def __init__(
        self, worker: Worker, cleared: Callable[[int, int], None], begin: Callable[[], None]
    ) -> None:
        self._worker = worker
        self._cleared = cleared
        self._begin = begin
        self._waiting: list[Callable[[], None]] = []

    def join(self, room: Room) -> None:
        """The room has no keys yet."""

        def cleared(number: int, slot: int) -> None:
            for each in room.slots() if slot < 0 else (slot,):
                self._cleared(number, each)

        for db, ours in zip(room.databases, self._worker.databases, strict=True):
            db.cold = Cold(ours.cold.number, ours.cold.store, records, cleared)
            db.cold.arriving = True

    def databases(self) -> Iterator[Any]:
        for room in self._worker.anteroom.rooms.values():
            yield from room.databases

    # --- the note ------------------------------------------------------------------------------------

    def note(self) -> Note:
        """The moves to here, by name."""
        return [(name.decode(), list(room.ranges)) for name, room in self._worker.anteroom.rooms.items()]

    def open(self, note: Note) -> None:
        """The moves that the store knows of."""
        for name, ranges in note:
            self._worker.anteroom.open(name.encode(), [(first, last) for first, last in ranges])

    # --- how fast they may come ----------------------------------------------------------------------

    def hold_up(self, go_on: Callable[[], None]) -> bool:
        """Whether a source has to wait; `go_on` is called then when it need not any more."""
        if sum(len(db.cold.dirty) + len(db.cold.in_flight) for db in self.databases()) <= MOST_BEHIND:
            return False
        self._waiting.append(go_on)
        self._begin()
        return True

    def go_on(self) -> None:
        """The store has committed what it was told."""
        waiting, self._waiting = self._waiting, []
        for go_on in waiting:
            go_on()
