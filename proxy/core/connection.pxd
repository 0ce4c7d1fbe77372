"""Connections that read and send for themselves, in turns of the worker's own reactor (node/core/reactor.pyx)."""

from libc.stdint cimport int64_t, uint64_t

from node.core.reactor cimport Reactor
from proxy.core.buffers cimport Buffer
from proxy.core.secrecy cimport Secrecy
from proxy.core.sinks cimport ReplySink
from proxy.core.tallies cimport Tallies

cdef class Turns:
    """Reads the clock when a turn begins, and lets all that have output send it at its end."""

    cdef readonly object loop
    cdef Reactor reactor
    cdef readonly Tallies tallies   # and the clock
    cdef bint begun                 # `end` is sure to be called
    cdef list outgoing              # connections with something to do at the end of the turn
    cdef double patience            # s
    cdef list kept_back             # connections whose output waits for more, a little while at most

    cdef int begin(self) except -1
    cdef int wants_flush(self, Connection connection) except -1
    cdef int keep_back(self, Connection connection) except -1

cdef class Connection(ReplySink):
    """One non-blocking socket. Subclasses say what its bytes mean: `on_readable`."""

    cdef object __weakref__
    cdef Turns turns
    cdef bint flush_wanted      # already in turns.outgoing
    cdef bint is_kept_back      # already in turns.kept_back
    cdef int64_t kept_since     # ns: when its output began to wait for more; 0: it does not
    cdef Buffer unread          # an unfinished frame, or input we may not work on yet
    cdef Buffer outgoing
    cdef Secrecy secrecy        # TLS, or None
    cdef readonly int64_t last_active       # ns: when a turn began in which something was read or sent
    cdef readonly uint64_t bytes_received   # of plain text
    cdef readonly uint64_t bytes_sent

    cdef int attach(self, int descriptor) except -1
    cdef int let_go(self) except -1
    cdef Py_ssize_t receive(self, char** data) except -2
    cdef int keep(self, const char* data, Py_ssize_t available, Py_ssize_t used) except -1
    cdef Py_ssize_t send_now(self, const char* data, Py_ssize_t length) except -2
    cdef void note_sent(self, Py_ssize_t count) noexcept
    cdef Py_ssize_t receive_text(self, char* where, Py_ssize_t room) except -2
    cdef bint finish_sending(self) except -1

    cdef int on_patience_ended(self) except -1      # what was kept back is to be sent; to be overridden
    cdef int flush(self) except -1          # end of a turn, or the socket takes output again; to be overridden
    cpdef close(self)
