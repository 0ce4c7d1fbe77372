"""Hash: fields with values.

A dict, which keeps fields in the order in which they came. What a dict cannot do, to draw a field by
position and to walk it in steps while it changes, an index of the fields does; it is built when first asked
for, because most hashes never are.
"""

from __future__ import annotations

from collections.abc import ItemsView, KeysView, Mapping, ValuesView

from node.datatypes.limits import limits
from node.datatypes.member_index import MemberIndex


class Hash:
    __slots__ = ("_fields", "_hashtable", "_index")

    type_name = "hash"

    def __init__(self, fields: Mapping[bytes, bytes] | None = None) -> None:
        self._fields: dict[bytes, bytes] = {}
        self._hashtable = False
        self._index: MemberIndex | None = None
        for field, value in (fields or {}).items():
            self.set(field, value)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, field: bytes) -> bool:
        return field in self._fields

    @property
    def encoding(self) -> str:
        return "hashtable" if self._hashtable else "listpack"

    def copy(self) -> Hash:
        made = Hash()
        made._fields = self._fields.copy()
        made._hashtable = self._hashtable
        return made

    def get(self, field: bytes) -> bytes | None:
        return self._fields.get(field)

    def set(self, field: bytes, value: bytes) -> bool:
        """True if the field is new."""
        fields = self._fields
        before = len(fields)
        fields[field] = value
        new = len(fields) > before
        if not self._hashtable:
            longest = limits.hash_max_listpack_value
            self._hashtable = (
                len(value) > longest
                or len(field) > longest
                or before + new > limits.hash_max_listpack_entries
            )
        if new and self._index is not None:
            self._index.add(field)
        return new

    def delete(self, field: bytes) -> bool:
        """True if there was such a field."""
        if self._fields.pop(field, None) is None:
            return False
        if self._index is not None:
            self._index.remove(field)
        return True

    def items(self) -> ItemsView[bytes, bytes]:
        return self._fields.items()

    def fields(self) -> KeysView[bytes]:
        return self._fields.keys()

    def values(self) -> ValuesView[bytes]:
        return self._fields.values()

    def at(self, position: int) -> tuple[bytes, bytes]:
        """The field, and its value, at a position of 0..len-1 that means nothing else."""
        field = self._indexed().at(position)
        return field, self._fields[field]

    def scan(self, cursor: int, count: int) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Up to `count` fields with values from `cursor` on (0 to begin), and the next cursor (0 at the end).

        A compact hash is returned at once, as Redis does.
        """
        if not self._hashtable:
            return 0, list(self._fields.items())
        following, fields = self._indexed().scan(cursor, count)
        return following, [(field, self._fields[field]) for field in fields]

    def _indexed(self) -> MemberIndex:
        if self._index is None:
            self._index = MemberIndex(self._fields)
        return self._index
