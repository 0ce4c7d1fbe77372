"""MONITOR: what every primary executes, told to every client that wants to see it.

One monitoring line per primary serves all these clients, and each line of text is handed on as it came. So it
shows what workers do, with the proxy's connections as the senders; what the proxy answers itself it does not
show.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from node.commands import Command
from node.replies import OK
from proxy.core.listener import Listener
from proxy.requests import codec
from proxy.sessions.lines import Lines
from proxy.sessions.session import LATER, session_of

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.core.connection import Turns
    from proxy.sessions.sessions import Sessions
    from proxy.workers.dialogue import Login
    from proxy.workers.topology import Topology

MONITOR = codec.encode_request([b"MONITOR"])
UNBOUND = b"-CLUSTERDOWN Hash slot not served\r\n"


class Monitors(Lines):
    def __init__(self, turns: Turns, login: Login, topology: Topology) -> None:
        super().__init__(turns, login)
        self.topology = topology
        self.clients: dict[Client, None] = {}
        self._waiting: dict[Client, Callable[[bytes | None], None]] = {}
        self._confirmed: set[Listener] = set()

    def join(self, client: Client, done: Callable[[bytes | None], None]) -> None:
        """Call `done(None)` when everything can be seen, or `done(error)`."""
        self._waiting[client] = done
        self.repair()

    def leave(self, client: Client) -> None:
        self.clients.pop(client, None)
        self._waiting.pop(client, None)
        if not self.clients and not self._waiting:
            for listener in list(self.lines.values()):
                self.hang_up(listener)
            self._confirmed.clear()

    def repair(self) -> None:
        """See that each primary is listened to, and nobody else. Also called when the map has changed."""
        if not self.clients and not self._waiting:
            return
        primaries = self.topology.primaries
        for address in self.lines.keys() - primaries:
            self._confirmed.discard(self.lines[address])
            self.hang_up(self.lines[address])
        for address in primaries - self.lines.keys():
            self.line(address).send(MONITOR)
        if not primaries:
            self._answer(UNBOUND)
        elif len(self._confirmed) == len(primaries):
            self._answer(None)

    def heard(self, listener: Listener, frame: bytes) -> None:
        if listener in self._confirmed:
            for client in list(self.clients):
                client.tell(frame)
        elif frame.startswith(b"+OK"):
            self._confirmed.add(listener)
            self.repair()
        else:
            self._answer(frame)
            listener.close()

    def was_lost(self, listener: Listener, error: bytes) -> None:
        self._confirmed.discard(listener)
        self.topology.refresh_soon()
        self._answer(error)

    def _answer(self, error: bytes | None) -> None:
        waiting, self._waiting = self._waiting, {}
        for client, done in waiting.items():
            if error is None:
                self.clients[client] = None
            done(error)


def monitor(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    if client.postpone(tag):
        return LATER
    session = session_of(client)
    if session.monitoring:
        return OK

    def done(error: bytes | None) -> None:
        session.monitoring = error is None
        sessions.settle(client)
        client.complete(tag, error or b"+OK\r\n")

    client.hold()
    sessions.monitors.join(client, done)
    return LATER
