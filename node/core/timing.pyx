"""How long commands take: a sum and a histogram per command.

Who measures what:

- A Python handler is timed on its own: `Engine.run` reads the clock before and after it.
- Compiled handlers take less time than reading a clock twice. A batch of requests is timed as a
  whole, the time of the Python handlers among them taken off, and shared out evenly (`share_out`). So
  their mean is right, their distribution is as fine as batches are small, and a client that waits for each
  reply gets exact figures.

A histogram has buckets of constant relative width: each doubling of time is divided into STEPS of them, so that
counts below a power of two, which LATENCY HISTOGRAM shows, are exact. It is allocated with a command's first
call, about 7 KB.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free


cdef extern from *:
    """
    #define FIRST_DOUBLING 6  /* 2 * STEPS is 1 << this */
    static int doublings(uint64_t value) {  /* how often to halve a value until it is below 2 * STEPS */
        return 63 - __builtin_clzll(value | (1 << (FIRST_DOUBLING - 1))) - (FIRST_DOUBLING - 1);
    }
    """
    int doublings(uint64_t value) nogil


cdef inline int bucket_of(uint64_t value) noexcept nogil:
    """The bucket of a time in ns: below 2 * STEPS one each, then STEPS for each doubling."""
    cdef int shift
    if value >= LONGEST:
        value = LONGEST - 1
    shift = doublings(value)
    return shift * STEPS + <int>(value >> shift)


cdef inline uint64_t highest_in(int bucket) noexcept nogil:
    """The longest time, in ns, that belongs to a bucket."""
    cdef int shift = bucket // STEPS - 1
    if shift <= 0:
        return bucket
    return ((<uint64_t>(bucket - shift * STEPS) + 1) << shift) - 1


cdef int note(Timing* timing, int64_t nanoseconds, uint64_t calls, bint tracked) except -1 nogil:
    """Count `calls` calls that took `nanoseconds` together. `tracked`: in the histogram too."""
    timing.nanoseconds += nanoseconds
    if not tracked:
        return 0
    if timing.buckets == NULL:
        timing.buckets = <uint64_t*>calloc(BUCKETS, sizeof(uint64_t))
        if timing.buckets == NULL:
            with gil:
                raise MemoryError
    # A division costs as much as all the rest, and most often there is nothing to share out.
    timing.buckets[bucket_of(nanoseconds if calls == 1 else <uint64_t>nanoseconds // calls)] += calls
    return 0


cdef list distribution(Timing* timing):
    """[(longest time in ns, calls)] of the buckets that are not empty, ascending."""
    cdef int i
    if timing.buckets == NULL:
        return []
    return [(highest_in(i), timing.buckets[i]) for i in range(BUCKETS) if timing.buckets[i]]


cdef void forget(Timing* timing) noexcept nogil:
    timing.nanoseconds = 0
    free(timing.buckets)
    timing.buckets = NULL
