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

from node.datatypes import Hash, SortedSet, limits
from node.datatypes.integers import is_integer
from node.datatypes.ordered_index import HALF, OrderedIndex
from node.datatypes.sorted_set import LexBound, ScoreBound

TINY = st.binary(max_size=2)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[limits.Limits]:
    """Thresholds of a few elements, so that tests need few."""
    before = replace(limits.limits)
    limits.limits.update(
        hash_max_listpack_entries=3,
        hash_max_listpack_value=5,
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


# -------------------------------------------------------------------------------------------- walks


def test_compact_collections_are_walked_in_one_step() -> None:
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
