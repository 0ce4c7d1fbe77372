"""The datatypes against plain models: what they hold, in what order, and which encoding they own up to."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.datatypes import Hash, List, Set, SortedSet, limits
from node.datatypes.integers import is_integer
from node.datatypes.list import packed_size
from node.datatypes.ordered_index import HALF, OrderedIndex
from node.datatypes.sorted_set import LexBound, ScoreBound

TINY = st.binary(max_size=2)
WORDS = st.one_of(TINY, st.integers(-300, 300).map(lambda n: b"%d" % n))


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[limits.Limits]:
    """Thresholds of a few elements, so that tests need few."""
    before = replace(limits.limits)
    limits.limits.update(
        hash_max_listpack_entries=3,
        hash_max_listpack_value=5,
        list_max_listpack_size=4,
        set_max_intset_entries=4,
        set_max_listpack_entries=3,
        set_max_listpack_value=5,
        zset_max_listpack_entries=3,
        zset_max_listpack_value=5,
    )
    yield limits.limits
    for name in before.__slots__:
        setattr(limits.limits, name, getattr(before, name))


def test_unknown_limits_are_refused() -> None:
    with pytest.raises(AttributeError):
        limits.limits.update(nosuch=1)


@pytest.mark.parametrize("text", [b"0", b"-1", b"9223372036854775807", b"-9223372036854775808"])
def test_integers(text: bytes) -> None:
    assert is_integer(text)


@pytest.mark.parametrize(
    "text", [b"", b"-", b"-0", b"01", b"+1", b"1 ", b"9223372036854775808", b"1" * 99, b"a"]
)
def test_no_integers(text: bytes) -> None:
    assert not is_integer(text)


# ------------------------------------------------------------------------------------------- hashes


def test_hash_encoding_only_goes_up(small_limits: limits.Limits) -> None:
    value = Hash({b"a": b"1", b"b": b"2", b"c": b"3"})
    assert value.encoding == "listpack"
    value.set(b"c", b"12345")
    assert value.encoding == "listpack"
    value.set(b"d", b"4")
    assert value.encoding == "hashtable"
    value.delete(b"d")
    assert value.encoding == "hashtable"
    assert value.copy().encoding == "hashtable"
    assert Hash({b"123456": b""}).encoding == "hashtable"
    assert Hash({b"": b"123456"}).encoding == "hashtable"


# -------------------------------------------------------------------------------------------- sets


@pytest.mark.parametrize(
    ("members", "encoding"),
    [
        ([b"1", b"2", b"3", b"4"], "intset"),
        ([b"1", b"2", b"3", b"4", b"5"], "hashtable"),
        ([b"1", b"2", b"a"], "listpack"),
        ([b"1", b"2", b"3", b"a"], "hashtable"),
        ([b"a", b"1", b"2"], "listpack"),
        ([b"a", b"b", b"c", b"1"], "hashtable"),
        ([b"a", b"123456"], "hashtable"),
        ([b"123456", b"a"], "hashtable"),
        ([b"01"], "listpack"),
    ],
)
def test_set_encodings(small_limits: limits.Limits, members: list[bytes], encoding: str) -> None:
    value = Set(members)
    assert value.encoding == value.copy().encoding == encoding
    for member in members:
        value.remove(member)
    assert value.encoding == encoding, "never back"


def test_an_intset_is_in_order() -> None:
    assert list(Set([b"10", b"9", b"-1"])) == [b"-1", b"9", b"10"]


@given(st.lists(st.tuples(st.booleans(), WORDS)))
def test_set_is_a_set(changes: list[tuple[bool, bytes]]) -> None:
    value, model = Set(), set[bytes]()
    for is_add, member in changes:
        if is_add:
            assert value.add(member) == (member not in model)
            model.add(member)
        else:
            assert value.remove(member) == (member in model)
            model.discard(member)
    assert set(value) == model == set(value.copy()) == {value.at(i) for i in range(len(value))}
    assert len(value) == len(model) == len(list(value))
    assert all((member in value) == (member in model) for _, member in changes)


@given(st.integers(0, 300), st.integers(1, 50), st.data())
def test_a_walk_misses_nothing_that_stays(size: int, count: int, data: st.DataObject) -> None:
    value = Set(
        b"%04d-with-a-long-tail-that-fits-no-listpack-and-makes-it-a-hashtable" % i for i in range(size)
    )
    stays = set(value)
    seen: set[bytes] = set()
    cursor = -1
    while cursor:
        cursor, members = value.scan(max(cursor, 0), count)
        assert len(members) <= count
        seen.update(members)
        for position in data.draw(st.lists(st.integers(0, 1000), max_size=3)):
            if len(value):
                removed = value.at(position % len(value))
                value.remove(removed)
                stays.discard(removed)
        value.add(b"new-%d" % cursor)
    assert stays <= seen


def test_a_walk_survives_any_cursor() -> None:
    value = Set([b"x" * 99, b"y"])
    assert value.scan(10**18, 1) == (1, [b"y"])
    assert Set().scan(5, 10) == (0, [])


def test_compact_collections_are_walked_in_one_step() -> None:
    assert Set([b"2", b"1"]).scan(0, 1) == (0, [b"1", b"2"])
    assert Hash({b"a": b"1", b"b": b"2"}).scan(7, 1) == (0, [(b"a", b"1"), (b"b", b"2")])
    assert SortedSet([(b"b", 1), (b"a", 2)]).scan(0, 1) == (0, [(b"b", 1), (b"a", 2)])


def test_large_hashes_and_sorted_sets_are_walked_in_steps(small_limits: limits.Limits) -> None:
    names = [b"%d" % i for i in range(10)]
    table, ranking = Hash(dict.fromkeys(names, b"v")), SortedSet((name, 1.0) for name in names)
    for value in (table, ranking):
        seen: list[tuple[bytes, Any]] = []
        cursor = -1
        while cursor:
            cursor, items = value.scan(max(cursor, 0), 4)
            seen += items
        assert sorted(name for name, _ in seen) == names


# ------------------------------------------------------------------------------------------- lists


class ListMachine(RuleBasedStateMachine):
    """A List that keeps changing between its two forms, beside a Python list."""

    def __init__(self) -> None:
        super().__init__()
        self.before = limits.limits.list_max_listpack_size
        limits.limits.list_max_listpack_size = 6
        self.value, self.model = List(), list[bytes]()

    def teardown(self) -> None:
        limits.limits.list_max_listpack_size = self.before

    @rule(values=st.lists(TINY, min_size=1, max_size=5))
    def push_left(self, values: list[bytes]) -> None:
        self.value.push_left(values)
        self.model[:0] = values[::-1]

    @rule(values=st.lists(TINY, min_size=1, max_size=5))
    def push_right(self, values: list[bytes]) -> None:
        self.value.push_right(values)
        self.model += values

    @rule(count=st.integers(0, 8))
    def pop_left(self, count: int) -> None:
        assert self.value.pop_left(count) == self.model[:count]
        del self.model[:count]

    @rule(count=st.integers(0, 8))
    def pop_right(self, count: int) -> None:
        taken = self.model[::-1][:count]
        assert self.value.pop_right(count) == taken
        del self.model[len(self.model) - len(taken) :]

    @rule(value=TINY, where=st.integers(0, 30))
    def insert(self, value: bytes, where: int) -> None:
        self.value.insert(min(where, len(self.model)), value)
        self.model.insert(where, value)

    @rule(value=TINY, where=st.integers(-20, 20))
    def replace(self, value: bytes, where: int) -> None:
        if -len(self.model) <= where < len(self.model):
            self.value.replace(where, value)
            self.model[where] = value
        else:
            with pytest.raises(IndexError):
                self.value.replace(where, value)

    @rule(value=TINY, count=st.integers(-3, 3))
    def remove(self, value: bytes, count: int) -> None:
        places = [i for i, item in enumerate(self.model) if item == value]
        gone = places[:count] if count > 0 else places[count:]
        assert self.value.remove(value, count) == len(gone)
        self.model = [item for i, item in enumerate(self.model) if i not in gone]

    @rule(data=st.data())
    def trim(self, data: st.DataObject) -> None:
        start = data.draw(st.integers(0, len(self.model)))
        stop = data.draw(st.integers(start, len(self.model)))
        self.value.trim(start, stop)
        self.model = self.model[start:stop]

    @invariant()
    def same(self) -> None:
        assert list(self.value) == self.model == list(self.value.copy())
        assert list(reversed(self.value)) == self.model[::-1]
        assert len(self.value) == len(self.model)
        assert self.value._size == 7 + sum(map(packed_size, self.model))
        assert self.value.encoding == "quicklist" or len(self.model) <= 6
        assert self.value.encoding == "listpack" or len(self.model) > 3
        for item in self.model:
            assert self.value.find(item) == self.model.index(item)


TestListMachine = ListMachine.TestCase
TestListMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_every_range_of_a_long_list() -> None:
    model = [b"%d" % i for i in range(5000)]
    value = List(model)
    assert value.encoding == "quicklist"
    for start, stop in [
        (0, 5000),
        (0, 0),
        (0, 3),
        (4990, 5000),
        (2500, 2501),
        (10, 4990),
        (4000, 4800),
        (200, 900),
    ]:
        assert value.range(start, stop) == model[start:stop]
    assert value[-1] == b"4999" and value[0] == b"0"
    with pytest.raises(IndexError):
        value[5000]


def test_list_encoding_by_size(small_limits: limits.Limits) -> None:
    small_limits.list_max_listpack_size = -2
    value = List([b"x" * 4000, b"y" * 4000])
    assert value.encoding == "listpack"
    value.push_right([b"z" * 200])
    assert value.encoding == "quicklist"
    value.pop_right()
    assert value.encoding == "quicklist", "not before half the limit"
    value.pop_right()
    assert value.encoding == "listpack"


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (b"0", 2),
        (b"127", 2),
        (b"128", 3),
        (b"-1", 3),
        (b"-4097", 4),
        (b"32768", 5),
        (b"-8388609", 6),
        (b"2147483648", 10),
        (b"", 2),
        (b"a" * 63, 65),
        (b"a" * 64, 67),
        (b"a" * 4096, 4103),
    ],
)
def test_packed_sizes(value: bytes, size: int) -> None:
    assert packed_size(value) == size


# ------------------------------------------------------------------------------------- sorted sets

SCORES = st.sampled_from([-float("inf"), -1.5, 0.0, 1.0, 1e20, float("inf")])


def test_sorted_set_encoding(small_limits: limits.Limits) -> None:
    value = SortedSet([(b"a", 1), (b"b", 2), (b"c", 3)])
    assert value.encoding == "listpack"
    value.set(b"d", 4)
    assert value.encoding == "skiplist"
    value.remove(b"d")
    assert value.encoding == value.copy().encoding == "skiplist"
    assert SortedSet([(b"123456", 1)]).encoding == "skiplist"
    value = SortedSet([(b"a", 1)])
    value.set(b"123456", 1)
    assert value.encoding == "skiplist"


@given(st.lists(st.tuples(st.booleans(), TINY, SCORES)), SCORES, SCORES, st.booleans(), st.booleans())
def test_sorted_set_is_sorted(
    changes: list[tuple[bool, bytes, float]], low: float, high: float, above: bool, below: bool
) -> None:
    value, model = SortedSet(), dict[bytes, float]()
    for is_set, member, score in changes:
        if is_set:
            assert value.set(member, score) == (member not in model)
            model[member] = score
        else:
            assert value.remove(member) == (model.pop(member, None) is not None)
    ordered = sorted((score, member) for member, score in model.items())
    assert [(score, member) for member, score in value.items()] == ordered
    assert list(value.copy().items()) == list(value.items())
    assert [value.rank(member) for _, member in ordered] == list(range(len(ordered)))
    assert [value.at(i) for i in range(len(ordered))] == [(member, score) for score, member in ordered]
    start, stop = value.ranks_by_score(ScoreBound(low, above), ScoreBound(high, below))
    wanted = [
        member
        for score, member in ordered
        if (low < score or (low == score and not above)) and (score < high or (score == high and not below))
    ]
    assert [member for member, _ in value.range(start, stop)] == wanted
    assert value.rank(b"no member") is None and value.score(b"no member") is None


@given(st.sets(TINY), TINY, TINY, st.booleans(), st.booleans())
def test_ranges_by_member(members: set[bytes], low: bytes, high: bytes, above: bool, below: bool) -> None:
    value = SortedSet((member, 0.0) for member in members)
    start, stop = value.ranks_by_lex(LexBound(low, above), LexBound(high, below))
    wanted = [
        member
        for member in sorted(members)
        if (low < member or (low == member and not above))
        and (member < high or (member == high and not below))
    ]
    assert [member for member, _ in value.range(start, stop)] == wanted
    assert value.ranks_by_lex(LexBound(infinite=-1), LexBound(infinite=1)) == (0, len(members))
    assert value.ranks_by_lex(LexBound(infinite=1), LexBound(infinite=-1)) == (len(members), len(members))
    removed = value.delete_range(start, stop)
    assert [member for member, _ in removed] == wanted
    assert {member for member, _ in value.items()} == members - set(wanted)


@settings(max_examples=10, deadline=None)
@given(st.integers(), st.integers(1, 40))
def test_the_index_stays_in_order_over_splits_and_merges(seed: int, distinct: int) -> None:
    """Many entries with few scores, inserted and removed in waves, with ranks asked for in between."""
    random = Random(seed)
    index, model = OrderedIndex(), list[tuple[float, bytes]]()
    for wave in range(6):
        for _ in range(3 * HALF):
            if random.random() < (0.8 if wave < 3 else 0.15) or not model:
                entry = (float(random.randrange(distinct)), b"%d" % random.randrange(10**6))
                place = bisect_left(model, entry)
                if model[place : place + 1] != [entry]:
                    index.insert(*entry)
                    model.insert(place, entry)
            else:
                place = random.randrange(len(model))
                assert index.rank(*model[place]) == place
                index.remove(*model.pop(place))
        assert list(index.entries(0, len(index))) == model
        assert [index.at(i) for i in range(0, len(model), 97)] == model[::97]
        for score in range(distinct + 1):
            assert index.count_below(score, inclusive=False) == bisect_left(model, (score, b""))
            assert index.count_below(score, inclusive=True) == bisect_left(model, (score + 0.5, b""))


def test_an_index_built_at_once_is_the_same() -> None:
    entries = [(float(i // 3), b"%d" % i) for i in range(3 * HALF + 1)]
    entries.sort()
    index = OrderedIndex(entries)
    assert list(index.entries(0, len(index))) == entries
    assert list(index.entries(300, 310)) == entries[300:310]
    assert [index.rank(*entry) for entry in entries] == list(range(len(entries)))
