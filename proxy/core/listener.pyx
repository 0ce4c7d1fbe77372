"""A connection that listens: what a worker tells without being asked, frame by frame.

A subscribed or monitoring connection has no requests and replies that could be counted against each other.
Its owner (lines.py) sends what it likes and is handed every frame that arrives, be it a message, a
confirmation or an error.
"""

from proxy.core.buffers cimport append, consume, size
from proxy.core.connection cimport Connection, Turns
from proxy.core.replies cimport ReplyConnection
from proxy.core.secrecy cimport Secrecy


cdef class Listener(ReplyConnection):
    """Speaks RESP3, in which messages are told from other replies."""

    cdef readonly object owner          # lines.Lines
    cdef readonly tuple address

    def __init__(self, Turns turns not None, owner, tuple address):
        self.turns = turns
        self.owner = owner
        self.address = address

    def __repr__(self):
        return "%s:%d" % self.address

    @property
    def is_open(self) -> bool:
        return self.descriptor >= 0

    def connected(self, int descriptor, Secrecy secrecy=None) -> None:
        """Take over a socket on which the handshake is done; what was to be sent up to now is."""
        self.take_over(descriptor, secrecy)
        if size(&self.outgoing) and not self.flush_wanted:
            self.turns.wants_flush(self)

    def send(self, bytes request not None) -> None:
        append(&self.outgoing, request, len(request))
        if self.descriptor >= 0 and not self.flush_wanted:
            self.turns.wants_flush(self)

    def hang_up(self) -> None:
        """Close without telling the owner."""
        Connection.close(self)

    cpdef close(self):
        if self.descriptor >= 0:
            Connection.close(self)
            self.owner.lost(self)

    cdef int flush(self) except -1:
        cdef Py_ssize_t sent
        cdef Py_ssize_t held = size(&self.outgoing)
        if held == 0:
            return 0
        sent = self.send_now(self.outgoing.data + self.outgoing.start, held)
        if sent < 0:
            self.close()
            return 0
        consume(&self.outgoing, sent)
        if sent < held:
            self.interest(True, True)
        return 0

    cdef int take_reply(self, const char* reply, Py_ssize_t length) except -1:
        self.owner.heard(self, reply[:length])
        return 0
