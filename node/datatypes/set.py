"""Set: distinct members, with one drawn at random in constant time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from node.datatypes.integers import is_integer
from node.datatypes.limits import limits
from node.datatypes.member_index import MemberIndex


class Set:
    """`encoding` is "intset" while all members are integers, then "listpack", then "hashtable"."""

    __slots__ = ("_encoding", "_longest", "_members")

    type_name = "set"

    def __init__(self, members: Iterable[bytes] = ()) -> None:
        self._members = MemberIndex()
        self._encoding = "intset"
        self._longest = 0
        """Length of the longest integer member; decides whether an intset may become a listpack."""
        for member in members:
            self.add(member)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, member: bytes) -> bool:
        return member in self._members

    def __iter__(self) -> Iterator[bytes]:
        """In no order that means anything, except that an intset is ascending."""
        if self._encoding == "intset":
            return iter(sorted(self._members, key=int))
        return iter(self._members)

    @property
    def encoding(self) -> str:
        return self._encoding

    def copy(self) -> Set:
        made = Set()
        made._members = MemberIndex(self._members)
        made._encoding = self._encoding
        made._longest = self._longest
        return made

    def add(self, member: bytes) -> bool:
        """True if it was not a member."""
        if not self._members.add(member):
            return False
        if self._encoding != "hashtable":
            self._encoding = self._encoding_with(member)
        return True

    def remove(self, member: bytes) -> bool:
        """True if it was a member."""
        return self._members.remove(member)

    def at(self, position: int) -> bytes:
        """The member at a position of 0..len-1 that means nothing else."""
        return self._members.at(position)

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Up to `count` members from `cursor` on (0 to begin), and the next cursor (0 at the end).

        A compact set is returned at once, as Redis does.
        """
        if self._encoding != "hashtable":
            return 0, list(self)
        return self._members.scan(cursor, count)

    def _encoding_with(self, member: bytes) -> str:
        """The encoding after `member` was added to a compact set."""
        length = len(self._members)
        if self._encoding == "intset" and is_integer(member):
            self._longest = max(self._longest, len(member))
            return "intset" if length <= limits.set_max_intset_entries else "hashtable"
        fits = (
            length <= limits.set_max_listpack_entries
            and len(member) <= limits.set_max_listpack_value
            and self._longest <= limits.set_max_listpack_value
        )
        return "listpack" if fits else "hashtable"
