"""Reads of hot keys: shared between those who ask at the same time, and, if allowed, answered from a cache."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from proxy.core.routes cimport SlotMap
from proxy.core.sinks cimport ReplySink

cdef enum Taken:
    NOT_TAKEN           # to be forwarded as if there were no hot keys
    TAKEN
    TAKEN_BEHIND        # the client's next requests must wait for the answer

cdef class SharedRead(ReplySink):
    """One request, byte for byte, of however many clients; at most one of it is on its way."""

    cdef HotReads owner
    cdef bytes request
    cdef int slot
    cdef bint resp3
    cdef list asked             # (client, tag) whom the request on its way answers; None: there is none
    cdef list waiting           # those who came after it was sent
    cdef bint keepable          # nothing has been heard since it was sent that forbids to keep the reply
    cdef int64_t sent_at        # ms
    cdef bytes reply            # kept; or None
    cdef int64_t true_at        # ms, when the kept reply was true at the earliest

    cdef int send(self) except -1
    cdef void drop(self) noexcept

cdef class HotKey:
    cdef readonly int64_t rate  # reads a second
    cdef dict reads             # (request, RESP3?) -> SharedRead

cdef class HotReads:
    cdef SlotMap slots
    cdef object loop
    cdef object lines           # invalidations.Invalidations, None where nothing is kept
    cdef int64_t max_age        # ms
    cdef Py_ssize_t room        # bytes for replies that are kept
    cdef int64_t least_rate     # reads a second that make a key hot
    cdef dict hot               # key -> HotKey
    cdef object sketch          # of the reads sampled since the last look
    cdef int countdown          # reads until the next sample
    cdef uint32_t lot
    cdef int64_t looked_at
    cdef object timer
    cdef readonly Py_ssize_t kept       # bytes
    cdef readonly uint64_t shared       # reads that were answered together with others
    cdef readonly uint64_t hits         # ... and from the cache

    cdef Taken take(
        self, ReplySink client, uint64_t tag, const char* request, Py_ssize_t length,
        const char* key, Py_ssize_t key_length, int slot, bint reads, bint resp3, bint alone, bint strict
    ) except *
    cdef int sample(self, bytes key) except -1
