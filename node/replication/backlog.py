"""The backlog: the latest bytes of the replication stream, kept for replicas whose link was cut.

A ring of fixed size. Offsets count the bytes of the whole stream; the first byte ever has offset 1, as on
the wire. The ring holds the offsets `first` to `last`; a replica that asks for one of these, or for the
next one, gets what it missed instead of the whole data set.
"""

from __future__ import annotations


class Backlog:
    """Holds the last `size` bytes of a stream that has `offset` bytes already."""

    def __init__(self, size: int, offset: int) -> None:
        self._ring = bytearray(size)
        self._next = 0
        """Where in the ring the next byte goes."""
        self.length = 0
        """How many bytes are held."""
        self.last = offset
        """Offset of the last byte held, or that came before this backlog."""

    @property
    def size(self) -> int:
        return len(self._ring)

    @property
    def first(self) -> int:
        """Offset of the oldest byte that can be had; of the next one while there is none."""
        return self.last - self.length + 1

    def feed(self, data: bytes) -> None:
        """Append the next bytes of the stream."""
        size = len(self._ring)
        self.last += len(data)
        self.length = min(self.length + len(data), size)
        if len(data) > size:
            data = data[-size:]
        room = size - self._next
        self._ring[self._next : self._next + min(room, len(data))] = data[:room]
        if len(data) > room:
            self._ring[: len(data) - room] = data[room:]
        self._next = (self._next + len(data)) % size

    def covers(self, offset: int) -> bool:
        """Whether the stream can be continued from `offset` on."""
        return self.first <= offset <= self.last + 1

    def since(self, offset: int) -> bytes:
        """The bytes from `offset` on. ValueError if they are not all held."""
        if not self.covers(offset):
            raise ValueError(f"offset {offset} is not within {self.first}..{self.last + 1}")
        count = self.last + 1 - offset
        start = (self._next - count) % len(self._ring)
        part = self._ring[start : start + count]
        return bytes(part + self._ring[: count - len(part)])

    def resize(self, size: int) -> None:
        """Change the size; what is held stays as far as it fits."""
        kept = self.since(self.first)[-size:]
        self._ring = bytearray(size)
        self._next = self.length = 0
        self.last -= len(kept)
        self.feed(kept)
