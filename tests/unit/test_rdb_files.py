"""Whole RDB files: what is written is read back, and what is damaged is refused with its place."""

from __future__ import annotations

import io
from typing import Any

import lzf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core import listpack
from node.core.crc64 import crc64
from node.core.database import Database
from node.core.rdb_source import Source
from node.datatypes import Hash, List, Set, SortedSet
from node.persistence.rdb import Entry, RdbError, RdbReader, dump_value, write_rdb
from node.persistence.rdb.values import load_value
from tests.unit.rdb_bytes import encode_length, encode_string
from tests.unit.test_rdb_encodings import a_ziplist

words = st.one_of(st.binary(max_size=80), st.integers(-(1 << 40), 1 << 40).map(lambda n: b"%d" % n))
scores = st.floats(allow_nan=False)
values = st.one_of(
    words,
    st.binary(min_size=1, max_size=8).map(lambda part: part * 200),
    st.dictionaries(words, words, min_size=1, max_size=8).map(Hash),
    st.lists(words, min_size=1, max_size=8).map(List),
    st.sets(words, min_size=1, max_size=8).map(Set),
    st.sets(st.integers(-(1 << 63), (1 << 63) - 1).map(lambda n: b"%d" % n), min_size=1).map(Set),
    st.dictionaries(words, scores, min_size=1, max_size=8).map(lambda pairs: SortedSet(pairs.items())),
)
big_values = [
    Hash({b"field:%d" % n: b"%d" % n for n in range(1000)}),
    List([b"item:%d" % n for n in range(5000)]),
    List([b"a", b"b" * 20_000, b"c", bytes(9000)]),
    Set([b"member:%d" % n for n in range(1000)]),
    SortedSet([(b"member:%d" % n, n / 3) for n in range(1000)]),
    b"z" * 300_000,
]


def plain(value: Any) -> Any:
    """A value as something that compares."""
    if isinstance(value, Hash):
        return "hash", dict(value.items())
    if isinstance(value, List):
        return "list", list(value)
    if isinstance(value, Set):
        return "set", set(value)
    if isinstance(value, SortedSet):
        return "zset", list(value.items())
    return value


def read_all(raw: bytes, warnings: list[str] | None = None) -> list[Entry]:
    return list(RdbReader(io.BytesIO(raw), "test.rdb", [].append if warnings is None else warnings.append))


def written(databases: list[Database], **options: Any) -> bytes:
    parts: list[bytes] = []
    write_rdb(parts.append, databases, {"redis-ver": "7.2.0", "redis-bits": 64}, **options)
    return b"".join(parts)


def a_file(body: bytes, header: bytes = b"REDIS0011") -> bytes:
    unsealed = header + body + b"\xff"
    return unsealed + crc64(unsealed).to_bytes(8, "little")


def small_file() -> bytes:
    db = Database(0)
    db.set(b"text", b"hello hello hello hello hello")
    db.set(b"number", b"12345", 4_000_000_000_000)
    db.set(b"hash", Hash({b"a": b"1", b"b": b"2"}))
    db.set(b"list", List([b"a", b"b" * 9000]))
    db.set(b"set", Set([b"1", b"2"]))
    db.set(b"zset", SortedSet([(b"a", 1.5), (b"b", float("inf"))]))
    return written([db])


@given(values, st.booleans())
def test_value_round_trip(value: Any, compress: bool) -> None:
    code, body = dump_value(value, compress)
    source = Source(io.BytesIO(body), "value")
    assert plain(load_value(source, code)) == plain(value)
    assert source.at_end()


