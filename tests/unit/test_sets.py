"""Sets against Python's: members, forms, walks, blobs, algebra. Their large form tests the member table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.core import listpack, set_algebra
from node.core.memory import used_bytes
from node.datatypes import Set
from node.datatypes.limits import limits
from tests.unit.settled_memory import settled_bytes

SMALL = {"set_max_intset_entries": 4, "set_max_listpack_entries": 3, "set_max_listpack_value": 5}
NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)
MEMBERS = st.one_of(
    st.binary(max_size=2), st.integers(-9, 9).map(lambda n: b"%d" % n), NUMBERS.map(lambda n: b"%d" % n)
)


@pytest.fixture
def small() -> Iterator[None]:
    """Thresholds of a few elements, so that tests need few."""
    before = {name: getattr(limits, name) for name in SMALL}
    limits.update(**SMALL)
    yield
    limits.update(**before)


def a_table(members: list[bytes]) -> Set:
    value = Set.sized(b"", 10**9)
    value.add_all(members)
    return value


# ------------------------------------------------------------------------------------------- forms


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
        ([b"-12345", b"a"], "hashtable"),
        ([b"01"], "listpack"),
    ],
)
def test_forms(small: None, members: list[bytes], encoding: str) -> None:
    value = Set(members)
    assert value.encoding == value.copy().encoding == encoding
    assert set(value) == set(value.copy()) == set(members)
    assert value.remove_all(members) == len(members)
    assert value.encoding == encoding, "never back"
    assert len(value) == 0 and list(value) == []


@pytest.mark.parametrize(
    ("first", "count", "encoding"),
    [(b"1", 4, "intset"), (b"1", 5, "hashtable"), (b"a", 3, "listpack"), (b"a", 4, "hashtable")],
)
def test_a_hint_of_the_size_decides_the_form(small: None, first: bytes, count: int, encoding: str) -> None:
    assert Set.sized(first, count).encoding == encoding


def test_many_to_come_turn_a_compact_set_into_a_table(small: None) -> None:
    numbers, words = Set([b"1"]), Set([b"a"])
    assert numbers.add_all([b"1"] * 5) == words.add_all([b"a"] * 4) == 0
    assert numbers.encoding == words.encoding == "hashtable"


def test_an_intset_ascends_and_a_listpack_keeps_its_order() -> None:
    assert list(Set([b"10", b"9", b"-1"])) == [b"-1", b"9", b"10"]
    assert list(Set([b"10", b"9", b"x", b"1"])) == [b"9", b"10", b"x", b"1"]


class SetMachine(RuleBasedStateMachine):
    """A Set that passes from form to form, beside Python's."""

    def __init__(self) -> None:
        super().__init__()
        self.before = {name: getattr(limits, name) for name in SMALL}
        limits.update(set_max_intset_entries=8, set_max_listpack_entries=12, set_max_listpack_value=5)
        self.value, self.model = Set(), set[bytes]()

    def teardown(self) -> None:
        limits.update(**self.before)

    @rule(member=MEMBERS)
    def add(self, member: bytes) -> None:
        assert self.value.add(member) == (member not in self.model)
        self.model.add(member)

    @rule(member=MEMBERS)
    def remove(self, member: bytes) -> None:
        assert self.value.remove(member) == (member in self.model)
        self.model.discard(member)

    @rule(data=st.data())
    def remove_one_that_is_there(self, data: st.DataObject) -> None:
        if self.model:
            member = data.draw(st.sampled_from(sorted(self.model)))
            assert self.value.remove(member)
            self.model.discard(member)

    @rule(member=MEMBERS)
    def ask(self, member: bytes) -> None:
        assert (member in self.value) == (member in self.model)

    @rule(count=st.integers(0, 20))
    def draw(self, count: int) -> None:
        if self.model:
            assert self.value.draw() in self.model
        sample = self.value.sample(count)
        assert len(set(sample)) == len(sample) == min(count, len(self.model))
        assert set(sample) <= self.model

    @invariant()
    def same(self) -> None:
        members = list(self.value)
        assert len(members) == len(self.value) == len(self.model)
        assert set(members) == set(self.value.copy()) == self.model
        if self.value.encoding == "intset":
            assert members == sorted(members, key=int)
            assert list(Set.adopt_intset(self.value.blob)) == members
        elif self.value.encoding == "listpack":
            assert self.value.blob == listpack.encode(members)


