"""Those who connect to `tls-port`, until they have shaken hands: then they are clients as all others.

As in Redis they count for `maxclients` from the start. A handshake that fails is worth no more than a line at
`verbose`, since anybody can cause as many as he likes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from node.tls.transport import TlsTransport

if TYPE_CHECKING:
    from node.worker import Worker


class Doorway:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.handshaking: set[TlsTransport] = set()

    def make(self) -> TlsTransport | TurnedAway:
        """The protocol of a new connection."""
        worker = self._worker
        if len(worker.clients) + len(self.handshaking) >= worker.config.maxclients:
            worker.rejected_connections += 1
            return TurnedAway()
        transport = TlsTransport(worker.make_connection(), worker.tls.for_clients, self._settled, serves=True)
        self.handshaking.add(transport)
        return transport

    def close(self) -> None:
        for transport in list(self.handshaking):
            transport.abort()

    def _settled(self, transport: TlsTransport, reason: str | None) -> None:
        self.handshaking.discard(transport)
        if reason is not None:
            peer = transport.peer or ("?", 0)
            self._worker.log.verbose(f"Error accepting a client connection: {reason} ({peer[0]}:{peer[1]})")


class TurnedAway(asyncio.Protocol):
    """Of a connection for which there is no room. Without a handshake nothing can be said."""

    def connection_made(self, transport: Any) -> None:
        transport.abort()
