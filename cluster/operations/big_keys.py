"""Which keys take most: of each type, and of all."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from cluster.operations.key_walk import Source, ask
from cluster.operations.link import NodeLink

Row = TypeVar("Row")

LENGTHS = {
    "string": ("STRLEN", "bytes"),
    "list": ("LLEN", "items"),
    "hash": ("HLEN", "fields"),
    "set": ("SCARD", "members"),
    "zset": ("ZCARD", "members"),
    "stream": ("XLEN", "entries"),
}
"""Type -> the command that tells a key's length, and what it counts. Types of modules have none."""


class Top(Generic[Row]):
    """The `most` rows of greatest weight."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[float, int, Row]] = []
        self._age = count(0, -1)  # of equal weight, the first stays

    def add(self, weight: float, row: Row) -> None:
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, (weight, next(self._age), row))
        elif weight > self._heap[0][0]:
            heapq.heapreplace(self._heap, (weight, next(self._age), row))

    def add_all(self, other: Top[Row]) -> None:
        for weight, _, row in sorted(other._heap, reverse=True):
            self.add(weight, row)

    def rows(self) -> list[Row]:
        """The greatest first."""
        return [row for _, _, row in sorted(self._heap, reverse=True)]


@dataclass(frozen=True)
class BigKey:
    key: bytes
    type: str
    memory: int
    """Bytes, by MEMORY USAGE."""
    length: int | None
    """In what LENGTHS says of its type."""
    source: Source
    database: int


@dataclass
class OfType:
    """The keys of one type together."""

    keys: int = 0
    memory: int = 0
    length: int = 0
    biggest: Top[BigKey] = field(default_factory=lambda: Top(1))


class Tally:
    """What has been met, of one source or of several. `by_length`: the biggest are the longest."""

    def __init__(self, most: int, by_length: bool, samples: int = 5) -> None:
        self._by_length = by_length
        self._samples = samples
        self.types: dict[str, OfType] = {}
        self.biggest: Top[BigKey] = Top(most)

    def examine(self, source: Source, link: NodeLink, database: int, keys: Sequence[bytes]) -> None:
        """Ask for these keys, and count them."""
        asked: list[tuple[str | bytes | int, ...]] = [("TYPE", key) for key in keys]
        asked += [("MEMORY", "USAGE", key, "SAMPLES", self._samples) for key in keys]
        replies = ask(link, asked)
        types = [(reply or b"none").decode("latin-1") for reply in replies[: len(keys)]]
        measured = [number for number, name in enumerate(types) if name in LENGTHS]
        lengths: dict[int, int | None] = dict(
            zip(measured, ask(link, [(LENGTHS[types[i]][0], keys[i]) for i in measured]), strict=True)
        )
        for i, (key, name, memory) in enumerate(zip(keys, types, replies[len(keys) :], strict=True)):
            if memory is not None and name != "none":
                self.add(BigKey(key, name, memory, lengths.get(i), source, database))

    def add(self, key: BigKey) -> None:
        of_type = self.types.setdefault(key.type, OfType())
        of_type.keys += 1
        of_type.memory += key.memory
        of_type.length += key.length or 0
        weight = (key.length or 0) if self._by_length else key.memory
        of_type.biggest.add(weight, key)
        self.biggest.add(weight, key)

    def join(self, others: Iterable[Tally]) -> Tally:
        """Add what others have met."""
        for other in others:
            self.biggest.add_all(other.biggest)
            for name, theirs in other.types.items():
                ours = self.types.setdefault(name, OfType())
                ours.keys += theirs.keys
                ours.memory += theirs.memory
                ours.length += theirs.length
                ours.biggest.add_all(theirs.biggest)
        return self
