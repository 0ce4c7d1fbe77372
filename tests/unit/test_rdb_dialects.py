"""Snapshots for those who cannot read our own: what is in them, and that it is the same data."""

from __future__ import annotations

import io
from typing import Any

import pytest

from node.core.database import Database
from node.core.rdb_output import RdbOutput
from node.datatypes import Hash, Set
from node.persistence.rdb import RdbReader, dump_value, write_rdb
from node.persistence.rdb import format as rdb
from node.persistence.rdb.dialects import REDIS_7_0, REDIS_7_2, VALKEY_9, Dialect
from node.persistence.rdb.streams import save_stream
from node.replication.peers import Peer
from node.replication.traffic import Traffic
from tests.unit.test_rdb_files import plain
from tests.unit.test_stream_rdb import a_stream

FAR = 4_000_000_000_000


def expiring(size: int) -> Hash:
    made = Hash({b"field:%d" % n: b"%d" % n for n in range(size)})
    made.set_expiry(b"field:0", FAR)
    made.set_expiry(b"field:1", FAR + 7)
    return made


def a_database(**values: Any) -> Database:
    db = Database(0)
    for name, value in values.items():
        db.set(name.encode(), value)
        if isinstance(value, Hash):
            db.await_fields(name.encode(), value)
    return db


def written(db: Database, dialect: Dialect) -> bytes:
    parts: list[bytes] = []
    write_rdb(parts.append, [db], {}, dialect=dialect, compress=False)
    return b"".join(parts)


def read(raw: bytes) -> dict[bytes, Any]:
    return {entry.key: entry.value for entry in RdbReader(io.BytesIO(raw), "test.rdb", [].append)}


def code_of(raw: bytes, key: bytes) -> int:
    """The type code, which stands before the length of the key."""
    return raw[raw.index(bytes([len(key)]) + key) - 1]


def test_redis_7_0_gets_tables_for_packed_sets_and_older_streams() -> None:
    db = a_database(set=Set([b"a", b"17"]), numbers=Set([b"1", b"2"]), stream=a_stream(), text=b"x")
    raw = written(db, REDIS_7_0)
    assert raw.startswith(b"REDIS0010")
    codes = {b"set": rdb.SET, b"numbers": rdb.SET_INTSET, b"stream": rdb.STREAM_LISTPACKS_2}
    assert {key: code_of(raw, key) for key in codes} == codes
    found = read(raw)
    assert plain(found[b"set"]) == ("set", {b"a", b"17"})
    old, new = found[b"stream"], read(written(db, REDIS_7_2))[b"stream"]
    assert len(old) == len(new)
    assert [group.last_id for group in old.groups.values()] == [
        group.last_id for group in new.groups.values()
    ]


@pytest.mark.parametrize("size", [3, 1000])
def test_valkey_gets_expiring_fields_in_its_own_way(size: int) -> None:
    db = a_database(hash=expiring(size))
    raw = written(db, VALKEY_9)
    assert raw.startswith(b"VALKEY080")
    assert code_of(raw, b"hash") == rdb.VALKEY_HASH_2
    ours = written(db, REDIS_7_2)
    assert ours.startswith(b"REDIS0012")
    assert sorted(read(raw)[b"hash"].walk()) == sorted(read(ours)[b"hash"].walk())


@pytest.mark.parametrize("dialect", [REDIS_7_2, VALKEY_9])
def test_what_all_of_them_read_is_written_for_all(dialect: Dialect) -> None:
    assert written(a_database(hash=Hash({b"a": b"b"}), text=b"x"), dialect).startswith(b"REDIS0011")


@pytest.mark.parametrize("size", [3, 1000])
def test_fields_that_do_not_expire_any_more_are_of_no_new_format(size: int) -> None:
    value = expiring(size)
    for field in (b"field:0", b"field:1"):
        value.set_expiry(field, 0)
    raw = written(a_database(hash=value), REDIS_7_2)
    assert raw.startswith(b"REDIS0011")
    assert code_of(raw, b"hash") == rdb.HASH
    assert plain(read(raw)[b"hash"]) == plain(value)


def test_an_entry_of_the_store_is_translated() -> None:
    """It comes as its body there."""
    packed = Set([b"a", b"17"])
    parts: list[bytes] = []
    out = RdbOutput(parts.append, save_stream, checksum=False)
    for value in (packed, dump_value(packed)[1]):
        REDIS_7_0.put(out, rdb.SET_LISTPACK, b"key", value)
    out.flush()
    translated = b"".join(parts)
    half = len(translated) // 2
    assert translated[0] == rdb.SET
    assert translated[:half] == translated[half:]


class NoLink:
    pending_output = 0


@pytest.mark.parametrize(
    ("said", "dialect"),
    [
        ({}, REDIS_7_0),
        ({"capabilities": {"eof", "psync2", "rdb-channel-repl"}}, REDIS_7_2),
        ({"version": (8, 1, 0)}, REDIS_7_2),
        ({"version": (9, 1, 2)}, VALKEY_9),
        ({"rdb_only": True}, REDIS_7_2),
        ({"old_style": True}, REDIS_7_2),
    ],
)
def test_a_replica_is_known_by_what_it_says(said: dict[str, Any], dialect: Dialect) -> None:
    peer = Peer(NoLink(), "127.0.0.1", 0, Traffic())
    for name, value in said.items():
        setattr(peer, name, value)
    assert peer.dialect is dialect
