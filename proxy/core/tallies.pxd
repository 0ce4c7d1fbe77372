"""Counts and times of requests, per command; and the clock of the proxy. See tallies.pyx."""

from libc.stdint cimport int64_t, uint64_t

from node.core.timing cimport Timing

cdef struct Tally:
    uint64_t calls
    uint64_t failed         # answered with an error
    uint64_t rejected       # ... before anything was done
    Timing timing           # from the request's arrival until its reply is there

cdef class Tallies:
    cdef int64_t now                # ns: when this turn began
    cdef public int64_t slow_after  # ns: a request that takes longer goes to `slow`; NEVER: none does
    cdef public object slow         # slow_requests.SlowRequests.note
    cdef public int64_t slow_most   # in a second: others are let pass
    cdef int64_t slow_left          # ... in this second, which began at
    cdef int64_t slow_since
    cdef readonly dict errors       # first word of an error reply -> how often
    cdef readonly dict numbers      # name of a command -> its number
    cdef readonly tuple names       # [number]; that of 0 is empty
    cdef Tally* rows                # [number]; row 0 is for what is no command
    cdef int count

    cdef int note(self, int number, int64_t started, const char* reply, Py_ssize_t length) except -1
    cdef bint looks_at_slow(self) noexcept
    cdef int note_error(self, const char* reply, Py_ssize_t length) except -1
