"""Keys of slots that arrive and leave, in a worker that is made and not started in this process."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from node.config import Config
from node.core.key_slot import key_slot
from node.core.reply_writer import encode_command
from node.core.request_reader import RequestReader
from node.core.slot_filter import SlotFilter
from node.core.slot_output import SlotOutput
from node.core.slot_transfer import transfer_slots
from node.datatypes import Hash, Set
from node.keyspace.departures import FEW
from node.log import Log
from node.persistence.rdb import RdbReader
from node.persistence.slot_snapshot import write_slots
from node.worker import Worker

NAME = b"a" * 40
KEY, OTHER = b"{x}1", b"{y}1"
SLOT, OTHER_SLOT = key_slot(KEY), key_slot(OTHER)


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    made = Worker(
        Config.from_args(["--dir", str(tmp_path), "--save", "", "--databases", "2"]), Log("nothing")
    )
    made.engine.tick()
    return made


@pytest.fixture
def stream(worker: Worker) -> list[bytes]:
    """The chunks that replicas get."""
    chunks: list[bytes] = []
    worker.trail.attach(chunks.append)
    return chunks


def commands(chunks: Iterable[bytes]) -> list[list[bytes]]:
    return [argv for argv, _ in RequestReader().feed(b"".join(chunks))]


def test_a_room_is_apart_until_its_keys_are_admitted(worker: Worker) -> None:
    db = worker.databases[0]
    room = worker.anteroom.open(NAME, [(SLOT, SLOT)])
    fading = Hash({b"f": b"v", b"g": b"w"})
    fading.set_expiry(b"f", db.now + 1)
    assert room.session.apply([b"SET", KEY, b"v", b"PX", b"1"]) == "OK"
    room.databases[0].set(b"{x}hash", fading)
    assert (len(db), len(room), worker.anteroom.count_in_slot(0, SLOT)) == (0, 2, 2)
    db.now += 1000
    assert len(room) == 2, "nothing is too old there"
    assert worker.anteroom.admit(NAME) == 2
    assert (db.count_in_slot(SLOT), len(room), worker.anteroom.rooms) == (2, 0, {})
    assert not db.exists(KEY), "now it is"
    assert db.due_hash() == b"{x}hash"


def test_commands_of_a_room_leave_a_trail_and_are_no_events(worker: Worker, stream: list[bytes]) -> None:
    seen: list[bytes] = []
    worker.engine.observe(lambda client, key, event: seen.append(key))
    session = worker.anteroom.open(NAME, [(SLOT, SLOT)]).session
    for argv in ([b"SELECT", b"1"], [b"RPUSH", KEY, b"a"], [b"MOVE", KEY, b"0"]):
        session.apply(argv)
    worker.trail.flush()
    assert seen == []
    assert commands(stream) == [[b"SELECT", b"1"], [b"RPUSH", KEY, b"a"], [b"MOVE", KEY, b"0"]]
    assert [len(db) for db in worker.anteroom.rooms[NAME].databases] == [1, 0]
    assert [len(db) for db in worker.databases] == [0, 0]


@pytest.mark.parametrize("told", [True, False])
def test_a_room_that_is_dismissed(worker: Worker, stream: list[bytes], told: bool) -> None:
    room = worker.anteroom.open(NAME, [(SLOT, SLOT)])
    room.databases[0].set(KEY, b"v")
    worker.databases[0].set(OTHER, b"v")
    loop_runs_later: list[Any] = []
    worker.graveyard.empty = lambda db, lazily: loop_runs_later.append(db)  # type: ignore[method-assign]
    worker.anteroom.dismiss(NAME, told=told)
    worker.trail.flush()
    assert commands(stream) == ([[b"SELECT", b"0"], [b"DEL", KEY]] if told else [])
    assert loop_runs_later == ([] if told else room.databases)
    assert not len(room.databases[0]) or not told
    assert worker.databases[0].exists(OTHER)


def test_a_large_room_is_dismissed_in_pieces(worker: Worker, stream: list[bytes]) -> None:
    """Replicas and log hear of every key, and then `done` is called; nobody waits for all of that."""

    async def dismissed() -> list[int]:
        room = worker.anteroom.open(NAME, [(SLOT, SLOT)])
        for number in range(20_000):
            room.databases[0].set(b"%s%d" % (KEY, number), b"v")
        ended: list[int] = []
        worker.anteroom.dismiss(NAME, told=True, done=lambda: ended.append(len(room.databases[0])))
        assert len(room.databases[0]) and not ended
        while not ended:
            await asyncio.sleep(0)
        return ended

    assert asyncio.run(dismissed()) == [0]
    worker.trail.flush()
    assert len(commands(stream)) == 1 + 20_000


def test_a_replica_finds_the_room_of_each_command(worker: Worker) -> None:
    room = worker.anteroom.open(NAME, [(SLOT, SLOT)])
    session = worker.internal_session()
    for argv in (
        [b"SET", KEY, b"v"],
        [b"SET", OTHER, b"v"],
        [b"SELECT", b"1"],
        [b"MULTI"],
        [b"MSET", KEY, b"w", b"{x}2", b"w"],
        [b"SET", OTHER, b"w"],
        [b"EXEC"],
    ):
        worker.anteroom.apply(session, argv)
    assert [sorted(db.keys()) for db in worker.databases] == [[OTHER], [OTHER]]
    assert [sorted(db.keys()) for db in room.databases] == [[KEY], [KEY, b"{x}2"]]


@pytest.mark.parametrize("clustered", [True, False])
def test_what_was_loaded_goes_to_its_room(worker: Worker, clustered: bool) -> None:
    """Outside of a cluster it goes for good."""
    worker.cluster.enabled = clustered
    worker.graveyard.empty = lambda db, lazily: db.clear()  # type: ignore[method-assign]
    for key in (KEY, OTHER):
        worker.databases[1].set(key, b"v")
    room = worker.anteroom.open(NAME, [(SLOT, SLOT)])
    worker.anteroom.settle()
    assert list(worker.databases[1].keys()) == [OTHER]
    assert list(room.databases[1].keys()) == ([KEY] if clustered else [])
    assert list(worker.anteroom.rooms.values()) == ([room] if clustered else [])


def test_snapshots_have_what_is_on_its_way(worker: Worker) -> None:
    """Under Valkey's signature, since no other server knows such a section. A mere reader leaves it out."""
    worker.databases[0].set(OTHER, b"v")
    ranges = [(SLOT, SLOT), (SLOT + 2, SLOT + 3)]
    worker.anteroom.open(NAME, ranges).databases[1].set(KEY, b"v")
    chunks: list[bytes] = []
    assert worker.snapshots.write_to(chunks.append, {}) == 2
    content = b"".join(chunks)
    assert content.startswith(b"VALKEY080")
    reader = RdbReader(io.BytesIO(content), "test", print)
    found = []
    while (entry := reader.read_entry()) is not None:
        found.append((entry.database, entry.key))
    assert found == [(0, OTHER), (1, KEY)]
    assert reader.arrivals == [(NAME, ranges)]
    assert [entry.key for entry in RdbReader(io.BytesIO(content), "test", print)] == [OTHER]


