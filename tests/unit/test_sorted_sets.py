"""Sorted sets against plain models: order, ranks, ranges, forms, blobs. The large form tests the index."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.core import listpack
from node.core.memory import used_bytes
from node.core.sorted_set import (
    PUT_INCREMENT,
    PUT_ONLY_GREATER,
    PUT_ONLY_KNOWN,
    PUT_ONLY_LESS,
    PUT_ONLY_NEW,
)
from node.datatypes import SortedSet
from node.datatypes.bounds import LexBound, ScoreBound
from node.datatypes.limits import limits
from tests.unit.settled_memory import settled_bytes

SMALL = {"zset_max_listpack_entries": 3, "zset_max_listpack_value": 5}
TINY = st.binary(max_size=2)
SCORES = st.sampled_from([-float("inf"), -1.5, 0.0, 0.1, 1.0, 1e20, 1e300, float("inf")])
BOUNDS = st.builds(ScoreBound, SCORES, st.booleans())


@pytest.fixture
def small() -> Iterator[None]:
    """Thresholds of a few members, so that tests need few."""
    before = {name: getattr(limits, name) for name in SMALL}
    limits.update(**SMALL)
    yield
    limits.update(**before)


def ranked(value: SortedSet) -> SortedSet:
    """The same in its large form."""
    large = SortedSet.sized(10**9, 0)
    for member, score in value.items():
        large.set(member, score)
    return large


def test_forms(small: None) -> None:
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


@pytest.mark.parametrize(
    ("count", "length", "encoding"), [(3, 5, "listpack"), (4, 5, "skiplist"), (3, 6, "skiplist")]
)
def test_a_hint_of_the_size_decides_the_form(small: None, count: int, length: int, encoding: str) -> None:
    assert SortedSet.sized(count, length).encoding == encoding


def test_many_to_come_make_a_sorted_set_large(small: None) -> None:
    value = SortedSet([(b"a", 1)])
    assert value.put_all([1.0] * 4, [b"a"] * 8, 1, 0) == (0, 0, 1.0)
    assert value.encoding == "skiplist"


@pytest.mark.parametrize("large", [False, True])
def test_what_the_flags_of_an_addition_allow(large: bool) -> None:
    value = SortedSet([(b"a", 5.0)])
    if large:
        value = ranked(value)

    def put(member: bytes, score: float, flags: int) -> tuple[int, int, float | None]:
        return value.put_all([score], [b"", member], 1, flags)

    assert put(b"a", 9, PUT_ONLY_NEW) == (0, 0, None)
    assert put(b"b", 9, PUT_ONLY_KNOWN) == (0, 0, None)
    assert put(b"a", 4, PUT_ONLY_GREATER) == put(b"a", 5, PUT_ONLY_GREATER) == (0, 0, None)
    assert put(b"a", 6, PUT_ONLY_LESS) == put(b"a", 5, PUT_ONLY_LESS) == (0, 0, None)
    assert put(b"a", 5, 0) == (0, 0, 5.0)
    assert put(b"a", 6, PUT_ONLY_GREATER) == (0, 1, 6.0)
    assert put(b"a", 4, PUT_ONLY_LESS | PUT_ONLY_KNOWN) == (0, 1, 4.0)
    assert put(b"a", -1, PUT_INCREMENT | PUT_ONLY_GREATER) == (0, 0, None)
    assert put(b"a", 1.5, PUT_INCREMENT) == (0, 1, 5.5)
    assert put(b"c", 1.5, PUT_INCREMENT) == (1, 0, 1.5)
    assert put(b"d", math.inf, PUT_ONLY_NEW) == (1, 0, math.inf)
    added, updated, score = put(b"d", -math.inf, PUT_INCREMENT)
    assert (added, updated) == (0, 0) and score != score
    assert dict(value.items()) == {b"a": 5.5, b"c": 1.5, b"d": math.inf}


class SortedSetMachine(RuleBasedStateMachine):
    """A SortedSet that becomes large sooner or later, beside a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.before = {name: getattr(limits, name) for name in SMALL}
        limits.update(zset_max_listpack_entries=9)
        self.value, self.model = SortedSet(), dict[bytes, float]()

    def teardown(self) -> None:
        limits.update(**self.before)

    def ordered(self) -> list[tuple[bytes, float]]:
        return sorted(self.model.items(), key=lambda pair: (pair[1], pair[0]))

    @rule(member=TINY, score=SCORES)
    def put(self, member: bytes, score: float) -> None:
        assert self.value.set(member, score) == (member not in self.model)
        self.model[member] = score

    @rule(member=TINY)
    def remove(self, member: bytes) -> None:
        assert self.value.remove(member) == (self.model.pop(member, None) is not None)

    @rule(data=st.data())
    def remove_a_range(self, data: st.DataObject) -> None:
        start = data.draw(st.integers(0, len(self.model)))
        stop = min(len(self.model), start + data.draw(st.integers(0, 3)))
        for member, _ in self.ordered()[start:stop]:
            del self.model[member]
        self.value.delete_range(start, stop)

    @rule(low=BOUNDS, high=BOUNDS)
    def ask_for_scores(self, low: ScoreBound, high: ScoreBound) -> None:
        start, stop = self.value.ranks_by_score(low, high)
        assert self.value.range(start, stop) == [
            (member, score)
            for member, score in self.ordered()
            if (low.score < score or (low.score == score and not low.exclusive))
            and (score < high.score or (score == high.score and not high.exclusive))
        ]

    @rule(member=TINY)
    def ask_for_a_member(self, member: bytes) -> None:
        assert (member in self.value) == (member in self.model)
        assert self.value.score(member) == self.model.get(member)
        names = [name for name, _ in self.ordered()]
        assert self.value.rank(member) == (names.index(member) if member in self.model else None)

    @invariant()
    def same(self) -> None:
        ordered = self.ordered()
        assert len(self.value) == len(ordered)
        assert list(self.value.items()) == list(self.value.copy().items()) == ordered
        assert self.value.members(0, len(ordered)) == [member for member, _ in ordered]
        assert [self.value.at(i) for i in range(len(ordered))] == ordered
        if self.value.encoding == "listpack":
            assert list(SortedSet.adopt(self.value.blob).items()) == ordered
        cursor, items = self.value.scan(0, 1000)
        assert cursor == 0 and dict(items) == self.model and len(items) == len(ordered)


