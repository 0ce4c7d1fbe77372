"""What commands cost, by key, for compiled code. See key_traffic.pyx."""

from libc.stdint cimport int64_t, uint64_t

from node.core.heavy_hitters cimport HeavyHitters

cdef struct Cost:
    int64_t nanoseconds
    int64_t bytes

cdef class KeyTraffic:
    cdef HeavyHitters times       # None where time is not asked for
    cdef HeavyHitters volumes     # the same of bytes
    cdef readonly int64_t ratio
    cdef bytes selected           # a byte for each slot, or None for all
    cdef uint64_t random
    cdef Cost total
    cdef Cost of_selected
    cdef Cost of_sampled

    cdef bint selects(self, int slot) noexcept
    cdef bint draws(self) noexcept
    cdef int note(self, int slot, list keys, int64_t nanoseconds, int64_t bytes_) except -1
