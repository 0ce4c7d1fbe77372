"""Bytes as machine words, wherever they lie."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef inline uint64_t word_at(const void* at) noexcept nogil:
    """Eight bytes; on all machines that we run on the first is the lowest."""
    cdef uint64_t word
    memcpy(&word, at, 8)
    return word

cdef inline uint64_t few_at(const unsigned char* at, size_t count) noexcept nogil:
    """So many bytes, fewer than eight, and zeros above them: two loads that may overlap, since a copy of any length is
    a call."""
    cdef uint32_t low, high
    cdef uint16_t first, last
    if count >= 4:
        memcpy(&low, at, 4)
        memcpy(&high, at + count - 4, 4)
        return low | <uint64_t>high << (8 * (count - 4))
    if count >= 2:
        memcpy(&first, at, 2)
        memcpy(&last, at + count - 2, 2)
        return first | <uint64_t>last << (8 * (count - 2))
    return at[0] if count else 0
