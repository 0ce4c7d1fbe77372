"""Fingerprints: what they tell apart, and what not."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from node.datatypes import Hash, List, Set, SortedSet, Stream
from node.keyspace.fingerprint import fingerprint
from node.persistence.rdb import dump_payload, load_payload


def of(value: Any, **other: Any) -> int | None:
    return fingerprint(**{"database": 0, "key": b"k", "value": value, "expire_at": 0, **other})


def timed(**moments: int) -> Hash:
    """A hash whose fields expire when said; 0 for never."""
    made = Hash({name.encode(): b"1" for name in moments})
    for name, at in moments.items():
        if at:
            made.set_expiry(name.encode(), at)
    return made


def stream(group: bytes | None = None, read_at: int = 0) -> Stream:
    made = Stream()
    made.append(1 << 64, [b"a", b"1"])
    if group is not None:
        added = made.add_group(group, 0, None)
        assert added is not None
        consumer = added.add_consumer(b"alice", 5)
        if read_at:
            added.assign(1 << 64, consumer, read_at, 1)
    return made


def test_a_known_one() -> None:
    """SHA-256 of `0 0 string 1:kv`. Manifests hold them, so the scheme must not change unnoticed."""
    assert of(b"v") == 0x648723143EC697CC684FB8D26A1F9F0B


def test_long_strings_are_hashed_the_same() -> None:
    value = bytes(5000)
    expected = hashlib.sha256(b"0 0 string 1:k" + value).digest()[:16]
    assert of(value) == int.from_bytes(expected, "big")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b"a", b"b", False),
        (b"a", List([b"a"]), False),
        (List([b"a"]), Set([b"a"]), False),
        (List([b"a", b"b"]), List([b"b", b"a"]), False),
        (List([b"ab"]), List([b"a", b"b"]), False),
        (Set([b"a", b"b"]), Set([b"b", b"a"]), True),
        (Set([b"1", b"2"]), Set([b"1", b"2", b"x" * 100]), False),
        (Hash({b"a": b"1", b"b": b"2"}), Hash({b"b": b"2", b"a": b"1"}), True),
        (Hash({b"a": b"1", b"b": b"2"}), Hash({b"a": b"2", b"b": b"1"}), False),
        (timed(a=5, b=0), timed(a=5, b=0), True),
        (timed(a=5, b=0), timed(a=6, b=0), False),
        (timed(a=0), Hash({b"a": b"1"}), True),
        (SortedSet([(b"a", 0.0)]), SortedSet([(b"a", -0.0)]), True),
        (SortedSet([(b"a", 1.0)]), SortedSet([(b"a", 1.0000001)]), False),
        (stream(), stream(), True),
        (stream(), stream(b"g"), False),
        (stream(b"g"), stream(b"h"), False),
        (stream(b"g", read_at=7), stream(b"g", read_at=8), False),
    ],
)
def test_what_values_make_a_difference(one: Any, other: Any, same: bool) -> None:
    assert (of(one) == of(other)) == same


def test_database_key_and_expiry_make_a_difference() -> None:
    assert len({of(b"v"), of(b"v", database=1), of(b"v", key=b"l"), of(b"v", expire_at=1)}) == 4
    assert of(b"xv", key=b"k") != of(b"v", key=b"kx")


def test_the_encoding_makes_none() -> None:
    members = [b"%d" % n for n in range(100)]
    large = Set([*members, b"x" * 1000])
    large.remove(b"x" * 1000)
    assert large.encoding != Set(members).encoding
    assert of(large) == of(Set(members))


def test_fields_that_are_gone_by_then_do_not_count() -> None:
    assert of(timed(a=5, b=0), as_of=5) == of(timed(b=0), as_of=5)
    assert of(timed(a=6, b=0), as_of=5) != of(timed(b=0), as_of=5)
    assert of(timed(a=5), as_of=5) is None


@pytest.mark.parametrize("value", [b"v", timed(a=5, b=0), stream(b"g", read_at=7), List([b"a", b"1"])])
def test_a_payload_keeps_it(value: Any) -> None:
    assert of(load_payload(dump_payload(value))) == of(value)
