"""Filling databases from RDB files: what arrives, what is dropped, and what is refused."""

from __future__ import annotations

import asyncio
import io

import pytest

from node.core.database import Database
from node.core.rdb_source import Starved
from node.persistence.feed import ENOUGH, Feed
from node.persistence.loading import Loader
from node.persistence.rdb import RdbError, RdbReader, write_rdb
from tests.unit.rdb_bytes import encode_length
from tests.unit.test_rdb_files import a_file, plain, small_file, written


def load(raw: bytes, databases: list[Database], drop_before: int = 0) -> Loader:
    reader = RdbReader(io.BytesIO(raw), "test.rdb", [].append)
    loader = Loader(reader, "test.rdb", databases, drop_before)
    assert loader.load_slice(seconds=60)
    return loader


def test_entries_arrive() -> None:
    db = Database(0)
    assert load(small_file(), [db]).loaded == 6
    assert db.expiry(b"number") == 4_000_000_000_000
    assert db.peek(b"text") == b"hello hello hello hello hello"


def test_a_primary_drops_what_has_expired() -> None:
    db = Database(0)
    loader = load(small_file(), [db], drop_before=4_000_000_000_001)
    assert (loader.loaded, loader.expired) == (5, 1)


def test_databases_that_do_not_exist_are_refused() -> None:
    with pytest.raises(RdbError, match="database 5"):
        load(a_file(b"\xfe\x05\x00\x01k\x01v"), [Database(0)])


def test_a_key_twice_is_refused() -> None:
    with pytest.raises(RdbError, match="twice"):
        load(a_file(b"\x00\x01k\x01v\x00\x01k\x01v"), [Database(0)])


@pytest.mark.parametrize("frequent", [False, True])
def test_access_clocks_arrive_for_all_kinds_of_entries(frequent: bool) -> None:
    """For those that wait for others, too, and for who chooses by them only."""
    kinds = (b"\x00", b"\x01v"), (b"\x02", b"\x01\x01m"), (b"\x01", b"\x01\x01m"), (b"\x00", b"\xc0\x07")
    body = b"".join(
        b"\xf8" + encode_length(number) + b"\xf9%c%c\x03%03d%b" % (number % 256, kind, number, value)
        for number in range(400)
        for kind, value in [kinds[number % 4]]
    )
    db = Database(0)
    db.tracks_frequency = frequent
    db.lfu_decay_time = 0
    load(a_file(body), [db])
    for number in range(400):
        key = b"%03d" % number
        if frequent:
            assert db.frequency(key) == number % 256
        else:
            assert db.idle_seconds(key) == number


@pytest.mark.parametrize("twice", [0, 31, 32, 63, 70])
def test_the_key_that_is_there_twice_is_named(twice: int) -> None:
    """However many others it waited with; what came before it is there."""
    entries = [b"\x00\x02%02d\x01v" % number for number in range(80)]
    db = Database(0)
    with pytest.raises(RdbError, match=f"key b'{twice:02}': the same key twice"):
        load(a_file(b"".join(entries) + entries[twice]), [db])
    assert len(db) == 80


def test_the_last_of_a_key_replaces_those_before() -> None:
    db = Database(0)
    kinds = [b"\x00\x01k\x01v", b"\x02\x01k\x01\x01m", b"\x00\x01k\x01w", b"\x00\x01k\x01x"]
    for count in range(1, 5):
        reader = RdbReader(io.BytesIO(a_file(b"".join(kinds[:count]))), "test.rdb", [].append)
        loader = Loader(reader, "test.rdb", [db])
        loader.replaces = True
        loader.load_slice(seconds=60)
        assert plain(db.peek(b"k")) == [b"v", ("set", {b"m"}), b"w", b"x"][count - 1]


