"""Digests: what they tell apart, and what not; and the digits of doubles that they rest on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.datatypes import Hash, List, Set, SortedSet
from node.double_digits import double_digits
from node.keyspace.digest import digest_of_dataset, digest_of_value


def test_nothing_is_zeros() -> None:
    assert digest_of_value(None, False) == digest_of_dataset([]) == "0" * 40


def test_a_known_value() -> None:
    """As redis-server 8.2.3 shows it for the string `bar`."""
    assert digest_of_value(b"bar", False) == "68467c70ae30376e7ce005bcc8827f5ba7fd67dc"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b"a", b"b", False),
        (List([b"a", b"b"]), List([b"b", b"a"]), False),
        (List([b"ab"]), List([b"a", b"b"]), False),
        (Set([b"a", b"b"]), Set([b"b", b"a"]), True),
        (List([b"a"]), Set([b"a"]), False),
        (Hash({b"a": b"1", b"b": b"2"}), Hash({b"b": b"2", b"a": b"1"}), True),
        (Hash({b"a": b"1", b"b": b"2"}), Hash({b"a": b"2", b"b": b"1"}), False),
        (SortedSet([(b"a", 1.0), (b"b", 2.0)]), SortedSet([(b"b", 2.0), (b"a", 1.0)]), True),
        (SortedSet([(b"a", 1.0)]), SortedSet([(b"a", 1.5)]), False),
    ],
)
def test_what_makes_a_difference(one: object, other: object, same: bool) -> None:
    assert (digest_of_value(one, False) == digest_of_value(other, False)) == same
    assert digest_of_value(one, True) != digest_of_value(one, False)


@given(st.floats(allow_nan=False))
def test_digits_read_back_as_the_same_number(value: float) -> None:
    back = float(double_digits(value))
    assert back == value and math.copysign(1, back) == math.copysign(1, value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, b"0"),
        (-0.0, b"-0"),
        (1.0, b"1"),
        (-1.5, b"-1.5"),
        (math.inf, b"inf"),
        (-math.inf, b"-inf"),
        (0.001, b"0.001"),
        (5e-324, b"5e-324"),
        (1e9, b"1e+9"),
        (-88.6519090355985, b"-88.65190903559851"),
        (1.7976931348623157e308, b"1.7976931348623157e+308"),
    ],
)
def test_digits_are_those_of_redis(value: float, text: bytes) -> None:
    assert double_digits(value) == text
