"""The arithmetic of INCRBYFLOAT and HINCRBYFLOAT: C's `long double`, digit for digit.

Redis reads, adds and prints these numbers as 80-bit x87 extended floats: 64 bits of mantissa, 15 of
exponent, more than a Python float holds. `10.50 + 0.1` must read `10.6` here as there, and a replica or an
AOF written by either must agree to the last digit. So values are kept as exact fractions and rounded to
64 bits after every step, as the processor does: nearest, ties to even.

Printing follows Redis' ld2string in its "human" mode: 17 decimals without exponent, then the trailing
zeros (and the point) dropped, and never `-0`.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Final

from node import errors
from node.errors import ReplyError

MANTISSA_BITS: Final = 64
MAX_EXPONENT: Final = 16383
"""The largest power of two a value may reach: 2**16383 is representable, 2**16384 is infinity."""
MIN_EXPONENT: Final = -16445
"""Power of two of the smallest subnormal's only bit."""
MAX_TEXT: Final = 5 * 1024
"""Redis parses from a buffer of this size; longer text is no number."""
DECIMALS: Final = 17

Infinite = float
"""The only floats in use here are the two infinities, which no fraction can stand for."""
LongDouble = Fraction | Infinite

_DECIMAL = re.compile(rb"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?")
_HEXADECIMAL = re.compile(rb"([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?\d+))?")
_INFINITY = re.compile(rb"([+-]?)inf(?:inity)?", re.IGNORECASE)

# Numbers of more powers of ten (or two) than these overflow or vanish, so that `1e999999999` is not computed.
_POWER_BOUND = {10: 4_970, 2: 16_500}


def parse(raw: bytes, error: ReplyError = errors.NOT_A_FLOAT) -> LongDouble:
    """Text as C's strtold takes it: decimal, hexadecimal or infinite. Raises `error` for anything else.

    Also refused, as in Redis: surrounding spaces, NaN, and numbers that overflow or vanish.
    """
    if len(raw) >= MAX_TEXT:
        raise error
    if found := _INFINITY.fullmatch(raw):
        return -math.inf if found[1] == b"-" else math.inf
    if (found := _DECIMAL.fullmatch(raw)) and (found[2] or found[3]):
        base, digit_base, point_digits = 10, 10, 1
    elif (found := _HEXADECIMAL.fullmatch(raw)) and (found[2] or found[3]):
        base, digit_base, point_digits = 2, 16, 4
    else:
        raise error
    sign, whole, decimals, exponent_text = found.groups()
    decimals = decimals or b""
    digits = _digits_to_int(whole + decimals, digit_base)
    if digits == 0:
        return Fraction(0)
    exponent = _digits_to_int(exponent_text or b"0", 10) - point_digits * len(decimals)
    magnitude = exponent + point_digits * len((whole + decimals).lstrip(b"0"))
    if abs(magnitude) > _POWER_BOUND[base]:
        raise error
    value = rounded(Fraction(digits * base**exponent) if exponent >= 0 else Fraction(digits, base**-exponent))
    if value == 0 or value == math.inf:
        raise error
    return -value if sign == b"-" else value


def _digits_to_int(digits: bytes, base: int) -> int:
    """Through Decimal, because Python refuses to convert more than 4,300 digits, and MAX_TEXT allows more."""
    return int(Decimal(digits.decode())) if base == 10 else int(digits, base)


def rounded(exact: Fraction) -> LongDouble:
    """The nearest long double, ties to even; infinite beyond the range."""
    magnitude = abs(exact)
    if magnitude == 0:
        return exact
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < _power_of_two(exponent):
        exponent -= 1
    unit = _power_of_two(max(exponent - MANTISSA_BITS + 1, MIN_EXPONENT))
    value = round(magnitude / unit) * unit
    if value >= _power_of_two(MAX_EXPONENT + 1):
        return math.inf if exact > 0 else -math.inf
    return value if exact > 0 else -value


def _power_of_two(exponent: int) -> Fraction:
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)


def add(left: LongDouble, right: LongDouble) -> Fraction:
    """The sum. Raises NAN_OR_INFINITY where it is not a number that could be stored."""
    if isinstance(left, float) or isinstance(right, float):
        raise errors.NAN_OR_INFINITY
    total = rounded(left + right)
    if isinstance(total, float):
        raise errors.NAN_OR_INFINITY
    return total


def format_human(value: Fraction) -> bytes:
    """Redis' digits: at most 17 decimals, no exponent, no trailing zeros, no negative zero."""
    scaled = round(value * 10**DECIMALS)
    digits = str(Decimal(abs(scaled))).rjust(DECIMALS + 1, "0")
    text = f"{digits[:-DECIMALS]}.{digits[-DECIMALS:]}".rstrip("0").rstrip(".")
    return f"-{text}".encode() if scaled < 0 else text.encode()
