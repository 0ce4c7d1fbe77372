"""The backlog against a model: the plain last bytes of a stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.replication.backlog import Backlog
from node.replication.history import NO_ID, History, is_id


@given(st.integers(1, 40), st.integers(0, 10**12), st.lists(st.binary(max_size=60), max_size=20))
def test_it_holds_the_last_bytes(size: int, start: int, chunks: list[bytes]) -> None:
    backlog = Backlog(size, start)
    stream = b""
    for chunk in chunks:
        backlog.feed(chunk)
        stream += chunk
        held = stream[-size:]
        assert backlog.length == len(held)
        assert backlog.last == start + len(stream)
        assert backlog.first == backlog.last - len(held) + 1
        for missing in range(len(held) + 1):
            assert backlog.since(backlog.last + 1 - missing) == (held[-missing:] if missing else b"")


@given(st.integers(1, 40), st.integers(1, 40), st.binary(max_size=100), st.binary(max_size=100))
def test_resizing_keeps_what_fits(size: int, new_size: int, before: bytes, after: bytes) -> None:
    backlog = Backlog(size, 7)
    backlog.feed(before)
    backlog.resize(new_size)
    assert backlog.since(backlog.first) == before[-size:][-new_size:]
    backlog.feed(after)
    assert backlog.last == 7 + len(before) + len(after)
    assert backlog.since(backlog.first) == (before[-size:] + after)[-new_size:]


def test_offsets_outside_are_refused() -> None:
    backlog = Backlog(4, 100)
    backlog.feed(b"abcdef")
    assert not backlog.covers(102)
    assert backlog.covers(103)
    assert backlog.since(103) == b"cdef"
    assert backlog.covers(107)
    assert not backlog.covers(108)
    for offset in (102, 108):
        with pytest.raises(ValueError, match="not within"):
            backlog.since(offset)


def test_a_promoted_replica_shares_the_past_only() -> None:
    history = History()
    old = history.id
    history.shift(100)
    assert history.second_id == old
    assert history.second_offset == 101
    assert is_id(history.id)
    assert history.id != old
    assert history.includes(history.id, 10**9)
    assert history.includes(old, 101)
    assert not history.includes(old, 102)


def test_a_new_history_shares_nothing() -> None:
    history = History()
    old = history.id
    history.renew()
    assert not history.includes(old, 1)
    assert not history.includes(NO_ID, 0)


def test_a_replica_takes_over_its_primarys_history() -> None:
    history = History()
    history.shift(5)
    history.adopt("a" * 40)
    assert history.includes("a" * 40, 1)
    assert (history.second_id, history.second_offset) == (NO_ID, -1)
