"""The digits in which Redis prints doubles: those of the library fpconv.

fpconv finds digits by the algorithm Grisu2 (Florian Loitsch, "Printing Floating-Point Numbers Quickly and
Accurately with Integers", 2010). They always read back as the same number, but once in some thousand numbers
they are not the shortest that do, so that Python's own digits would not serve here.

A number is taken as a fraction of 64 bits and a power of two. Multiplied by a power of ten close to its
magnitude, it and the boundaries to its neighbours become fixed-point numbers, whose digits are taken off one
by one until what is left lies between the boundaries.

There are two forms of text. `print_digits` is the number as fpconv writes it, which DEBUG DIGEST and scripts
show. `print_double` writes whole numbers up to 2**62 as integers, as replies and packed scores have them.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport isinf, isnan, signbit
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset

from node.core.integer_text cimport print_number

cdef extern from *:
    """
    #define SHOAL_CLZ(x) __builtin_clzll(x)
    /* The upper half of a product, rounded. */
    static inline uint64_t shoal_times(uint64_t left, uint64_t right)
    {
        return (uint64_t)(((unsigned __int128)left * right + ((uint64_t)1 << 63)) >> 64);
    }
    """
    int leading_zeros "SHOAL_CLZ"(uint64_t word) nogil
    uint64_t times "shoal_times"(uint64_t left, uint64_t right) nogil

cdef enum:
    FRACTION_BITS = 52
    LOWEST_EXPONENT = -1074    # power of two of a double's lowest bit, at the least
    FIRST_POWER = -348         # powers of ten are taken from those of 10**-348, 10**-340, ...
    POWER_STEP = 8
    POWERS = 87
    MIN_EXPONENT = -60         # between these lies the power of two after multiplication, so that
    MAX_EXPONENT = -32         # 4 to 32 bits are before the point
    INTEGER_DIGITS = 10
    MOST_DIGITS = 20

cdef uint64_t HIDDEN_BIT = <uint64_t>1 << FRACTION_BITS
cdef double LOG10_OF_2 = 0.30102999566398114
cdef double LARGEST_INTEGER = 4611686018427387904.0    # 2**62


cdef struct Power:
    uint64_t fraction    # the power of ten is near fraction * 2**exponent
    int exponent

cdef Power powers[POWERS]


cdef int fill_powers() except -1:
    """Powers of ten, rounded to 64 bits."""
    for index in range(POWERS):
        power = FIRST_POWER + index * POWER_STEP
        above, below = (10**power, 1) if power >= 0 else (1, 10**-power)
        exponent = above.bit_length() - below.bit_length() - 64
        while True:
            if exponent > 0:
                fraction = (2 * above // (below << exponent) + 1) >> 1
            else:
                fraction = (2 * (above << -exponent) // below + 1) >> 1
            if fraction < 1 << 64:
                break
            exponent += 1
        powers[index].fraction = fraction
        powers[index].exponent = exponent
    return 0


fill_powers()


cdef int power_for(int exponent) noexcept nogil:
    """Index of the power of ten that fits a number with this power of two."""
    cdef int approximate = <int>(-(exponent + FRACTION_BITS + 35) * LOG10_OF_2)
    cdef int index = (approximate - FIRST_POWER) // POWER_STEP
    cdef int scaled
    while True:
        scaled = exponent + powers[index].exponent + 64
        if scaled < MIN_EXPONENT:
            index += 1
        elif scaled > MAX_EXPONENT:
            index -= 1
        else:
            return index


cdef int grisu2(double value, char* digits, int* power) noexcept nogil:
    """Digits of a positive number: how many; `power` is that of ten that they are to be multiplied with."""
    cdef uint64_t bits, fraction, upper, lower, middle
    cdef int exponent, lower_exponent, upper_exponent, biased, shift, index, count
    cdef Power ten
    memcpy(&bits, &value, sizeof(bits))
    fraction = bits & (HIDDEN_BIT - 1)
    biased = <int>(bits >> FRACTION_BITS)
    exponent = LOWEST_EXPONENT
    if biased:
        fraction |= HIDDEN_BIT
        exponent += biased - 1
    upper = 2 * fraction + 1
    lower = 2 * fraction - 1
    lower_exponent = exponent - 1
    if fraction == HIDDEN_BIT:    # the neighbour below is nearer
        lower = 4 * fraction - 1
        lower_exponent = exponent - 2
    shift = leading_zeros(upper)
    upper <<= shift
    upper_exponent = exponent - 1 - shift
    lower <<= lower_exponent - upper_exponent
    middle = fraction << leading_zeros(fraction)

    index = power_for(upper_exponent)
    ten = powers[index]
    upper = times(upper, ten.fraction) - 1
    lower = times(lower, ten.fraction) + 1
    middle = times(middle, ten.fraction)
    power[0] = -(FIRST_POWER + index * POWER_STEP)
    count = generate(middle, upper, lower, -(upper_exponent + ten.exponent + 64), digits, power)
    return count


cdef int generate(
    uint64_t middle, uint64_t high, uint64_t low, int point, char* digits, int* power
) noexcept nogil:
    """Digits of a fixed-point number with `point` bits behind the point; adds the last one's power of ten."""
    cdef uint64_t one = <uint64_t>1 << point
    cdef uint64_t delta = high - low
    cdef uint64_t to_middle = high - middle
    cdef uint64_t rest = high & (one - 1)
    cdef uint64_t scale = 1
    cdef uint64_t left
    cdef uint64_t unit = 1000000000
    cdef uint32_t whole = <uint32_t>(high >> point)
    cdef int count = 0
    cdef int kappa = INTEGER_DIGITS
    cdef int digit
    while kappa > 0:
        kappa -= 1
        digit = <int>(whole // unit)
        whole = <uint32_t>(whole % unit)
        if digit or count:
            digits[count] = c"0" + digit
            count += 1
        left = (<uint64_t>whole << point) + rest
        if left <= delta:
            power[0] += kappa
            round_last(&digits[count - 1], delta, left, unit << point, to_middle)
            return count
        unit //= 10
    while True:
        rest *= 10
        delta *= 10
        scale *= 10
        kappa -= 1
        digit = <int>(rest >> point)
        rest &= one - 1
        if digit or count:
            digits[count] = c"0" + digit
            count += 1
        if rest < delta:
            power[0] += kappa
            round_last(&digits[count - 1], delta, rest, one, to_middle * scale)
            return count


cdef void round_last(
    char* digit, uint64_t delta, uint64_t left, uint64_t unit, uint64_t to_middle
) noexcept nogil:
    """Lower the last digit while that brings the number nearer to the one that was meant."""
    while (
        left < to_middle
        and delta - left >= unit
        and (left + unit < to_middle or to_middle - left > left + unit - to_middle)
    ):
        digit[0] -= 1
        left += unit


cdef size_t lay_out(char* digits, int count, int power, char* text) noexcept nogil:
    """The number digits * 10**power, with an exponent where it would be long otherwise."""
    cdef int exponent = power + count - 1
    cdef int magnitude = -exponent if exponent < 0 else exponent
    cdef int before = count + power
    cdef size_t length
    if power >= 0 and magnitude < count + 7:
        memcpy(text, digits, count)
        memset(text + count, c"0", power)
        return before
    if power < 0 and (power > -7 or magnitude < 4):
        if before > 0:
            memcpy(text, digits, before)
            text[before] = c"."
            memcpy(text + before + 1, digits + before, count - before)
            return count + 1
        text[0] = c"0"
        text[1] = c"."
        memset(text + 2, c"0", -before)
        memcpy(text + 2 - before, digits, count)
        return 2 - before + count
    text[0] = digits[0]
    length = 1
    if count > 1:
        text[1] = c"."
        memcpy(text + 2, digits + 1, count - 1)
        length = count + 1
    return length + snprintf(
        text + length, DOUBLE_TEXT - length, b"e%c%d", c"-" if exponent < 0 else c"+", magnitude
    )


cdef size_t print_digits(double value, char* text) noexcept nogil:
    """The text of any double, as fpconv writes it: its length. `text` has room for DOUBLE_TEXT, no NUL."""
    cdef char digits[MOST_DIGITS]
    cdef size_t sign = 0
    cdef int count, power
    if isnan(value):
        memcpy(text, b"nan", 3)
        return 3
    if signbit(value):
        text[0] = c"-"
        sign = 1
        value = -value
    if isinf(value):
        memcpy(text + sign, b"inf", 3)
        return sign + 3
    if value == 0:
        text[sign] = c"0"
        return sign + 1
    count = grisu2(value, digits, &power)
    return sign + lay_out(digits, count, power, text + sign)


cdef size_t print_double(double value, char* text) noexcept nogil:
    """As `print_digits`, but whole numbers up to 2**62 are written as integers. Redis' d2string."""
    if -LARGEST_INTEGER <= value <= LARGEST_INTEGER and value == <double><int64_t>value and value != 0:
        return print_number(<int64_t>value, text)
    return print_digits(value, text)


def double_digits(double value) -> bytes:
    """The text of a double as DEBUG DIGEST hashes it: always fpconv's, so that 1e9 is `1e+9`."""
    cdef char text[DOUBLE_TEXT]
    return PyBytes_FromStringAndSize(text, print_digits(value, text))


def format_double(double value) -> bytes:
    """The text of a double as replies have it: 1e9 is `1000000000`."""
    cdef char text[DOUBLE_TEXT]
    return PyBytes_FromStringAndSize(text, print_double(value, text))
