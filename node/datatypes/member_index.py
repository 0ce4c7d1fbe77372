"""Distinct members that can be drawn by position and walked over in steps, while they come and go.

A list of members beside a dict of their places in it. Removing a member moves the last one into its place, so
that positions stay 0..len-1 and any of them can be drawn in constant time.

A walk (`scan`) goes from the end of the list to its start, and its cursor is how much is still to come. That
is what makes it whole without keeping any state: a member that moves when another is removed moves towards
the start, hence it may be seen twice but never missed; new members go to the end, where the walk has been.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class MemberIndex:
    __slots__ = ("_members", "_places")

    def __init__(self, members: Iterable[bytes] = ()) -> None:
        self._places: dict[bytes, int] = dict.fromkeys(members, 0)
        self._members = list(self._places)
        for place, member in enumerate(self._members):
            self._places[member] = place

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, member: bytes) -> bool:
        return member in self._places

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._members)

    def add(self, member: bytes) -> bool:
        """True if it was not there."""
        if member in self._places:
            return False
        self._places[member] = len(self._members)
        self._members.append(member)
        return True

    def remove(self, member: bytes) -> bool:
        """True if it was there."""
        place = self._places.pop(member, None)
        if place is None:
            return False
        last = self._members.pop()
        if place < len(self._members):
            self._members[place] = last
            self._places[last] = place
        return True

    def at(self, position: int) -> bytes:
        """The member at 0..len-1. Positions change as members are removed."""
        return self._members[position]

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Up to `count` members from `cursor` on, 0 to begin; and the next cursor, 0 at the end."""
        stop = min(cursor or len(self._members), len(self._members))
        start = max(0, stop - count)
        return start, self._members[start:stop]
