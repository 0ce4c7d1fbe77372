"""Lists against a plain Python list, with limits so tight that nodes split and merge all the time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.core import listpack, quicklist_node
from node.core.memory import used_bytes
from node.datatypes import List
from node.datatypes.limits import limits
from tests.unit.settled_memory import settled_bytes

LARGE = 12
"""Bytes from which an element gets a node of its own."""

ITEMS = st.one_of(
    st.binary(max_size=2),
    st.integers(-300, 300).map(lambda number: b"%d" % number),
    st.sampled_from([b"x" * LARGE, b"y" * (LARGE - 1), b"9223372036854775807", b"-9223372036854775808"]),
)
FEW = st.lists(ITEMS, min_size=1, max_size=5)


@pytest.fixture(autouse=True)
def usual_limits() -> Iterator[None]:
    before = limits.list_max_listpack_size
    yield
    limits.list_max_listpack_size = before
    quicklist_node.set_packed_threshold(0)


class ListMachine(RuleBasedStateMachine):
    @initialize(fill=st.sampled_from([1, 2, 3, 6, -1]), items=st.lists(ITEMS))
    def start(self, fill: int, items: list[bytes]) -> None:
        limits.list_max_listpack_size = fill
        quicklist_node.set_packed_threshold(LARGE)
        self.value, self.model = List(items), items[:]

    @rule(items=FEW)
    def push_left(self, items: list[bytes]) -> None:
        self.value.push_left(items)
        self.model[:0] = items[::-1]

    @rule(items=FEW)
    def push_right(self, items: list[bytes]) -> None:
        self.value.push_right([b"skipped", *items], 1)
        self.model += items

    @rule(item=ITEMS, left=st.booleans())
    def receive(self, item: bytes, left: bool) -> None:
        self.value.receive(item, left)
        self.model.insert(0 if left else len(self.model), item)

    @rule(count=st.integers(0, 8))
    def pop_left(self, count: int) -> None:
        assert self.value.pop_left(count) == self.model[:count]
        del self.model[:count]

    @rule(count=st.integers(0, 8))
    def pop_right(self, count: int) -> None:
        taken = self.model[::-1][:count]
        assert self.value.pop_right(count) == taken
        del self.model[len(self.model) - len(taken) :]

    @rule(left=st.booleans())
    def take(self, left: bool) -> None:
        if self.model:
            taken = self.value.take_left() if left else self.value.take_right()
            assert taken == self.model.pop(0 if left else -1)

    @rule(from_left=st.booleans(), to_left=st.booleans())
    def rotate(self, from_left: bool, to_left: bool) -> None:
        if self.model:
            item = self.model.pop(0 if from_left else -1)
            assert self.value.rotate(from_left, to_left) == item
            self.model.insert(0 if to_left else len(self.model), item)

    @rule(item=ITEMS, data=st.data(), after=st.booleans())
    def insert(self, item: bytes, data: st.DataObject, after: bool) -> None:
        pivot = data.draw(st.sampled_from(self.model) if self.model else ITEMS)
        assert self.value.insert(pivot, item, after) == (pivot in self.model)
        if pivot in self.model:
            self.model.insert(self.model.index(pivot) + after, item)

    @rule(item=ITEMS, where=st.integers(-20, 20))
    def replace(self, item: bytes, where: int) -> None:
        if -len(self.model) <= where < len(self.model):
            self.value.replace(where, item)
            self.model[where] = item
        else:
            with pytest.raises(IndexError):
                self.value.replace(where, item)

    @rule(item=ITEMS, count=st.integers(-3, 3))
    def remove(self, item: bytes, count: int) -> None:
        places = [i for i, other in enumerate(self.model) if other == item]
        gone = places[:count] if count > 0 else places[count:]
        assert self.value.remove(item, count) == len(gone)
        self.model = [other for i, other in enumerate(self.model) if i not in gone]

    @rule(data=st.data())
    def trim(self, data: st.DataObject) -> None:
        start = data.draw(st.integers(0, len(self.model)))
        stop = data.draw(st.integers(start, len(self.model)))
        self.value.trim(start, stop)
        self.model = self.model[start:stop]

    @rule(item=ITEMS, rank=st.integers(-3, 3).filter(bool), most=st.integers(0, 3), depth=st.integers(0, 9))
    def positions(self, item: bytes, rank: int, most: int, depth: int) -> None:
        indexes = list(range(len(self.model)))
        looked_at = (indexes if rank > 0 else indexes[::-1])[: depth or None]
        found = [index for index in looked_at if self.model[index] == item][abs(rank) - 1 :]
        assert self.value.positions(item, rank, most, depth) == found[: most or None]

    @rule(data=st.data())
    def range(self, data: st.DataObject) -> None:
        start = data.draw(st.integers(0, len(self.model)))
        stop = data.draw(st.integers(start, len(self.model)))
        assert self.value.range(start, stop) == self.model[start:stop]

    @rule()
    def reload(self) -> None:
        made = List()
        for plain, data in self.value.nodes():
            made.adopt_node(data, plain)
        made.settle()
        self.value = made

    @rule(fill=st.sampled_from([1, 3, 6, -1]))
    def change_the_limit(self, fill: int) -> None:
        limits.list_max_listpack_size = fill

    @invariant()
    def same(self) -> None:
        assert list(self.value) == self.model == list(self.value.copy())
        assert len(self.value) == len(self.model)
        for index in (0, -1, len(self.model) // 2):
            if self.model:
                assert self.value[index] == self.model[index]

    @invariant()
    def nodes_are_sound(self) -> None:
        nodes = list(self.value.nodes())
        assert self.value.node_count == len(nodes)
        found = [item for plain, data in nodes for item in ([data] if plain else listpack.decode(data))]
        assert found == self.model
        if self.value.encoding == "quicklist":
            assert all(plain or len(data) > listpack.HEADER_LENGTH + 1 for plain, data in nodes[1:])


TestListMachine = ListMachine.TestCase
TestListMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


def test_every_range_of_a_long_list() -> None:
    model = [b"%d" % i for i in range(5000)]
    value = List(model)
    assert value.encoding == "quicklist"
    for start, stop in [(0, 5000), (0, 0), (0, 3), (4990, 5000), (2500, 2501), (10, 4990), (200, 900)]:
        assert value.range(start, stop) == model[start:stop]
    assert [value[index] for index in range(-5000, 5000, 41)] == [
        model[index] for index in range(-5000, 5000, 41)
    ]
    for index in (5000, -5001):
        with pytest.raises(IndexError):
            value[index]


def test_encoding_by_size() -> None:
    limits.list_max_listpack_size = -2
    value = List([b"x" * 4000, b"y" * 4000])
    assert value.encoding == "listpack"
    value.push_right([b"z" * 200])
    assert value.encoding == "quicklist"
    value.take_right()
    assert value.encoding == "quicklist", "not before half the limit"
    value.take_right()
    assert value.encoding == "listpack"


def test_a_number_from_another_list_needs_no_room() -> None:
    limits.list_max_listpack_size = -1
    text = List([b"x" * 4075])
    number = text.copy()
    text.push_right([b"1234567890123456"])
    number.receive(b"1234567890123456", False)
    assert (text.encoding, number.encoding) == ("quicklist", "listpack")


def test_all_memory_is_given_back() -> None:
    before = settled_bytes()
    value = List([b"%d" % number for number in range(10_000)] + [b"x" * 20_000])
    assert used_bytes() - before >= value.allocated(0) > 20_000
    assert 0.5 < value.allocated(2) / value.allocated(0) < 2
    copied = value.copy()
    value.remove(b"77")
    value.trim(500, 600)
    del value, copied
    assert used_bytes() == before


@pytest.mark.parametrize("data", [b"", b"\x07\0\0\0\0\0", b"\x08\0\0\0\1\0\x81\xff"])
def test_damaged_nodes_are_refused(data: bytes) -> None:
    with pytest.raises(listpack.Malformed):
        List().adopt_node(data, False)
