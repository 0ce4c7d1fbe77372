"""Serving clients from inside a command that runs long: a script that has not come to its end.

The event loop stands still then, so the sockets are asked here: those of the clients, and those on which new
ones come, since SCRIPT KILL is mostly sent over a new connection. GATE_BUSY is closed meanwhile, so that
commands not made for a busy worker get an error. The clock of the command that runs, its reply and what waits
for its end are put aside (`engine.step_aside`).

A connection that is accepted here has no transport of the event loop's yet. It gets a `Handover`, which
writes to the socket directly, keeps what did not fit, and gives all to the loop's own transport once the
loop turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from typing import TYPE_CHECKING, Any

from node.core.engine import GATE_BUSY

if TYPE_CHECKING:
    from node.session.session import Session
    from node.worker import Worker

ROUNDS = 4
"""How often in a row the sockets are asked, as long as there is something to do; Redis' number."""
ACCEPTS = 64
"""Connections that are accepted at once."""


class BusyService:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._poll: select.epoll | None = None
        self._clients: dict[int, Session] = {}
        self._listeners: dict[int, socket.socket] = {}

    def begin(self, caller: Session) -> None:
        """From now on `serve` may be called. `caller`, who waits for the long command, is left alone."""
        self._poll = select.epoll()
        for session in self._worker.clients.values():
            if session is not caller:
                self._watch(session)
        for listener in self._worker.listeners:
            self._listeners[listener.fileno()] = listener
            self._poll.register(listener.fileno(), select.EPOLLIN)

    def end(self) -> None:
        """The long command is over: the event loop takes its sockets back."""
        if self._poll is not None:
            self._poll.close()
        self._poll = None
        self._clients.clear()
        self._listeners.clear()

    def serve(self) -> None:
        """Read and answer what clients have sent by now."""
        engine = self._worker.engine
        assert self._poll is not None
        engine.gate |= GATE_BUSY
        engine.step_aside()
        try:
            for _ in range(ROUNDS):
                if not self._serve_ready(self._poll):
                    break
        finally:
            engine.step_back()
            engine.gate &= ~GATE_BUSY

    def serve_cluster(self) -> None:
        """Let the worker take part in its cluster."""
        engine = self._worker.engine
        engine.step_aside()
        try:
            self._worker.cluster.serve_meanwhile()
        finally:
            engine.step_back()

    def _serve_ready(self, poll: select.epoll) -> bool:
        served = False
        for fd, _ in poll.poll(0):
            listener = self._listeners.get(fd)
            if listener is not None:
                self._accept(listener)
                served = True
                continue
            session = self._clients.get(fd)
            if session is None or session.link.read_now() <= 0:  # gone: the event loop will see to it
                self._forget(poll, fd)
            else:
                served = True
        return served

    def _watch(self, session: Session) -> None:
        fd = session.link.descriptor
        if self._poll is not None and fd >= 0:
            self._clients[fd] = session
            self._poll.register(fd, select.EPOLLIN)

    def _forget(self, poll: select.epoll, fd: int) -> None:
        self._clients.pop(fd, None)
        with contextlib.suppress(OSError):  # closed, which has taken it out already
            poll.unregister(fd)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS):
            try:
                sock, _ = listener.accept()
            except OSError:  # nobody more waits, or he has gone
                return
            sock.setblocking(False)
            connection = self._worker.make_connection()
            connection.connection_made(Handover(sock, connection))
            if connection.client is not None:
                self._watch(connection.client)


class Handover:
    """The transport of a connection until the event loop has one for it."""

    def __init__(self, sock: socket.socket, protocol: Any) -> None:
        self._sock = sock
        self._protocol = protocol
        self.unsent = bytearray()
        """What the socket did not take: the next transport sends it."""
        self._closing = False
        asyncio.get_running_loop().call_soon(self._hand_over)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "socket":
            return self._sock
        return self._sock.getpeername() if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return

    def write(self, data: bytes) -> None:
        sent = 0
        if not self.unsent:
            with contextlib.suppress(OSError):  # full, or broken: the loop's transport will find out
                sent = self._sock.send(data)
        self.unsent += data[sent:]

    def get_write_buffer_size(self) -> int:
        return len(self.unsent)

    def pause_reading(self) -> None:
        """Nothing is read but by `serve`."""

    def resume_reading(self) -> None:
        """The loop's transport reads."""

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    abort = close

    def _hand_over(self) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(lambda: self._protocol, self._sock))
        task.add_done_callback(self._handed_over)

    def _handed_over(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._sock.close()
            self._protocol.connection_lost(None)
            return
