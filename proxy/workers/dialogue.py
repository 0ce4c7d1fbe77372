"""Short conversations with a worker, outside of the hot path: a login, a protocol, one question."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from node.tls.problems import reason_of
from proxy.core.frames import ReplyScanner
from proxy.core.secrecy import Secrecy
from proxy.requests.codec import bulk_of, encode_request, is_error

Address = tuple[str, int]
"""(host, port) of a worker"""

UNIX_SOCKETS: dict[Address, str] = {}
"""Workers on this machine -> path of the socket at which they are reached (worker_sockets.py)"""

CONNECT_TIMEOUT = 1.0
"""Connect and greeting together; requests may queue up for so long."""


@dataclass(frozen=True)
class Login:
    """How we get in at the workers of a cluster."""

    words: tuple[bytes, ...] = field(default=(), repr=False)
    """Arguments of AUTH: (), (password,) or (user, password)"""
    tls: Callable[[], ssl.SSLContext] | None = None
    """What to connect with at this moment; None: plain"""
    name: bytes = b""
    """What workers show our connections by; empty: they have none"""


class RemoteError(Exception):
    """The worker answered with an error; its text without the leading `-`."""


class Line:
    """A connection that is asked in turns: plain, or by TLS."""

    def __init__(self, connection: socket.socket, secrecy: Secrecy | None = None) -> None:
        self._connection = connection
        self._secrecy = secrecy

    async def shake_hands(self) -> None:
        """Raises OSError, of which TLS' errors are a kind, and EOFError."""
        assert self._secrecy is not None
        loop = asyncio.get_running_loop()
        while not self._secrecy.shake_hands():
            await loop.sock_sendall(self._connection, self._secrecy.put_out())
            self._secrecy.take_in(await self._receive())
        await loop.sock_sendall(self._connection, self._secrecy.put_out())

    async def send(self, text: bytes) -> None:
        data = text if self._secrecy is None else self._secrecy.encrypt(text)
        await asyncio.get_running_loop().sock_sendall(self._connection, data)

    async def receive(self) -> bytes:
        """Some bytes, as soon as there are any. Raises EOFError at the end."""
        if self._secrecy is None:
            return await self._receive()
        while not (text := self._secrecy.decrypt()):
            self._secrecy.take_in(await self._receive())
        return text

    async def _receive(self) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self._connection, 65536)
        if not data:
            raise EOFError("the worker closed the connection")
        return data

    def detach(self) -> tuple[int, Secrecy | None]:
        """Give away its descriptor, and what its TLS has come to, after the last reply was read."""
        return self._connection.detach(), self._secrecy

    def close(self) -> None:
        self._connection.close()


async def open_line(address: Address, login: Login) -> Line:
    """Connected to a worker. Raises OSError and EOFError."""
    connection = await open_socket(address)
    if login.tls is None:
        return Line(connection)
    line = Line(connection, Secrecy(login.tls(), False))
    try:
        await line.shake_hands()
    except BaseException:
        line.close()
        raise
    return line


async def open_socket(address: Address) -> socket.socket:
    """A connected, non-blocking socket. Raises OSError."""
    path = UNIX_SOCKETS.get(address)
    if path is not None:
        try:
            return await open_unix(path)
        except OSError:  # it has ended, or is too busy to accept; perhaps it is back without a socket
            UNIX_SOCKETS.pop(address, None)
    family, kind, protocol, _, where = (await _resolved(address))[0]
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(connection, where)
    except BaseException:
        connection.close()
        raise
    return connection


async def _resolved(address: Address) -> Sequence[tuple[Any, ...]]:
    """As socket.getaddrinfo; a name is looked up in a thread, which an IP address need not be."""
    try:
        return socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return await asyncio.get_running_loop().getaddrinfo(*address, type=socket.SOCK_STREAM)


async def open_unix(path: str) -> socket.socket:
    """The same, at a unix socket."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


async def exchange(line: Line, *requests: tuple[bytes, ...]) -> list[bytes]:
    """Send requests, return their raw replies. RemoteError for an error reply, EOFError if it closes."""
    return accepted(await raw_replies(line, *requests))


def accepted(replies: list[bytes]) -> list[bytes]:
    """The same replies, unless one of them is an error."""
    for reply in replies:
        if is_error(reply):
            raise RemoteError(reply[1:-2].decode("latin-1"))
    return replies


async def raw_replies(line: Line, *requests: Sequence[bytes]) -> list[bytes]:
    """The same, error replies as they are."""
    await line.send(b"".join(map(encode_request, requests)))
    scanner = ReplyScanner()
    replies: list[bytes] = []
    while len(replies) < len(requests):
        replies += scanner.feed(await line.receive())
    return replies


def greeting(login: Login, version: int) -> list[tuple[bytes, ...]]:
    """What a connection begins with. PING makes sure that the process is awake, not just there."""
    requests: list[tuple[bytes, ...]] = []
    if login.words:
        requests.append((b"AUTH", *login.words))
    requests.append((b"HELLO", b"3") if version == 3 else (b"PING",))
    return requests


async def open_worker(
    address: Address, login: Login, version: int, *more: tuple[bytes, ...]
) -> tuple[tuple[int, Secrecy | None], list[bytes]]:
    """A connection that has been greeted, detached, and the raw replies to the requests `more`.

    Raises ConnectionError with words that follow the name of the worker.
    """
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            line = await open_line(address, login)
            try:
                # Last, and whatever they answer: our user there may have no right to it.
                naming = [(b"CLIENT", b"SETNAME", login.name)] if login.name else []
                begin = greeting(login, version)
                replies = await raw_replies(line, *begin, *more, *naming)
                return line.detach(), accepted(replies[: len(begin) + len(more)])[len(begin) :]
            except BaseException:
                line.close()
                raise
    except RemoteError as error:
        raise ConnectionError(f"refuses the proxy: {error}") from None
    except TimeoutError:
        raise ConnectionError("does not answer") from None
    except ssl.SSLError as error:
        raise ConnectionError(f"cannot be reached: {reason_of(error)}") from None
    except (OSError, EOFError, ValueError) as error:
        raise ConnectionError(f"cannot be reached: {error}") from None


def refusal(address: Address, problem: str) -> bytes:
    """The error reply to requests for a worker that cannot be had."""
    words = problem.replace("\r", " ").replace("\n", " ")
    return f"-CLUSTERDOWN upstream {address[0]}:{address[1]} {words}\r\n".encode("utf-8", "replace")


async def ask(address: Address, login: Login, *question: bytes) -> bytes:
    """One question over a connection of its own; the bulk string it is answered with.

    Raises OSError, EOFError, RemoteError, and ValueError for another type of reply.
    """
    line = await open_line(address, login)
    try:
        requests = [(b"AUTH", *login.words)] if login.words else []
        return bulk_of((await exchange(line, *requests, question))[-1])
    finally:
        line.close()
