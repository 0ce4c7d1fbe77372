"""Keys between memory and the store (node/core/cold, records, sweep), and the scribe that writes it: without
servers. `Tier` is the smallest thing that passes frames from one to the other, as node/storage/tier.py does.
"""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.core import records
from node.core.cold import Cold
from node.core.database import Database
from node.core.key_slot import key_slot
from node.core.records import CLEAR, COMMIT, DELETE, NOTE, PUT, RecordWriter, frame
from node.core.sweep import Sweep
from node.datatypes import Hash, List, Set, SortedSet
from node.storage.scribe import HEAD, NUMBER, Scribe, serve
from node.storage.store import Store

NOW = 1_700_000_000_000
MUCH = 1 << 40


class MemoryStore:
    """What a scribe and a Store are together, with everything in a dict."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}
        self.uncommitted: dict[bytes, bytes] = {}
        self.get = lambda place: self.records.get(place)

    def carry_out(self, frames: bytes) -> None:
        at = 0
        while at < len(frames):
            op, place_length, body_length = HEAD.unpack_from(frames, at)
            at += HEAD.size
            place, body = frames[at : at + place_length], frames[at + place_length :][:body_length]
            at += place_length + body_length
            if op == PUT:
                self.uncommitted[place] = body
            elif op == DELETE:
                self.uncommitted.pop(place, None)
            elif op == CLEAR:
                for other in [other for other in self.uncommitted if other.startswith(place)]:
                    del self.uncommitted[other]

    def commit(self) -> None:
        self.records = dict(self.uncommitted)

    def abort(self) -> None:
        self.uncommitted = dict(self.records)

    def walk(self, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        for place in sorted(place for place in self.records if first <= place < last):
            yield place, self.records[place]


class Tier:
    def __init__(self, compress: bool = False) -> None:
        self.store = MemoryStore()
        self.writer = RecordWriter()
        self.writer.out.compress = compress
        self.db = Database()
        self.db.now = NOW
        self.db.cold = Cold(0, self.store, records, self.cleared)
        self.sweep = Sweep(self.db)
        self.clears: list[bytes] = []

    def cleared(self, number: int, slot: int) -> None:
        order = frame(CLEAR, number.to_bytes(2, "big") + (slot.to_bytes(2, "big") if slot >= 0 else b""))
        self.clears.append(order)
        self.store.carry_out(order)

    def hand_over(self, keys: int = 1 << 30) -> None:
        self.store.carry_out(self.writer.take(self.db, keys, MUCH)[0])

    def commit(self) -> None:
        """What was handed over so far is in the store."""
        self.store.commit()
        self.clears.clear()
        self.db.landed()

    def lose(self) -> None:
        """What was handed over is not in the store, and what was emptied is to be emptied again."""
        self.store.abort()
        self.db.lost()
        for order in self.clears:
            self.store.carry_out(order)

    def spill(self) -> None:
        """Twice round: the first takes the marks of use away."""
        self.sweep.spill(MUCH, 200_000)

    def make_cold(self) -> None:
        self.hand_over()
        self.commit()
        self.spill()
        assert self.db.size == 0


def test_the_operations_have_the_numbers_the_scribe_knows() -> None:
    from node.storage import scribe

    for name in ("PUT", "DELETE", "CLEAR", "AWAIT", "FORGET", "NOTE", "COMMIT"):
        assert getattr(records, name) == getattr(scribe, name)


def of_every_type() -> dict[bytes, Any]:
    timed = Hash({b"a": b"1", b"b": b"2"})
    timed.set_expiry(b"a", NOW + 9000)
    return {
        b"text": b"text" * 30,
        b"empty": b"",
        b"noise": random.Random(1).randbytes(300_000),
        b"number": b"17",
        b"hash": Hash({b"f%d" % n: b"v" * n for n in range(300)}),
        b"timed": timed,
        b"list": List(b"%d" % n * 5 for n in range(30_000)),
        b"set": Set([b"1", b"2", b"x"]),
        b"zset": SortedSet([(b"a", 1.5), (b"b", float("-inf"))]),
        b"k" * 502: b"the longest for a place",
        b"k" * 503: b"longer",
        b"l" * 100_000: Set([b"long"]),
    }


def content(value: Any) -> Any:
    if isinstance(value, bytes):
        return value
    return sorted(value.items() if isinstance(value, Hash | SortedSet) else value)


def expiry(key: bytes) -> int:
    """Some expire, some do not."""
    return NOW + 5000 if len(key) % 2 else 0


def fill(db: Database) -> None:
    """Nobody but the database holds the values then."""
    for key, value in of_every_type().items():
        db.set(key, value, expiry(key))


@pytest.mark.parametrize("compress", [False, True])
def test_every_type_comes_back(compress: bool) -> None:
    tier = Tier(compress)
    fill(tier.db)
    tier.make_cold()
    assert sorted(tier.db.keys()) == sorted(of_every_type())
    assert {key: content(value) for key, value, _ in tier.db.entries()} == {
        key: content(value) for key, value in of_every_type().items()
    }
    assert tier.db.size == 0, "looking at all of them loads none"
    for key, value in of_every_type().items():
        found = tier.db.lookup(key)
        assert type(found) is type(value)
        assert content(found) == content(value)
        assert tier.db.expiry(key) == (expiry(key) or -1)
    assert tier.db.lookup(b"timed").expiry(b"a") == NOW + 9000
    assert tier.db.cold.size == tier.db.cold.volatile_count == 0


def test_what_is_used_stays_for_a_round() -> None:
    tier = Tier()
    keys = [b"{0}%d" % number for number in range(1000)]
    for key in keys:
        tier.db.set(key, b"value")
    tier.hand_over()
    tier.commit()
    for key in keys[::10]:
        tier.db.lookup(key)
    a_round = 20_000  # looks, and less than what it takes to come by again
    tier.sweep.spill(MUCH, a_round)
    left = tier.db.size
    assert 100 <= left < 400, "what moves as the table shrinks may be missed once"
    for key in keys[::10]:
        tier.db.lookup(key)
    assert tier.db.size == left, "none had to be fetched"
    tier.sweep.spill(MUCH, 10 * a_round)
    assert tier.db.size == 0
    assert tier.sweep.spilled == tier.db.cold.size == 1000


def test_what_the_store_does_not_have_stays() -> None:
    tier = Tier()
    tier.db.set(b"new", b"1")
    tier.spill()
    assert tier.db.size == 1
    tier.hand_over()
    tier.spill()
    assert tier.db.size == 1, "in flight"
    tier.commit()
    value = List([b"1"])
    tier.db.set(b"held", value)
    tier.hand_over()
    tier.commit()
    tier.spill()
    assert tier.db.size == 1, "somebody holds the list"


KEYS = st.builds(lambda tag, n: b"{%d}%d" % (tag, n), st.integers(0, 1), st.integers(0, 6))


class AgainstAModel(RuleBasedStateMachine):
    """Whatever is handed over, committed, lost and spilled when: the keys are those of a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.tier = Tier()
        self.db = self.tier.db
        self.model: dict[bytes, tuple[bytes, int]] = {}
        self.in_flight = False

    @rule(key=KEYS, value=st.binary(max_size=20), ttl=st.integers(0, 5))
    def set(self, key: bytes, value: bytes, ttl: int) -> None:
        self.db.set(key, value, self.db.now + ttl if ttl else 0)
        self.model[key] = value, self.db.now + ttl if ttl else 0

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        assert self.db.delete(key) == (self.model.pop(key, None) is not None)

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        assert self.db.lookup(key) == self.model.get(key, (None, 0))[0]

    @rule(key=KEYS)
    def append(self, key: bytes) -> None:
        self.db.append(key, b"more")
        value, at = self.model.get(key, (b"", 0))
        self.model[key] = value + b"more", at

    @rule(key=KEYS, other=KEYS)
    def rename(self, key: bytes, other: bytes) -> None:
        if self.db.rename(key, other):
            self.model[other] = self.model[key] if key == other else self.model.pop(key)

    @rule(ms=st.integers(1, 3))
    def time_passes(self, ms: int) -> None:
        self.db.now += ms
        self.model = {key: (v, at) for key, (v, at) in self.model.items() if not at or at >= self.db.now}

    @rule(tag=st.integers(0, 1))
    def clear_slot(self, tag: int) -> None:
        self.db.clear_slot(key_slot(b"{%d}" % tag))
        self.model = {key: held for key, held in self.model.items() if not key.startswith(b"{%d}" % tag)}

    @rule()
    def clear(self) -> None:
        self.db.clear()
        self.model.clear()

    @rule(keys=st.integers(1, 10))
    def hand_over(self, keys: int) -> None:
        if not self.in_flight:
            self.tier.hand_over(keys)

    @rule()
    def commit(self) -> None:
        self.tier.hand_over()
        self.tier.commit()

    @rule()
    def lose(self) -> None:
        self.tier.lose()

    @rule()
    def spill(self) -> None:
        self.tier.spill()

    @invariant()
    def the_same_keys(self) -> None:
        assert sorted(self.db.keys()) == sorted(self.model)
        cursor, found = self.db.scan(0, 5)
        while cursor:
            cursor, more = self.db.scan(cursor, 5)
            found += more
        assert sorted(found) == sorted(self.model)
        assert len(self.db) >= len(self.model)  # expired ones are counted until they are met


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)


