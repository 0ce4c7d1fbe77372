"""The keyspace of the core against a model: a dict, and the clock."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.core.database import KEEP_TTL, Database
from node.core.key_slot import key_slot
from node.core.memory import used_bytes
from node.datatypes import List
from node.errors import ReplyError
from tests.unit.settled_memory import settled_bytes

START = 1_700_000_000_000

# Few slots, so that tables fill, shift and shrink.
KEYS = st.one_of(
    st.builds(lambda tag, n: b"{%d}%d" % (tag, n), st.integers(0, 2), st.integers(0, 60)),
    st.just(b"{0}" + b"long" * 20_000),
)
# Some just below, at and above what a short header can tell of.
VALUES = st.builds(
    lambda padding, data: bytes(padding) + data, st.sampled_from((0, 0, 0, 65_500)), st.binary(max_size=80)
)


class AgainstAModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.db = Database()
        self.db.now = START
        self.model: dict[bytes, tuple[bytes, int]] = {}

    def live(self) -> dict[bytes, tuple[bytes, int]]:
        return {key: (v, at) for key, (v, at) in self.model.items() if not at or at >= self.db.now}

    @rule(key=KEYS, value=VALUES, ttl=st.integers(0, 50))
    def set(self, key: bytes, value: bytes, ttl: int) -> None:
        expire_at = self.db.now + ttl if ttl else 0
        self.db.set(key, value, expire_at)
        self.model[key] = (value, expire_at)

    @rule(key=KEYS, value=VALUES)
    def set_keeping_expiry(self, key: bytes, value: bytes) -> None:
        expire_at = self.live().get(key, (b"", 0))[1]
        self.db.set(key, value, KEEP_TTL)
        self.model[key] = (value, expire_at)

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        assert self.db.delete(key) == (key in self.live())
        self.model.pop(key, None)

    @rule(key=KEYS, data=st.binary(max_size=40))
    def append(self, key: bytes, data: bytes) -> None:
        old, expire_at = self.live().get(key, (b"", 0))
        assert self.db.append(key, data) == len(old + data)
        self.model[key] = (old + data, expire_at)

    @rule(key=KEYS, offset=st.integers(0, 60) | st.integers(65_500, 65_560), data=st.binary(max_size=20))
    def setrange(self, key: bytes, offset: int, data: bytes) -> None:
        old, expire_at = self.live().get(key, (b"", 0))
        new = bytearray(old.ljust(offset + len(data), b"\0"))
        new[offset : offset + len(data)] = data
        assert self.db.setrange(key, offset, data) == len(new)
        self.model[key] = (bytes(new), expire_at)

    @rule(key=KEYS, ttl=st.integers(0, 50))
    def set_expiry(self, key: bytes, ttl: int) -> None:
        at = self.db.now + ttl if ttl else 0
        assert self.db.set_expiry(key, at) == (key in self.live())
        if key in self.live():
            self.model[key] = (self.model[key][0], at)

    @rule(old=KEYS, new=KEYS)
    def rename(self, old: bytes, new: bytes) -> None:
        assert self.db.rename(old, new) == (old in self.live())
        if old in self.live():
            self.model[new] = self.model.pop(old)

    @rule(tag=st.integers(0, 2))
    def clear_slot(self, tag: int) -> None:
        slot = key_slot(b"%d" % tag)
        self.db.clear_slot(slot)
        self.model = {key: value for key, value in self.model.items() if key_slot(key) != slot}

    @rule(milliseconds=st.integers(1, 60))
    def time_passes(self, milliseconds: int) -> None:
        self.db.now += milliseconds

    @rule(key=KEYS)
    def read(self, key: bytes) -> None:
        value, expire_at = self.live().get(key, (None, 0))
        assert self.db.lookup(key) == value
        assert self.db.expiry(key) == (-2 if value is None else expire_at or -1)

    @rule(count=st.integers(1, 20))
    def scan_returns_everything_once(self, count: int) -> None:
        found, cursor = [], 0
        while True:
            cursor, keys = self.db.scan(cursor, count)
            found += keys
            if cursor == 0:
                break
        assert sorted(found) == sorted(self.live())

    @invariant()
    def entries_are_the_models(self) -> None:
        assert {key: (value, at) for key, value, at in self.db.entries()} == self.live()

    def teardown(self) -> None:
        self.db.clear()
        assert (len(self.db), self.db.volatile_count) == (0, 0)


AgainstAModel.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestAgainstAModel = AgainstAModel.TestCase


@pytest.fixture
def db() -> Database:
    database = Database()
    database.now = START
    return database


def test_what_is_taken_is_counted_and_given_back(db: Any) -> None:
    """Entries, their growth in place and their tables: all of it is known, and none of it is left."""
    db.set(b"first", b"makes the tables of the slots")
    db.delete(b"first")
    gc.collect()
    before = settled_bytes()
    for n in range(1000):
        db.set(b"{slot}%d" % n, b"x" * 100, START + 10 if n % 2 else 0)
    payload = 1000 * (len(b"{slot}999") + 100)
    assert payload < used_bytes() - before < 2 * payload
    db.setrange(b"{slot}0", 1_000_000, b"end")
    assert used_bytes() - before > payload + 1_000_000
    db.persist(b"{slot}1")
    db.set(b"{slot}2", List([b"item"]))
    db.now = START + 11
    assert not db.exists(b"{slot}3")
    db.clear()
    gc.collect()
    assert used_bytes() == before


def test_a_scan_survives_growth_and_shrinking(db: Any) -> None:
    """Keys that are there throughout are returned exactly once, whatever else comes and goes."""
    stay = {b"{a}stay:%d" % n for n in range(500)}
    for key in stay:
        db.set(key, b"")
    cursor, found = 0, []
    for step in range(10_000):
        cursor, keys = db.scan(cursor, 7)
        found += keys
        if cursor == 0:
            break
        burst = [b"{a}burst:%d" % n for n in range(3000)]
        for key in burst:
            db.set(key, b"") if step % 2 == 0 else db.delete(key)
    assert cursor == 0
    assert sorted(key for key in found if key in stay) == sorted(stay)


def test_a_slot_may_hold_more_keys_than_one_table_should(db: Any) -> None:
    """It is divided into pages."""
    keys = [b"{a}%d" % n for n in range(30_000)]
    for key in keys:
        db.set(key, key)
    assert db.count_in_slot(key_slot(b"a")) == len(keys)
    assert all(db.peek(key) == key for key in keys)
    for key in keys[::2]:
        assert db.delete(key)
    cursor, found = 0, []
    while True:
        cursor, some = db.scan(cursor, 1000)
        found += some
        if cursor == 0:
            break
    assert sorted(found) == sorted(keys[1::2])
    assert all(db.peek(key) == key for key in found)
    assert not any(db.exists(key) for key in keys[::2])


def test_no_key_of_a_crowded_slot_takes_long_to_add_or_to_remove(db: Any) -> None:
    """Not when they are removed in the order in which SCAN lists them, either, which empties a table from one
    end: those that are left must not crowd there. What remains of few keys is one table again."""
    slot = key_slot(b"a")
    for n in range(20_000):
        db.set(b"{a}%d" % n, b"", 10**15 if n % 3 == 0 else 0)
    leaves, largest, longest = db.table_shape(slot)
    assert leaves >= 8 and largest == 4096 and longest < 300
    assert db.volatile_count == db.totals(slot)[1] == 6667
    while keys := db.keys_in_slot(slot, 500):
        for key in keys:
            assert db.delete(key)
        assert db.table_shape(slot)[2] < 1000
        if 0 < len(db) <= 512:
            assert db.table_shape(slot)[:2] == (1, 1024)
    assert db.totals(slot) == (0, 0) and db.volatile_count == 0


def test_invented_cursors_are_harmless(db: Any) -> None:
    db.set(b"a", b"1")
    for cursor in (1, 16384 << 32, 2**64 - 1, (key_slot(b"a") << 32) | 0xFFFFFFFF):
        assert db.scan(cursor, 10)[0] == 0


def test_expired_keys_are_dropped_and_told_or_hidden(db: Any) -> None:
    told = []
    db.on_expired = lambda database, key: told.append(key)
    db.set(b"k", b"v", START + 5)
    db.now = START + 5
    assert db.lookup(b"k") == b"v"
    db.now += 1
    db.hides_expired = True
    assert db.lookup(b"k") is None
    assert (len(db), told) == (1, [])
    db.hides_expired = False
    assert db.lookup(b"k") is None
    assert (len(db), told) == (0, [b"k"])


def test_encodings_tell_what_redis_would_say(db: Any) -> None:
    for value, encoding in (
        (b"12", "int"),
        (b"-9223372036854775808", "int"),
        (b"9223372036854775808", "embstr"),
        (b"012", "embstr"),
        (b"-0", "embstr"),
        (b"x" * 44, "embstr"),
        (b"x" * 45, "raw"),
    ):
        db.set(b"k", value)
        assert db.encoding(b"k") == encoding, value
    db.set(b"k", b"1")
    db.append(b"k", b"2")
    assert db.encoding(b"k") == "raw"
    db.rename(b"k", b"renamed")
    assert db.encoding(b"renamed") == "raw"


@pytest.mark.parametrize("key", [b"k", b"long" * 20_000])
def test_objects_are_kept_alive_and_let_go(db: Any, key: bytes) -> None:
    import sys

    value = List([b"a"])
    before = sys.getrefcount(value)
    db.set(key, value)
    db.set_expiry(key, START + 100)
    db.persist(key)
    db.rename(key, key * 2)
    assert db.peek(key * 2) is value
    assert db.type_name(key * 2) == "list"
    assert sys.getrefcount(value) == before + 1
    with pytest.raises(ReplyError, match="WRONGTYPE"):
        db.append(key * 2, b"x")
    db.delete(key * 2)
    assert sys.getrefcount(value) == before


def test_random_keys_reach_all(db: Any) -> None:
    keys = {b"%d" % n for n in range(30)}
    for key in keys:
        db.set(key, b"")
    assert {db.random_key() for _ in range(2000)} == keys


def test_clocks(db: Any) -> None:
    db.set(b"k", b"v")
    db.now += 90_000
    assert db.idle_seconds(b"k") == 90
    db.peek(b"k")
    assert db.idle_seconds(b"k") == 90
    db.lookup(b"k")
    assert db.idle_seconds(b"k") == 0
    db.tracks_frequency = True
    db.set(b"f", b"v")
    assert db.frequency(b"f") == 5
    for _ in range(3):
        db.lookup(b"f")
    assert 6 <= db.frequency(b"f") <= 8
    db.now += 120_000
    assert 4 <= db.frequency(b"f") <= 6
