"""Numbers and options as clients write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import errors
from node.errors import ReplyError
from node.handlers import arguments
from node.handlers.arguments import EXPIRE_UNITS, INT64_MAX, INT64_MIN, Options


@given(st.integers(INT64_MIN, INT64_MAX))
def test_every_integer_reads_back(value: int) -> None:
    assert arguments.parse_int(b"%d" % value) == value


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"+1", b"01", b"-0", b"-", b" 1", b"1 ", b"1\n", b"1.0", b"0x1", b"1_0", b"\xd9\xa1"),
        *(b"%d" % (INT64_MAX + 1), b"%d" % (INT64_MIN - 1), b"9" * 5000),
    ],
)
def test_no_integers(raw: bytes) -> None:
    with pytest.raises(ReplyError, match="not an integer"):
        arguments.parse_int(raw)


def test_integers_out_of_a_range_name_it() -> None:
    with pytest.raises(ReplyError, match="value must between 1 and 5"):
        arguments.parse_int_between(b"6", 1, 5)
    with pytest.raises(ReplyError, match="must be positive"):
        arguments.parse_non_negative(b"-1")


@given(st.floats(allow_nan=False))
def test_every_float_reads_back(value: float) -> None:
    assert arguments.parse_float(repr(value).encode()) == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"+5", 5.0),
        (b".5", 0.5),
        (b"5.", 5.0),
        (b"-inf", -math.inf),
        (b"Infinity", math.inf),
        (b"0x10", 16.0),
        (b"0x.8", 0.5),
        (b"-0X1P3", -8.0),
        (b"1e-320", 1e-320),
        (b"0e-999", 0.0),
        (b"0x0p-9999", 0.0),
    ],
)
def test_floats(raw: bytes, value: float) -> None:
    assert arguments.parse_float(raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" 1",
        b"1 ",
        b"nan",
        b"1e400",
        b"1e-400",
        b"0x",
        b"0x1p9999",
        b"0x1p-2000",
        b".",
        b"e1",
        b"1_0",
        b"1,0",
    ],
)
def test_no_floats(raw: bytes) -> None:
    with pytest.raises(ReplyError, match="not a valid float"):
        arguments.parse_float(raw)


def test_cursors() -> None:
    assert arguments.parse_cursor(b"007") == 7
    assert arguments.parse_cursor(b"18446744073709551615") == 2**64 - 1
    for raw in (b"", b"-1", b"1x", b"18446744073709551616", b"9" * 5000):
        with pytest.raises(ReplyError, match="invalid cursor"):
            arguments.parse_cursor(raw)


def test_options_are_read_in_order() -> None:
    options = Options([b"key", b"count", b"5", b"Rev", b"get", b"a", b"b"], start=1)
    seen: list[object] = []
    for word in options:
        seen.append(word)
        if word == b"COUNT":
            seen.append(options.integer())
        elif word == b"GET":
            assert options.left == 2
            seen.append(options.rest())
    assert seen == [b"COUNT", 5, b"REV", b"GET", [b"a", b"b"]]


def test_an_option_without_its_value_is_a_syntax_error() -> None:
    options = Options([b"COUNT"])
    with pytest.raises(ReplyError) as raised:
        for _ in options:
            options.value()
    assert raised.value is errors.SYNTAX


@pytest.mark.parametrize(
    ("option", "raw", "moment"),
    [(b"EX", b"2", 3000), (b"PX", b"2", 1002), (b"EXAT", b"2", 2000), (b"PXAT", b"2", 2)],
)
def test_expiry_is_made_absolute(option: bytes, raw: bytes, moment: int) -> None:
    assert arguments.parse_expiry(raw, EXPIRE_UNITS[option], now=1000, command="set") == moment


@pytest.mark.parametrize(
    ("option", "raw"),
    [(b"EX", b"0"), (b"PX", b"-1"), (b"EX", b"%d" % (INT64_MAX // 1000 + 1)), (b"PX", b"%d" % INT64_MAX)],
)
def test_expiry_out_of_range_names_the_command(option: bytes, raw: bytes) -> None:
    with pytest.raises(ReplyError, match="invalid expire time in 'getex' command"):
        arguments.parse_expiry(raw, EXPIRE_UNITS[option], now=1000, command="getex")
