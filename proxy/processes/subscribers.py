"""Subscribers move to the heir as well (handover.py), and go on to hear what they listen to.

The heir subscribes first, before any of them comes: the process that ends names all topics and waits until
they are placed. So between the last message that one hands on and the first of the other is only the way of
a client from one to the other; what is published just then it misses, as after a failover.

A topic travels as [kind, name], in messages of a bounded size; a client with a longer name does not move.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from proxy.sessions.session import session_of
from proxy.sessions.subscriptions import Subscriptions

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.sessions.hub import Hub
    from proxy.sessions.sessions import Sessions

Topic = tuple[bytes, bytes]
"""(kind, name), as the hub has them"""

PIECE = 8192
"""Bytes of names in one message; as JSON they may be six times as long."""
PLACING_SECONDS = 2.0


def topics_of(client: Client) -> list[Topic]:
    session = client.session
    return list(session.subscriptions.all()) if session is not None and session.subscriptions else []


def fit(topics: Iterable[Topic]) -> bool:
    return all(len(name) <= PIECE for _, name in topics)


def in_pieces(topics: Iterable[Topic]) -> Iterator[list[list[str]]]:
    """For JSON. A piece is never empty."""
    piece: list[list[str]] = []
    size = 0
    for kind, name in topics:
        if piece and size + len(name) > PIECE:
            yield piece
            piece, size = [], 0
        piece.append([kind.decode(), name.decode("latin-1")])
        size += len(name) + len(kind)
    if piece:
        yield piece


def from_piece(piece: Sequence[Sequence[str]]) -> list[Topic]:
    return [(kind.encode(), name.encode("latin-1")) for kind, name in piece]


class Expected:
    """Listens in the place of those who will come."""

    resp = 3

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._topics: list[Topic] = []

    def tell(self, frame: bytes) -> None:
        """Nobody is there yet."""

    async def place(self, topics: Sequence[Topic]) -> None:
        """Returns when all are placed, or cannot be for now."""
        placed: list[asyncio.Future[bytes | None]] = []
        for kind, name in topics:
            self._topics.append((kind, name))
            self._hub.join(self, kind, name)
            placed.append(asyncio.get_running_loop().create_future())
            self._hub.subscribe(kind, [name], placed[-1].set_result)
        if placed:
            await asyncio.wait(placed, timeout=PLACING_SECONDS)

    def leave(self) -> None:
        for kind, name in self._topics:
            self._hub.leave(self, kind, name)
        self._topics.clear()


def listen_again(sessions: Sessions, client: Client, topics: Sequence[Topic]) -> None:
    """A client that has arrived listens to these."""
    own = session_of(client).subscriptions = Subscriptions()
    for kind, name in topics:
        own.names[kind][name] = None
        sessions.hub.join(client, kind, name)
        sessions.hub.subscribe(kind, [name], _whatever)
    sessions.settle(client)


def _whatever(error: bytes | None) -> None:
    """It has been confirmed long since: a topic that cannot be placed now is placed later."""
