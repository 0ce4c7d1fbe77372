"""Where RDB bytes come from: a buffered reader that knows its offset and its checksum, and never trusts a
length.

A length found in the data is only a claim: memory is taken as bytes arrive, at most `READ_AHEAD` ahead, so
a damaged file cannot make the reader allocate more than the file holds. The checksum covers what has been
handed out, and is brought up to date once per buffer, not once per field.
"""

from __future__ import annotations

from typing import Final, Protocol

from node.core.crc64 import crc64
from node.persistence.rdb.format import RdbError

READ_AHEAD: Final = 64 * 1024


class Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; empty at the end only."""


class Source:
    """Reads `stream`; `name` is what errors call it."""

    __slots__ = ("_at", "_before", "_buffer", "_checksummed", "_crc", "_stream", "name")

    def __init__(self, stream: Readable, name: str) -> None:
        self.name = name
        self._stream = stream
        self._buffer = b""
        self._at = 0
        self._before = 0
        """Offset of the buffer's first byte."""
        self._crc = 0
        self._checksummed = 0
        """How much of the buffer `_crc` covers."""

    @property
    def offset(self) -> int:
        """How many bytes have been handed out."""
        return self._before + self._at

    @property
    def crc(self) -> int:
        """The checksum of all bytes handed out."""
        if self._checksummed < self._at:
            self._crc = crc64(self._buffer[self._checksummed : self._at], self._crc)
            self._checksummed = self._at
        return self._crc

    def error(self, reason: str) -> RdbError:
        return RdbError(self.name, self.offset, reason)

    def byte(self) -> int:
        at = self._at
        if at < len(self._buffer):
            self._at = at + 1
            return self._buffer[at]
        return self.take(1)[0]

    def take(self, length: int) -> bytes:
        """Exactly `length` bytes; RdbError if the stream ends before."""
        at = self._at
        end = at + length
        if end <= len(self._buffer):
            self._at = end
            return self._buffer[at:end]
        return self._take_over_edge(length)

    def at_end(self) -> bool:
        """Whether nothing is left. May read ahead."""
        if self._at < len(self._buffer):
            return False
        self._refill()
        return not self._buffer

    def rest(self) -> bytes:
        """What was read ahead and not handed out yet: the beginning of what follows the RDB in the stream."""
        return self._buffer[self._at :]

    def _take_over_edge(self, length: int) -> bytes:
        parts: list[bytes] = []
        missing = length
        while missing:
            if self._at == len(self._buffer):
                self._refill()
                if not self._buffer:
                    raise self.error(f"unexpected end: {missing} more bytes expected")
            part = self._buffer[self._at : self._at + missing]
            self._at += len(part)
            missing -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _refill(self) -> None:
        """Replace a buffer that is used up."""
        _ = self.crc
        self._before += len(self._buffer)
        self._at = self._checksummed = 0
        self._buffer = self._stream.read(READ_AHEAD)
