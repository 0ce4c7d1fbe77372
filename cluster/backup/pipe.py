"""A connection on which commands run ahead of their replies.

`NodeLink` (cluster/operations/link.py) is for what operators do now and then; this is for millions of keys:
commands come encoded, replies are taken apart as plainly as can be, and reading them is left to whoever sent
the commands.
"""

from __future__ import annotations

import contextlib
from typing import Any

from cluster.addresses import address_text
from cluster.operations.dialling import dial, reason_of
from cluster.operations.link import (
    Credentials,
    ErrorReply,
    OperationError,
    Refused,
    Unreachable,
)
from node.core.reply_writer import encode_command

_BUFFER = 256 * 1024


class Pipe:
    """Connects, logs in and selects database 0 at once. `timeout`: seconds without a byte of a reply.

    All methods raise Unreachable when the connection is lost. Replies are bytes, integers, None, lists and
    ErrorReply.
    """

    def __init__(self, host: str, port: int, credentials: Credentials, timeout: float) -> None:
        self.address = address_text(host, port)
        self.database = 0
        try:
            self._socket = dial(host, port, credentials.tls, timeout)
        except OSError as error:
            raise self._lost(error) from error
        self._replies = self._socket.makefile("rb", _BUFFER)
        if credentials.password:
            user = [credentials.username.encode()] if credentials.username else []
            self.call(b"AUTH", *user, credentials.password.encode())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._replies.close()
            self._socket.close()

    def send(self, commands: bytes) -> None:
        try:
            self._socket.sendall(commands)
        except OSError as error:
            raise self._lost(error) from error

    def call(self, *command: bytes) -> Any:
        """The reply to one command, when no other is outstanding. Raises Refused for an error."""
        self.send(encode_command(command))
        reply = self.receive()
        if isinstance(reply, ErrorReply):
            raise Refused(self.address, command[0].decode("latin-1"), reply.text)
        return reply

    def select(self, database: int) -> None:
        """When no reply is outstanding. Raises Refused."""
        if database != self.database:
            self.call(b"SELECT", b"%d" % database)
            self.database = database

    def receive(self) -> Any:
        """The next reply."""
        try:
            return self._receive()
        except OSError as error:
            raise self._lost(error) from error
        except ValueError as error:
            raise OperationError(f"{self.address} does not speak the protocol: {error}") from error

    def _receive(self) -> Any:
        line = self._replies.readline()
        if not line.endswith(b"\r\n"):
            raise Unreachable(self.address, "it closed the connection")
        match line[:1]:
            case b"+":
                return line[1:-2]
            case b"$":
                return self._bulk(int(line[1:-2]))
            case b":":
                return int(line[1:-2])
            case b"*":
                return [self._receive() for _ in range(int(line[1:-2]))]
            case b"-":
                return ErrorReply(line[1:-2].decode(errors="replace").removeprefix("ERR "))
        raise ValueError(f"a reply begins with {line[:16]!r}")

    def _bulk(self, length: int) -> bytes | None:
        if length < 0:
            return None
        content = self._replies.read(length + 2)
        if len(content) != length + 2:
            raise Unreachable(self.address, "it closed the connection")
        return content[:-2]

    def _lost(self, error: OSError) -> Unreachable:
        return Unreachable(self.address, reason_of(error))
