"""A small set of integers as Redis packs it. See intset.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum:
    INTSET_HEADER = 8
    INTSET_LARGEST = 1 << 30     # integers

cdef inline uint32_t intset_width(const uint8_t* blob) noexcept nogil:
    return (<uint32_t*>blob)[0]

cdef inline uint32_t intset_count(const uint8_t* blob) noexcept nogil:
    return (<uint32_t*>blob)[1]

cdef inline size_t intset_bytes(const uint8_t* blob) noexcept nogil:
    return INTSET_HEADER + <size_t>intset_width(blob) * intset_count(blob)

cdef inline int64_t intset_at(const uint8_t* blob, uint32_t position) noexcept nogil:
    """The integer at 0..count-1, ascending."""
    cdef uint32_t width = intset_width(blob)
    if width == 2:
        return (<short*>(blob + INTSET_HEADER))[position]
    if width == 4:
        return (<int*>(blob + INTSET_HEADER))[position]
    return (<int64_t*>(blob + INTSET_HEADER))[position]

cdef uint8_t* intset_new() noexcept nogil
cdef bint intset_find(const uint8_t* blob, int64_t number, uint32_t* position) noexcept nogil
cdef uint8_t* intset_add(uint8_t* blob, int64_t number, bint* added) noexcept nogil
cdef uint8_t* intset_remove_at(uint8_t* blob, uint32_t position) noexcept nogil
cdef bint intset_check(const uint8_t* blob, size_t length) noexcept nogil
