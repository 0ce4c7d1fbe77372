"""Connections to other servers for MIGRATE, kept for a while because moves come in thousands.

They are used synchronously: while a key is on its way nobody may touch it, and the simplest way to be sure is
that nobody else is served. Every wait is bounded by the command's timeout.
"""

from __future__ import annotations

import socket
import ssl
import time

from node.core.reply_writer import encode_command

IDLE_SECONDS = 10.0
MAX_LINKS = 64
LONGEST_LINE = 64 * 1024

Address = tuple[str, int]


class LinkBroken(Exception):
    """The connection failed or took too long. `action` is what was being done: connecting, reading,
    writing.
    """

    def __init__(self, action: str, timed_out: bool) -> None:
        super().__init__(action)
        self.action = action
        self.timed_out = timed_out


class MigrateLink:
    """One connection. Replies are lines: nothing MIGRATE sends is answered by more."""

    def __init__(self, address: Address, timeout: float, context: ssl.SSLContext | None) -> None:
        """Connects, by TLS if there is a `context`. Raises LinkBroken."""
        self.address = address
        self.database = -1
        """The one selected there; -1 unknown."""
        self.used_at = time.monotonic()
        self._buffer = b""
        try:
            self._socket = socket.create_connection(address, timeout)
            if context is not None:
                self._socket = context.wrap_socket(self._socket)
        except OSError as error:
            raise LinkBroken("connecting", isinstance(error, TimeoutError)) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def set_timeout(self, timeout: float) -> None:
        """How long each single wait may last, in seconds."""
        self._socket.settimeout(timeout)

    def send(self, commands: list[list[bytes]]) -> None:
        try:
            self._socket.sendall(b"".join(map(encode_command, commands)))
        except OSError as error:
            raise LinkBroken("writing", isinstance(error, TimeoutError)) from error

    def read_line(self) -> bytes:
        """One reply without its line end. Raises LinkBroken."""
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > LONGEST_LINE:
                raise LinkBroken("reading", timed_out=False)
            try:
                chunk = self._socket.recv(16 * 1024)
            except OSError as error:
                raise LinkBroken("reading", isinstance(error, TimeoutError)) from error
            if not chunk:
                raise LinkBroken("reading", timed_out=False)
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def close(self) -> None:
        self._socket.close()


class MigrateLinks:
    """The kept connections of one worker, by address."""

    def __init__(self) -> None:
        self._links: dict[Address, MigrateLink] = {}

    def __len__(self) -> int:
        return len(self._links)

    def take(
        self, address: Address, timeout: float, context: ssl.SSLContext | None
    ) -> tuple[MigrateLink, bool]:
        """A connection, and whether it was a kept one (whose other end may be gone). Raises LinkBroken."""
        link = self._links.pop(address, None)
        if link is None:
            return MigrateLink(address, timeout, context), False
        link.set_timeout(timeout)
        return link, True

    def give_back(self, link: MigrateLink) -> None:
        """Keep a connection that is in order: every reply was read."""
        link.used_at = time.monotonic()
        if len(self._links) >= MAX_LINKS:
            oldest = next(iter(self._links))
            self._links.pop(oldest).close()
        self._links[link.address] = link

    def close_idle(self) -> None:
        """Called now and then."""
        limit = time.monotonic() - IDLE_SECONDS
        for address in [address for address, link in self._links.items() if link.used_at < limit]:
            self._links.pop(address).close()
