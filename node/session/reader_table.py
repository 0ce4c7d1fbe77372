"""Which clients have read which keys, in bounded memory.

The table is bounded by two generations: new keys join the young one; where there are too many, keys of the
old are given up, and when it is empty the young becomes the old. Whoever keeps the table tells the readers of
a key that was given up as if it had changed. A key holds numbers of clients; one of which may be gone.
"""

from __future__ import annotations

from collections.abc import Iterator

Readers = int | set[int]
"""Number of the client that read a key, or numbers."""
MOST_DROPPED = 100
"""Keys that one read may push out of the table."""


class ReaderTable:
    def __init__(self) -> None:
        self._young: dict[bytes, Readers] = {}
        self._old: dict[bytes, Readers] = {}
        self.item_count = 0
        """Pairs of key and reader."""

    def __len__(self) -> int:
        """Keys."""
        return len(self._young) + len(self._old)

    def add(self, key: bytes, reader: int) -> None:
        table = self._old if key in self._old else self._young
        known = table.get(key)
        if known is None:
            table[key] = reader
        elif isinstance(known, set):
            if reader in known:
                return
            known.add(reader)
        elif known == reader:
            return
        else:
            table[key] = {known, reader}
        self.item_count += 1

    def take(self, key: bytes) -> set[int]:
        """Forget `key`; the numbers of its readers."""
        readers = self._young.pop(key, None) or self._old.pop(key, None)
        return self._counted_out(readers) if readers is not None else set()

    def overflow(self, most: int) -> Iterator[tuple[bytes, set[int]]]:
        """Give up keys until there are no more than `most` (0: any number), or many have gone."""
        dropped = 0
        while most and len(self) > most and dropped < MOST_DROPPED:
            if not self._old:
                self._old, self._young = self._young, {}
            key, readers = self._old.popitem()
            yield key, self._counted_out(readers)
            dropped += 1

    def clear(self) -> None:
        self._young.clear()
        self._old.clear()
        self.item_count = 0

    def _counted_out(self, readers: Readers) -> set[int]:
        numbers = readers if isinstance(readers, set) else {readers}
        self.item_count -= len(numbers)
        return numbers
