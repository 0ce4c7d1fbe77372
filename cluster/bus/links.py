"""The connections of the cluster bus: one we open to every member, one every member opens to us.

Each direction has its own connection: on the outgoing one we ask and read answers, on an accepted one
we are asked and answer. The coordinator decides which links there are; this file only keeps them, turns
messages into bytes and back, and tells a `Listener` what happened. Reconnecting is the coordinator's
business, too: a link that broke is reported once and forgotten.

Memory is bounded in both directions: a link whose peer does not read is closed once more than the send
limit is waiting, one that sends damage is closed at once, and of an incomplete message no more is kept
than arrived. Everything runs on one event loop; no method blocks.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, cast

from cluster.bus.published import encode_each
from cluster.bus.sealing import Sealing, Secrets
from cluster.bus.wire import MAX_MESSAGE, Decoder, WireError, encode
from cluster.coordinator.coordinator import LinkInfo
from cluster.coordinator.effects import LinkId
from cluster.coordinator.messages import Header, LightPublish, Message, Published
from node.handover import Handover
from node.tls.connecting import connect
from node.tls.doorway import TurnedAway
from node.tls.problems import reason_of
from node.tls.transport import TlsTransport

SEND_LIMIT = 2 * MAX_MESSAGE
"""Bytes waiting on one link before it is given up, where cluster-link-sendbuf-limit does not say less."""
READ_SIZE = 64 * 1024
WRITE_SIZE = 64 * 1024
ACCEPTED_AT_ONCE = 64
GREETING_SECONDS = 0.2
"""For the other side of a connection of ours to greet, before we take it for one that knows no secrets"""
MAX_ACCEPTED = 10_000
"""Accepted links at a time: a member has one to each other member, so this is far above any real cluster."""


class Listener(Protocol):
    """Whom links report to. Calls come from the event loop and from `Links.read_now`, never from inside
    another method of `Links`."""

    def link_up(self, link: LinkId) -> None:
        """A link from `connect` is established."""

    def link_down(self, link: LinkId) -> None:
        """A link failed, or was closed by the other side. Not after `disconnect`."""

    def bytes_received(self, link: LinkId) -> None:
        """Data arrived: before the messages in it, and also when they complete none."""

    def received(self, message: Message | LightPublish, link: LinkInfo) -> None:
        """A complete message."""

    def header(self) -> Header:
        """That of a message of ours which leaves now."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """What CLUSTER LINKS shows of one link."""

    id: LinkId
    node: str | None
    """The member at the other end, where known."""
    created_at: int
    """Unix ms."""
    waiting: int
    """Bytes not yet taken by the kernel."""
    receiving: int
    """Bytes held of an incomplete message."""


class Protection(Protocol):
    """What links are protected by, at this moment; None: not at all."""

    @property
    def for_members(self) -> ssl.SSLContext | None: ...

    @property
    def to_members(self) -> ssl.SSLContext | None: ...


class _Link(asyncio.Protocol):
    """One connection, either direction."""

    def __init__(self, links: Links, id: LinkId) -> None:
        self.id = id
        self.created_at = time.time_ns() // 1_000_000
        self.node: str | None = None
        self.sealing = Sealing(links.secrets)
        self.decoder = Decoder(admits=self.sealing.admits)
        self.is_up = False
        """Reported as such."""
        self.transport: asyncio.Transport | None = None
        self.connecting: asyncio.Task[None] | None = None
        self.dialling: socket.socket | None = None
        """Being connected past the event loop."""
        self.layer: TlsTransport | None = None
        """In the middle of a handshake that nobody else ends."""
        self.info = LinkInfo(id, "", "")
        self._links = links
        self._target = ("", 0)
        self._stand_in: Handover | None = None

    def connection_made(self, transport: asyncio.BaseTransport | Handover) -> None:
        if self._stand_in is not None:
            self._adopt(cast(asyncio.Transport, transport), self._stand_in)
            return
        self._stand_in = transport if isinstance(transport, Handover) else None
        self.transport = cast(asyncio.Transport, transport)  # uvloop's have another ancestor
        remote, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.info = LinkInfo(self.id, _plain_ip(remote), _plain_ip(local))
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._links.opened(self)

    def _adopt(self, transport: asyncio.Transport, before: Handover) -> None:
        """The event loop's transport comes after its stand-in."""
        self._stand_in = None
        if before.is_closing():
            transport.abort()
            return
        self.transport = transport
        if before.unsent:
            transport.write(bytes(before.unsent))

    def data_received(self, data: bytes) -> None:
        try:
            messages = self.decoder.feed(data)
        except WireError as damage:
            self._links.log(f"Closing the cluster bus link with {self.info.remote_ip}: {damage}")
            self._links.lost(self)
            return
        if not self.is_up and self.sealing.knows_reader:
            self._links.up(self)
        self._links.listener.bytes_received(self.id)
        for message in messages:
            if self.transport is None:  # closed by what an earlier message led to
                return
            self._links.listener.received(message, self.info)

    def read_now(self) -> None:
        """Take what has arrived, past the event loop."""
        if isinstance(self.transport, TlsTransport):
            self._read_protected(self.transport)
            return
        while self.transport is not None and not self.transport.is_closing():
            try:
                data = os.read(self.transport.get_extra_info("socket").fileno(), READ_SIZE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._links.lost(self)
                return
            self.data_received(data)
            if len(data) < READ_SIZE:
                return

    def _read_protected(self, transport: TlsTransport) -> None:
        count = READ_SIZE
        while count == READ_SIZE:
            count = transport.read_now()
        if not count:
            self._links.lost(self)

    def dial(self, ip: str, port: int, source: str | None) -> None:
        """Connect past the event loop; `hear_dialled` tells what has become of it."""
        self.dialling = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET)
        self.dialling.setblocking(False)
        if source:
            with contextlib.suppress(OSError):  # then connecting fails, too
                self.dialling.bind((source, 0))
        self._target = (ip, port)
        self.dialling.connect_ex(self._target)

    def hear_dialled(self) -> None:
        dialling = self.dialling
        if dialling is None:
            return
        result = dialling.connect_ex(self._target)
        if result in (0, errno.EISCONN):
            self.dialling = None
            protocol = self._links.protected(self)
            protocol.connection_made(Handover(dialling, protocol))
        elif result not in (errno.EINPROGRESS, errno.EALREADY):
            self._links.lost(self)

    def write(self, raw: bytes) -> None:
        """At once, and not when the event loop gets around to it: it may stand still."""
        assert self.transport is not None
        sent = 0
        if isinstance(self.transport, TlsTransport):  # which does not wait for the loop, either
            self.transport.write(raw)
            return
        if not self.transport.get_write_buffer_size() and not self.transport.is_closing():
            with contextlib.suppress(OSError):  # full, or broken: the transport will find out
                sent = os.write(self.transport.get_extra_info("socket").fileno(), raw)
        if sent < len(raw):
            self.transport.write(raw[sent:])

    def connection_lost(self, reason: Exception | None) -> None:
        self._links.lost(self)

    def close(self) -> None:
        """Now, without sending what waits: the other side is gone or not worth it."""
        if self.connecting is not None:
            self.connecting.cancel()
            self.connecting = None
        if self.dialling is not None:
            self.dialling.close()
            self.dialling = None
        if self.layer is not None:
            self.layer.abort()
            self.layer = None
        if self.transport is not None:
            self.transport.abort()
            self.transport = None


