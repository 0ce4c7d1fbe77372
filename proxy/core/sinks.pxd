"""Who is waiting for a reply."""

from libc.stdint cimport int64_t, uint64_t

from node.core.reactor cimport Watched

cdef class ReplySink(Watched):
    """Whoever sends a request to a worker names a sink and a tag; the sink gets the reply and the tag back.

    Exactly one call per request, whatever happens: a lost connection answers with an error reply. The bytes
    are one whole reply and belong to the caller: copy what is to be kept.

    A client is both a sink and a connection, and a compiled class has one base: so all sinks could be watched.
    """

    cdef int on_reply(self, uint64_t tag, const char* reply, Py_ssize_t length) except -1

    # When the request arrived, ns; 0: not known, so it counts from when it is sent.
    cdef int64_t began(self, uint64_t tag) noexcept

cdef class Tap(ReplySink):
    """Hears what workers have carried out: of each worker in the order in which it did.

    Called with request and reply before the reply goes to `sink`; the bytes belong to the caller.
    """

    cdef int answered(
        self, ReplySink sink, const char* request, Py_ssize_t length, const char* reply, Py_ssize_t reply_length
    ) except -1
