"""Decimal text of 64-bit integers in its one canonical form: no plus, no leading zeros, no "-0".

Wherever text may be kept as a number, it is for text of this form alone, which reads back as the same bytes.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t

cdef enum:
    LONGEST_NUMBER = 20      # digits of an int64, with the sign


cdef bint canonical_number(const char* text, size_t length, int64_t* number) noexcept nogil:
    """Whether `text` is what printing some int64 would give, which is then `number`."""
    cdef uint64_t magnitude = 0
    cdef size_t i = 0
    cdef bint negative
    if length == 0 or length > LONGEST_NUMBER:
        return False
    negative = text[0] == c"-"
    if negative:
        i = 1
    if length - i < 1 or length - i > 19:
        return False
    if text[i] == c"0":
        number[0] = 0
        return length == 1
    while i < length:
        if text[i] < c"0" or text[i] > c"9":
            return False
        magnitude = magnitude * 10 + <uint64_t>(text[i] - c"0")
        i += 1
    if magnitude > (<uint64_t>1 << 63) - (0 if negative else 1):
        return False
    number[0] = <int64_t>(0 - magnitude if negative else magnitude)
    return True


def canonical_integer(bytes text not None) -> int | None:
    """The 64-bit integer whose decimal text is exactly `text`, or None."""
    cdef int64_t number
    if canonical_number(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), &number):
        return number
    return None