class Links:
    """All bus links of one worker. `log` is told of links that were closed for a fault of the other side,
    `whisper` of those that never came to be. `send_limit` is the number of bytes that may wait on one link;
    `tls` says how links are protected, if they are.
    """

    def __init__(
        self,
        listener: Listener,
        log: Callable[[str], None],
        send_limit: int = SEND_LIMIT,
        tls: Protection | None = None,
        whisper: Callable[[str], None] = lambda _: None,
        secrets: Secrets | None = None,
    ) -> None:
        self.listener = listener
        self.log = log
        self.send_limit = send_limit
        self.secrets = Secrets() if secrets is None else secrets
        self._tls = tls
        self._whisper = whisper
        self._handshaking: set[TlsTransport] = set()
        """Accepted, or opened past the event loop, and no links yet."""
        self.bytes_sent = 0
        self.overflowed = 0
        """Links closed because more than `send_limit` waited [cluster_stats ... links buffer limit]."""
        self._links: dict[LinkId, _Link] = {}
        self.loop_stands_still = False
        """Connections must be opened and accepted past the event loop."""
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._last_accepted_id = 0

    # --- life

    async def listen(self, sockets: Iterable[socket.socket]) -> None:
        """Accept links on these listening sockets, which are closed by `close`."""
        loop = asyncio.get_running_loop()
        for bound in sockets:
            self._servers.append(await loop.create_server(self._accept, sock=bound))
            self._sockets.append(bound)

    def close(self) -> None:
        """Stop listening and drop every link. Nothing is reported any more."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        self._sockets.clear()
        links = list(self._links.values())
        self._links.clear()
        for transport in list(self._handshaking):
            transport.abort()
        for link in links:
            link.close()

    # --- what the coordinator asks for

    def connect(self, link_id: LinkId, ip: str, port: int, source: str | None = None) -> None:
        """Open a link; `link_up` or `link_down` will follow. `source`: local address to connect from."""
        link = self._links[link_id] = _Link(self, link_id)
        loop = asyncio.get_running_loop()
        if self.loop_stands_still:
            link.dial(ip, port, source)
            loop.call_soon(self._dial_anew, link, ip, port, source)
        else:
            link.connecting = loop.create_task(self._connect(link, ip, port, source))

    def _dial_anew(self, link: _Link, ip: str, port: int, source: str | None) -> None:
        """The event loop turns again: what was not connected by then is its business."""
        if link.dialling is not None:
            link.close()
            link.connecting = asyncio.get_running_loop().create_task(self._connect(link, ip, port, source))

    def disconnect(self, link_id: LinkId) -> None:
        link = self._links.pop(link_id, None)
        if link is not None:
            link.close()

    def send(self, link_ids: Iterable[LinkId], message: Message | Published) -> None:
        """Send over each link that is up; the others drop it, as a network would."""
        pieces = _in_pieces(encode_each(message))
        length = sum(map(len, pieces))
        for link_id in link_ids:
            link = self._links.get(link_id)
            if link is None or link.transport is None:
                continue
            if link.transport.get_write_buffer_size() + length > self.send_limit:
                self.log(f"Closing the cluster bus link with {link.info.remote_ip}: it does not read")
                self.overflowed += 1
                asyncio.get_running_loop().call_soon(self.lost, link)
                continue
            if link.sealing.stamps:
                for raw in encode_each(message, sealed=True):
                    link.write(link.sealing.stamp(raw))
            else:
                for piece in pieces:
                    link.write(piece)
            self.bytes_sent += length

    def greet(self) -> None:
        """There is a secret now: tell those who are connected already."""
        if self.secrets:
            for link in list(self._links.values()):
                self._greet(link)

    def _greet(self, link: _Link) -> None:
        if link.transport is not None and not link.sealing.has_greeted:
            link.write(encode(link.sealing.greeting(self.listener.header())))

    def read_now(self) -> None:
        """Take what has arrived on all links, past the event loop; while it stands still, new links, too."""
        if self.loop_stands_still:
            for bound in self._sockets:
                self._accept_now(bound)
        for transport in list(self._handshaking):
            transport.read_now()
        for link in list(self._links.values()):
            link.hear_dialled()
            link.read_now()

    def _accept_now(self, bound: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, _ = bound.accept()
            except OSError:  # nobody more waits, or he has gone
                return
            accepted.setblocking(False)
            protocol = self._accept()
            protocol.connection_made(Handover(accepted, protocol))

    # --- views

    def name(self, link_id: LinkId, node: str) -> None:
        """Note which member is at the other end of an accepted link."""
        link = self._links.get(link_id)
        if link is not None:
            link.node = node

    def states(self) -> list[LinkState]:
        """Every established link, in order of creation."""
        return [
            LinkState(
                link.id,
                link.node,
                link.created_at,
                link.transport.get_write_buffer_size(),
                link.decoder.pending,
            )
            for link in self._links.values()
            if link.transport is not None
        ]

    @property
    def waiting(self) -> int:
        """Bytes that wait on all links."""
        return sum(state.waiting for state in self.states())

    # --- from the connections

    def _accept(self) -> _Link | TlsTransport | TurnedAway:
        if len(self._handshaking) >= MAX_ACCEPTED:
            return TurnedAway()
        self._last_accepted_id -= 1
        return self.protected(_Link(self, self._last_accepted_id))

    def protected(self, link: _Link) -> _Link | TlsTransport:
        """`link`, or the layer of TLS below it: the protocol of a connection that is there."""
        context = None
        if self._tls is not None:
            context = self._tls.to_members if link.id > 0 else self._tls.for_members
        if context is None:
            return link
        link.layer = TlsTransport(
            link, context, functools.partial(self._shook_hands, link), serves=link.id < 0
        )
        self._handshaking.add(link.layer)
        return link.layer

    def _shook_hands(self, link: _Link, transport: TlsTransport, reason: str | None) -> None:
        self._handshaking.discard(transport)
        link.layer = None
        if reason is not None:
            self._whisper(f"No cluster bus link with {_plain_ip(transport.peer)}: {reason}")
            self.lost(link)

    async def _connect(self, link: _Link, ip: str, port: int, source: str | None) -> None:
        context = self._tls.to_members if self._tls is not None else None
        try:
            await connect(lambda: link, ip, port, context, source)
        except OSError as error:  # as ordinary as a peer that is down; the coordinator knows what it means
            self._whisper(f"No cluster bus link with {ip}: {reason_of(error)}")
            link.connecting = None
            self.lost(link)

    def opened(self, link: _Link) -> None:
        link.connecting = None
        if link.id > 0:
            if self._links.get(link.id) is link:
                if self.secrets:
                    self._greet(link)
                if link.sealing.may_speak:
                    self.up(link)
                elif not self.secrets.required:
                    asyncio.get_running_loop().call_later(GREETING_SECONDS, self.up, link)
            else:  # disconnected while it was being established
                link.close()
        elif sum(known < 0 for known in self._links) >= MAX_ACCEPTED:
            link.close()
        else:
            self._links[link.id] = link
            if self.secrets:
                self._greet(link)

    def up(self, link: _Link) -> None:
        """It can be used: whoever is there would take what we send. Reported once, and of ours only."""
        if link.id > 0 and not link.is_up and self._links.get(link.id) is link:
            link.is_up = True
            self.listener.link_up(link.id)

    def lost(self, link: _Link) -> None:
        """Close a link that failed and report it, unless that was done before."""
        link.close()
        if self._links.get(link.id) is link:
            del self._links[link.id]
            self.listener.link_down(link.id)


def _in_pieces(each: list[bytes]) -> list[bytes]:
    """Messages joined to pieces of about WRITE_SIZE: longer ones were memory that the system has to clear."""
    pieces, first, length = [], 0, 0
    for number, raw in enumerate(each):
        length += len(raw)
        if length > WRITE_SIZE:
            pieces.append(b"".join(each[first : number + 1]))
            first, length = number + 1, 0
    if length:
        pieces.append(b"".join(each[first:]))
    return pieces


def _plain_ip(address: tuple[object, ...] | None) -> str:
    """The IP of a socket address; IPv4 that came in through an IPv6 socket without its `::ffff:`."""
    return str(address[0]).removeprefix("::ffff:") if address else ""
