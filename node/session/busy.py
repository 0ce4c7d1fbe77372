"""Serving clients from inside a command that runs long: a script that has not come to its end.

The event loop stands still then, so the sockets are asked here: those of the clients, and those on which new
ones come, since SCRIPT KILL is mostly sent over a new connection. GATE_BUSY is closed meanwhile, so that
commands not made for a busy worker get an error. The clock of the command that runs, its reply and what waits
for its end are put aside (node/core/aside.pyx).
"""

from __future__ import annotations

import contextlib
import select
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from node.core.aside import step_aside, step_back
from node.core.command_rows import GATE_BUSY

if TYPE_CHECKING:
    from node.accepting import Acceptor
    from node.session.session import Session
    from node.worker import Worker

ROUNDS = 4
"""How often in a row the sockets are asked, as long as there is something to do; Redis' number."""


@runtime_checkable
class Reader(Protocol):
    """A client's connection, or, by TLS, what will be one after its handshake."""

    @property
    def descriptor(self) -> int: ...

    def read_now(self) -> int: ...


class BusyService:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._poll: select.epoll | None = None
        self._readers: dict[int, Reader] = {}
        self._acceptors: dict[int, Acceptor] = {}

    def begin(self, caller: Session) -> None:
        """From now on `serve` may be called. `caller`, who waits for the long command, is left alone."""
        self._poll = select.epoll()
        for session in self._worker.clients.values():
            if session is not caller:
                self._watch(session.link)
        for transport in self._worker.doorway.handshaking:
            self._watch(transport)
        for acceptor in self._worker.acceptors:
            fd = acceptor.socket.fileno()
            self._acceptors[fd] = acceptor
            self._poll.register(fd, select.EPOLLIN)

    def end(self) -> None:
        """The long command is over: the event loop takes its sockets back."""
        if self._poll is not None:
            self._poll.close()
        self._poll = None
        self._readers.clear()
        self._acceptors.clear()

    def serve(self) -> None:
        """Read and answer what clients have sent by now."""
        engine = self._worker.engine
        assert self._poll is not None
        engine.gate |= GATE_BUSY
        step_aside(engine)
        try:
            for _ in range(ROUNDS):
                if not self._serve_ready(self._poll):
                    break
        finally:
            step_back(engine)
            engine.gate &= ~GATE_BUSY

    def serve_cluster(self) -> None:
        """Let the worker take part in its cluster."""
        engine = self._worker.engine
        engine.gate |= GATE_BUSY  # replies that were held back may leave, and let requests go on
        step_aside(engine)
        try:
            self._worker.cluster.serve_meanwhile()
        finally:
            step_back(engine)
            engine.gate &= ~GATE_BUSY

    def _serve_ready(self, poll: select.epoll) -> bool:
        served = False
        for fd, _ in poll.poll(0):
            acceptor = self._acceptors.get(fd)
            if acceptor is not None:
                for connection in acceptor.accept():
                    if isinstance(connection, Reader):
                        self._watch(connection)
                served = True
                continue
            reader = self._readers.get(fd)
            if reader is None or reader.read_now() <= 0:  # gone: the event loop will see to it
                self._forget(poll, fd)
            else:
                served = True
        return served

    def _watch(self, reader: Reader) -> None:
        fd = reader.descriptor
        if self._poll is not None and fd >= 0:
            self._readers[fd] = reader
            self._poll.register(fd, select.EPOLLIN)

    def _forget(self, poll: select.epoll, fd: int) -> None:
        self._readers.pop(fd, None)
        with contextlib.suppress(OSError):  # closed, which has taken it out already
            poll.unregister(fd)
