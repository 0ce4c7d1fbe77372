"""Receivers of replies; see sinks.pxd. `Job` is the one that plain Python extends."""

from node.core.reactor cimport Watched

import logging

log = logging.getLogger("shoal.proxy")


cdef class ReplySink(Watched):

    cdef int on_reply(self, uint64_t tag, const char* reply, Py_ssize_t length) except -1:
        raise NotImplementedError

    cdef int64_t began(self, uint64_t tag) noexcept:
        return 0

    def deliver(self, uint64_t tag, bytes reply not None) -> None:
        """Hand over a reply that did not come from a worker: an error of the proxy's own."""
        self.on_reply(tag, reply, len(reply))


cdef class Tap(ReplySink):

    cdef int answered(
        self, ReplySink sink, const char* request, Py_ssize_t length, const char* reply, Py_ssize_t reply_length
    ) except -1:
        raise NotImplementedError


cdef class Job(ReplySink):
    """Work that sends requests of its own and takes the replies. Subclasses override `replied`."""

    cdef object __weakref__

    cdef int on_reply(self, uint64_t tag, const char* reply, Py_ssize_t length) except -1:
        try:
            self.replied(tag, reply[:length])
        except Exception:  # must not reach the worker's connection, which others share
            log.exception("%r failed", self)
            self.failed()
        return 0

    def replied(self, tag: int, reply: bytes) -> None:
        """`reply` is one whole reply, raw; `tag` is what was given to `Upstream.send` with the request."""
        raise NotImplementedError

    def failed(self) -> None:
        """`replied` has raised an exception: tell whoever waits."""
        raise NotImplementedError
