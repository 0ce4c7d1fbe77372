"""Decimal text of 64-bit integers, for compiled code: see integer_text.pyx."""

from libc.stdint cimport int64_t, uint64_t

cdef enum:
    DIGITS = 21              # room for the text of any int64

cdef bint canonical_number(const char* text, size_t length, int64_t* number) noexcept nogil

cdef inline char* put_number(char* out, int64_t number) noexcept nogil:
    """The decimal text of `number`; returns where it ends."""
    cdef uint64_t magnitude = 0 - <uint64_t>number if number < 0 else <uint64_t>number
    cdef uint64_t power = 10
    cdef unsigned int pair
    cdef char* p
    cdef char* end
    if number < 0:
        out[0] = c"-"
        out += 1
    end = out + 1
    while magnitude >= power:    # 10**19 at most, which is more than any magnitude
        power *= 10
        end += 1
    p = end - 1
    while magnitude >= 10:    # two at a time: they wait for a division less
        pair = <unsigned int>(magnitude % 100)
        magnitude //= 100
        p[0] = c"0" + <char>(pair % 10)
        p[-1] = c"0" + <char>(pair // 10)
        p -= 2
    if p >= out:
        p[0] = c"0" + <char>magnitude
    return end

cdef inline size_t print_number(int64_t number, char* digits) noexcept nogil:
    """The decimal text of `number` into `digits`; returns its length."""
    return put_number(digits, number) - digits
