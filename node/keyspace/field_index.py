"""Which hashes of a database have fields that expire, and when the first of them is due.

A heap of (moment, key), and beside it what moment a key is awaited for. Both are only promises: a key may
be deleted, renamed or overwritten, its fields persist, and nobody tells. Whoever finds nothing due at a
promised moment asks the hash anew (`due`). Promises of keys that are long gone are thrown out each time their
number has doubled, so that it stays in proportion.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

from node.core.hash import NEVER

FEWEST: Final = 1000
"""Promises below which nothing is thrown out."""


class FieldIndex:
    """`soonest(key)` is the Unix ms at which the first field of the hash at `key` expires, NEVER for none."""

    def __init__(self, soonest: Callable[[bytes], int]) -> None:
        self.soonest = soonest
        self._heap: list[tuple[int, bytes]] = []
        self._awaited: dict[bytes, int] = {}
        self._prune_at = FEWEST

    def schedule(self, key: bytes, at: int) -> None:
        """The hash at `key` has a field that expires at `at`, and perhaps none before."""
        awaited = self._awaited.get(key)
        if awaited is not None and awaited <= at:
            return
        self._awaited[key] = at
        heappush(self._heap, (at, key))
        if len(self._heap) > self._prune_at:
            self._prune()

    def due(self, now: int) -> bytes | None:
        """A key of which fields expired before `now`, None if there is none. Due until they go."""
        while self._heap and self._heap[0][0] < now:
            at, key = self._heap[0]
            if self._awaited.get(key) == at:
                soonest = self.soonest(key)
                if soonest < now:
                    return key
                del self._awaited[key]
                if soonest != NEVER:
                    self.schedule(key, soonest)
            if self._heap[0] == (at, key):
                heappop(self._heap)
        return None

    def count(self) -> int:
        """How many hashes there are with fields that expire."""
        if self._heap:
            self._prune()
        return len(self._awaited)

    def _prune(self) -> None:
        """Keep the promises that are true still, with the moments that are true now."""
        moments = {key: self.soonest(key) for key in self._awaited}
        self._awaited = {key: at for key, at in moments.items() if at != NEVER}
        self._heap = [(at, key) for key, at in self._awaited.items()]
        heapify(self._heap)
        self._prune_at = max(FEWEST, 2 * len(self._heap))
