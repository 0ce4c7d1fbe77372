"""The other processes of the same proxy: what concerns the clients of all is asked of all.

Each process listens on a unix socket in a directory that only its user can enter, and answers there what it
answers itself, for itself alone. Whoever gets one of the commands below from a client adds what the others
say; one that does not answer within a second is left out.

All other figures and settings are of the process that has accepted the connection.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.errors import ReplyError
from node.replies import Verbatim
from proxy.requests.codec import decode_reply, encode_reply
from proxy.workers.dialogue import Line, raw_replies

if TYPE_CHECKING:
    from proxy.core.client import Client

ASK_TIMEOUT = 1.0


class Siblings:
    def __init__(self, directory: str, number: int) -> None:
        self.directory = Path(directory)
        self.number = number

    @property
    def path(self) -> str:
        """Of our own socket."""
        return str(self.directory / str(self.number))

    async def ask(self, *question: bytes) -> list[Any]:
        """What the others reply; ReplyError objects among it."""
        try:
            paths = sorted(path for path in os.listdir(self.directory) if path != str(self.number))
        except FileNotFoundError:
            return []  # our keeper was killed, and we are about to end
        replies = await asyncio.gather(*(self._ask(path, question) for path in paths))
        return [decode_reply(reply) for reply in replies if reply]

    async def _ask(self, name: str, question: Sequence[bytes]) -> bytes:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.setblocking(False)
            try:
                async with asyncio.timeout(ASK_TIMEOUT):
                    await loop.sock_connect(connection, str(self.directory / name))
                    return (await raw_replies(Line(connection), question))[0]
            except (OSError, EOFError, TimeoutError, ValueError):
                return b""  # it has ended, or stands still

    async def figures(self) -> list[dict[str, str]]:
        """What the others count (info.figures)."""
        texts = await self.ask(b"INFO")
        return [
            dict(line.split(":", 1) for line in text.decode().splitlines())
            for text in texts
            if not isinstance(text, ReplyError)
        ]

    async def together(self, client: Client, tag: int, name: str, argv: Sequence[bytes], own: Any) -> None:
        """Answer `client` with our `own` reply and those of the others in one."""
        replies = [own, *await self.ask(*argv)]
        done = [each for each in replies if not isinstance(each, ReplyError)]
        client.complete(tag, encode_reply(MERGED[name](argv, done) if done else own, client.resp))


def _lines(argv: Sequence[bytes], replies: Sequence[Any]) -> Any:
    """Of CLIENT LIST, in order of the ids."""
    lines: list[bytes] = []
    for reply in replies:
        lines += (reply.text if isinstance(reply, Verbatim) else reply).splitlines(keepends=True)
    lines.sort(key=_id_of)
    return Verbatim(b"".join(lines))


def _id_of(line: bytes) -> int:
    return int(line.split(b" ", 1)[0].removeprefix(b"id="))


def _killed(argv: Sequence[bytes], replies: Sequence[Any]) -> Any:
    """How many, or for the old form whether anybody."""
    return sum(replies) if len(argv) > 3 else replies[0]


def _total(argv: Sequence[bytes], replies: Sequence[Any]) -> Any:
    return sum(replies)


def _first(argv: Sequence[bytes], replies: Sequence[Any]) -> Any:
    return replies[0]


MERGED: dict[str, Callable[[Sequence[bytes], Sequence[Any]], Any]] = {
    "client|list": _lines,
    "client|kill": _killed,
    "client|unblock": _total,
    "client|pause": _first,
    "client|unpause": _first,
}
"""Commands that each process answers for its own clients, and how those that are no errors become one."""
