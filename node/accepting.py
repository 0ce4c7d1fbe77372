"""Accepting clients: new connections of one listening socket get a `Wire` each, and their protocol."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

from node.core.connection import ClientWire, Connection
from node.core.reactor import Reactor
from node.core.wire import Wire
from node.log import Log

ACCEPTS = 64
"""Connections that are accepted at once."""
PATIENCE = 1.0
"""Seconds without accepting when the system has no descriptor or memory for another connection."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """`make` gives the protocol of a new connection."""

    def __init__(self, sock: socket.socket, make: Callable[[], Any], reactor: Reactor, log: Log) -> None:
        self.socket = sock
        self._make = make
        self._reactor = reactor
        self._log = log
        self._loop: asyncio.AbstractEventLoop = reactor.loop
        self._pause: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        self._pause = None
        self._loop.add_reader(self.socket.fileno(), self.accept)

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self.socket.fileno())
        self.socket.close()

    def accept(self) -> list[Any]:
        """Begin the connections that wait to be, or many of them; returns their protocols."""
        accepted: list[Any] = []
        while len(accepted) < ACCEPTS:
            try:
                sock, _ = self.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError as error:
                self._wait(error)
                break
            accepted.append(self._open(sock))
        return accepted

    def _open(self, sock: socket.socket) -> Any:
        sock.setblocking(False)
        protocol = self._make()
        kind = ClientWire if isinstance(protocol, Connection) else Wire
        wire = kind(self._reactor, sock, protocol)
        try:
            wire.open()
        except OSError as error:  # gone already, or one too many for the system
            self._log.verbose(f"Error accepting a client connection: {error.strerror}")
            wire.abort()
        return protocol

    def _wait(self, error: OSError) -> None:
        self._log.warning(f"Accepting client connection: accept: {error.strerror}")
        if error.errno in _EXHAUSTED and self._pause is None:  # it would be asked for again at once
            self._loop.remove_reader(self.socket.fileno())
            self._pause = self._loop.call_later(PATIENCE, self.begin)
