"""One connection by TLS: a protocol to the socket's transport below, a transport to the protocol above.

Not the event loop's own TLS, because the worker has to know three things that it does not tell: how many
bytes really wait for a peer that does not read (output limits), who is in the middle of a handshake (they
count as clients, and have only so long), and what has arrived while a script keeps the loop standing still
(`read_now`).

Text is encrypted in pieces, and no more of it than the socket takes: what waits, waits as it was written,
without a second copy. What can be sent is sent at once, past the loop's queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any

from node.tls.problems import reason_of

HANDSHAKE_SECONDS = 10.0
"""For all of it. Who says nothing for so long is disconnected."""
RECEIVE_SIZE = 64 * 1024
PIECE = 64 * 1024
"""Text that is encrypted at a time: four records."""
HIGH_WATER = 64 * 1024
"""What may wait before the protocol above is told, unless it says otherwise."""

_received = memoryview(bytearray(RECEIVE_SIZE))
"""What a socket has given, of all connections: it is read before the next one gives something."""
_read = memoryview(bytearray(RECEIVE_SIZE))
"""The text of it, for protocols without a buffer of their own."""


class TlsTransport(asyncio.BufferedProtocol):
    """`above.connection_made` follows the handshake. `settled(transport, reason)` is called once: with None
    just before that, or with what the handshake failed for, in words."""

    def __init__(
        self,
        above: Any,
        context: ssl.SSLContext,
        settled: Callable[[TlsTransport, str | None], None],
        *,
        serves: bool,
    ) -> None:
        self._above = above
        self._context = context
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=serves)
        self._settled: Callable[[TlsTransport, str | None], None] | None = settled
        self._below: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_open = False
        """The handshake is done, and `above` has not been told of the end."""
        self._queue: deque[bytes | memoryview] = deque()
        self._queued = 0
        self._full = False
        """The transport below holds bytes; ours must wait."""
        self._high_water = HIGH_WATER
        self._tells_to_wait = False
        self._paused = False
        self._closing = False
        self._ended = False
        """The other side has said that no more will come."""
        self._damage: ssl.SSLError | None = None
        self._takes_buffers = hasattr(above, "get_buffer")

    # --- the protocol's face to the transport below

    def connection_made(self, transport: Any) -> None:
        before, self._below = self._below, transport
        transport.set_write_buffer_limits(high=0)
        if before is not None:
            self._adopt(before)
            return
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, self._give_up)
        self._shake_hands()

    def _adopt(self, before: Any) -> None:
        """The event loop's transport comes after the stand-in of a connection that a busy worker opened."""
        if before.unsent:
            self._below.write(bytes(before.unsent))
        self._full = self._below.get_write_buffer_size() > 0
        if before.is_closing():
            self._below.close()
            return
        if self._paused:
            self._below.pause_reading()
        self._pump()

    def get_buffer(self, sizehint: int) -> memoryview:
        return _received

    def buffer_updated(self, nbytes: int) -> None:
        self._take(_received[:nbytes])

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._queue.clear()
        self._queued = 0
        self._settle(reason_of(exc) if isinstance(exc, OSError) else "the connection was closed")
        if self._is_open:
            self._is_open = False
            self._above.connection_lost(exc or self._damage)

    def read_now(self) -> int:
        """Take what has arrived, past the event loop. Bytes; 0 or less where there is nothing, or no more to
        come."""
        if self._paused or self._closing:
            return -1
        try:
            data = os.read(self.descriptor, RECEIVE_SIZE)
        except OSError:
            return -1
        if data:
            self._take(data)
        return len(data)

    @property
    def descriptor(self) -> int:
        """Of the socket; -1 when it is closed, or about to be."""
        if self._below is None or self._below.is_closing():
            return -1
        return self._below.get_extra_info("socket").fileno()  # type: ignore[no-any-return]

    @property
    def peer(self) -> Any:
        """The address of the other side, None when it has gone."""
        return self._below.get_extra_info("peername") if self._below is not None else None

    # --- the handshake

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            return
        except ssl.SSLError as error:
            self._send()  # the alert that says why
            self._fail(reason_of(error))
            return
        self._send()
        self._is_open = True
        self._settle(None)
        self._above.connection_made(self)
        self._read()

    def _give_up(self) -> None:
        self._fail("no handshake in time")

    def _fail(self, reason: str) -> None:
        self._settle(reason)
        self._closing = True
        if self._below is not None:
            self._below.close()

    def _settle(self, reason: str | None) -> None:
        settled, self._settled = self._settled, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if settled is not None:
            settled(self, reason)

    # --- what arrives

    def _take(self, data: bytes | memoryview) -> None:
        self._incoming.write(data)
        if self._is_open:
            self._read()
        elif not self._closing:
            self._shake_hands()

    def _read(self) -> None:
        """Hand over the text of all that is complete."""
        more = True
        while more and not self._paused and not self._closing:
            buffer = self._above.get_buffer(-1) if self._takes_buffers else _read
            length, more = self._fill(buffer)
            if length and self._takes_buffers:
                self._above.buffer_updated(length)
            elif length:
                self._above.data_received(bytes(buffer[:length]))
        self._send()  # what TLS itself has to say
        if self._ended:
            self.close()

    def _fill(self, buffer: memoryview) -> tuple[int, bool]:
        """As much text as there is and fits, and whether there may be more. One read gives one record at
        most."""
        length, size = 0, len(buffer)
        try:
            while length < size:
                count = self._tls.read(size - length, buffer[length:])
                if not count:
                    self._ended = True
                    return length, False
                length += count  # type: ignore[operator]
        except ssl.SSLWantReadError:
            return length, False
        except ssl.SSLError as error:  # damage, or the other side says what it does not like
            self._damage = error
            self.abort()
            return 0, False
        return length, True

    # --- what leaves

    def write(self, data: bytes | memoryview) -> None:
        if self._closing or not data:
            return
        self._queue.append(data)
        self._queued += len(data)
        self._pump()
        if not self._tells_to_wait and self.get_write_buffer_size() > self._high_water:
            self._tells_to_wait = True
            self._above.pause_writing()

    def _pump(self) -> None:
        """Encrypt and send what waits, as long as the socket takes it."""
        while self._queue and not self._full:
            text = self._queue[0]
            if len(text) > PIECE:
                whole = memoryview(text)
                text, self._queue[0] = whole[:PIECE], whole[PIECE:]
            else:
                self._queue.popleft()
            self._queued -= len(text)
            try:
                self._tls.write(text)
            except ssl.SSLError:  # nothing can be said any more
                self.abort()
                return
            self._send()
        if self._queue or self._full:
            return
        if self._closing:
            self._part()
        elif self._tells_to_wait:
            self._tells_to_wait = False
            self._above.resume_writing()

    def _send(self) -> None:
        data = self._outgoing.read()
        if not data or self._below.is_closing():
            return
        sent = 0
        if not self._full:
            with contextlib.suppress(OSError):  # full, or broken: the transport will find out
                sent = os.write(self.descriptor, data)
        if sent < len(data):
            self._below.write(data[sent:])
            self._full = self._below.get_write_buffer_size() > 0

    def _part(self) -> None:
        """All is sent: say that this is the end, and close."""
        if self._is_open:
            with contextlib.suppress(ssl.SSLError):  # it would like to wait for the other side to say so
                self._tls.unwrap()
            self._send()
        self._below.close()

    # --- the transport's face to the protocol above

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sslcontext":
            return self._context
        if name == "ssl_object":
            return self._tls
        return self._below.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high_water = HIGH_WATER if high is None else high

    def get_write_buffer_size(self) -> int:
        """Bytes that the kernel has not taken yet, of which some are encrypted."""
        return self._queued + int(self._below.get_write_buffer_size())

    def pause_reading(self) -> None:
        if not self._paused:
            self._paused = True
            self._below.pause_reading()

    def resume_reading(self) -> None:
        """What was decrypted by then is handed over soon, but not from inside this call."""
        if self._paused:
            self._paused = False
            if not self._below.is_closing():
                self._below.resume_reading()
                asyncio.get_running_loop().call_soon(self._read)

    def is_closing(self) -> bool:
        return self._closing or bool(self._below.is_closing())

    def close(self) -> None:
        """Once what was written has been sent."""
        if not self._closing:
            self._closing = True
            self._pump()

    def abort(self) -> None:
        """Now. Before the handshake it is given up, and `settled` is told."""
        self._closing = True
        self._queue.clear()
        self._queued = 0
        if self._below is not None:
            self._below.abort()
