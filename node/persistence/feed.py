"""A snapshot that is read while it arrives: what has come and is not read yet.

Whoever puts in is told when there is enough for now, and when there is room again; whoever reads, by Starved,
that there is nothing, and can wait for more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from node.core.rdb_source import Starved

ENOUGH: Final = 4 << 20
"""Bytes that wait to be read before whoever puts in shall stop."""
LEAST: Final = 64 * 1024
"""Bytes for which it is worth to look again."""


class Feed:
    """`hold(held)` is called when the sender shall wait (True), or go on. Readable, as RdbReader wants it."""

    def __init__(self, hold: Callable[[bool], None]) -> None:
        self._hold = hold
        self._parts: list[bytes] = []
        self._size = 0
        self._wanted = 0
        self._has_ended = False
        self._changed = asyncio.Event()

    def put(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > max(ENOUGH, self._wanted):
            self._hold(True)
        self._changed.set()

    def end(self) -> None:
        """Nothing will follow."""
        self._has_ended = True
        self._changed.set()

    def read(self, _size: int, /) -> bytes:
        """All that is there; empty at the end. Raises Starved."""
        if not self._parts:
            if self._has_ended:
                return b""
            raise Starved
        data = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        self._hold(False)
        return data

    async def more(self, size: int) -> None:
        """Return when so many bytes have come, or the end has."""
        self._wanted = max(size, LEAST)
        while self._size < self._wanted and not self._has_ended:
            await self._wait()
        self._wanted = 0

    async def ended(self) -> None:
        """Return at the end. What comes until then is not wanted any more."""
        while not self._has_ended:
            await self._wait()
            if self._parts:
                self.read(0)

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()
