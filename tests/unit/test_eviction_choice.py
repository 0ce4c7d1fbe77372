"""Which keys are evicted, by what, and what of it is told."""

from __future__ import annotations

import pytest

from node.core.engine import Client, Engine
from node.core.eviction import ANY, EXPIRES_FIRST, IDLE_LONGEST, NOTHING, Evictor
from node.core.memory import python_bytes, used_bytes

DAY = 86_400_000


@pytest.fixture
def engine() -> Engine:
    return Engine(2)


def evictor_of(engine: Engine) -> Evictor:
    return Evictor(engine, Client(engine), 0, lambda: False, lambda began: None)


def evict(evictor: Evictor, count: int) -> None:
    """So many keys, or up to fifteen more with the first of all, which makes room for what choosing takes."""
    goal = evictor.evicted + count
    while evictor.evicted < goal:
        assert evictor.evict(used_bytes() + python_bytes() - 1, 0)


def test_what_expires_first_goes_first(engine: Engine) -> None:
    db = engine.databases[0]
    for number in range(2000):
        db.set(b"%d" % number, b"value", db.now + DAY + number * 1000)
    db.set(b"kept", b"value")
    evictor = evictor_of(engine)
    evictor.choose(EXPIRES_FIRST, True, 10, False)
    evict(evictor, 1000)
    assert sum(db.exists(b"%d" % number) for number in range(500)) < 25
    assert sum(db.exists(b"%d" % number) for number in range(1500, 2000)) > 475
    evict(evictor, 1000)
    assert list(db.keys()) == [b"kept"]
    assert evictor.evict(0, 0) == 0, "none of those left may go"
    assert evictor.evicted == 2000


def test_what_was_used_since_it_was_judged_is_spared(engine: Engine) -> None:
    db = engine.databases[0]
    evictor = evictor_of(engine)
    evictor.choose(IDLE_LONGEST, False, 64, False)
    for age in (b"old", b"new"):
        for number in range(40):
            db.set(b"%b:%d" % (age, number), b"value")
        db.now += 100_000
    evict(evictor, 1)
    used = [b"old:%d" % number for number in range(40) if db.lookup(b"old:%d" % number)]
    assert len(used) == 40 - evictor.evicted, "the old go first"
    evict(evictor, 20)
    assert all(map(db.exists, used))


def test_keys_that_are_gone_are_no_candidates(engine: Engine) -> None:
    db = engine.databases[0]
    evictor = evictor_of(engine)
    evictor.choose(IDLE_LONGEST, False, 16, False)
    for _ in range(20):
        for number in range(200):
            db.set(b"{one}:%d" % number, b"value" * 10)
        evict(evictor, 3)
        db.clear()
        db.set(b"other", b"value" * 10)
        evict(evictor, 1)
        assert len(db) == 0
        assert evictor.evict(0, 0) == 0


def test_an_expired_key_goes_as_such(engine: Engine) -> None:
    db = engine.databases[0]
    expired: list[bytes] = []
    db.on_expired = lambda _, key: expired.append(key)
    db.set(b"key", b"value", db.now + 1000)
    db.now += 2000
    evictor = evictor_of(engine)
    evictor.choose(EXPIRES_FIRST, True, 5, False)
    assert evictor.evict(0, 0) == 1
    assert expired == [b"key"] and evictor.evicted == 0


@pytest.mark.parametrize(("lazily", "word"), [(False, b"DEL"), (True, b"UNLINK")])
def test_databases_lose_keys_in_turns_and_it_is_told(engine: Engine, lazily: bool, word: bytes) -> None:
    chunks: list[bytes] = []
    told: list[tuple[int, bytes, bytes]] = []
    engine.trail.attach(chunks.append)
    for db in engine.databases:
        for number in range(20):
            db.set(b"%d" % number, b"value")
    evictor = evictor_of(engine)
    evictor.choose(ANY, False, 5, lazily)
    evict(evictor, 30)
    assert [len(db) for db in engine.databases] == [5, 5]
    engine.observe(lambda client, key, event: told.append((client.db.index, key, event.name)))
    evict(evictor, 10)
    engine.trail.flush()
    assert sorted(index for index, _, _ in told) == [0] * 5 + [1] * 5
    assert {name for _, _, name in told} == {b"evicted"}
    stream = b"".join(chunks)
    assert stream.count(b"*2\r\n$%d\r\n%b\r\n" % (len(word), word)) == 40
    assert stream.count(b"SELECT") == 40, "each is of another database than the last"


def test_without_a_policy_nothing_goes(engine: Engine) -> None:
    engine.databases[0].set(b"key", b"value")
    evictor = evictor_of(engine)
    assert evictor.evict(0, 0) == 0
    evictor.choose(NOTHING, False, 5, False)
    assert evictor.evict(0, 0) == 0 and len(engine.databases[0]) == 1