TestSetMachine = SetMachine.TestCase
TestSetMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


# ------------------------------------------------------------------------------------------- tables


def test_a_large_table_grows_and_shrinks_whole() -> None:
    """Over many splits and merges of segments: nothing is lost, nothing leaks."""
    random, before = Random(3), settled_bytes()
    value, model = Set.sized(b"", 10**9), set[bytes]()
    for phase, share in enumerate((0.7, 0.2, 0.6, 0.1)):
        for _ in range(20_000):
            member = b"member:%d" % random.randrange(12_000)
            if random.random() < share:
                assert value.add(member) == (member not in model)
                model.add(member)
            else:
                assert value.remove(member) == (member in model)
                model.discard(member)
        assert set(value) == model, phase
        assert set(walk(value)) == model
    assert value.remove_all(list(model)) == len(model)
    assert len(value) == 0
    del value
    assert used_bytes() == before


def walk(value: Set, count: int = 100) -> list[bytes]:
    cursor, seen = -1, list[bytes]()
    while cursor:
        cursor, members = value.scan(max(cursor, 0), count)
        seen += members
    return seen


@given(st.integers(0, 3000), st.integers(1, 50), st.integers())
@settings(max_examples=40, deadline=None)
def test_a_walk_gives_once_what_stays(size: int, count: int, seed: int) -> None:
    random = Random(seed)
    value = a_table([b"%d" % i for i in range(size)])
    stays = {b"%d" % i for i in range(0, size, 2)}
    seen = Counter[bytes]()
    cursor = -1
    while cursor:
        cursor, members = value.scan(max(cursor, 0), count)
        assert 0 <= cursor < 1 << 64
        assert len(members) >= count or not cursor
        seen.update(members)
        for _ in range(random.randrange(60)):
            odd = b"%d" % (2 * random.randrange(5000) + 1)
            _ = value.add(odd) if random.random() < 0.5 else value.remove(odd)
    assert all(seen[member] == 1 for member in stays)


@given(st.integers(0, (1 << 64) - 1))
def test_a_walk_survives_any_cursor(cursor: int) -> None:
    following, members = a_table([b"%d" % i for i in range(100)]).scan(cursor, 10)
    assert following < 1 << 64 and len(set(members)) == len(members)


def test_compact_sets_are_walked_in_one_step() -> None:
    assert Set([b"2", b"1"]).scan(7, 1) == (0, [b"1", b"2"])
    assert Set([b"b", b"a"]).scan(0, 1) == (0, [b"b", b"a"])
    assert Set().scan(5, 10) == (0, [])


@pytest.mark.parametrize("size", [10, 3000])
def test_draws_are_fair(size: int) -> None:
    """Over segments of different depths: no member is drawn much more often than others."""
    value = a_table([b"%d" % i for i in range(size)])
    drawn = Counter(value.draw() for _ in range(100 * size))
    assert len(drawn) == size
    spread = sum((count - 100) ** 2 / 100 for count in drawn.values()) / size
    assert spread < 5 if size < 100 else spread < 1.3


@pytest.mark.parametrize("members", [[b"1", b"2", b"3"], [b"a", b"b", b"c"]])
def test_draws_from_compact_sets_are_fair(members: list[bytes]) -> None:
    value = Set(members)
    drawn = Counter(value.draw() for _ in range(3000))
    assert min(drawn[member] for member in members) > 800


# ------------------------------------------------------------------------------------------- blobs


@given(st.sets(NUMBERS, min_size=1, max_size=20))
def test_intset_round_trip(numbers: set[int]) -> None:
    value = Set(b"%d" % number for number in numbers)
    assert value.encoding == "intset"
    assert list(value) == [b"%d" % number for number in sorted(numbers)]
    assert list(Set.adopt_intset(value.blob)) == list(value)


@pytest.mark.parametrize(
    ("numbers", "width"),
    [([1, -32768], 2), ([32768], 4), ([-(1 << 31)], 4), ([1 << 31], 8), ([-(1 << 63)], 8)],
)
def test_intset_width_is_the_least_that_fits(numbers: list[int], width: int) -> None:
    blob = Set(b"%d" % number for number in numbers).blob
    assert blob[0] == width and len(blob) == 8 + width * len(numbers)


