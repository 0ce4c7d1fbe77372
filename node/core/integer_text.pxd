"""Decimal text of 64-bit integers, for compiled code: see integer_text.pyx."""

from libc.stdint cimport int64_t

cdef enum:
    DIGITS = 21              # room for the text of any int64

cdef bint canonical_number(const char* text, size_t length, int64_t* number) noexcept nogil
cdef size_t print_number(int64_t number, char* digits) noexcept nogil
