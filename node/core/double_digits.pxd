"""The digits of doubles, as Redis prints them. See double_digits.pyx."""

cdef enum:
    DOUBLE_TEXT = 32    # room for the text of any double

cdef size_t print_digits(double value, char* text) noexcept nogil
cdef size_t print_double(double value, char* text) noexcept nogil
