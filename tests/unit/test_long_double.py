"""Extended-precision arithmetic: vectors were taken from redis-server on x86-64."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import ReplyError
from node.handlers import long_double


def add(left: bytes, right: bytes) -> bytes:
    total = long_double.add(long_double.parse(left), long_double.parse(right))
    return long_double.format_human(total)


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [
        (b"10.50", b"0.1", b"10.6"),
        (b"0.1", b"0.2", b"0.3"),
        (b"5.0e3", b"2.0e2", b"5200"),
        (b"3", b"-3", b"0"),
        (b"-0.000000000000000001", b"0", b"0"),
        (b"0x1p3", b"1", b"9"),
        (b"18446744073709551615", b"1", b"18446744073709551616"),
        (b"18446744073709551616", b"1", b"18446744073709551616"),
        (b"1e-4940", b"1", b"1"),
        (b"+5", b".5", b"5.5"),
    ],
)
def test_sums(left: bytes, right: bytes, total: bytes) -> None:
    assert add(left, right) == total


def test_the_largest_number_prints_all_its_digits() -> None:
    assert len(add(b"1e4932", b"0")) == 4933


@pytest.mark.parametrize("raw", [b"", b"1 ", b"nan", b"1.2e4932", b"1e-4960", b"0x", b".", b"1" * 6000])
def test_no_numbers(raw: bytes) -> None:
    with pytest.raises(ReplyError, match="not a valid float"):
        long_double.parse(raw)


@pytest.mark.parametrize(("left", "right"), [(b"inf", b"1"), (b"1", b"-inf"), (b"1.1e4932", b"1.1e4932")])
def test_sums_that_are_no_numbers(left: bytes, right: bytes) -> None:
    with pytest.raises(ReplyError, match="NaN or Infinity"):
        add(left, right)


@pytest.mark.parametrize("raw", [b"1e" + b"9" * 4000, b"-1e-" + b"9" * 4000, b"." + b"0" * 5000 + b"1e-99"])
def test_absurd_exponents_are_refused_quickly(raw: bytes) -> None:
    with pytest.raises(ReplyError):
        long_double.parse(raw)


@given(st.fractions(min_value=-(10**30), max_value=10**30))
def test_rounding_is_to_the_nearest(value: Fraction) -> None:
    rounded = long_double.rounded(value)
    assert isinstance(rounded, Fraction)
    assert abs(rounded - value) <= abs(value) / 2**64
    assert long_double.rounded(rounded) == rounded