def test_slots_change_hands_with_everything_in_them(worker: Worker) -> None:
    source, target = worker.databases
    source.set(KEY, b"v", source.now + 5000)
    source.set(b"{x}2", Set([b"a", b"b"]))
    source.set(OTHER, b"stays")
    target.set(b"{x}old", b"goes")
    assert transfer_slots(source, target, SLOT, SLOT) == 2
    assert transfer_slots(source, target, SLOT, SLOT) == 0
    assert (sorted(source.keys()), sorted(target.keys())) == ([OTHER], [KEY, b"{x}2"])
    assert (len(source), source.volatile_count, len(target), target.volatile_count) == (1, 0, 2, 1)
    assert target.expiry(KEY) == source.now + 5000
    target.delete(KEY)
    assert len(target) == 1


def test_keys_of_a_slot_that_left_are_told_of_and_freed(worker: Worker, stream: list[bytes]) -> None:
    db = worker.databases[0]
    keys = [b"{x}%d" % i for i in range(10)]
    for key in keys:
        db.set(key, b"v", db.now - 1)
    db.set(OTHER, b"v")
    worker.departures.leave([(SLOT, SLOT)])
    worker.trail.flush()
    assert not worker.departures.pending
    assert list(db.keys()) == [OTHER]
    assert sorted(commands(stream)) == sorted([[b"SELECT", b"0"], *([b"DEL", key] for key in keys)])


