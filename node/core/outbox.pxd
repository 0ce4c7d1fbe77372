"""Output that has to wait. See outbox.pyx."""

from libc.stdint cimport int64_t

cdef enum:          # what output may wait for, as bits
    LOG = 1
    COPIES = 2
    LEASE = 4

cdef class Outbox:
    cdef readonly int shut           # what output waits for; 0: nothing
    cdef readonly int64_t promised   # the stream's offset up to which a reply made now tells of data
    cdef readonly int64_t copied     # the offset that enough replicas have
    cdef readonly int64_t limit      # what is held with a mark up to this may leave
    cdef object commit               # brings the log up to date and opens; None while that is not awaited
    cdef list held                   # connections with output that waits

    cdef bint keeps(self, bint tells_data) noexcept
    cdef int64_t mark(self, bint tells_data) noexcept
    cdef int take(self, connection, size_t length) except -1
    cdef int settle(self) except -1
