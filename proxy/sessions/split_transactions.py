"""EXEC of a transaction whose keys are of several slots: `--transactions split`.

Each slot's commands are a transaction of their own, on its worker: atomic by itself, in the order in which
they were queued. What is of different slots takes place at different moments, and part of it may fail while
the rest has taken place: then the results of that part are the error of its EXEC, in their places among the
others. If all parts fail, so does EXEC. MGET, MSET, DEL and what else is split outside of transactions is
split here, too; commands without keys belong to the first slot.

What was watched is of one slot, as ever. Its part goes first, and the others only if it was carried out: so
nothing is done at all once a watched key has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.errors import ReplyError
from proxy.core.frames import reply_elements
from proxy.requests import codec
from proxy.requests.jobs import joined_parts
from proxy.sessions.transactions import Execution, Transaction, Watch, carried_out

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.sessions.sessions import Sessions
    from proxy.sessions.transactions import Queued


class SplitExecution:
    def __init__(
        self, sessions: Sessions, client: Client, tag: int, transaction: Transaction, watch: Watch | None
    ) -> None:
        self.sessions = sessions
        self.client = client
        self.tag = tag
        self.resp = client.resp
        self.queue = transaction.queue
        self.replies = [[b""] * len(queued.pieces) for queued in self.queue]
        """Of each command the replies to its pieces"""
        self.errors: list[bytes] = []
        self.parts = self._parts(transaction, watch)
        self.missing = len(self.parts)
        self.watching = watch is not None
        """The part that was watched is not answered yet."""

    def start(self) -> None:
        first, *others = self.parts
        self._begin(first)
        if not self.watching:
            for part in others:
                self._begin(part)

    def _parts(self, transaction: Transaction, watch: Watch | None) -> list[PartExecution]:
        """The watched slot's first, otherwise in order of first appearance."""
        slots = dict.fromkeys([*([watch.slot] if watch else []), *transaction.slots])
        parts = {slot: Transaction(slot=slot) for slot in slots}
        places: dict[int, list[tuple[int, int]]] = {slot: [] for slot in slots}
        home = next(iter(slots))
        for index, queued in enumerate(self.queue):
            for number, (slot, request) in enumerate(queued.pieces):
                where = home if slot is None else slot
                parts[where].queue.append(queued.piece(request))
                places[where].append((index, number))
        return [
            PartExecution(self, part, places[slot], watch if watch and watch.slot == slot else None)
            for slot, part in parts.items()
        ]

    def _begin(self, part: PartExecution) -> None:
        try:
            part.start()
        except ReplyError as error:
            part.answer(codec.encode_reply(error.with_traceback(None), self.resp))

    def done(self, part: PartExecution, reply: bytes) -> None:
        carries_on = reply[:1] == b"*" and not reply.startswith(b"*-1")
        if self.watching:
            self.watching = False
            if not carries_on:
                self.client.complete(self.tag, reply)
                return
            for other in self.parts[1:]:
                self._begin(other)
        results = reply_elements(reply) if carries_on else [reply] * len(part.places)
        for (index, number), result in zip(part.places, results, strict=True):
            self.replies[index][number] = result
        if not carries_on:
            self.errors.append(reply)
        self.missing -= 1
        if self.missing == 0:
            self._finish()

    def _finish(self) -> None:
        if len(self.errors) == len(self.parts):
            self.client.complete(self.tag, self.errors[0])
            return
        results = [self._result(queued, each) for queued, each in zip(self.queue, self.replies, strict=True)]
        self.client.complete(self.tag, codec.join_elements(b"*", results))

    def _result(self, queued: Queued, replies: list[bytes]) -> bytes:
        if queued.local:
            return carried_out(self.sessions, self.client, queued)
        if not queued.positions:
            return replies[0]
        return joined_parts(queued.command.name, queued.positions, replies)


class PartExecution(Execution):
    """The transaction of one slot."""

    def __init__(
        self, whole: SplitExecution, part: Transaction, places: list[tuple[int, int]], watch: Watch | None
    ) -> None:
        super().__init__(whole.sessions, whole.client, whole.tag, part, watch)
        self.whole = whole
        self.places = places
        """Of its commands: which of the whole transaction, and which piece of that"""

    def answer(self, reply: bytes) -> None:
        self.whole.done(self, reply)
