"""A client moves from a process that ends to its heir, without noticing.

Its socket is passed on, with what the proxy knows of the client and what it has sent that is not carried out
yet. Nothing is lost and nothing done twice, because a client moves only when all that was carried out is
answered; requests that arrive meanwhile wait in its socket.

Who is in the middle of something that only this process knows (a transaction, WATCH, a blocking command,
MONITOR, CLIENT TRACKING) does not move, nor does who came by TLS, whose keys only this process has.

On the line, a socket of messages: first the topics that subscribers will bring, and one back when the heir is
ready for these (subscribers.py). Then for each client the topics it listens to, one message with its facts as
JSON and the descriptor, and what it had sent, in pieces. In the end, what was counted of the mirror.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from proxy.local.local_commands import ClientFacts
from proxy.processes.subscribers import (
    PLACING_SECONDS,
    Expected,
    Topic,
    fit,
    from_piece,
    in_pieces,
    topics_of,
)

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.mirror.mirroring import Mirroring
    from proxy.sessions.hub import Hub

log = logging.getLogger("shoal.proxy")

PIECE = 65536
"""Bytes of one message; the kernel takes some more."""
READY_SECONDS = 2 * PLACING_SECONDS
READY = b"R"
CROWDED_PAUSE = 0.005
"""Seconds until descriptors on their way have arrived, of which there may be only so many"""


def movable(client: Client) -> bool:
    session = client.session
    return client.moves and (session is None or (session.moves and fit(topics_of(client))))


async def announce(topics: Iterable[Topic], line: socket.socket) -> None:
    """Let the heir subscribe to these; returns when it has. Raises OSError if there is no heir any more."""
    for piece in in_pieces(topics):
        await _send(line, json.dumps({"expected": piece}).encode())
    await _send(line, json.dumps({"expected": []}).encode())
    async with asyncio.timeout(READY_SECONDS):
        await asyncio.get_running_loop().sock_recv(line, 1)


async def hand_over(client: Client, line: socket.socket) -> None:
    """`client` is at rest and frozen. Raises OSError if there is no heir any more; then it still is ours."""
    facts = {
        "id": client.id,
        "resp": client.resp,
        "authenticated": client.authenticated,
        "replies_off": client.replies_off,
        "skip_next": client.skip_next,
        "facts": asdict(client.facts),
        "login": client.service.users.credentials_of(client) if client.service.users else (),
        "unread": client.buffered[0],
    }
    for piece in in_pieces(topics_of(client)):
        await _send(line, json.dumps({"listens": piece}).encode())
    await _send(line, json.dumps(facts, default=_as_text).encode(), client.descriptor)
    descriptor, unread = client.give_away()
    os.close(descriptor)
    for start in range(0, len(unread), PIECE):
        await _send(line, unread[start : start + PIECE])


async def bequeath(counts: dict[str, int], line: socket.socket) -> None:
    """Let the heir go on with what was counted of the mirror, when no client is left to hand over."""
    with contextlib.suppress(OSError):  # nobody is left to tell
        await _send(line, json.dumps({"mirrored": counts}).encode())


async def _send(line: socket.socket, message: bytes, *descriptors: int) -> None:
    while True:
        try:
            socket.send_fds(line, [message], list(descriptors))
            return
        except BlockingIOError:
            await _writable(line)
        except OSError as error:
            if error.errno != errno.ETOOMANYREFS:
                raise
            await asyncio.sleep(CROWDED_PAUSE)


async def _writable(line: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_writer(line, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_writer(line)


@dataclass
class Arrival:
    """What a client brings along."""

    descriptor: int
    id: int
    resp: int
    authenticated: bool
    replies_off: bool
    skip_next: bool
    facts: ClientFacts
    login: tuple[bytes, ...]
    """As which user it is served, if workers decide that"""
    unread: bytearray
    missing: int
    """Bytes of `unread` that must still come"""
    topics: list[Topic] = field(default_factory=list)
    """It listens to"""


class Legacy:
    """The heir's end of a line: calls `arrived` for each client, until the other end is closed."""

    def __init__(
        self,
        line: socket.socket,
        arrived: Callable[[Arrival], None],
        hub: Hub,
        mirroring: Mirroring | None,
    ) -> None:
        self.line = line
        self.arrived = arrived
        self.mirroring = mirroring
        self._coming: Arrival | None = None
        self._expected = Expected(hub)
        self._topics: list[Topic] = []
        self._placing: asyncio.Task[None] | None = None
        asyncio.get_running_loop().add_reader(line, self._readable)

    def close(self) -> None:
        if self.line.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self.line)
            self.line.close()
            self._expected.leave()

    def _readable(self) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(self.line, 2 * PIECE, 1)
        except BlockingIOError:
            return
        except OSError:
            message, descriptors = b"", []
        if not message:
            self.close()
            return
        if self._coming is not None:
            self._coming.unread += message
            self._coming.missing -= len(message)
        else:
            fields = json.loads(message)
            if not descriptors:
                if "mirrored" not in fields:
                    self._hear_of_topics(fields)
                elif self.mirroring is not None:
                    self.mirroring.inherit(fields["mirrored"])
                return
            self._coming = _arrival(fields, descriptors[0], self._topics)
            self._topics = []
        if not self._coming.missing:
            arrival, self._coming = self._coming, None
            self.arrived(arrival)

    def _hear_of_topics(self, fields: dict[str, Any]) -> None:
        piece = fields.get("expected")
        if piece is None or piece:
            self._topics += from_piece(piece or fields["listens"])
        else:
            topics, self._topics = self._topics, []
            self._placing = asyncio.get_running_loop().create_task(self._place(topics))

    async def _place(self, topics: Sequence[Topic]) -> None:
        await self._expected.place(topics)
        with contextlib.suppress(OSError):  # who has asked is gone
            await _send(self.line, READY)


def _arrival(fields: dict[str, Any], descriptor: int, topics: list[Topic]) -> Arrival:
    facts = fields["facts"]
    for name in ("name", "library", "library_version", "user"):
        facts[name] = facts[name].encode("latin-1")
    return Arrival(
        descriptor,
        fields["id"],
        fields["resp"],
        fields["authenticated"],
        fields["replies_off"],
        fields["skip_next"],
        ClientFacts(**facts),
        tuple(word.encode("latin-1") for word in fields["login"]),
        bytearray(),
        fields["unread"],
        topics,
    )


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    raise TypeError(f"{value!r} cannot be handed over")
