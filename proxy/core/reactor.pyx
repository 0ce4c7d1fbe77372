"""Turns: read from all who have something, then send to all who get something.

Why not the event loop's transports? For each event they ask for a buffer, make an object or two and call back
into Python; where every packet carries one request, that is much of all the proxy does. So connections are
plain descriptors which this module reads and writes itself. On Linux they sit in an epoll set of our own, and
the event loop watches only that set: one callback per turn, however many connections are ready. Elsewhere
(`Reactor(loop, own_poller=False)`) the loop's `add_reader` watches each; all else is the same.

The rules of a turn:
* Nothing is sent while events are being handled; whoever has output calls `wants_flush`. At the end of the
  turn each such connection sends once, so requests of many clients to one worker leave together, and so do
  replies from many workers to one client.
* Output caused outside of a turn (a timer, a finished connect) schedules a flush of its own.
* One receive buffer serves all connections. A handler finishes with its bytes before it returns, and
  keeps a copy only of an unfinished frame.
* The clock is read when a turn begins, and what happens in it has that time (tallies.pyx).
* Sending takes most of a turn's time, and meanwhile the next turn's events arrive: so turns follow each other
  without going back to the event loop, but only a few, so that timers and new connections get theirs.
"""

from cpython.ref cimport PyObject
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memset

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

cdef extern from * nogil:
    """
    /* epoll where there is one; elsewhere open_poller() says no and the rest is never called. */
    enum { EVENTS_PER_TURN = 256 };
    #ifdef __linux__
    #include <sys/epoll.h>
    static struct epoll_event shoal_events[EVENTS_PER_TURN];
    static int open_poller(void) { return epoll_create1(EPOLL_CLOEXEC); }
    static int poller_set(int poller, int add, int fd, void* owner, int reading, int writing) {
        struct epoll_event event;
        event.events = (reading ? EPOLLIN : 0) | (writing ? EPOLLOUT : 0);
        event.data.ptr = owner;
        return epoll_ctl(poller, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
    }
    static int poller_remove(int poller, int fd) {
        struct epoll_event unused;  /* kernels before 2.6.9 want one */
        return epoll_ctl(poller, EPOLL_CTL_DEL, fd, &unused);
    }
    static int poller_wait(int poller) { return epoll_wait(poller, shoal_events, EVENTS_PER_TURN, 0); }
    static void* event_owner(int i) { return shoal_events[i].data.ptr; }
    static int event_writable(int i) { return shoal_events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP); }
    static int event_readable(int i) { return shoal_events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP); }
    #else
    static int open_poller(void) { return -1; }
    static int poller_set(int p, int a, int f, void* o, int r, int w) { return -1; }
    static int poller_remove(int p, int f) { return -1; }
    static int poller_wait(int poller) { return 0; }
    static void* event_owner(int i) { return 0; }
    static int event_writable(int i) { return 0; }
    static int event_readable(int i) { return 0; }
    #endif
    """
    int open_poller()
    int poller_set(int poller, bint add, int descriptor, void* owner, bint reading, bint writing)
    int poller_remove(int poller, int descriptor)
    int poller_wait(int poller)
    void* event_owner(int index)
    bint event_writable(int index)
    bint event_readable(int index)

cdef enum:
    TURNS_IN_A_ROW = 16         # then the event loop has its say
    RECEIVE_SIZE = 131072       # of the shared buffer: what one read takes at most from an idle start
    RECEIVE_MIN = 4096          # less room than this behind an unfinished frame, and its buffer grows
    RECEIVE_MAX = 1048576       # of one read, so that one big frame does not hold up the others

cdef char receive_buffer[RECEIVE_SIZE]


