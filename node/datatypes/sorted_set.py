"""Sorted set: members with scores, in the order of their scores, and of their bytes where these are equal.

A dict answers for single members, an `OrderedIndex` for everything about order. Ranges come as `ScoreBound`
and `LexBound` pairs and become ranks at once; ranks count from 0, the lowest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from node.datatypes.limits import limits
from node.datatypes.member_index import MemberIndex
from node.datatypes.ordered_index import OrderedIndex


class ScoreBound(NamedTuple):
    """One end of a range of scores."""

    score: float
    exclusive: bool = False


class LexBound(NamedTuple):
    """One end of a range of members: a member, or an end of everything (`infinite` -1 or 1)."""

    member: bytes = b""
    exclusive: bool = False
    infinite: int = 0


class SortedSet:
    __slots__ = ("_index", "_order", "_scores", "_skiplist")

    type_name = "zset"

    def __init__(self, pairs: Iterable[tuple[bytes, float]] = ()) -> None:
        """A member given twice keeps its last score."""
        self._scores: dict[bytes, float] = dict(pairs)
        self._order = OrderedIndex(sorted((score, member) for member, score in self._scores.items()))
        self._index: MemberIndex | None = None
        """For walks only; built when first asked for."""
        self._skiplist = (
            len(self._scores) > limits.zset_max_listpack_entries
            or max(map(len, self._scores), default=0) > limits.zset_max_listpack_value
        )

    def __len__(self) -> int:
        return len(self._scores)

    def __contains__(self, member: bytes) -> bool:
        return member in self._scores

    @property
    def encoding(self) -> str:
        return "skiplist" if self._skiplist else "listpack"

    def copy(self) -> SortedSet:
        made = SortedSet()
        made._scores = self._scores.copy()
        made._order = OrderedIndex(self._order.entries(0, len(self._order)))
        made._skiplist = self._skiplist
        return made

    def items(self) -> Iterator[tuple[bytes, float]]:
        """(member, score), ascending."""
        return self.range(0, len(self))

    def score(self, member: bytes) -> float | None:
        return self._scores.get(member)

    def set(self, member: bytes, score: float) -> bool:
        """Add a member or change its score, which is no NaN. True if the member is new."""
        old = self._scores.get(member)
        if not self._skiplist:
            self._skiplist = (
                len(self._scores) + (old is None) > limits.zset_max_listpack_entries
                or len(member) > limits.zset_max_listpack_value
            )
        if not self._skiplist:
            score += 0.0  # a listpack holds -0 as the integer 0
        if old is not None:
            if old != score:
                self._order.remove(old, member)
                self._order.insert(score, member)
                self._scores[member] = score
            return False
        self._scores[member] = score
        self._order.insert(score, member)
        if self._index is not None:
            self._index.add(member)
        return True

    def remove(self, member: bytes) -> bool:
        """True if it was a member."""
        score = self._scores.pop(member, None)
        if score is None:
            return False
        self._order.remove(score, member)
        if self._index is not None:
            self._index.remove(member)
        return True

    def rank(self, member: bytes) -> int | None:
        score = self._scores.get(member)
        return None if score is None else self._order.rank(score, member)

    def at(self, rank: int) -> tuple[bytes, float]:
        """The member of a rank of 0..len-1, with its score."""
        score, member = self._order.at(rank)
        return member, score

    def range(self, start: int, stop: int) -> Iterator[tuple[bytes, float]]:
        """(member, score) of the ranks start..stop-1, ascending. The set must not change meanwhile."""
        return ((member, score) for score, member in self._order.entries(start, stop))

    def ranks_by_score(self, low: ScoreBound, high: ScoreBound) -> tuple[int, int]:
        """The ranks start..stop-1 whose scores lie between two bounds."""
        start = self._order.count_below(low.score, inclusive=low.exclusive)
        stop = self._order.count_below(high.score, inclusive=not high.exclusive)
        return start, max(start, stop)

    def ranks_by_lex(self, low: LexBound, high: LexBound) -> tuple[int, int]:
        """The ranks start..stop-1 whose members lie between two bounds, all scores being equal."""
        start = self._lex_count(low, inclusive=low.exclusive)
        stop = self._lex_count(high, inclusive=not high.exclusive)
        return start, max(start, stop)

    def delete_range(self, start: int, stop: int) -> list[tuple[bytes, float]]:
        """Remove the members of ranks start..stop-1; returns them with their scores, ascending."""
        removed = list(self.range(start, stop))
        for member, _ in removed:
            self.remove(member)
        return removed

    def scan(self, cursor: int, count: int) -> tuple[int, list[tuple[bytes, float]]]:
        """Up to `count` members with scores from `cursor` on (0 to begin), and the next cursor (0 at the
        end).

        A compact set is returned at once, as Redis does.
        """
        if not self._skiplist:
            return 0, list(self.items())
        if self._index is None:
            self._index = MemberIndex(self._scores)
        following, members = self._index.scan(cursor, count)
        return following, [(member, self._scores[member]) for member in members]

    def _lex_count(self, bound: LexBound, inclusive: bool) -> int:
        if bound.infinite:
            return 0 if bound.infinite < 0 else len(self)
        return self._order.count_before(bound.member, inclusive)
