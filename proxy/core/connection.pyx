"""Turns: read from all who have something, then send to all who get something.

The event loop waits by the workers' reactor (node/core/reactor.pyx), which calls us for each connection that is
ready. Here is what makes a turn of it:

* Nothing is sent while events are being handled; whoever has output calls `wants_flush`. At the end of the
  turn each such connection sends once, so requests of many clients to one worker leave together, and so do
  replies from many workers to one client.
* Output that others belong to may wait for them (`keep_back`), through several turns.
* Output caused outside of a turn (a timer, a finished connect) is sent when the event loop's callbacks are done.
* One receive buffer serves all connections. A handler finishes with its bytes before it returns, and
  keeps a copy only of an unfinished frame.
* The clock is read when a turn begins, and what happens in it has that time (tallies.pyx).
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memset

from node.core.reactor cimport Reactor
from node.core.timing cimport monotonic_ns
from proxy.core.buffers cimport Buffer, append, consume, release, reserve, size
from proxy.core.secrecy cimport ROOM

import logging

log = logging.getLogger("shoal.proxy")

cdef extern from "<unistd.h>" nogil:
    int close_descriptor "close"(int descriptor)

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int descriptor, void* data, size_t length, int flags)
    ssize_t send(int descriptor, const void* data, size_t length, int flags)

cdef enum:
    RECEIVE_SIZE = 131072       # of the shared buffer: what one read takes at most from an idle start
    RECEIVE_MIN = 4096          # less room than this behind an unfinished frame, and its buffer grows
    RECEIVE_MAX = 1048576       # of one read, so that one big frame does not hold up the others

cdef char receive_buffer[RECEIVE_SIZE]


cdef class Turns:

    def __init__(self, Reactor reactor not None, Tallies tallies=None, double patience=0.001):
        """`reactor` is that of the running event loop. `tallies` are where connections count their requests.
        Output waits so many seconds of `patience` at most for what should leave with it."""
        self.reactor = reactor
        self.loop = reactor.loop
        self.tallies = Tallies() if tallies is None else tallies
        self.outgoing = []
        self.patience = patience
        self.kept_back = []

    def close(self) -> None:
        """Close every connection."""
        for one in list(self.reactor.watched.values()):
            if isinstance(one, Connection):
                one.close()

    cdef int begin(self) except -1:
        """Something happens, in a turn or, for the event loop, between two."""
        if not self.begun:
            self.begun = True
            self.tallies.now = monotonic_ns()
            self.reactor.soon(self.end)
        return 0

    cdef int wants_flush(self, Connection connection) except -1:
        connection.flush_wanted = True
        self.outgoing.append(connection)
        return self.begin()

    cdef int keep_back(self, Connection connection) except -1:
        """Have it flush again in a little while, whether there is more by then or not."""
        if connection.kept_since == 0:
            connection.kept_since = self.tallies.now
        if connection.is_kept_back:
            return 0
        if not self.kept_back:
            self.loop.call_later(self.patience, self.lose_patience)
        connection.is_kept_back = True
        self.kept_back.append(connection)
        return 0

    def lose_patience(self) -> None:
        cdef list waiting = self.kept_back
        cdef int64_t since = monotonic_ns() - <int64_t>(self.patience * 1e9)
        cdef Connection connection
        self.kept_back = []
        for connection in waiting:
            if connection.kept_since > since:
                self.kept_back.append(connection)
                continue
            connection.is_kept_back = False
            if connection.kept_since and not connection.flush_wanted:
                connection.on_patience_ended()
                self.wants_flush(connection)
        if self.kept_back:
            self.loop.call_later(self.patience, self.lose_patience)

    def end(self) -> None:
        """Flush. That of a client may let it read on and so cause new output: until all is said."""
        cdef list batch
        cdef Connection connection
        try:
            while self.outgoing:
                batch = self.outgoing
                self.outgoing = []
                for connection in batch:
                    connection.flush_wanted = False
                    if connection.descriptor >= 0 and not connection.writing:
                        flush_safely(connection)
        finally:
            self.begun = False


cdef int flush_safely(Connection connection) except -1:
    """An exception here is a bug; it costs the connection, not the process."""
    try:
        connection.flush()
    except Exception:
        log.exception("closing a connection after an internal error")
        connection.close()
    return 0


cdef class Connection(ReplySink):

    def __cinit__(self):
        memset(&self.unread, 0, sizeof(Buffer))
        memset(&self.outgoing, 0, sizeof(Buffer))

    def __dealloc__(self):
        if self.descriptor >= 0:
            close_descriptor(self.descriptor)
        release(&self.unread)
        release(&self.outgoing)

    cdef int attach(self, int descriptor) except -1:
        """Take over an open, non-blocking descriptor and begin to read from it."""
        self.reactor = self.turns.reactor
        self.descriptor = descriptor
        self.last_active = self.turns.tallies.now
        return self.interest(True, False)

    cdef int let_go(self) except -1:
        """Have no more to do with the descriptor, which stays open."""
        self.reactor.forget(self)
        self.descriptor = -1
        release(&self.unread)
        release(&self.outgoing)
        return 0

    cdef int on_writable(self) except -1:
        self.turns.begin()
        self.interest(self.reading, False)
        if self.secrecy is None or self.finish_sending():
            self.flush()
        return 0

    cdef int on_broken(self) except -1:
        self.close()
        return 0

    cdef int on_bug(self) except -1:
        self.close()
        return 0

    cdef Py_ssize_t receive(self, char** data) except -2:
        """Read once. Returns how many bytes are at `data` now, those kept from earlier included;
        0 if there is nothing yet, -1 if the peer has closed or the connection is lost."""
        cdef ssize_t count
        cdef char* where = receive_buffer
        cdef Py_ssize_t room = RECEIVE_SIZE
        cdef bint continues = self.unread.data != NULL
        self.turns.begin()
        if continues:
            if self.unread.capacity - self.unread.end < RECEIVE_MIN or self.secrecy is not None:
                reserve(&self.unread, max(size(&self.unread), RECEIVE_MIN if self.secrecy is None else ROOM))
            where = self.unread.data + self.unread.end
            room = min(self.unread.capacity - self.unread.end, RECEIVE_MAX)
        if self.secrecy is not None:
            count = self.receive_text(where, room)
            if count <= 0:
                return count
        else:
            count = recv(self.descriptor, where, room, 0)
            if count < 0:
                return 0 if errno == EAGAIN or errno == EINTR else -1
            if count == 0:
                return -1
        self.bytes_received += count
        self.last_active = self.turns.tallies.now
        if not continues:
            data[0] = where
            return count
        self.unread.end += count
        data[0] = self.unread.data + self.unread.start
        return size(&self.unread)

    cdef int keep(self, const char* data, Py_ssize_t available, Py_ssize_t used) except -1:
        """Of what `receive` returned, `used` bytes are done with; the others wait for the next read."""
        if self.unread.data != NULL:
            consume(&self.unread, used)
        elif used < available:
            append(&self.unread, data + used, available - used)
        return 0

    cdef Py_ssize_t send_now(self, const char* data, Py_ssize_t length) except -2:
        """Bytes that the socket took; -1 if the connection is lost. (Python ignores SIGPIPE for us.)"""
        cdef ssize_t count
        if self.secrecy is not None:
            count = self.secrecy.send(self.descriptor, data, length)
            if self.secrecy.waits:
                self.interest(self.reading, True)
            if count > 0:
                self.note_sent(count)
            return count
        count = send(self.descriptor, data, length, 0)
        if count >= 0:
            self.note_sent(count)
            return count
        return 0 if errno == EAGAIN or errno == EINTR else -1

    cdef void note_sent(self, Py_ssize_t count) noexcept:
        self.bytes_sent += count
        self.last_active = self.turns.tallies.now

    cdef Py_ssize_t receive_text(self, char* where, Py_ssize_t room) except -2:
        """As recv(2), by TLS; 0 if there is nothing yet, -1 if the connection is lost."""
        cdef Py_ssize_t count = self.secrecy.receive(self.descriptor, where, room)
        if self.secrecy.waits:
            self.interest(self.reading, True)
        return count

    cdef bint finish_sending(self) except -1:
        """Send what TLS has encrypted: was that all? What comes behind it must wait for that."""
        if self.secrecy.push(self.descriptor) < 0:
            self.close()
            return False
        if self.secrecy.waits:
            self.interest(self.reading, True)
        return not self.secrecy.waits

    cdef int on_patience_ended(self) except -1:
        raise NotImplementedError

    cdef int flush(self) except -1:
        raise NotImplementedError

    cpdef close(self):
        """Close the socket and drop all bytes. Subclasses add what else must end. Idempotent."""
        cdef int descriptor = self.descriptor
        if descriptor < 0:
            return
        if self.secrecy is not None:
            self.secrecy.part(descriptor)
            self.secrecy = None
        self.let_go()
        close_descriptor(descriptor)