TestSortedSetMachine = SortedSetMachine.TestCase
TestSortedSetMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


@given(st.sets(TINY), TINY, TINY, st.booleans(), st.booleans(), st.booleans())
def test_ranges_by_member(
    members: set[bytes], low: bytes, high: bytes, above: bool, below: bool, large: bool
) -> None:
    value = SortedSet((member, 0.0) for member in members)
    if large:
        value = ranked(value)
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
    assert value.members(start, stop) == wanted
    value.delete_range(start, stop)
    assert {member for member, _ in value.items()} == members - set(wanted)


# ------------------------------------------------------------------------------- the ordered index


@settings(max_examples=10, deadline=None)
@given(st.integers(), st.integers(1, 40))
def test_the_index_stays_in_order_over_splits_and_joins(seed: int, distinct: int) -> None:
    """Many entries with few scores, inserted, moved and removed in waves, with ranks asked for in between."""
    random, before = Random(seed), settled_bytes()
    value, model = SortedSet.sized(10**9, 0), list[tuple[float, bytes]]()
    for wave in range(6):
        for _ in range(1500):
            entry = (float(random.randrange(distinct)), b"%d" % random.randrange(10**6))
            chance = random.random()
            if chance < (0.6 if wave < 3 else 0.1) or not model:
                if value.score(entry[1]) is None:
                    assert value.set(entry[1], entry[0])
                    model.insert(bisect_left(model, entry), entry)
                continue
            place = random.randrange(len(model))
            score, member = model.pop(place)
            assert value.rank(member) == place
            if chance < 0.7:
                moved = (score + random.choice([0.0, 0.5, -0.25, 10.0]), member)
                assert not value.set(member, moved[0])
                model.insert(bisect_left(model, moved), moved)
            else:
                assert value.remove(member)
        assert [(score, member) for member, score in value.items()] == model
        assert [value.at(i)[0] for i in range(0, len(model), 97)] == [member for _, member in model[::97]]
        for score in range(distinct + 1):
            assert value.ranks_by_score(ScoreBound(score), ScoreBound(score)) == (
                bisect_left(model, (score, b"")),
                bisect_left(model, (score, b"z")),
            )
    value.delete_range(1, len(model))
    assert [(score, member) for member, score in value.items()] == model[:1]
    del value
    assert used_bytes() == before


@pytest.mark.parametrize("step", [1, -1])
def test_what_comes_in_order_fills_the_leaves(step: int) -> None:
    value = SortedSet.sized(10**9, 0)
    numbers = range(40_000)[::step]
    before = settled_bytes()
    for number in numbers:
        value.set(b"%015d" % number, number)
    per_member = (used_bytes() - before) / len(numbers)
    assert [score for _, score in value.items()] == list(range(40_000))
    entry, cell, pointer = 48, 8 / 0.6, 8 / 0.9
    assert per_member < entry + cell + pointer
    assert value.allocated(100) == pytest.approx(value.allocated(0), rel=0.05)
    value.delete_range(0, 40_000)
    assert len(value) == 0 and list(value.items()) == []


# ----------------------------------------------------------------------------------------------- blobs


def test_scores_are_packed_as_redis_prints_them() -> None:
    value = SortedSet([(b"a", 1.5), (b"b", -0.0), (b"7", 1e20), (b"c", math.inf), (b"d", 3.0)])
    assert value.blob == listpack.encode([b"b", b"0", b"a", b"1.5", b"d", b"3", b"7", b"1e+20", b"c", b"inf"])
    assert math.copysign(1, value.score(b"b") or 0.0) == 1, "a listpack knows no -0"


@pytest.mark.parametrize(
    "elements",
    [[b"a"], [b"a", b"x"], [b"a", b""], [b"a", b"nan"], [b"a", b"1", b"a", b"2"], [b"a", b"1" * 200]],
)
def test_blobs_that_are_no_sorted_sets(elements: list[bytes]) -> None:
    with pytest.raises(ValueError):
        SortedSet.adopt(listpack.encode(elements))


def test_a_blob_out_of_order_is_put_in_order() -> None:
    value = SortedSet.adopt(listpack.encode([b"b", b"2", b"a", b"1"]))
    assert list(value.items()) == [(b"a", 1.0), (b"b", 2.0)] and value.rank(b"a") == 0


def test_a_blob_too_large_for_the_settings_becomes_large(small: None) -> None:
    value = SortedSet.adopt(listpack.encode([b"a", b"1", b"b", b"2", b"c", b"3", b"d", b"4"]))
    assert value.encoding == "skiplist" and len(value) == 4
    with pytest.raises(TypeError):
        _ = value.blob


@given(st.binary(max_size=40), st.data())
def test_damaged_blobs_are_refused_or_harmless(noise: bytes, data: st.DataObject) -> None:
    damaged = bytearray(SortedSet([(b"a", 1.5), (b"b", 70000.0)]).blob)
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    for blob in (noise, bytes(damaged)):
        try:
            value = SortedSet.adopt(blob)
        except ValueError:
            continue
        assert len(dict(value.items())) == len(value)
