"""Members ordered by (score, member), with ranks: what is behind a large sorted set.

Chunks of up to 2 * HALF entries, each a pair of parallel lists in order. An entry's chunk is found by
bisection of the chunks' first entries, its place by bisection within the chunk; insertion moves at most a
chunk's length of pointers. Next to Redis' skiplist this has no node per member, and the scores are the
objects that the sorted set's dict holds anyway.

Ranks need the number of entries in all chunks before one. A Fenwick tree over the chunks' lengths gives it in
O(log n). It is built when a rank is first asked for, follows single insertions and removals, and is dropped
when chunks are split or merged.

Everything else is said in ranks: a range by score or by member is the interval between two ranks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

HALF = 256
"""Entries of a chunk after it was split."""


class OrderedIndex:
    __slots__ = ("_firsts", "_length", "_members", "_scores", "_tree")

    def __init__(self, ordered: Iterable[tuple[float, bytes]] = ()) -> None:
        """`ordered` must ascend."""
        entries = list(ordered)
        self._scores: list[list[float]] = []
        self._members: list[list[bytes]] = []
        for start in range(0, len(entries), HALF):
            chunk = entries[start : start + HALF]
            self._scores.append([score for score, _ in chunk])
            self._members.append([member for _, member in chunk])
        self._firsts = [
            (scores[0], members[0]) for scores, members in zip(self._scores, self._members, strict=True)
        ]
        self._length = len(entries)
        self._tree: list[int] | None = None

    def __len__(self) -> int:
        return self._length

    def insert(self, score: float, member: bytes) -> None:
        """Add an entry that is not there yet."""
        self._length += 1
        if not self._firsts:
            self._scores.append([score])
            self._members.append([member])
            self._firsts.append((score, member))
            self._tree = None
            return
        chunk = max(0, bisect_right(self._firsts, (score, member)) - 1)
        scores, members = self._scores[chunk], self._members[chunk]
        place = _place(scores, members, score, member)
        scores.insert(place, score)
        members.insert(place, member)
        if place == 0:
            self._firsts[chunk] = (score, member)
        if len(scores) > 2 * HALF:
            self._split(chunk)
        elif self._tree is not None:
            self._count(chunk, 1)

    def remove(self, score: float, member: bytes) -> None:
        """Take out an entry that is there."""
        chunk = bisect_right(self._firsts, (score, member)) - 1
        scores, members = self._scores[chunk], self._members[chunk]
        place = _place(scores, members, score, member)
        del scores[place], members[place]
        self._length -= 1
        if not scores:
            del self._scores[chunk], self._members[chunk], self._firsts[chunk]
            self._tree = None
            return
        if place == 0:
            self._firsts[chunk] = (scores[0], members[0])
        if len(scores) < HALF // 4 and len(self._firsts) > 1:
            self._merge(min(chunk, len(self._firsts) - 2))
        elif self._tree is not None:
            self._count(chunk, -1)

    def rank(self, score: float, member: bytes) -> int:
        """How many entries are lower: the rank, for an entry that is there."""
        chunk = bisect_right(self._firsts, (score, member)) - 1
        if chunk < 0:
            return 0
        return self._before(chunk) + _place(self._scores[chunk], self._members[chunk], score, member)

    def count_below(self, score: float, inclusive: bool) -> int:
        """How many entries have a lower score; or, `inclusive`, a score not higher."""
        if inclusive:
            chunk = bisect_right(self._firsts, score, key=_score) - 1
        else:
            chunk = bisect_left(self._firsts, score, key=_score) - 1
        if chunk < 0:
            return 0
        find = bisect_right if inclusive else bisect_left
        return self._before(chunk) + find(self._scores[chunk], score)

    def count_before(self, member: bytes, inclusive: bool) -> int:
        """As `count_below`, by member. Only means something while all scores are equal."""
        if inclusive:
            chunk = bisect_right(self._firsts, member, key=_member) - 1
        else:
            chunk = bisect_left(self._firsts, member, key=_member) - 1
        if chunk < 0:
            return 0
        find = bisect_right if inclusive else bisect_left
        return self._before(chunk) + find(self._members[chunk], member)

    def at(self, rank: int) -> tuple[float, bytes]:
        """The entry of a rank of 0..len-1."""
        chunk, place = self._locate(rank)
        return self._scores[chunk][place], self._members[chunk][place]

    def entries(self, start: int, stop: int) -> Iterator[tuple[float, bytes]]:
        """The entries of ranks start..stop-1, ascending. The index must not change meanwhile."""
        if start >= stop:
            return
        chunk, place = self._locate(start)
        left = stop - start
        while left > 0:
            scores = self._scores[chunk][place : place + left]
            yield from zip(scores, self._members[chunk][place : place + left], strict=True)
            left -= len(scores)
            chunk, place = chunk + 1, 0

    # ------------------------------------------------------------------------------------- chunks

    def _split(self, chunk: int) -> None:
        scores, members = self._scores[chunk], self._members[chunk]
        self._scores.insert(chunk + 1, scores[HALF:])
        self._members.insert(chunk + 1, members[HALF:])
        self._firsts.insert(chunk + 1, (scores[HALF], members[HALF]))
        del scores[HALF:], members[HALF:]
        self._tree = None

    def _merge(self, chunk: int) -> None:
        """Join a chunk with the next; and split it again if that has become too long."""
        self._scores[chunk] += self._scores.pop(chunk + 1)
        self._members[chunk] += self._members.pop(chunk + 1)
        del self._firsts[chunk + 1]
        self._tree = None
        if len(self._scores[chunk]) > 2 * HALF:
            self._split(chunk)

    # ------------------------------------------------------------------------------------- the tree

    def _counts(self) -> list[int]:
        """The Fenwick tree: node i (from 1) holds the entries of the chunks i - lowbit(i) .. i - 1."""
        if self._tree is None:
            tree = [0, *map(len, self._scores)]
            for node in range(1, len(tree)):
                parent = node + (node & -node)
                if parent < len(tree):
                    tree[parent] += tree[node]
            self._tree = tree
        return self._tree

    def _count(self, chunk: int, change: int) -> None:
        tree = self._counts()
        node = chunk + 1
        while node < len(tree):
            tree[node] += change
            node += node & -node

    def _before(self, chunk: int) -> int:
        """Entries in all chunks before this one."""
        tree = self._counts()
        total = 0
        while chunk:
            total += tree[chunk]
            chunk &= chunk - 1
        return total

    def _locate(self, rank: int) -> tuple[int, int]:
        """Chunk and place of a rank of 0..len-1."""
        tree = self._counts()
        chunk = 0
        step = 1 << (len(tree) - 1).bit_length()
        while step:
            following = chunk + step
            if following < len(tree) and tree[following] <= rank:
                chunk = following
                rank -= tree[following]
            step >>= 1
        return chunk, rank


def _place(scores: list[float], members: list[bytes], score: float, member: bytes) -> int:
    """Where (score, member) stands or would stand in a chunk."""
    low = bisect_left(scores, score)
    if low == len(scores) or scores[low] != score:
        return low
    return bisect_left(members, member, low, bisect_right(scores, score, low))


def _score(first: tuple[float, bytes]) -> float:
    return first[0]


def _member(first: tuple[float, bytes]) -> bytes:
    return first[1]
