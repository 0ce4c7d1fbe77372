"""A connection that listens: what a worker tells without being asked, frame by frame.

A subscribed or monitoring connection has no requests and replies that could be counted against each other.
Its owner (lines.py) sends what it likes and is handed every frame that arrives, be it a message, a
confirmation or an error.
"""

from libc.string cimport memset

from proxy.core.buffers cimport append, consume, size
from proxy.core.frames cimport BROKEN, NEED_MORE, ReplyScan, scan_reply
from proxy.core.reactor cimport Connection
from proxy.core.secrecy cimport Secrecy


cdef class Listener(Connection):
    """Speaks RESP3, in which messages are told from other replies."""

    cdef readonly object owner          # lines.Lines
    cdef readonly tuple address
    cdef ReplyScan scan

    def __init__(self, reactor, owner, tuple address):
        self.reactor = reactor
        self.owner = owner
        self.address = address

    @property
    def is_open(self) -> bool:
        return self.descriptor >= 0

    def connected(self, int descriptor, Secrecy secrecy=None) -> None:
        """Take over a socket on which the handshake is done; what was to be sent up to now is."""
        memset(&self.scan, 0, sizeof(self.scan))
        self.secrecy = secrecy
        self.attach(descriptor)
        if size(&self.outgoing) and not self.flush_wanted:
            self.reactor.wants_flush(self)

    def send(self, bytes request not None) -> None:
        append(&self.outgoing, request, len(request))
        if self.descriptor >= 0 and not self.flush_wanted:
            self.reactor.wants_flush(self)

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

    cdef int on_readable(self) except -1:
        cdef char* data
        cdef Py_ssize_t used = 0
        cdef Py_ssize_t available = self.receive(&data)
        cdef int result
        if available < 0:
            self.close()
            return 0
        while used < available:
            result = scan_reply(data + used, available - used, &self.scan)
            if result == NEED_MORE:
                break
            if result == BROKEN:
                raise ConnectionError(f"{self.address} does not speak RESP")
            self.owner.heard(self, data[used:used + self.scan.at])
            if self.descriptor < 0:
                return 0
            used += self.scan.at
            self.scan.at = 0
            self.scan.begun = False
        self.keep(data, available, used)
        return 0
