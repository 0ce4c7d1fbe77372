"""The datatypes against plain models: what they hold, in what order, and which encoding they own up to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from node.datatypes import Hash, limits

TINY = st.binary(max_size=2)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[limits.Limits]:
    """Thresholds of a few elements, so that tests need few."""
    before = {name: getattr(limits.limits, name) for name in limits.NAMES}
    limits.limits.update(
        hash_max_listpack_entries=3,
        hash_max_listpack_value=5,
    )
    yield limits.limits
    limits.limits.update(**before)


def test_unknown_limits_are_refused() -> None:
    with pytest.raises(AttributeError):
        limits.limits.update(nosuch=1)


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


def test_large_hashes_are_walked_in_steps(small_limits: limits.Limits) -> None:
    names = [b"%d" % i for i in range(10)]
    value = Hash(dict.fromkeys(names, b"v"))
    seen: list[tuple[bytes, bytes]] = []
    cursor = -1
    while cursor:
        cursor, items = value.scan(max(cursor, 0), 4)
        seen += items
    assert sorted(name for name, _ in seen) == names
