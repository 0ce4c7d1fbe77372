"""Is a listpack's every field a different one? See pack_unique.pyx."""

from libc.stdint cimport uint8_t, uint32_t

cdef bint pack_is_unique(uint8_t* pack, uint32_t width) except -1
