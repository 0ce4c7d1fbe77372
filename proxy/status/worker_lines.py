"""Connections to all members for the status page, kept while somebody looks: one each, asked in turns."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import Callable, Collection, Iterator, Sequence

from node.tls.problems import reason_of
from proxy.workers.dialogue import Address, Line, Login, RemoteError, exchange, open_line, raw_replies

ANSWER_SECONDS = 2.0
"""For a connection and all that is asked at once"""


class NoAnswer(Exception):
    """Why, in some words."""


class WorkerLines:
    def __init__(self, login: Callable[[], Login]) -> None:
        self._login = login
        self._lines: dict[Address, Line] = {}

    async def open(self, address: Address) -> None:
        """Be connected. Raises NoAnswer."""
        if address not in self._lines:
            with _told_in_words():
                async with asyncio.timeout(ANSWER_SECONDS):
                    self._put(address, await self._open(address))

    async def ask(self, address: Address, *requests: Sequence[bytes]) -> list[bytes]:
        """The raw replies, errors among them. Raises NoAnswer."""
        with _told_in_words():
            async with asyncio.timeout(ANSWER_SECONDS):
                line = self._lines.pop(address, None) or await self._open(address)
                try:
                    replies = await raw_replies(line, *requests)
                except BaseException:
                    line.close()
                    raise
            self._put(address, line)
            return replies

    def _put(self, address: Address, line: Line) -> None:
        if self._lines.setdefault(address, line) is not line:
            line.close()  # two nodes have this address, of which one is a memory only

    async def _open(self, address: Address) -> Line:
        login = self._login()
        line = await open_line(address, login)
        try:
            if login.words:
                await exchange(line, (b"AUTH", *login.words))
        except BaseException:
            line.close()
            raise
        return line

    def keep(self, addresses: Collection[Address]) -> None:
        """Close those to others."""
        for address in self._lines.keys() - set(addresses):
            self._lines.pop(address).close()

    def close(self) -> None:
        self.keep(())


@contextlib.contextmanager
def _told_in_words() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise NoAnswer("does not answer") from None
    except RemoteError as error:
        raise NoAnswer(f"refuses the proxy: {error}") from None
    except EOFError:
        raise NoAnswer("closed the connection") from None
    except ssl.SSLError as error:
        raise NoAnswer(reason_of(error)) from None
    except OSError as error:
        raise NoAnswer(os.strerror(error.errno).lower() if error.errno else str(error)) from None
    except ValueError:
        raise NoAnswer("does not speak the protocol") from None
