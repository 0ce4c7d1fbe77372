"""The digits of doubles: they read back, and are those of Redis even where those are not the shortest."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.double_digits import double_digits, format_double


@given(st.floats(allow_nan=False))
def test_digits_read_back_as_the_same_number(value: float) -> None:
    for text in (double_digits(value), format_double(value)):
        back = float(text)
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


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, b"3"),
        (-0.0, b"-0"),
        (0.1, b"0.1"),
        (1e15 + 0.5, b"1000000000000000.5"),
        (1e17, b"100000000000000000"),
        (123456789012345678.0, b"123456789012345680"),
        (2.0**62, b"4611686018427387904"),
        (-(2.0**63), b"-9223372036854776000"),
        (1e20, b"1e+20"),
        (1.5e-5, b"0.000015"),
        (1e-7, b"1e-7"),
        (5e-324, b"5e-324"),
        (1.7976931348623157e308, b"1.7976931348623157e+308"),
        (float("-inf"), b"-inf"),
        (float("nan"), b"nan"),
    ],
)
def test_doubles_as_redis_prints_them(value: float, text: bytes) -> None:
    assert format_double(value) == text
