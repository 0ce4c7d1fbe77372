"""The I/O of the proxy below the event loop: connections that read and send for themselves, in turns."""

from proxy.core.buffers cimport Buffer
from proxy.core.secrecy cimport Secrecy
from proxy.core.sinks cimport ReplySink
from proxy.core.tallies cimport Tallies

cdef class Reactor:
    """Finds who is ready, lets them work, then lets all that have output send it: a turn."""

    cdef object loop
    cdef readonly Tallies tallies   # and the clock
    cdef int poller             # our own epoll descriptor, or -1: the loop watches every connection itself
    cdef bint in_turn           # a flush is sure to follow
    cdef bint flush_scheduled
    cdef list outgoing          # connections with something to do at the end of the turn
    cdef list closed            # kept alive until no event of the turn can point to them any more
    cdef dict connections       # descriptor -> connection: what keeps connections alive

    cdef int watch(self, Connection connection, bint reading, bint writing) except -1
    cdef int forget(self, Connection connection) except -1
    cdef int let_go(self, Connection connection) except -1
    cdef int wants_flush(self, Connection connection) except -1
    cdef int flush_all(self) except -1
    cdef int _schedule_flush(self) except -1

cdef class Connection(ReplySink):
    """One non-blocking socket. Subclasses say what its bytes mean."""

    cdef object __weakref__
    cdef Reactor reactor
    cdef int descriptor         # -1: closed, or not open yet
    cdef bint reading           # we want to be told of input
    cdef bint writing           # the socket took less than we had: we want to be told when it takes more
    cdef bint flush_wanted      # already in reactor.outgoing
    cdef Buffer unread          # an unfinished frame, or input we may not work on yet
    cdef Buffer outgoing
    cdef Secrecy secrecy        # TLS, or None

    cdef int attach(self, int descriptor) except -1
    cdef int interest(self, bint reading, bint writing) except -1
    cdef Py_ssize_t receive(self, char** data) except -2
    cdef int keep(self, const char* data, Py_ssize_t available, Py_ssize_t used) except -1
    cdef Py_ssize_t send_now(self, const char* data, Py_ssize_t length) except -2
    cdef Py_ssize_t receive_text(self, char* where, Py_ssize_t room) except -2
    cdef bint finish_sending(self) except -1

    # For subclasses to override:
    cdef int on_readable(self) except -1
    cdef int flush(self) except -1          # end of a turn, or the socket takes output again
    cpdef close(self)
