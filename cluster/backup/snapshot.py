"""The snapshot of one server, over the network: what `redis-cli --rdb` gets.

We come as a replica that wants the snapshot alone (`REPLCONF rdb-only 1`, since Redis 7.0), so the server
keeps no stream for us, and forgets us afterwards. Whoever reads slowly slows the server's child down, not the
server. The server may wait before it begins, for `repl-diskless-sync-delay` (5 s by default in Redis and
Valkey).
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque

from cluster.operations.dialling import dial, reason_of
from cluster.operations.link import Credentials, OperationError, Refused, Unreachable
from cluster.plans.backup import Holder
from node.replication import replica
from node.replication.replica import Introduction, ReplicaProtocol

SILENCE_SECONDS = 60.0
"""Servers that are only slow send empty lines meanwhile."""
_RECEIVE = 256 * 1024
_NO_OFFSET = -2
"""PSYNC asks for the byte behind it: -1, which is none."""


class BrokenOff(OperationError):
    """The server gave up, or ended."""


class SnapshotStream:
    """`read` hands out the RDB piece by piece, and nothing when it has ended. Closing it from another thread
    makes `read` raise."""

    def __init__(self, holder: Holder, credentials: Credentials) -> None:
        self._address = holder.address
        self._parts: deque[bytes] = deque()
        self._ended = False
        introduction = Introduction(
            port=0,
            id="?",
            offset=_NO_OFFSET,
            user=credentials.username or "",
            password=credentials.password or "",
            rdb_only=True,
        )
        self._protocol = ReplicaProtocol(introduction)
        try:
            self._socket = dial(holder.host, holder.port, credentials.tls, SILENCE_SECONDS)
        except OSError as error:
            raise self._lost(error) from error
        for event in self._protocol.connected():
            self._handle(event)

    def read(self, _size: int, /) -> bytes:
        """The next piece, of whatever size it came in. Raises OperationError."""
        while not self._parts:
            if self._ended:
                return b""
            self._receive()
        return self._parts.popleft()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE)
        except OSError as error:
            raise self._lost(error) from error
        if not data:
            raise BrokenOff(f"{self._address} broke off its snapshot", "its log tells why")
        for event in self._protocol.receive(data):
            self._handle(event)

    def _handle(self, event: replica.Event) -> None:
        match event:
            case replica.Send():
                try:
                    self._socket.sendall(event.data)
                except OSError as error:
                    raise self._lost(error) from error
            case replica.SnapshotPart():
                self._parts.append(event.data)
            case replica.SnapshotEnds():
                self._ended = True
            case replica.Failed():
                raise Refused(self._address, "a snapshot", event.reason)
            case replica.Continue() | replica.StreamPart():
                raise OperationError(f"{self._address} sent commands where its snapshot was expected")

    def _lost(self, error: OSError) -> Unreachable:
        return Unreachable(self._address, reason_of(error))
