"""List: elements in order, cheap at both ends.

A short list is a Python list, a long one a deque, which is fast at both ends and never copies itself but
takes 600 bytes when empty. They change places where Redis changes between listpack and quicklist: when the
elements' size as a listpack passes list-max-listpack-size, and back when it has fallen under half of that.
(Redis goes back only once a single node of the quicklist is left, which is sooner or later the same.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from node.datatypes.integers import is_integer
from node.datatypes.limits import limits

_FRAME = 7
"""Bytes of a listpack beside its entries: header and end mark."""

_BLOCK = 64
"""Elements per block of a deque; reaching an element by index walks over blocks from the nearer end."""


class List:
    __slots__ = ("_items", "_size")

    type_name = "list"

    def __init__(self, items: Iterable[bytes] = ()) -> None:
        self._items: list[bytes] | deque[bytes] = []
        self._size = _FRAME
        """What all elements would take as one listpack, in bytes."""
        self.push_right(items)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._items)

    def __reversed__(self) -> Iterator[bytes]:
        return reversed(self._items)

    def __getitem__(self, index: int) -> bytes:
        """IndexError beyond either end; negative indexes count from the end."""
        return self._items[index]

    @property
    def encoding(self) -> str:
        return "listpack" if isinstance(self._items, list) else "quicklist"

    def copy(self) -> List:
        made = List()
        made._items = self._items.copy()
        made._size = self._size
        return made

    def push_left(self, values: Iterable[bytes]) -> None:
        """One after the other, so that the last comes to stand first."""
        values = list(values)
        self._grow(values)
        if isinstance(self._items, deque):
            self._items.extendleft(values)
        else:
            self._items[:0] = values[::-1]

    def push_right(self, values: Iterable[bytes]) -> None:
        values = list(values)
        self._grow(values)
        self._items.extend(values)

    def pop_left(self, count: int = 1) -> list[bytes]:
        """Up to `count` elements, the first first."""
        items = self._items
        if isinstance(items, deque):
            taken = [items.popleft() for _ in range(min(count, len(items)))]
        else:
            taken = items[:count]
            del items[:count]
        self._shrink(taken)
        return taken

    def pop_right(self, count: int = 1) -> list[bytes]:
        """Up to `count` elements, the last first."""
        items = self._items
        taken = [items.pop() for _ in range(min(count, len(items)))]
        self._shrink(taken)
        return taken

    def replace(self, index: int, value: bytes) -> None:
        """IndexError beyond either end; room for the value has been made even then, as in Redis."""
        self._make_room([value])
        old = self._items[index]
        self._items[index] = value
        self._size += packed_size(value)
        self._shrink([old])

    def insert(self, index: int, value: bytes) -> None:
        """Before the element at `index`, or at the end."""
        self._grow([value])
        self._items.insert(index, value)

    def find(self, value: bytes) -> int | None:
        """The first index of an equal element."""
        try:
            return self._items.index(value)
        except ValueError:
            return None

    def remove(self, value: bytes, count: int = 0) -> int:
        """Remove equal elements: the first `count`, the last for a negative one, all for 0. Returns how
        many."""
        left = abs(count) or len(self._items)
        kept: list[bytes] = []
        for item in reversed(self._items) if count < 0 else self._items:
            if left and item == value:
                left -= 1
            else:
                kept.append(item)
        removed = len(self._items) - len(kept)
        if removed:
            self._items = deque() if isinstance(self._items, deque) else []
            self._items.extend(reversed(kept) if count < 0 else kept)
            self._shrink([value] * removed)
        return removed

    def trim(self, start: int, stop: int) -> None:
        """Keep the elements of start..stop-1, which lie within the list."""
        size = len(self._items)
        self.pop_left(start)
        self.pop_right(size - stop)

    def range(self, start: int, stop: int) -> list[bytes]:
        """The elements of start..stop-1, which lie within the list."""
        items = self._items
        if isinstance(items, list):
            return items[start:stop]
        from_end = len(items) - stop
        if (stop - start) * min(start, from_end) < _BLOCK * min(stop, len(items) - start):
            return [items[i] for i in range(start, stop)]
        if from_end < start:
            return list(islice(reversed(items), from_end, len(items) - start))[::-1]
        return list(islice(items, start, stop))

    def _grow(self, values: list[bytes]) -> None:
        """Make room and account for values about to be added."""
        self._make_room(values)
        self._size += sum(map(packed_size, values))

    def _make_room(self, values: list[bytes]) -> None:
        """Become a deque if more values will not fit a listpack.

        As in Redis this is judged by their plain length, before anything is packed.
        """
        items = self._items
        if isinstance(items, list) and not limits.list_fits(
            len(items) + len(values), self._size + sum(map(len, values))
        ):
            self._items = deque(items)

    def _shrink(self, removed: list[bytes]) -> None:
        self._size -= sum(map(packed_size, removed))
        if isinstance(self._items, deque) and limits.list_fits(2 * len(self._items), 2 * self._size):
            self._items = list(self._items)


def packed_size(value: bytes) -> int:
    """Bytes of a listpack entry (format: listpack.md of the listpack specification by its author)."""
    if is_integer(value):
        number = int(value)
        if 0 <= number < 128:
            size = 1
        elif -(1 << 12) <= number < 1 << 12:
            size = 2
        elif -(1 << 15) <= number < 1 << 15:
            size = 3
        elif -(1 << 23) <= number < 1 << 23:
            size = 4
        elif -(1 << 31) <= number < 1 << 31:
            size = 5
        else:
            size = 9
    else:
        length = len(value)
        size = length + (1 if length < 64 else 2 if length < 4096 else 5)
    back = 1 if size < 128 else 2 if size < 1 << 14 else 3 if size < 1 << 21 else 4 if size < 1 << 28 else 5
    return size + back
