"""Our primary as one of our clients.

In Redis' eyes whoever sends commands is a client, a primary too: CLIENT LIST shows it with the flag `M`,
CLIENT KILL cuts it off (and we connect again), INFO counts it. The commands of the stream are applied by a
session without a connection (`primary_link.py`); this is what that session shows as one.
"""

from __future__ import annotations

import asyncio


class PrimaryConnection:
    """Of a session's connection, what describes it and ends it. `transport`: the socket of the link."""

    pending_input = 0
    input_capacity = 0
    is_diverted = False
    """It sends commands all the time."""

    def __init__(self, transport: asyncio.Transport, now: int) -> None:
        self.transport = transport
        self.last_active = now
        """Unix ms of the last read."""
        self.bytes_received = 0
        self.bytes_sent = 0
        self.commands = 0

    def received(self, size: int, now: int) -> None:
        self.bytes_received += size
        self.last_active = now

    def write(self, data: bytes) -> None:
        self.bytes_sent += len(data)
        self.transport.write(data)

    @property
    def pending_output(self) -> int:
        """Bytes that the socket has not taken yet."""
        return self.transport.get_write_buffer_size()

    @property
    def is_closing(self) -> bool:
        return self.transport.is_closing()

    def abort(self) -> None:
        """The link notices, as if the primary had hung up."""
        self.transport.abort()
