"""What a stream of entries amounts to: how many there are, and one digest of all."""

from __future__ import annotations

from collections import Counter

from node.keyspace.fingerprint import fingerprint
from node.persistence.rdb import Entry


class Ledger:
    """`digest` is the xor of the entries' fingerprints: the same in whatever order and files they come."""

    def __init__(self) -> None:
        self.keys: Counter[int] = Counter()
        """By database."""
        self.expiring = 0
        self.digest = 0

    @property
    def total(self) -> int:
        return self.keys.total()

    def add(self, entry: Entry) -> int:
        """Returns the entry's fingerprint."""
        # Without a moment no field is gone, so it is a number.
        number = fingerprint(entry.database, entry.key, entry.value, entry.expire_at) or 0
        self.keys[entry.database] += 1
        self.expiring += bool(entry.expire_at)
        self.digest ^= number
        return number
