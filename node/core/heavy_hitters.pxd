"""The keys that weigh most, for compiled code. See heavy_hitters.pyx."""

from libc.stdint cimport int64_t

cdef struct Counter:
    int64_t count
    int64_t error
    int place                # in the heap

cdef class HeavyHitters:
    cdef int capacity
    cdef int used
    cdef Counter* counters
    cdef int* heap           # numbers of counters
    cdef list keys           # of each counter
    cdef dict places         # key -> number of its counter

    cpdef add(self, bytes key, int64_t weight)
    cdef void put(self, int place, int number) noexcept
    cdef void rise(self, int place) noexcept
    cdef void sink(self, int place) noexcept