@pytest.mark.parametrize("value", big_values, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("compress", [True, False])
def test_big_value_round_trip(value: Any, compress: bool) -> None:
    code, body = dump_value(value, compress)
    assert plain(load_value(Source(io.BytesIO(body), "value"), code)) == plain(value)


@given(st.dictionaries(words, st.tuples(values, st.integers(0, 1 << 50)), max_size=10))
def test_file_round_trip(content: dict[bytes, tuple[Any, int]]) -> None:
    db = Database(0)
    for key, (value, expire_at) in content.items():
        db.set(key, value, expire_at)
    read = {entry.key: (plain(entry.value), entry.expire_at) for entry in read_all(written([db]))}
    assert read == {key: (plain(value), expire_at) for key, (value, expire_at) in content.items()}


def test_databases_and_aux_fields() -> None:
    first, empty, third = Database(0), Database(1), Database(2)
    first.set(b"a", b"1")
    third.set(b"a", b"2")
    reader = RdbReader(io.BytesIO(written([first, empty, third])), "test.rdb", [].append)
    assert [(entry.database, entry.value) for entry in reader] == [(0, b"1"), (2, b"2")]
    assert reader.aux == {"redis-ver": "7.2.0", "redis-bits": "64"}
    assert reader.keys_expected == 2


def test_output_comes_in_chunks() -> None:
    """However large one value is, the writer holds about a chunk of it."""
    db = Database(0)
    db.set(b"hash", Hash({b"field:%d" % n: b"%d" % n for n in range(50_000)}))
    sizes: list[int] = []
    write_rdb(lambda chunk: sizes.append(len(chunk)), [db], {})
    assert len(sizes) > 5
    assert max(sizes) < 64 * 1024 + 1000


def test_without_checksum() -> None:
    db = Database(0)
    db.set(b"a", b"1")
    raw = written([db], checksum=False)
    assert raw.endswith(bytes(8))
    assert [entry.key for entry in read_all(raw)] == [b"a"]


def test_every_truncation_of_a_small_file_is_refused() -> None:
    raw = small_file()
    assert len(read_all(raw)) == 6
    for length in range(len(raw)):
        with pytest.raises(RdbError) as caught:
            read_all(raw[:length])
        assert caught.value.name == "test.rdb"
        assert caught.value.offset <= length


def test_every_flipped_byte_is_noticed() -> None:
    """By the checksum at the latest. The digits of the version are no exception: they are summed too."""
    raw = small_file()
    for position in range(len(raw)):
        damaged = bytearray(raw)
        damaged[position] ^= 0x40
        with pytest.raises(RdbError):
            read_all(bytes(damaged))


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(RdbError):
        read_all(b"REDIS0011" + noise)


def test_what_follows_the_end_is_not_touched() -> None:
    """An AOF goes on behind its RDB preamble."""
    raw = small_file()
    reader = RdbReader(io.BytesIO(raw + b"*1\r\n"), "aof", [].append)
    assert len(list(reader)) == 6
    assert reader.offset == len(raw)
    assert reader.rest() == b"*1\r\n"


@pytest.mark.parametrize(
    "header",
    [b"REDIS0013", b"REDIS0080", b"VALKEY081", b"VALKEY011", b"REDIS0000", b"REDIX0011", b"REDIS00x1"],
)
def test_versions_that_cannot_be_read(header: bytes) -> None:
    with pytest.raises(RdbError):
        read_all(a_file(b"", header))


@pytest.mark.parametrize("header", [b"REDIS0005", b"REDIS0012", b"VALKEY080"])
def test_versions_that_can(header: bytes) -> None:
    assert read_all(a_file(b"\0\1a\1b", header)) == [Entry(0, b"a", b"b", 0)]


def test_old_files_have_no_checksum() -> None:
    assert read_all(b"REDIS0004\0\1a\1b\xff") == [Entry(0, b"a", b"b", 0)]


def string(text: bytes) -> bytes:
    return encode_string(text, compress=False)


OLD_VALUES: list[tuple[str, int, bytes, Any]] = [
    ("list", 1, b"\x02\x01a\xc0\x05", ("list", [b"a", b"5"])),
    ("set", 2, b"\x02\x01a\x01b", ("set", {b"a", b"b"})),
    ("zset", 3, b"\x03\x01a\x031.5\x01b\xfe\x01c\xff",
     ("zset", [(b"c", float("-inf")), (b"a", 1.5), (b"b", float("inf"))])),
    ("hash", 4, b"\x01\x01f\x01v", ("hash", {b"f": b"v"})),
    ("hash zipmap", 9, string(b"\x01\x03foo\x03\x00bar\xff"), ("hash", {b"foo": b"bar"})),
    ("list ziplist", 10, string(a_ziplist(b"\x01a", b"\xfe\x80")), ("list", [b"a", b"-128"])),
    ("zset ziplist", 12, string(a_ziplist(b"\x01a", b"\x033.5")), ("zset", [(b"a", 3.5)])),
    ("hash ziplist", 13, string(a_ziplist(b"\x01f", b"\xf2")), ("hash", {b"f": b"1"})),
    ("quicklist", 14, b"\x02" + string(a_ziplist(b"\x01a")) + string(a_ziplist(b"\x01b", b"\x01c")),
     ("list", [b"a", b"b", b"c"])),
]  # fmt: skip


@pytest.mark.parametrize(("_", "code", "body", "expected"), OLD_VALUES, ids=[row[0] for row in OLD_VALUES])
def test_values_as_older_versions_wrote_them(_: str, code: int, body: bytes, expected: Any) -> None:
    (entry,) = read_all(a_file(b"%c\x01k%b" % (code, body)))
    assert plain(entry.value) == expected


def test_opcodes() -> None:
    warnings: list[str] = []
    body = (
        b"\xfa\x01a\x01b"  # aux
        b"\xfe\x00\xfb\x02\x01"  # select, resize
        b"\xf4\x05\x01\x01"  # slot info
        + b"\xf5" + string(b"#!lua name=lib\ncode")
        + b"\xf7\x81" + (0b000001 << 58).to_bytes(8, "big")
        + b"\x02\x02\x01\x07\x03AAAA\x04AAAAAAAA\x05\x01x\x00"
        + b"\xfc" + (5_000_000_000_000).to_bytes(8, "little") + b"\xf8\x0a\x00\x01k\x01v"
        + b"\xfd" + (1_000_000_000).to_bytes(4, "little") + b"\xf9\x07\x00\x01l\x01w"
        + b"\x00\x01m\x01x"
    )  # fmt: skip
    assert read_all(a_file(body), warnings) == [
        Entry(0, b"k", b"v", 5_000_000_000_000, idle=10),
        Entry(0, b"l", b"w", 1_000_000_000_000, frequency=7),
        Entry(0, b"m", b"x", 0),
    ]
    assert warnings == ["test.rdb: skipping data of the module BAAAAAAAA"]
    taken: list[bytes] = []
    list(RdbReader(io.BytesIO(a_file(body)), "test.rdb", warnings.append, taken.append))
    assert taken == [b"#!lua name=lib\ncode"]


def test_empty_collections_are_skipped_with_a_word() -> None:
    warnings: list[str] = []
    assert read_all(a_file(b"\x04\x01k\x00" + b"\x00\x01a\x01b"), warnings) == [Entry(0, b"a", b"b", 0)]
    assert warnings == ["test.rdb: skipping key b'k': empty hash"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x07\x01k\x00", "values of modules (type 7) are not supported"),
        (b"\x63\x01k\x00", "unknown value type 99"),
        (b"\xf2\x01", "opcode 242 is not supported"),
        (b"\x04\x01k\x02\x01f\x01v\x01f\x01w", "hash with a field twice"),
        (b"\x02\x01k\x02\x01f\x01f", "set with a member twice"),
        (b"\x03\x01k\x01\x01f\xfd", "score that is not a number"),
        (b"\x03\x01k\x01\x01f\x02xx", "is no number"),
        (b"\x00\x01k\xc3\x05\x05abcde", "damaged LZF data"),
        (b"\x00\x01k\xc3\x01\x80\x40\x00\x00\x00a", "cannot be"),
        (b"\x00\x01k\x81\x70\0\0\0\0\0\0\0", "string of"),
        (b"\x00\x01k\x80\x10\0\0\0a", "unexpected end"),
        (b"\x00\x01k\xc7", "unknown encoding"),
        (b"\x18\x01k" + bytes(8) + b"\x01\x81" + b"\x10" * 8 + b"\x01f\x01v", "expiry out of range"),
        (b"\x10\x01k" + string(listpack.encode([b"f", b"v", b"f", b"w"])), "hash with a field twice"),
        (b"\x19\x01k" + bytes(8) + string(listpack.encode([b"f", b"v", b"x"])), "expiry that is no moment"),
    ],
)
def test_what_cannot_be_held_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(RdbError, match="offset") as caught:
        read_all(a_file(body, b"REDIS0012"))
    assert reason in str(caught.value)


