"""Hashes, small and large, beside a dict; their fields' expiry beside a dict of moments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.core import listpack
from node.core.hash import NEVER, Hash
from node.core.listpack import Malformed
from node.core.memory import used_bytes
from node.datatypes.limits import limits
from tests.unit.settled_memory import settled_bytes

FIELDS = st.sampled_from([b"", b"a", b"b", b"7", b"-12", b"007", b"field", b"x" * 20, b"\0", b"c", b"d"])
VALUES = st.one_of(st.binary(max_size=12), st.integers(-5000, 5000).map(lambda number: b"%d" % number))
MOMENTS = st.integers(1, 30)


@pytest.fixture(autouse=True)
def usual_limits() -> Iterator[None]:
    before = limits.hash_max_listpack_entries, limits.hash_max_listpack_value
    yield
    limits.update(hash_max_listpack_entries=before[0], hash_max_listpack_value=before[1])


class HashBesideDict(RuleBasedStateMachine):
    @initialize(entries=st.sampled_from([0, 4, 100]), longest=st.sampled_from([4, 64]))
    def begin(self, entries: int, longest: int) -> None:
        limits.update(hash_max_listpack_entries=entries, hash_max_listpack_value=longest)
        self.hash = Hash()
        self.model: dict[bytes, bytes] = {}
        self.moments: dict[bytes, int] = {}

    @rule(field=FIELDS, value=VALUES, keep=st.booleans())
    def set(self, field: bytes, value: bytes, keep: bool) -> None:
        assert self.hash.set(field, value, keep) == (field not in self.model)
        self.model[field] = value
        if not keep:
            self.moments.pop(field, None)

    @rule(pairs=st.lists(st.tuples(FIELDS, VALUES), max_size=5))
    def set_all(self, pairs: list[tuple[bytes, bytes]]) -> None:
        args = [b"key", *(part for pair in pairs for part in pair)]
        assert self.hash.set_all(args, 1) == len({field for field, _ in pairs} - set(self.model))
        for field, value in pairs:
            self.model[field] = value
            self.moments.pop(field, None)

    @rule(field=FIELDS)
    def delete(self, field: bytes) -> None:
        assert self.hash.delete(field) == (self.model.pop(field, None) is not None)
        self.moments.pop(field, None)

    @rule(field=FIELDS, at=MOMENTS)
    def expire(self, field: bytes, at: int) -> None:
        assert self.hash.set_expiry(field, at) == (field in self.model)
        if field in self.model:
            self.moments[field] = at

    @rule(field=FIELDS)
    def persist(self, field: bytes) -> None:
        self.hash.set_expiry(field, 0)
        self.moments.pop(field, None)

    @rule()
    def copy(self) -> None:
        encoding = self.hash.encoding
        self.hash = self.hash.copy()
        assert self.hash.encoding == encoding

    @rule()
    def through_packed_bytes(self) -> None:
        if self.hash.encoding != "hashtable":
            blob, timed = self.hash.packed(), self.hash.timed
            self.hash = Hash.from_packed(blob, timed)
            if self.hash.encoding != "hashtable":
                assert (self.hash.packed(), self.hash.timed) == (blob, timed)

    @rule(now=st.integers(0, 31), limit=st.integers(0, 12))
    def what_expired(self, now: int, limit: int) -> None:
        expected = {field for field, at in self.moments.items() if at < now}
        found = self.hash.expired(now, limit)
        assert len(found) == len(set(found)) == min(limit, len(expected))
        assert set(found) <= expected

    @rule(now=st.integers(0, 31), count=st.integers(1, 5))
    def what_readers_see(self, now: int, count: int) -> None:
        """A reader at `now` does not see what expired before."""
        seen = {f: v for f, v in self.model.items() if not (now and self.moments.get(f, 99) < now)}
        value = self.hash
        value.horizon = now
        assert dict(value.items()) == seen
        assert sorted(value.fields()) == sorted(seen) and sorted(value.values()) == sorted(seen.values())
        walked, cursor = [], -1
        while cursor:
            cursor, items = value.scan(max(cursor, 0), count)
            walked += items
        assert sorted(walked) == sorted(seen.items())
        for field in self.model:
            assert value.get(field) == seen.get(field)
            assert (field in value) == (field in seen)
            assert value.value_length(field) == len(seen.get(field, b""))
            assert value.expiry(field) == (self.moments.get(field, -1) if field in seen else -2)
        value.horizon = 0

    @rule(count=st.integers(-20, 20))
    def draw(self, count: int) -> None:
        drawn = self.hash.draw(count)
        assert set(drawn) <= set(self.model.items())
        if count < 0:
            assert len(drawn) == (-count if self.model else 0)
        else:
            assert len(drawn) == len(set(drawn)) == min(count, len(self.model))

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "hash"):
            return
        value, model = self.hash, self.model
        triples = [(field, text, self.moments.get(field, 0)) for field, text in model.items()]
        assert len(value) == len(model)
        assert sorted(value.walk()) == sorted(triples)
        assert value.soonest == min(self.moments.values(), default=NEVER)
        if value.encoding == "listpack":
            assert list(value.walk()) == triples
            assert value.packed() == listpack.encode([part for pair in model.items() for part in pair])
        elif value.encoding == "listpackex":
            moments = [at or NEVER for _, _, at in value.walk()]
            assert moments == sorted(moments)
        assert value.allocated(0) > 0

    def teardown(self) -> None:
        limits.update(hash_max_listpack_entries=512, hash_max_listpack_value=64)


TestHashBesideDict = HashBesideDict.TestCase
TestHashBesideDict.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_it_is_large_beyond_the_limits_and_never_small_again() -> None:
    limits.update(hash_max_listpack_entries=3, hash_max_listpack_value=5)
    value = Hash({b"a": b"1", b"b": b"2", b"c": b"12345"})
    assert value.encoding == "listpack"
    value.set(b"d", b"")
    value.delete(b"d")
    assert value.encoding == "hashtable"
    assert Hash({b"123456": b""}).encoding == Hash({b"": b"123456"}).encoding == "hashtable"


def test_many_fields_at_once_are_judged_before_they_are_set() -> None:
    """Redis counts the arguments, whether fields are new or not."""
    limits.update(hash_max_listpack_entries=3)
    value = Hash()
    assert value.set_all([b"a", b"1"] * 4, 0) == 1
    assert value.encoding == "hashtable"


def test_fields_that_expire_are_in_the_order_in_which_they_do() -> None:
    value = Hash({b"a": b"1", b"b": b"2", b"c": b"3"})
    value.set_expiry(b"b", 20)
    value.set_expiry(b"c", 10)
    assert list(value.walk()) == [(b"c", b"3", 10), (b"b", b"2", 20), (b"a", b"1", 0)]
    value.set(b"c", b"4")
    assert list(value.walk()) == [(b"b", b"2", 20), (b"a", b"1", 0), (b"c", b"4", 0)]


def test_a_large_hash_of_many_expiring_fields() -> None:
    value = Hash()
    for number in range(5000):
        value.set(b"%d" % number, b"v")
        value.set_expiry(b"%d" % number, 1 + number * 7919 % 5000)
    assert value.soonest == 1
    assert set(value.expired(11, 100)) == {b"%d" % n for n in range(5000) if n * 7919 % 5000 < 10}
    for moment in range(1, 4000):
        (field,) = value.expired(moment + 1, 10)
        assert value.expiry(field) == moment
        assert value.delete(field)
    assert len(value) == 1001


def test_memory_is_given_back() -> None:
    before = settled_bytes()
    value = Hash()
    for number in range(3000):
        value.set(b"%d" % number, b"x" * 100)
        value.set_expiry(b"%d" % number, 1000 - number % 900)
    assert used_bytes() - before > value.allocated(0) * 0.9
    for number in range(3000):
        value.set(b"%d" % number, b"y")
        value.delete(b"%d" % number)
    del value
    assert used_bytes() == before


def test_draws_are_fair() -> None:
    for size in (5, 1000):
        value = Hash({b"%d" % number: b"" for number in range(size)})
        counts = Counter(field for field, _ in value.draw(-20 * size))
        assert len(counts) > size * 0.99
        assert max(counts.values()) < 70


@pytest.mark.parametrize(
    ("elements", "timed"),
    [([b"a"], False), ([b"a", b"b"], True), ([b"a", b"1", b"a", b"2"], False), ([b"a", b"1", b"-5"], True)],
)
def test_foreign_bytes_are_checked(elements: list[bytes], timed: bool) -> None:
    with pytest.raises(Malformed):
        Hash.from_packed(listpack.encode(elements), timed)
    with pytest.raises(Malformed):
        Hash.from_packed(listpack.encode([b"a", b"b"])[:-1], False)


@given(st.dictionaries(FIELDS, st.tuples(VALUES, st.integers(0, 5)), min_size=1))
def test_foreign_triples_out_of_order_are_put_into_it(content: dict[bytes, tuple[bytes, int]]) -> None:
    triples = [(field, value, at) for field, (value, at) in content.items()]
    blob = listpack.encode([part for field, value, at in triples for part in (field, value, b"%d" % at)])
    moments = [at or NEVER for _, _, at in Hash.from_packed(blob, True).walk()]
    assert moments == sorted(moments)
