"""The replies of one client, in the order of its requests; see answers.pyx."""

from libc.stdint cimport int16_t, int64_t, uint64_t

from proxy.core.limits cimport Limits, OutputLimit
from proxy.core.connection cimport Connection
from proxy.core.tallies cimport Tallies

cdef enum:
    SMALL = 16              # bytes of a reply that need no memory of their own: OK, a number

cdef struct Pending:
    char* reply             # of a later request that was answered before an earlier one; else, or if small, NULL
    char small[SMALL]
    Py_ssize_t reply_length
    Py_ssize_t request_length
    int64_t started         # when it was read, ns; 0: it is not timed
    int16_t number          # of its command, among the tallies
    bint answered
    bint last               # of those that were read together
    bint muted              # CLIENT REPLY OFF or SKIP: the reply is dropped

cdef class Answers(Connection):
    cdef public uint64_t id             # of the client
    cdef Tallies tallies
    cdef public bint replies_off        # CLIENT REPLY OFF
    cdef public bint skip_next          # CLIENT REPLY SKIP: the next request is muted
    cdef bint blocked                   # the last request blocks: go on reading, to notice who leaves
    cdef Py_ssize_t bytes_in_flight     # of requests not answered yet
    cdef Py_ssize_t usual_reply         # a moving average of the length of replies
    cdef Limits bounds
    cdef int64_t over_since[2]          # ns; 0: replies, and messages, are below their soft limits

    # Requests not yet answered, or answered too early (rings.pxd)
    cdef Pending* ring
    cdef uint64_t ring_size
    cdef readonly uint64_t head
    cdef readonly uint64_t tail
    cdef uint64_t tail_seen             # `tail` when we were looked at last (trim)
    cdef int16_t last_number            # of the last request's command, before the ring was given back
    cdef bint is_whole                  # nothing that is to be sent should wait for other replies
    cdef Py_ssize_t stashed             # bytes of replies that came too early

    cdef int16_t newest(self) noexcept
    cdef uint64_t push(self, Py_ssize_t request_length) except? 0
    cdef int grow(self) except -1
    cdef void forget_requests(self) noexcept
    cdef int release_answered(self) except -1
    cdef int check_unread(self) except -1
    cdef bint overflows(self, OutputLimit* limit, int kind, Py_ssize_t held) noexcept