def test_hashes_with_fields_that_expire() -> None:
    """Redis and Valkey use these types, and type code 22 for different ones."""
    moment = 1 << 41
    triples = string(listpack.encode([b"f", b"v", b"%d" % moment, b"g", b"w", b"0"]))
    earliest = moment.to_bytes(8, "little")
    absolute = encode_length(moment)
    for header, body in (
        (b"REDIS0012", b"\x16\x01k\x02" + absolute + b"\x01f\x01v\x00\x01g\x01w"),
        (b"REDIS0012", b"\x17\x01k" + triples),
        (b"REDIS0012", b"\x18\x01k" + earliest + b"\x02\x01\x01f\x01v\x00\x01g\x01w"),
        (b"REDIS0012", b"\x19\x01k" + bytes(8) + triples),
        (b"VALKEY080", b"\x16\x01k\x02\x01f\x01v" + earliest + b"\x01g\x01w" + b"\xff" * 8),
    ):
        (entry,) = read_all(a_file(body, header))
        assert list(entry.value.walk()) == [(b"f", b"v", moment), (b"g", b"w", 0)]
        assert entry.value.encoding == "listpackex"


def test_a_file_says_version_12_only_if_fields_expire() -> None:
    db = Database(0)
    db.set(b"k", Hash({b"f": b"v"}))
    assert written([db]).startswith(b"REDIS0011")
    value = Hash({b"%d" % i: b"v" for i in range(1000)})
    value.set_expiry(b"5", 1 << 41)
    db.set(b"large", value)
    raw = written([db])
    assert raw.startswith(b"REDIS0012")
    (entry,) = [entry for entry in read_all(raw) if entry.key == b"large"]
    assert entry.value.expiry(b"5") == 1 << 41
    assert sorted(entry.value.walk()) == sorted(value.walk())


def test_compressed_strings() -> None:
    text = b"abc" * 1000
    raw = encode_string(text)
    assert len(raw) < 100
    assert lzf.decompress(raw[4:], 3000) == text
    assert encode_string(text, compress=False) == b"\x4b\xb8" + text
