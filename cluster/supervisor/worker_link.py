"""A connection to a worker that is kept open, for whoever must not wait: to ask is to send at once.

Requests go out as they are asked for, answers come back in that order, each to its own future. A worker that
does not answer keeps nobody waiting longer than he wants, and its answers may come later. Speaks RESP2, and
as much of it as the answers to the supervisor's few commands need.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any

from node.core.reply_writer import encode_command

CONNECT_SECONDS = 1.0
LONGEST_BULK = 64 << 20


class Refusal(Exception):
    """The worker answered with an error."""


class WorkerLink:
    def __init__(
        self, host: str, port: int, login: Sequence[str] = (), protection: ssl.SSLContext | None = None
    ) -> None:
        self.host = host
        self._protection = protection
        self.port = port
        self._login = login
        """What AUTH is sent with, before all else; empty for workers that want none."""
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._asked: deque[asyncio.Future[Any]] = deque()

    @property
    def is_open(self) -> bool:
        return self._writer is not None

    async def open(self) -> None:
        """Connect unless connected. Raises OSError or TimeoutError."""
        if self._writer is None:
            connecting = asyncio.open_connection(self.host, self.port, ssl=self._protection)
            reader, writer = await asyncio.wait_for(connecting, CONNECT_SECONDS)
            self._writer = writer
            self._reading = asyncio.create_task(self._read(reader, writer))
            if self._login:
                self.ask("AUTH", *self._login)  # if that is refused, what follows tells

    def ask(self, *words: str) -> asyncio.Future[Any]:
        """Send a command. The future becomes its answer, or fails with Refusal or ConnectionError."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._writer is None:
            answer.set_exception(ConnectionError("not connected"))
        else:
            self._asked.append(answer)
            self._writer.write(encode_command([word.encode() for word in words]))
        return answer

    async def call(self, *words: str, seconds: float) -> Any:
        """The answer: bytes, str, int, None or a list. Raises Refusal, OSError or TimeoutError, after which
        the link goes on."""
        await self.open()
        return await asyncio.wait_for(self.ask(*words), seconds)

    def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        self._fail(ConnectionError("connection closed"))

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                reply = await _read_reply(reader)
                answer = self._asked.popleft()
                if answer.done():  # nobody waits for it any more
                    continue
                if isinstance(reply, Refusal):
                    answer.set_exception(reply)
                    answer.exception()  # so that it is no mistake if nobody waits
                else:
                    answer.set_result(reply)
        except (OSError, EOFError, ValueError, IndexError) as error:
            if self._writer is writer:
                self._writer = self._reading = None
                writer.close()
                self._fail(ConnectionError(str(error) or "connection lost"))

    def _fail(self, error: ConnectionError) -> None:
        asked, self._asked = self._asked, deque()
        for answer in asked:
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # so that it is no mistake if nobody waits


async def _read_reply(reader: asyncio.StreamReader) -> Any:
    """Raises ValueError for what is no RESP2."""
    line = (await reader.readline()).decode("utf-8", "replace")
    if not line.endswith("\r\n"):
        raise EOFError
    kind, rest = line[0], line[1:-2]
    match kind:
        case "+":
            return rest
        case "-":
            return Refusal(rest)
        case ":":
            return int(rest)
        case "$":
            length = int(rest)
            if length > LONGEST_BULK:
                raise ValueError(f"an answer of {length} bytes")
            return None if length < 0 else (await reader.readexactly(length + 2))[:-2]
        case "*":
            return [await _read_reply(reader) for _ in range(int(rest))]
    raise ValueError(f"an answer that begins with {kind!r}")
