"""How long commands take, for compiled code. See timing.pyx."""

from libc.stdint cimport int64_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef enum:
    STEPS = 32              # buckets per doubling: figures are right to 1/32, as close as Redis' two digits
    LONGEST = 1 << 30       # ns; what takes longer counts as this long
    BUCKETS = 26 * STEPS    # up to LONGEST

cdef struct Timing:
    uint64_t nanoseconds    # spent in all
    uint64_t* buckets       # [BUCKETS] calls by their time, NULL before the first

cdef inline int64_t monotonic_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t>t.tv_sec * 1000000000 + t.tv_nsec

cdef int note(Timing* timing, int64_t nanoseconds, uint64_t calls, bint tracked) except -1 nogil
cdef list distribution(Timing* timing)
cdef void forget(Timing* timing) noexcept nogil