async def leave_many(worker: Worker) -> None:
    db = worker.databases[0]
    for i in range(FEW + 500):
        db.set(b"{x}%d" % i, b"v")
    worker.departures.leave([(SLOT, SLOT)])
    assert len(db) == 0 and worker.departures.pending
    worker.departures.finish_slots([(SLOT + 1, SLOT + 9)])
    assert worker.departures.pending, "these are others"
    worker.departures.finish_slots([(0, SLOT)])
    assert not worker.departures.pending


def test_many_keys_leave_at_once_and_are_deleted_later(worker: Worker, stream: list[bytes]) -> None:
    import asyncio

    asyncio.run(leave_many(worker))
    worker.trail.flush()
    assert len(commands(stream)) == FEW + 500 + 1


def filtered(worker: Worker, written: list[list[bytes]], *ranges: tuple[int, int]) -> list[list[bytes]]:
    chunks: list[bytes] = []
    follower = SlotFilter(worker.engine, ranges, worker.find, chunks.append)
    follower.feed(encode_command([b"SELECT", b"0"]) + b"".join(map(encode_command, written)))
    return commands(chunks)


def test_only_writes_of_the_slots_are_passed_on(worker: Worker) -> None:
    written = [
        [b"SET", KEY, b"1"],
        [b"SET", OTHER, b"1"],
        [b"MULTI"],
        [b"MSET", KEY, b"2", b"{x}2", b"2"],
        [b"XGROUP", b"CREATE", KEY, b"g", b"0", b"MKSTREAM"],
        [b"XGROUP", b"CREATE", OTHER, b"g", b"0", b"MKSTREAM"],
        [b"EXEC"],
        [b"PING"],
        [b"PUBLISH", KEY, b"m"],
        [b"FUNCTION", b"FLUSH"],
        [b"SELECT", b"1"],
        [b"SET", OTHER, b"3"],
        [b"set", KEY, b"3"],
        [b"SELECT", b"0"],
        [b"SELECT", b"1"],
        [b"DEL", KEY],
    ]
    assert filtered(worker, written, (SLOT, SLOT)) == [
        [b"SELECT", b"0"],
        written[0],
        written[3],
        written[4],
        [b"SELECT", b"1"],
        written[12],
        written[15],
    ]
    assert filtered(worker, written, (SLOT + 1, SLOT + 1)) == []


def test_a_snapshot_of_slots_makes_the_same_keys(worker: Worker) -> None:
    source, target = worker.databases
    later = source.now + 100_000
    source.set(b"{x}plain", b"v" * 1000)
    source.set(b"{x}fades", b"12", later)
    source.set(b"{x}gone", b"v", source.now - 1)
    source.set(b"{x}small", Set([b"1", b"2"]), later)
    source.set(b"{x}large", Set(b"member:%d" % i for i in range(1000)))
    source.set(OTHER, b"stays")
    chunks: list[bytes] = []
    write_slots([source], [(SLOT, SLOT)], chunks.append)
    session = worker.internal_session()
    made = commands(chunks)
    assert made[0] == [b"SELECT", b"0"]
    session.db = target
    for argv in made[1:]:
        session.apply(argv)
    names = (b"{x}plain", b"{x}fades", b"{x}small", b"{x}large")
    assert sorted(target.keys()) == sorted(names)
    for name in names:
        assert target.expiry(name) == source.expiry(name)
        assert target.encoding(name) == source.encoding(name)
    assert target.lookup(b"{x}plain") == b"v" * 1000
    assert sorted(target.lookup(b"{x}large")) == sorted(source.lookup(b"{x}large"))


def test_a_slots_output_comes_in_chunks(worker: Worker) -> None:
    sizes: list[int] = []
    for i in range(100):
        worker.databases[0].set(b"{x}%d" % i, b"v" * 10_000)
    out = SlotOutput(lambda chunk: sizes.append(len(chunk)), lambda key, value, expire_at: [])
    out.slot(worker.databases[0], SLOT)
    out.flush()
    assert sum(sizes) > 1_000_000 and max(sizes) < 300_000