class ScribeAtWork:
    """A scribe in a thread, and our end of its line."""

    def __init__(self, path: str) -> None:
        scribe = Scribe(path)
        self.link, theirs = socket.socketpair()
        self.link.settimeout(5)

        def run() -> None:
            with theirs:
                serve(scribe, theirs)
            scribe.close()

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def commit(self, number: int) -> None:
        self.link.sendall(frame(COMMIT, number.to_bytes(8, "little")))
        assert NUMBER.unpack(self.link.recv(8)) == (number,)

    def leave(self) -> None:
        self.link.close()
        self.thread.join(5)
        assert not self.thread.is_alive()


def test_a_scribe_commits_on_request_only(tmp_path: Path) -> None:
    path = os.fspath(tmp_path)
    scribe = ScribeAtWork(path)
    scribe.link.sendall(
        frame(PUT, b"0011old", b"1") + frame(PUT, b"0012other", b"2") + frame(NOTE, b"n", b"v")
    )
    scribe.commit(7)
    # An order may come in pieces, and what was emptied may be filled again before anything is committed.
    orders = frame(CLEAR, b"0011") + frame(PUT, b"0011new", b"x" * 3_000_000) + frame(DELETE, b"0012other")
    scribe.link.sendall(orders[:20])
    scribe.link.sendall(orders[20:])
    scribe.commit(8)
    scribe.link.sendall(frame(CLEAR, b"00") + frame(PUT, b"0013", b"never was"))
    scribe.leave()
    store = Store(path)
    assert [place for place, _ in store.walk(b"", b"\xff")] == [b"0011new"]
    assert store.get(b"0011new") == b"x" * 3_000_000
    assert store.note(b"n") == b"v"
    store.close()
