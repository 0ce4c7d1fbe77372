"""The transport of a connection that began while the event loop stood still.

In the middle of a command that runs long, connections are accepted and opened past the loop. Their protocol
gets a `Handover`, which writes to the socket directly and keeps what did not fit. Once the loop turns it
makes a transport of its own, and gives it to the protocol by a second `connection_made`. That has to send
what is `unsent`, and to close if the stand-in `is_closing`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any


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
        names = {"peername": self._sock.getpeername, "sockname": self._sock.getsockname}
        with contextlib.suppress(OSError):  # gone already
            return names[name]() if name in names else default
        return default

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
