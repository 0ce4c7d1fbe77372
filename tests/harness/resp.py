"""A RESP client that hides nothing, for comparing servers byte for byte.

`Resp` sends exactly the bytes it is given and reads one reply at a time, either as its raw bytes (`read_raw`)
or as a value that keeps every type of the protocol apart under `==`:

    $ bulk string       bytes                 * array     list
    : integer           int                   % map       Map([(key, value), ...])
    + simple string     Simple("OK")          ~ set       Set([...]), in the order it was sent
    - error             Error("ERR ...")      > push      Push([...])
    _ null              NULL                  # boolean   Boolean(True)
    $-1                 NULL_BULK             , double    Double("1.5"), the digits as sent
    *-1                 NULL_ARRAY            ( big       BigNumber("123")
    ! bulk error        BulkError("...")      = verbatim  Verbatim("txt", b"...")

An attribute (`|`) comes before the reply it belongs to, and is read as Attribute(pairs, reply).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Simple:
    text: str


@dataclass(frozen=True)
class Error:
    text: str

    @property
    def prefix(self) -> str:
        return self.text.split(" ", 1)[0]


@dataclass(frozen=True)
class BulkError:
    text: str


@dataclass(frozen=True)
class Null:
    wire: str


NULL = Null("_")
NULL_BULK = Null("$-1")
NULL_ARRAY = Null("*-1")


@dataclass(frozen=True)
class Boolean:
    value: bool


@dataclass(frozen=True)
class Double:
    digits: str


@dataclass(frozen=True)
class BigNumber:
    digits: str


@dataclass(frozen=True)
class Verbatim:
    format: str
    text: bytes


@dataclass(frozen=True)
class Map:
    pairs: list[tuple[Any, Any]]


@dataclass(frozen=True)
class Set:
    items: list[Any]


@dataclass(frozen=True)
class Push:
    items: list[Any]


@dataclass(frozen=True)
class Attribute:
    pairs: list[tuple[Any, Any]]
    reply: Any


class BadReply(AssertionError):
    """The server sent something that is not RESP."""


def encode(*args: bytes | str | int | float) -> bytes:
    """A command as the array of bulk strings that clients send."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        raw = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
    return b"".join(parts)


class Resp:
    """One connection. Reading past what the server sends within `timeout` raises TimeoutError; reading from a
    connection that the server closed raises EOFError."""

    def __init__(
        self,
        port: int,
        host: str = "127.0.0.1",
        timeout: float = 5.0,
        protocol: int = 2,
        path: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.socket: socket.socket
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(path)
        else:
            self.socket = socket.create_connection((host, port), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=host)
        self._buffer = bytearray()
        self._at = 0
        if protocol != 2:
            hello = self.command("HELLO", protocol)
            if isinstance(hello, Error):
                raise BadReply(f"HELLO {protocol}: {hello.text}")

    def __enter__(self) -> Resp:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    # sending

    def send(self, raw: bytes) -> None:
        """Exactly these bytes, which need not be a whole request."""
        self.socket.sendall(raw)

    def send_command(self, *args: bytes | str | int | float) -> None:
        self.send(encode(*args))

    def command(self, *args: bytes | str | int | float) -> Any:
        """Send one command and read its reply."""
        self.send_command(*args)
        return self.read()

    def command_raw(self, *args: bytes | str | int | float) -> bytes:
        """Send one command and read its reply as the bytes on the wire."""
        self.send_command(*args)
        return self.read_raw()

    def inline(self, line: str) -> Any:
        self.send(line.encode() + b"\r\n")
        return self.read()

    def pipeline(self, *commands: tuple[bytes | str | int | float, ...]) -> list[Any]:
        """Send all commands at once, then read all replies."""
        self.send(b"".join(encode(*command) for command in commands))
        return [self.read() for _ in commands]

    # reading

    def read(self) -> Any:
        """One reply as a value."""
        value = self._parse()
        self._drop_read()
        return value

    def read_raw(self) -> bytes:
        """One reply as the bytes that carried it."""
        self._parse()
        return self._drop_read()

    def read_until_closed(self) -> bytes:
        """Everything the server still sends until it closes the connection; TimeoutError if it does not."""
        try:
            while True:
                self._receive()
        except (EOFError, ConnectionResetError):
            rest = bytes(self._buffer)
            self._buffer.clear()
            return rest

    def silent(self, seconds: float = 0.05) -> bool:
        """Whether nothing arrives for so long: for asserting that no reply was sent."""
        if self._buffer:
            return False
        usual = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self._receive()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(usual)
        return False

    def _drop_read(self) -> bytes:
        raw = bytes(self._buffer[: self._at])
        del self._buffer[: self._at]
        self._at = 0
        return raw

    def _receive(self) -> None:
        chunk = self.socket.recv(1 << 16)
        if not chunk:
            raise EOFError("the server closed the connection")
        self._buffer += chunk

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n", self._at)) < 0:
            self._receive_or_rewind()
        line = bytes(self._buffer[self._at : end])
        self._at = end + 2
        return line

    def _exactly(self, length: int) -> bytes:
        while len(self._buffer) < self._at + length + 2:
            self._receive_or_rewind()
        raw = bytes(self._buffer[self._at : self._at + length])
        if self._buffer[self._at + length : self._at + length + 2] != b"\r\n":
            raise BadReply(f"bulk of {length} bytes not followed by CRLF: {raw!r}")
        self._at += length + 2
        return raw

    def _receive_or_rewind(self) -> None:
        """After a timeout the reply can be read again from its beginning."""
        try:
            self._receive()
        except TimeoutError:
            self._at = 0
            raise

    def _parse(self) -> Any:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind in _LINES:
            return _LINES[kind](rest.decode("latin-1"))
        if kind in (b"$", b"=", b"!"):
            return self._parse_bulk(kind, int(rest))
        count = int(rest) if kind in (b"*", b"~", b">", b"%", b"|") else None
        if count is None:
            raise BadReply(f"unknown reply type: {line!r}")
        if count == -1 and kind == b"*":
            return NULL_ARRAY
        if kind in (b"%", b"|"):
            pairs = [(self._parse(), self._parse()) for _ in range(count)]
            return Map(pairs) if kind == b"%" else Attribute(pairs, self._parse())
        items = [self._parse() for _ in range(count)]
        if kind == b"*":
            return items
        return Set(items) if kind == b"~" else Push(items)

    def _parse_bulk(self, kind: bytes, length: int) -> Any:
        if length == -1 and kind == b"$":
            return NULL_BULK
        raw = self._exactly(length)
        if kind == b"=":
            return Verbatim(raw[:3].decode(), raw[4:])
        return BulkError(raw.decode("latin-1")) if kind == b"!" else raw


def _boolean(text: str) -> Boolean:
    if text not in ("t", "f"):
        raise BadReply(f"boolean {text!r}")
    return Boolean(text == "t")


_LINES: dict[bytes, Callable[[str], Any]] = {
    b"+": Simple,
    b"-": Error,
    b":": int,
    b"_": lambda _: NULL,
    b"#": _boolean,
    b",": Double,
    b"(": BigNumber,
}
