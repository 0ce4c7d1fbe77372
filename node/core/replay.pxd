"""Executing a recorded stream of commands. See replay.pyx."""

from libc.stdint cimport int64_t

from node.core.engine cimport Client, Request
from node.core.request_reader cimport Limits, Progress

cdef class Replay:
    cdef Client client
    cdef bytearray rest           # what arrived and was not executed
    cdef Progress progress
    cdef Limits limits
    cdef bint more                # the time was up
    cdef bint stopped             # nothing more is to be executed
    cdef readonly int64_t done    # bytes executed
    cdef readonly int64_t good    # of these, all but a transaction that has begun and not ended
    cdef readonly int64_t commands
    cdef readonly bytes error     # the line of the first error reply, or None

    cdef size_t execute(self, const char* base, size_t length, int64_t deadline) except? 0xFFFFFFFF
    cdef bint execute_batch(self, const char* base, size_t length, size_t* used) except -1
    cdef int perform(self, Request* request) except -1
    cdef int serve(self, Request* request) except -1
    cdef int executed(self, Request* request) except -1
    cdef int failed(self, Request* request, bytes line) except -1
    cdef size_t pass_over(self, const char* base, size_t position, size_t length) except? 0xFFFFFFFF
