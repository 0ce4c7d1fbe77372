"""DEBUG DIGEST: one short text for all of a server's data, to tell whether two servers hold the same.

Everything is SHA-1, joined in two ways. What has an order is mixed in, the result depending on all that came
before: digest = SHA1(digest xor SHA1(data)). What has none is xored. A key's digest is mixed of its name, the
number of its type, and its value; it does not tell encodings apart, nor moments of expiry, only that a key
has one. A dataset's digest is mixed of the number of each database, and xored of the keys in it.

The scheme is Redis', so digests are comparable with those of redis-server and valkey-server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from node.core.double_digits import double_digits
from node.datatypes import Hash, List, Set, SortedSet, Stream, stream_id

_EXPIRES: Final = b"!!expire!!"
_FIELD_EXPIRES: Final = b"!!hexpire!!"

_TYPE_NUMBERS: Final = {"string": 0, "list": 1, "set": 2, "zset": 3, "hash": 4, "stream": 6}


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


class Digest:
    """A digest in the making: 160 bits."""

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        self._bits = 0

    def mix(self, data: bytes) -> Digest:
        """Add what stands in an order."""
        self.add(data)
        self._bits = int.from_bytes(_sha1(self._bits.to_bytes(20, "big")), "big")
        return self

    def add(self, data: bytes) -> Digest:
        """Add what stands in none."""
        self._bits ^= int.from_bytes(_sha1(data), "big")
        return self

    def mix_value(self, value: Any, expires: bool) -> Digest:
        """Add a value as `Database.entries` has it."""
        is_string = isinstance(value, bytes)
        number = _TYPE_NUMBERS["string" if is_string else value.type_name]
        self.mix(number.to_bytes(4, "big"))
        if is_string:
            self.mix(value)
        elif isinstance(value, List):
            for element in value:
                self.mix(element)
        elif isinstance(value, Set):
            for member in value:
                self.add(member)
        elif isinstance(value, SortedSet):
            for member, score in value.items():
                self.add_element((member, double_digits(score)))
        elif isinstance(value, Hash):
            for field, content, expire_at in value.walk():
                self.add_element((field, content), _FIELD_EXPIRES if expire_at else None)
        elif isinstance(value, Stream):
            for entry_id, parts in value.entries():
                self.mix(b"%d.%d" % stream_id.split(entry_id))
                for part in parts:
                    self.mix(part)
        return self.add(_EXPIRES) if expires else self

    def add_element(self, parts: Iterable[bytes], mark: bytes | None = None) -> None:
        """Add something of several parts that stand in an order, itself standing in none; perhaps marked."""
        own = Digest()
        for part in parts:
            own.mix(part)
        if mark is not None:
            own.add(mark)
        self.add(own._bits.to_bytes(20, "big"))

    def hex(self) -> str:
        return f"{self._bits:040x}"


def digest_of_value(value: Any, expires: bool) -> str:
    """Of a value alone, without its key; zeros for None."""
    return Digest().hex() if value is None else Digest().mix_value(value, expires).hex()


def digest_of_dataset(databases: Iterable[Any]) -> str:
    """Of all databases; zeros if there is no key."""
    whole = Digest()
    for db in databases:
        if len(db) == 0:
            continue
        whole.mix(db.index.to_bytes(4, "big"))
        for key, value, expire_at in db.entries():
            own = Digest().mix(key).mix_value(value, bool(expire_at))
            whole.add(own._bits.to_bytes(20, "big"))
    return whole.hex()
