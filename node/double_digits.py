"""The digits in which Redis prints doubles, and which DEBUG DIGEST hashes: those of the library fpconv.

fpconv finds digits by the algorithm Grisu2 (Florian Loitsch, "Printing Floating-Point Numbers Quickly and
Accurately with Integers", 2010). They always read back as the same number, but once in some thousand numbers
they are not the shortest that do, so that Python's own digits would not serve here.

A number is taken as a fraction of 64 bits and a power of two. Multiplied by a power of ten close to its
magnitude, it and the boundaries to its neighbours become fixed-point numbers, whose digits are taken off one
by one until what is left lies between the boundaries.
"""

from __future__ import annotations

import math
import struct
from functools import cache
from typing import Final

FRACTION_BITS: Final = 52
HIDDEN_BIT: Final = 1 << FRACTION_BITS
LOWEST_EXPONENT: Final = -1074
"""Power of two of a double's lowest bit, at the least."""
FIRST_POWER: Final = -348
POWER_STEP: Final = 8
"""Powers of ten are taken from those of 10**-348, 10**-340, ..."""
LOG10_OF_2: Final = 0.30102999566398114
MIN_EXPONENT, MAX_EXPONENT = -60, -32
"""Between these lies the power of two after multiplication, so that 4 to 32 bits are before the point."""
INTEGER_DIGITS: Final = 10

_MASK64: Final = (1 << 64) - 1


def double_digits(value: float) -> bytes:
    """The text of any double but NaN."""
    if math.isinf(value):
        return b"inf" if value > 0 else b"-inf"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if value == 0:
        return f"{sign}0".encode()
    digits, power = grisu2(abs(value))
    return (sign + _laid_out(digits, power)).encode()


def _laid_out(digits: str, power: int) -> str:
    """The number `digits` * 10**power, with an exponent where it would be long otherwise."""
    count = len(digits)
    exponent = power + count - 1
    if power >= 0 and abs(exponent) < count + 7:
        return digits + "0" * power
    if power < 0 and (power > -7 or abs(exponent) < 4):
        before = count + power
        return f"{digits[:before]}.{digits[before:]}" if before > 0 else "0." + "0" * -before + digits
    mantissa = f"{digits[0]}.{digits[1:]}" if count > 1 else digits
    return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent)}"


def grisu2(value: float) -> tuple[str, int]:
    """Digits and the power of ten they are to be multiplied with, of a positive number."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", value))
    fraction, biased = bits & HIDDEN_BIT - 1, bits >> FRACTION_BITS
    exponent = LOWEST_EXPONENT + max(biased, 1) - 1
    if biased:
        fraction |= HIDDEN_BIT
    upper, lower = 2 * fraction + 1, 2 * fraction - 1
    lower_exponent = exponent - 1
    if fraction == HIDDEN_BIT:  # the neighbour below is nearer
        lower, lower_exponent = 4 * fraction - 1, exponent - 2
    shift = 64 - upper.bit_length()
    upper_exponent = exponent - 1 - shift
    upper <<= shift
    lower <<= lower_exponent - upper_exponent
    middle = fraction << 64 - fraction.bit_length()

    power, ten, ten_exponent = _power_for(upper_exponent)
    point = -(upper_exponent + ten_exponent + 64)
    high = _times(upper, ten) - 1
    low = _times(lower, ten) + 1
    digits, kappa = _generated(_times(middle, ten), high, low, point)
    return digits, kappa - power


def _times(left: int, right: int) -> int:
    """The upper half of a product, rounded."""
    return left * right + (1 << 63) >> 64


def _power_for(exponent: int) -> tuple[int, int, int]:
    """(k, f, e): 10**k is near f * 2**e, and fits a number with this power of two."""
    approximate = math.trunc(-(exponent + 87) * LOG10_OF_2)
    index = math.trunc((approximate - FIRST_POWER) / POWER_STEP)
    while True:
        fraction, own = _power_of_ten(FIRST_POWER + index * POWER_STEP)
        if exponent + own + 64 < MIN_EXPONENT:
            index += 1
        elif exponent + own + 64 > MAX_EXPONENT:
            index -= 1
        else:
            return FIRST_POWER + index * POWER_STEP, fraction, own


@cache
def _power_of_ten(power: int) -> tuple[int, int]:
    """(f, e): 10**power as f * 2**e, rounded to 64 bits."""
    if power >= 0:
        exact = 10**power
        exponent = exact.bit_length() - 64
        if exponent <= 0:
            return exact << -exponent, exponent
        return exact + (1 << exponent - 1) >> exponent, exponent
    divisor = 10**-power
    exponent = -(divisor.bit_length() + 63)
    scaled = ((1 << 1 - exponent) // divisor + 1) >> 1
    if scaled < 1 << 63:
        exponent -= 1
        scaled = ((1 << 1 - exponent) // divisor + 1) >> 1
    return scaled, exponent


def _generated(middle: int, high: int, low: int, point: int) -> tuple[str, int]:
    """Digits of a fixed-point number with `point` bits behind the point, and the power of ten of the last."""
    one = 1 << point
    to_middle, delta = high - middle, high - low
    whole, rest = high >> point, high & one - 1
    digits: list[int] = []
    kappa = INTEGER_DIGITS
    while kappa > 0:
        kappa -= 1
        unit = 10**kappa
        digit, whole = divmod(whole, unit)
        if digit or digits:
            digits.append(digit)
        left = (whole << point) + rest
        if left <= delta:
            _round(digits, delta, left, unit << point, to_middle)
            return "".join(map(str, digits)), kappa
    scale = 1
    while True:
        rest, delta, scale = rest * 10, delta * 10, scale * 10
        kappa -= 1
        digit, rest = rest >> point, rest & one - 1
        if digit or digits:
            digits.append(digit)
        if rest < delta:
            _round(digits, delta, rest, one, to_middle * scale & _MASK64)
            return "".join(map(str, digits)), kappa


def _round(digits: list[int], delta: int, left: int, unit: int, to_middle: int) -> None:
    """Lower the last digit while that brings the number nearer to the one that was meant."""
    while (
        left < to_middle
        and delta - left >= unit
        and (left + unit < to_middle or to_middle - left > left + unit - to_middle)
    ):
        digits[-1] -= 1
        left += unit