@given(st.binary(max_size=40), st.data())
def test_damaged_blobs_are_refused_or_harmless(noise: bytes, data: st.DataObject) -> None:
    damaged = bytearray(Set([b"1", b"2", b"70000"]).blob)
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    for blob in (noise, bytes(damaged)):
        for adopt in (Set.adopt_intset, Set.adopt_listpack):
            try:
                value = adopt(blob)
            except ValueError:
                continue
            assert len(set(value)) == len(value)


@pytest.mark.parametrize("blob", [b"", b"\2\0\0\0", b"\3\0\0\0\0\0\0\0", b"\2\0\0\0\2\0\0\0\1\0\1\0"])
def test_no_intsets(blob: bytes) -> None:
    with pytest.raises(ValueError):
        Set.adopt_intset(blob)


def test_an_adopted_listpack_must_be_a_set() -> None:
    assert list(Set.adopt_listpack(listpack.encode([b"b", b"1"]))) == [b"b", b"1"]
    with pytest.raises(ValueError):
        Set.adopt_listpack(listpack.encode([b"b", b"b"]))


def test_blobs_too_large_for_the_settings_become_tables(small: None) -> None:
    blob = listpack.encode([b"a", b"b", b"c", b"d"])
    assert Set.adopt_listpack(blob).encoding == "hashtable"
    assert sorted(Set.adopt_listpack(blob)) == [b"a", b"b", b"c", b"d"]


def test_a_table_is_no_blob() -> None:
    with pytest.raises(TypeError):
        _ = a_table([b"a"]).blob
    assert a_table([b"a" * 100]).allocated(0) > 100 + Set([b"a"]).allocated(0)


# ------------------------------------------------------------------------------------------- algebra

SETS = st.lists(st.sets(MEMBERS, max_size=8), min_size=1, max_size=4)


@given(SETS, st.booleans(), st.integers(0, 4))
def test_algebra(models: list[set[bytes]], tables: bool, limit: int) -> None:
    values: list[Set | None] = [
        (a_table(list(each)) if tables else Set(each)) if each else None for each in models
    ]
    common = set.intersection(*models)
    assert set(set_algebra.union(values)) == set.union(*models)
    assert set(set_algebra.inter(values)) == set(set_algebra.inter_set(values)) == common
    assert set_algebra.inter_count(values) == len(common)
    capped = min(limit, len(common)) if limit else len(common)
    assert set_algebra.inter_count(values, limit) == len(set_algebra.inter(values, limit)) == capped
    assert set(set_algebra.diff(values)) == models[0].difference(*models[1:])


def test_difference_with_itself_is_empty() -> None:
    value = Set([b"a"])
    assert len(set_algebra.diff([value, None, value])) == 0


def test_difference_of_a_large_set_and_many_small_ones() -> None:
    value = Set([b"%d" % i for i in range(1000)])
    others: list[Set | None] = [Set([b"%d" % i, b"x"]) for i in range(20)]
    assert sorted(set_algebra.diff([value, *others]), key=int) == [b"%d" % i for i in range(20, 1000)]


def test_an_intersection_of_integers_is_an_intset() -> None:
    words, table = Set([b"1", b"2", b"a"]), a_table([b"1", b"2", b"b"])
    assert set_algebra.inter_set([words, table]).encoding == "intset"
    assert set_algebra.inter_set([words, a_table([b"1", b"a"])]).encoding == "listpack"


def test_results_are_not_made_in_the_order_of_hashes() -> None:
    """A table that grows while it gets another's members in their order searches long for each place: that
    took twenty times as long as from a list."""
    members = [b"member:%d" % n for n in range(30_000)]
    began = time.process_time()
    value = a_table(members)
    usual = time.process_time() - began
    began = time.process_time()
    made = [value.copy(), set_algebra.union([value, None, value]), set_algebra.inter_set([value, value])]
    made.append(set_algebra.diff([value, a_table([b"other"])]))
    assert time.process_time() - began < 10 * usual
    for each in made:
        assert set(each) == set(members)
        assert each.allocated(0) < 1.1 * value.allocated(0)


def test_a_small_result_of_large_sets_is_small() -> None:
    few = [b"member:%d" % n for n in range(1000)]
    large = a_table(few + [b"one:%d" % n for n in range(20_000)])
    other = a_table(few + [b"other:%d" % n for n in range(20_000)])
    found = set_algebra.inter_set([large, other])
    assert set(found) == set(few)
    assert found.allocated(0) < 1.1 * a_table(few).allocated(0)
