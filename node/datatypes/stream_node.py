"""A run of neighbouring stream entries, packed as Redis packs them.

    node   = count deleted fields field* 0  entry*
    entry  = flags milliseconds sequence (value* | fields (field value)*) elements

All of them are elements of a listpack. The node's master id is that of its first entry; entries hold the
differences to it, and if their fields are the master's (SAME_FIELDS), their values alone. `elements` says
how many elements the entry has before it. A removed entry is only marked (DELETED): the bytes go with the
node, once no entry of it is alive.

In memory a node is the entries' bytes, which nobody changes in place, and where each of them begins. What
stands before the entries is put there when the node is written (`listpack()`). Source: t_stream.c of Redis.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final

from node.core import listpack
from node.core.listpack import Malformed, element_at, encode_element, encode_integer
from node.datatypes.stream_id import HALF_MAX

DELETED: Final = 1
SAME_FIELDS: Final = 2

_TOMBSTONES: Final = (b"\1", b"\1", b"\3", b"\3")
"""flags → their byte once the entry is deleted."""
_FRAME: Final = listpack.HEADER_LENGTH + 1


class Node:
    __slots__ = ("_blob", "_elements", "_head", "_offsets", "deleted", "fields", "live", "master")

    def __init__(self, master: int, fields: tuple[bytes, ...], like: Node | None = None) -> None:
        """An empty node. It shares its fields with the node `like`, if they are the same."""
        shared = like is not None and like.fields == fields
        self.master = master
        self.fields: tuple[bytes, ...] = like.fields if like is not None and shared else fields
        self._head: bytes = like._head if like is not None and shared else _encode_head(fields)
        """What stands between the counts and the entries."""
        self.live = 0
        self.deleted = 0
        self._blob = b""
        self._offsets = array("I")
        """Where in the blob each entry begins, deleted ones included."""
        self._elements = 4 + len(fields)

    @property
    def size(self) -> int:
        """Bytes of the listpack."""
        counts = encode_integer(self.live) + encode_integer(self.deleted)
        return _FRAME + len(counts) + len(self._head) + len(self._blob)

    @property
    def last_id(self) -> int:
        """Of the last entry, deleted or not."""
        return self.id_of(len(self._offsets) - 1)

    def copy(self) -> Node:
        made = Node(self.master, self.fields, self)
        made.live, made.deleted = self.live, self.deleted
        made._blob, made._elements = self._blob, self._elements
        made._offsets = self._offsets[:]
        return made

    def append(self, entry_id: int, pairs: list[bytes]) -> None:
        """Add an entry behind the last. `pairs`: field, value, field, value …"""
        entry, count = self._encode(entry_id, pairs)
        self._offsets.append(len(self._blob))
        self._blob += entry
        self._elements += count
        self.live += 1

    def _encode(self, entry_id: int, pairs: list[bytes]) -> tuple[bytes, int]:
        """The bytes of an entry, and how many elements they are."""
        milliseconds = _signed((entry_id >> 64) - (self.master >> 64))
        sequence = _signed((entry_id & HALF_MAX) - (self.master & HALF_MAX))
        if len(pairs) == 2 * len(self.fields) and tuple(pairs[::2]) == self.fields:
            flags, numbers, body, count = b"\2\1", b"", pairs[1::2], 3 + len(self.fields)
        else:
            flags, numbers, body, count = b"\0\1", encode_integer(len(pairs) // 2), pairs, 4 + len(pairs)
        head = (flags, encode_integer(milliseconds), encode_integer(sequence), numbers)
        return b"".join((*head, *map(encode_element, body), encode_integer(count))), count + 1

    # --- reading: entries are named by their index, deleted ones included ----------------------------

    def __len__(self) -> int:
        return len(self._offsets)

    def id_of(self, index: int) -> int:
        return self._head_of(index)[0]

    def is_live(self, index: int) -> bool:
        return not self._blob[self._offsets[index]] & DELETED

    def first_at(self, entry_id: int) -> int:
        """Index of the first entry with this id or a later one; the length where there is none."""
        low, high = 0, len(self._offsets)
        while low < high:
            middle = (low + high) // 2
            if self.id_of(middle) < entry_id:
                low = middle + 1
            else:
                high = middle
        return low

    def find(self, entry_id: int) -> int | None:
        """Index of the live entry with this id."""
        index = self.first_at(entry_id)
        if index < len(self) and self.id_of(index) == entry_id and self.is_live(index):
            return index
        return None

    def pairs_of(self, index: int) -> list[bytes]:
        """field, value, field, value … of an entry."""
        blob = self._blob
        at = self._head_of(index)[1]
        pairs: list[bytes] = []
        if blob[self._offsets[index]] & SAME_FIELDS:
            for field in self.fields:
                value, at = element_at(blob, at)
                pairs += (field, value)
            return pairs
        count, at = element_at(blob, at)
        for _ in range(2 * int(count)):
            element, at = element_at(blob, at)
            pairs.append(element)
        return pairs

    def entries(self, start: int, end: int, reverse: bool) -> Iterator[tuple[int, list[bytes]]]:
        """(id, pairs) of the live entries whose ids are start..end, both included."""
        indices = range(self.first_at(start), self.first_at(end + 1))
        for index in reversed(indices) if reverse else indices:
            if self.is_live(index):
                yield self.id_of(index), self.pairs_of(index)

    def _head_of(self, index: int) -> tuple[int, int]:
        """Id of an entry, and where what follows the id begins."""
        at = self._offsets[index] + 2
        milliseconds, at = element_at(self._blob, at)
        sequence, at = element_at(self._blob, at)
        return (
            ((self.master >> 64) + int(milliseconds) & HALF_MAX) << 64
            | (self.master & HALF_MAX) + int(sequence) & HALF_MAX,
            at,
        )

    # --- removing ------------------------------------------------------------------------------------

    def mark_deleted(self, indices: list[int]) -> None:
        """Mark live entries as deleted."""
        blob = bytearray(self._blob)
        for index in indices:
            at = self._offsets[index]
            blob[at : at + 1] = _TOMBSTONES[blob[at]]
        self._blob = bytes(blob)
        self.live -= len(indices)
        self.deleted += len(indices)

    # --- the bytes as Redis writes them --------------------------------------------------------------

    def listpack(self) -> bytes:
        counts = encode_integer(self.live) + encode_integer(self.deleted)
        return listpack.frame(counts + self._head + self._blob, self._elements)

    @classmethod
    def from_listpack(cls, master: int, blob: bytes) -> Node:
        """The node that `blob` holds. Raises Malformed, whatever it holds else."""
        elements = iter(listpack.decode(blob))
        try:
            live, deleted, count = (_number(next(elements)) for _ in range(3))
            fields = tuple(next(elements) for _ in range(count))
            if next(elements) != b"0":
                raise Malformed("stream node without an end of its fields")
            node = cls(master, fields)
            node._load_entries(elements)
        except (StopIteration, RuntimeError):
            raise Malformed("stream node that ends within an entry") from None
        if (node.live, node.deleted) != (live, deleted) or not len(node):
            raise Malformed("stream node with wrong counts")
        return node

    def _load_entries(self, elements: Iterator[bytes]) -> None:
        parts: list[bytes] = []
        at, before = 0, -1
        while (first := next(elements, None)) is not None:
            flags = _number(first)
            entry_id, pairs = self._load_entry(flags, elements)
            if entry_id <= before:
                raise Malformed("stream entries out of order")
            before = entry_id
            entry, count = self._encode(entry_id, pairs)
            if flags & DELETED:
                entry = _TOMBSTONES[entry[0]] + entry[1:]
                self.deleted += 1
            else:
                self.live += 1
            parts.append(entry)
            self._offsets.append(at)
            self._elements += count
            at += len(entry)
        self._blob = b"".join(parts)

    def _load_entry(self, flags: int, elements: Iterator[bytes]) -> tuple[int, list[bytes]]:
        """(id, pairs) of what follows the flags of an entry."""
        milliseconds, sequence = _number(next(elements)), _number(next(elements))
        entry_id = ((self.master >> 64) + milliseconds & HALF_MAX) << 64 | (
            (self.master & HALF_MAX) + sequence & HALF_MAX
        )
        if flags & SAME_FIELDS:
            pairs = [part for field in self.fields for part in (field, next(elements))]
            count = 3 + len(self.fields)
        else:
            pairs = [next(elements) for _ in range(2 * _number(next(elements)))]
            count = 4 + len(pairs)
        if _number(next(elements)) != count:
            raise Malformed("stream entry with a wrong length behind it")
        return entry_id, pairs


def _encode_head(fields: tuple[bytes, ...]) -> bytes:
    parts = map(encode_element, fields)
    return b"%b%b%b" % (encode_integer(len(fields)), b"".join(parts), encode_integer(0))


def _signed(number: int) -> int:
    """A difference of unsigned 64-bit numbers as the signed one of the same bits."""
    number &= HALF_MAX
    return number - (1 << 64) if number >> 63 else number


def _number(element: bytes) -> int:
    number = listpack.canonical_integer(element)
    if number is None:
        raise Malformed("text where a stream node has a number")
    return number
