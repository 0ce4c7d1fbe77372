"""A small HTTP server for what a process tells of itself: pages that are read, one request per connection.

It is for readers in one's own network (Prometheus, a browser of the operator), so it asks for no password,
and no page changes anything. What it takes is bounded: the bytes of a request, the time a reader may take,
and how many are served at once. Whoever asks for a page that is being made gets the same one, so that many
readers cost what one does.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

REQUEST_MAX: Final = 8192
"""Bytes of a request"""
REQUEST_TIMEOUT: Final = 5.0
MOST_READERS: Final = 64


class Content(NamedTuple):
    kind: str
    """As Content-Type says it"""
    body: bytes
    headers: Mapping[str, str] = {}
    """Others"""


Page = Callable[[], Awaitable[Content]]


class WebServer:
    """`pages`: path -> what makes the page."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = dict(pages)
        self._servers: list[asyncio.Server] = []
        self._readers = 0
        self._in_the_making: dict[str, asyncio.Task[Content]] = {}

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Serve on these, which are bound."""
        for sock in sockets:
            self._servers.append(await asyncio.start_server(self._serve, sock=sock, limit=REQUEST_MAX))

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._in_the_making.values():
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._readers += 1
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                if self._readers > MOST_READERS:
                    writer.write(_response("503 Service Unavailable"))
                else:
                    writer.write(await self._answer(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # nobody who speaks HTTP, or who waits
        finally:
            self._readers -= 1
            writer.close()

    async def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
        if path not in self._pages:
            known = Content("text/plain", f"There is {', '.join(self._pages)}\n".encode())
            return _response("404 Not Found", known)
        if method not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed")
        content = await self._made(path)
        return _response("200 OK", content, with_body=method == b"GET")

    async def _made(self, path: str) -> Content:
        task = self._in_the_making.get(path)
        if task is None:
            task = self._in_the_making[path] = asyncio.ensure_future(self._pages[path]())
            task.add_done_callback(lambda _: self._in_the_making.pop(path, None))
        return await asyncio.shield(task)  # a reader that goes takes nothing from the others


NOTHING: Final = Content("text/plain", b"")


def _response(status: str, content: Content = NOTHING, with_body: bool = True) -> bytes:
    head = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {content.kind}",
        f"Content-Length: {len(content.body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in content.headers.items()),
    ]
    return "\r\n".join([*head, "", ""]).encode() + (content.body if with_body else b"")
