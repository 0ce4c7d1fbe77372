"""What leaves for one client. See client_output.pyx."""

from libc.stdint cimport int64_t, uint64_t

from node.core.engine cimport Engine
from node.core.fanout cimport Receiver
from node.core.reply_writer cimport ReplyWriter
from node.core.wire cimport Wire

cdef enum:
    FLUSH_SIZE = 256 * 1024      # a batch's replies beyond this do not wait for its end

cdef class ClientOutput(Receiver):
    cdef Engine engine
    cdef object loop
    cdef readonly object transport
    cdef Wire wire                # the transport, where it is one of these
    cdef bint gone
    cdef bint serving             # requests are being executed: replies and pushes share the engine's writer
    cdef list held                # output that waits in the outbox, as (mark, data), or None
    cdef size_t held_length
    cdef bint closes              # when that has been sent
    cdef readonly uint64_t bytes_sent
    cdef public int64_t output_limit      # bytes that may wait in the transport, 0 no limit
    cdef readonly bint overflowed

    cdef int flush(self) except -1
    cdef bint stream_waits(self) except -1
    cdef int put(self, ReplyWriter reply) except -1
    cdef int put_bytes(self, bytes data) except -1
    cdef int check_limit(self) except -1
    cdef int say(self, bytes data, bint tells_data) except -1
    cdef int hold(self, bytes data, bint tells_data) except -1
    cdef int count_sent(self, size_t length) except -1
    cdef size_t unsent(self) except? 0xFFFFFFFF
    cdef size_t waiting_output(self) except? 0xFFFFFFFF
    cdef int drained(self) except -1
    cpdef close(self)
    cpdef abort(self)