def test_entries_go_on_in_the_next_buffer() -> None:
    """Wherever they are cut: keys and values as they are, as numbers, and compressed."""
    db = Database(0)
    for number in range(300):
        db.set(b"%d" % number, b"value %d" % number, number % 3 and 4_000_000_000_000)
        db.set(b"k" * 30 + b"%d" % number, b"ab" * number)
        db.set(b"n%d" % number, b"%d" % (10 ** (number % 12)))
    raw = written([db])

    class Drops(io.BytesIO):
        def __init__(self, size: int) -> None:
            super().__init__(raw)
            self.drop = size

        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(self.drop)

    for size in (1, 7, 100, 5000):
        target = Database(0)
        reader = RdbReader(Drops(size), "test.rdb", [].append)
        assert Loader(reader, "test.rdb", [target]).load_slice(seconds=60)
        assert sorted(target.entries()) == sorted(db.entries())


def test_a_slice_ends_before_the_file() -> None:
    db = Database(0)
    for number in range(1000):
        db.set(b"%d" % number, b"value")
    target = Database(0)
    reader = RdbReader(io.BytesIO(written([db])), "test.rdb", [].append)
    loader = Loader(reader, "test.rdb", [target])
    slices = 1
    while not loader.load_slice(seconds=0):
        slices += 1
    assert slices > 10
    assert len(target) == 1000


@pytest.mark.parametrize("size", [1, 7, 100, 5000, 1 << 20])
def test_what_arrives_in_pieces_is_loaded_meanwhile(size: int) -> None:
    """However it is cut, it is the same, checksum included; and sections are not read twice."""
    raw, kept = large_file()
    target = Database(0)

    async def arrive() -> tuple[Loader, list[bytes], int]:
        libraries: list[bytes] = []
        feed = Feed(lambda _: None)
        reader = RdbReader(feed, "live", [].append, libraries.append, resumable=True)
        loader = Loader(reader, "live", [target])
        loading = asyncio.create_task(loader.load_from(feed))
        early = 0
        for start in range(0, len(raw), size):
            feed.put(raw[start : start + size])
            if start % 1024 < size:
                await asyncio.sleep(0)
                early = early or len(target)
        feed.end()
        await loading
        return loader, libraries, early

    loader, libraries, early = asyncio.run(arrive())
    assert sorted(target.entries(), key=by_key) == sorted(kept.entries(), key=by_key)
    assert loader.loaded == len(kept)
    assert libraries == [b"#!lua name=l"]
    assert loader.reader.keys_expected == len(kept)
    assert early or size == 1 << 20


@pytest.mark.parametrize("length", [0, 5, 300, 100_000])
def test_what_breaks_off_is_told_so(length: int) -> None:
    raw, _ = large_file()
    feed = Feed(lambda _: None)
    reader = RdbReader(feed, "live", [].append, resumable=True)
    feed.put(raw[:length])
    feed.end()
    with pytest.raises(RdbError, match="unexpected end"):
        asyncio.run(Loader(reader, "live", [Database(0)]).load_from(feed))


def test_a_feed_that_is_full_holds_its_sender() -> None:
    held: list[bool] = []
    feed = Feed(held.append)
    feed.put(b"x" * ENOUGH)
    assert held == []
    feed.put(b"y")
    assert held == [True]
    assert feed.read(1) == b"x" * ENOUGH + b"y"
    assert held[-1] is False
    with pytest.raises(Starved):
        feed.read(1)
    feed.end()
    assert feed.read(1) == b""


def by_key(entry: tuple[bytes, object, int]) -> bytes:
    return entry[0]


def large_file() -> tuple[bytes, Database]:
    """An RDB with sections of all kinds and strings larger than a piece, and what is in it."""
    db = Database(0)
    for number in range(500):
        db.set(b"string:%d" % number, b"v" * (number % 300), 4_000_000_000_000 if number % 3 else 0)
    db.set(b"large", bytes(range(256)) * 2000)
    parts: list[bytes] = []
    write_rdb(parts.append, [db], {"repl-id": "1" * 40}, functions=[b"#!lua name=l"], compress=False)
    return b"".join(parts), db
