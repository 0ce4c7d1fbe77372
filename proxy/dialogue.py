"""Short conversations with a worker, outside of the hot path: a login, a protocol, one question."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from proxy.codec import bulk_of, encode_request, is_error
from proxy.frames import ReplyScanner

Address = tuple[str, int]
"""(host, port) of a worker"""

CONNECT_TIMEOUT = 1.0
"""Connect and greeting together; requests may queue up for so long."""


class RemoteError(Exception):
    """The worker answered with an error; its text without the leading `-`."""


async def open_socket(address: Address) -> socket.socket:
    """A connected, non-blocking socket. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(*address, type=socket.SOCK_STREAM)
    family, kind, protocol, _, where = found[0]
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await loop.sock_connect(connection, where)
    except BaseException:
        connection.close()
        raise
    return connection


async def exchange(connection: socket.socket, *requests: tuple[bytes, ...]) -> list[bytes]:
    """Send requests, return their raw replies. RemoteError for an error reply, EOFError if it closes."""
    replies = await raw_replies(connection, *requests)
    for reply in replies:
        if is_error(reply):
            raise RemoteError(reply[1:-2].decode("latin-1"))
    return replies


async def raw_replies(connection: socket.socket, *requests: Sequence[bytes]) -> list[bytes]:
    """The same, error replies as they are."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, b"".join(map(encode_request, requests)))
    scanner = ReplyScanner()
    replies: list[bytes] = []
    while len(replies) < len(requests):
        data = await loop.sock_recv(connection, 65536)
        if not data:
            raise EOFError("the worker closed the connection")
        replies += scanner.feed(data)
    return replies


def greeting(credentials: tuple[bytes, ...], version: int) -> list[tuple[bytes, ...]]:
    """What a connection begins with. PING makes sure that the process is awake, not just there."""
    requests: list[tuple[bytes, ...]] = []
    if credentials:
        requests.append((b"AUTH", *credentials))
    requests.append((b"HELLO", b"3") if version == 3 else (b"PING",))
    return requests


async def open_worker(
    address: Address, credentials: tuple[bytes, ...], version: int, *more: tuple[bytes, ...]
) -> tuple[int, list[bytes]]:
    """The descriptor of a connection that has been greeted, and the raw replies to the requests `more`.

    Raises ConnectionError with words that follow the name of the worker.
    """
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            connection = await open_socket(address)
            try:
                replies = await exchange(connection, *greeting(credentials, version), *more)
                return connection.detach(), replies[len(replies) - len(more) :]
            except BaseException:
                connection.close()
                raise
    except RemoteError as error:
        raise ConnectionError(f"refuses the proxy: {error}") from None
    except TimeoutError:
        raise ConnectionError("does not answer") from None
    except (OSError, EOFError, ValueError) as error:
        raise ConnectionError(f"cannot be reached: {error}") from None


def refusal(address: Address, problem: str) -> bytes:
    """The error reply to requests for a worker that cannot be had."""
    words = problem.replace("\r", " ").replace("\n", " ")
    return f"-CLUSTERDOWN upstream {address[0]}:{address[1]} {words}\r\n".encode("utf-8", "replace")


async def ask(address: Address, credentials: tuple[bytes, ...], *question: bytes) -> bytes:
    """One question over a connection of its own; the bulk string it is answered with.

    Raises OSError, EOFError, RemoteError, and ValueError for another type of reply.
    """
    connection = await open_socket(address)
    try:
        requests = [(b"AUTH", *credentials)] if credentials else []
        return bulk_of((await exchange(connection, *requests, question))[-1])
    finally:
        connection.close()
