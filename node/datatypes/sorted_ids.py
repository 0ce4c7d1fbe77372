"""Ids in ascending order, for the lists of pending entries of streams.

Chunks of up to 2 * HALF ids. New ids nearly always come last and old ones leave first, so both ends are
cheap; anything else is found by bisection, and moves at most a chunk's length of pointers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

HALF = 256
"""Ids of a chunk after it was split."""


class SortedIds:
    __slots__ = ("_chunks", "_firsts", "_length")

    def __init__(self, ascending: Iterable[int] = ()) -> None:
        ids = list(ascending)
        self._chunks = [ids[start : start + HALF] for start in range(0, len(ids), HALF)]
        self._firsts = [chunk[0] for chunk in self._chunks]
        self._length = len(ids)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        for chunk in self._chunks:
            yield from chunk

    @property
    def first(self) -> int:
        """The lowest id. IndexError where there is none, as for `last`."""
        return self._firsts[0]

    @property
    def last(self) -> int:
        return self._chunks[-1][-1]

    def add(self, entry_id: int) -> None:
        """Add an id that is not there yet."""
        self._length += 1
        if not self._chunks:
            self._chunks.append([entry_id])
            self._firsts.append(entry_id)
            return
        number = max(0, bisect_right(self._firsts, entry_id) - 1)
        chunk = self._chunks[number]
        if entry_id > chunk[-1]:
            chunk.append(entry_id)
        else:
            chunk.insert(bisect_left(chunk, entry_id), entry_id)
            self._firsts[number] = chunk[0]
        if len(chunk) > 2 * HALF:
            self._chunks.insert(number + 1, chunk[HALF:])
            self._firsts.insert(number + 1, chunk[HALF])
            del chunk[HALF:]

    def remove(self, entry_id: int) -> None:
        """Remove an id that is there."""
        number = bisect_right(self._firsts, entry_id) - 1
        chunk = self._chunks[number]
        del chunk[bisect_left(chunk, entry_id)]
        self._length -= 1
        if chunk:
            self._firsts[number] = chunk[0]
        else:
            del self._chunks[number], self._firsts[number]

    def since(self, start: int) -> Iterator[int]:
        """The ids from `start` on, ascending. Nothing may be added or removed meanwhile."""
        number = max(0, bisect_right(self._firsts, start) - 1)
        if number < len(self._chunks):
            chunk = self._chunks[number]
            yield from chunk[bisect_left(chunk, start) :]
            for chunk in self._chunks[number + 1 :]:
                yield from chunk

    def at_or_after(self, start: int) -> int | None:
        """The first id from `start` on."""
        return next(self.since(start), None)