cdef class Reactor:

    def __init__(self, loop, bint own_poller=True, Tallies tallies=None):
        """`loop` is the running event loop; with `own_poller=False` it does all the watching. `tallies` are
        where connections count their requests."""
        self.loop = loop
        self.tallies = Tallies() if tallies is None else tallies
        self.poller = open_poller() if own_poller else -1
        self.outgoing = []
        self.closed = []
        self.connections = {}
        if self.poller >= 0:
            loop.add_reader(self.poller, self._turns)

    def close(self) -> None:
        """Close every connection and the poller."""
        for connection in list(self.connections.values()):
            connection.close()
        self.closed.clear()
        if self.poller >= 0:
            self.loop.remove_reader(self.poller)
            close_descriptor(self.poller)
            self.poller = -1

    def flush(self) -> None:
        """End a turn that was none: send what timers and other callbacks of the event loop have queued."""
        self.flush_scheduled = False
        self.tallies.now = monotonic_ns()
        self.in_turn = True
        self.flush_all()
        self.in_turn = False
        self.closed.clear()

    def _turns(self):
        cdef int events
        cdef int i
        cdef int turn
        self.in_turn = True
        for turn in range(TURNS_IN_A_ROW):
            events = poller_wait(self.poller)
            if events <= 0:
                break
            self.tallies.now = monotonic_ns()
            for i in range(events):
                handle(<Connection>event_owner(i), event_readable(i), event_writable(i))
            self.flush_all()
            if self.closed:
                self.closed.clear()
        self.in_turn = False

    def _readable(self, Connection connection):
        self.tallies.now = monotonic_ns()
        self.in_turn = True
        handle(connection, True, False)
        self.in_turn = False
        self._schedule_flush()

    def _writable(self, Connection connection):
        self.tallies.now = monotonic_ns()
        self.in_turn = True
        handle(connection, False, True)
        self.in_turn = False
        self._schedule_flush()

    cdef int _schedule_flush(self) except -1:
        if not self.flush_scheduled and (self.outgoing or self.closed):
            self.flush_scheduled = True
            self.loop.call_soon(self.flush)
        return 0

    cdef int watch(self, Connection connection, bint reading, bint writing) except -1:
        cdef int descriptor = connection.descriptor
        cdef bint fresh = descriptor not in self.connections
        self.connections[descriptor] = connection
        if self.poller >= 0:
            if poller_set(self.poller, fresh, descriptor, <PyObject*>connection, reading, writing) < 0:
                raise OSError(errno, "a connection cannot be watched")
            return 0
        if reading:
            self.loop.add_reader(descriptor, self._readable, connection)
        elif not fresh:
            self.loop.remove_reader(descriptor)
        if writing:
            self.loop.add_writer(descriptor, self._writable, connection)
        elif not fresh:
            self.loop.remove_writer(descriptor)
        return 0

    cdef int forget(self, Connection connection) except -1:
        cdef int descriptor = connection.descriptor
        if descriptor in self.connections:
            self.closed.append(connection)  # first: `connections` may hold the only reference
            del self.connections[descriptor]
            if self.poller < 0:
                self.loop.remove_reader(descriptor)
                self.loop.remove_writer(descriptor)
            if not self.in_turn:
                self._schedule_flush()
        return 0

    cdef int let_go(self, Connection connection) except -1:
        """`forget` it, and leave its descriptor open for another process. An epoll set watches what a
        descriptor stands for, so it does not end with ours, as it does when a socket is closed."""
        if self.poller >= 0:
            poller_remove(self.poller, connection.descriptor)
        self.forget(connection)
        return 0

    cdef int wants_flush(self, Connection connection) except -1:
        connection.flush_wanted = True
        self.outgoing.append(connection)
        if not self.in_turn:
            self._schedule_flush()
        return 0

    cdef int flush_all(self) except -1:
        """Flushing a client may let it read on and so cause new output: repeat until all is said."""
        cdef list batch
        cdef Connection connection
        while self.outgoing:
            batch = self.outgoing
            self.outgoing = []
            for connection in batch:
                connection.flush_wanted = False
                if connection.descriptor >= 0 and not connection.writing:
                    flush_safely(connection)
        return 0


cdef int handle(Connection connection, bint readable, bint writable) except -1:
    """One event. An exception here is a bug; it costs the connection, not the process."""
    try:
        if writable and connection.writing and connection.descriptor >= 0:
            connection.interest(connection.reading, False)
            if connection.secrecy is None or connection.finish_sending():
                connection.flush()
        if readable and connection.descriptor >= 0:
            connection.on_readable()
    except Exception:
        log.exception("closing a connection after an internal error")
        connection.close()
    return 0


cdef int flush_safely(Connection connection) except -1:
    try:
        connection.flush()
    except Exception:
        log.exception("closing a connection after an internal error")
        connection.close()
    return 0


cdef class Connection(ReplySink):

    def __cinit__(self):
        self.descriptor = -1
        memset(&self.unread, 0, sizeof(Buffer))
        memset(&self.outgoing, 0, sizeof(Buffer))

    def __dealloc__(self):
        if self.descriptor >= 0:
            close_descriptor(self.descriptor)
        release(&self.unread)
        release(&self.outgoing)

    cdef int attach(self, int descriptor) except -1:
        """Take over an open, non-blocking descriptor and begin to read from it."""
        self.descriptor = descriptor
        self.reading = True
        self.writing = False
        self.reactor.watch(self, True, False)
        return 0

    cdef int interest(self, bint reading, bint writing) except -1:
        if self.descriptor >= 0 and (reading != self.reading or writing != self.writing):
            self.reading = reading
            self.writing = writing
            self.reactor.watch(self, reading, writing)
        return 0

    cdef Py_ssize_t receive(self, char** data) except -2:
        """Read once. Returns how many bytes are at `data` now, those kept from earlier included;
        0 if there is nothing yet, -1 if the peer has closed or the connection is lost."""
        cdef ssize_t count
        cdef char* where = receive_buffer
        cdef Py_ssize_t room = RECEIVE_SIZE
        cdef bint continues = self.unread.data != NULL
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
            return count
        count = send(self.descriptor, data, length, 0)
        if count >= 0:
            return count
        return 0 if errno == EAGAIN or errno == EINTR else -1

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

    cdef int on_readable(self) except -1:
        raise NotImplementedError

    cdef int flush(self) except -1:
        raise NotImplementedError

    cpdef close(self):
        """Close the socket and drop all bytes. Subclasses add what else must end. Idempotent."""
        if self.descriptor >= 0:
            self.reactor.forget(self)
            if self.secrecy is not None:
                self.secrecy.part(self.descriptor)
                self.secrecy = None
            close_descriptor(self.descriptor)
            self.descriptor = -1
            release(&self.unread)
            release(&self.outgoing)
