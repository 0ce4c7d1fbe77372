"""Text to double. See parse_double.pyx."""

cdef bint read_double(const char* text, size_t length, double* value) noexcept nogil
