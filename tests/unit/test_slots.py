"""Sets of slots, against Python's own sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import slots

numbers = st.sets(st.integers(0, slots.SLOT_COUNT - 1), max_size=200)


@given(numbers)
def test_a_set_survives_every_notation(chosen: set[int]) -> None:
    bitmap = slots.from_iterable(chosen)
    assert list(slots.members(bitmap)) == sorted(chosen)
    assert slots.count(bitmap) == len(chosen)
    assert slots.from_bytes(slots.to_bytes(bitmap)) == bitmap
    assert slots.parse_ranges(slots.format_ranges(bitmap)) == bitmap
    assert slots.parse_ranges(slots.format_ranges(bitmap, ",")) == bitmap
    assert all(slots.contains(bitmap, slot) for slot in chosen)


def test_the_bus_counts_bits_from_the_lowest() -> None:
    raw = slots.to_bytes(slots.from_iterable([0, 9, 16383]))
    assert len(raw) == 2048
    assert (raw[0], raw[1], raw[2047]) == (1, 2, 128)


def test_ranges_are_maximal_and_inclusive() -> None:
    bitmap = slots.from_range(0, 5460) | slots.from_range(6000, 6000) | slots.from_range(16382, 16383)
    assert slots.format_ranges(bitmap) == "0-5460 6000 16382-16383"
    assert list(slots.ranges(slots.ALL_SLOTS)) == [(0, 16383)]
    assert list(slots.ranges(slots.NO_SLOTS)) == []
    assert slots.from_range(5, 4) == slots.NO_SLOTS


@pytest.mark.parametrize("text", ["", "x", "-1", "16384", "1-", "-", "5-4", "1--2", "+1", "٣", "000001"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="slot"):
        slots.parse_range(text)
