"""The sketch of the heaviest keys, held against exact counts; and what is put down to which key."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.heavy_hitters import HeavyHitters
from node.core.key_traffic import KeyTraffic

weights = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 1000)), max_size=300)


@given(weights, st.integers(1, 12))
def test_never_too_much_and_never_without_the_heaviest(stream: list[tuple[int, int]], capacity: int) -> None:
    sketch, exact = HeavyHitters(capacity), Counter[bytes]()
    for number, weight in stream:
        key = b"%d" % number
        sketch.add(key, weight)
        exact[key] += weight
    told = sketch.top(capacity)
    assert told == sorted(told, key=lambda pair: (-pair[1], pair[0]))
    assert len(dict(told)) == len(told) <= capacity
    for key, weight in told:
        # What is told is less than the truth by no more than a counter's error.
        assert 0 < weight <= exact[key] <= weight + exact.total() / capacity
    if len(exact) <= capacity:
        assert dict(told) == {key: weight for key, weight in exact.items() if weight}


def test_hot_keys_stand_out_of_a_hundred_thousand_others() -> None:
    chance = random.Random(7)
    sketch = HeavyHitters(1024)
    for _ in range(200_000):
        hot = chance.random() < 0.2
        sketch.add(b"hot:%d" % chance.randrange(8) if hot else b"%d" % chance.randrange(100_000), 1)
    assert {key for key, _ in sketch.top(8)} == {b"hot:%d" % number for number in range(8)}
    for _, weight in sketch.top(8):
        assert weight == pytest.approx(5000, rel=0.1)


def test_fewer_are_told_than_asked_for_and_nothing_of_weight_zero() -> None:
    sketch = HeavyHitters(4)
    assert sketch.top(10) == []
    sketch.add(b"nothing", 0)
    sketch.add(b"something", 3)
    assert sketch.top(10) == [(b"something", 3)]


def test_one_byte_for_each_slot() -> None:
    with pytest.raises(ValueError, match="one byte for each slot"):
        KeyTraffic(True, True, 1, b"\1")
