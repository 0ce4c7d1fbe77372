"""A socket that we read and write ourselves. See wire.pyx."""

from libc.stdint cimport int64_t

from node.core.reactor cimport Watched
from node.core.reply_writer cimport ReplyWriter

cdef class Wire(Watched):
    cdef readonly object socket
    cdef readonly object protocol
    cdef size_t queued               # bytes that the socket has not taken yet, in …
    cdef object queue                # … a deque of bytes and of ReplyWriters, or None; of the first one …
    cdef size_t gone                 # … so many have been sent
    cdef size_t high_water
    cdef bint told_to_wait
    cdef bint paused
    cdef bint closing                # nothing is read or written any more but what is queued
    cdef bint ended                  # the protocol has been told, or is about to be

    cdef size_t send_now(self, const char* data, size_t length) noexcept
    cdef int put(self, ReplyWriter reply) except -1
    cpdef write(self, data)
    cdef int keep(self, piece, size_t length) except -1
    cdef int end(self, error) except -1
