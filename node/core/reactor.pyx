"""Turns: wait until something can be read or written, and let everybody who can.

An event loop's transports ask for a buffer, make an object or two and call back into Python for each event, and where
each packet carries one request that is more than all else we do for it above the kernel. So connections are plain
descriptors here, which compiled code reads and writes as soon as they are ready.

On Linux there is one epoll set for everything. The reactor is what the event loop waits by (node/event_loop.py):
`select` handles what is ready of ours without leaving compiled code, as often as that happens, and returns as soon
as something is the loop's business: a descriptor that it watches, a timer, or a callback that one of ours has asked
for. So a request costs no call into Python, and a turn one epoll_wait(2). (A set of our own inside of the loop's would
do without touching the loop. But then each packet wakes two sets, and each turn asks both: a tenth of all
that a small request costs.) With any other loop, `add_reader` and `add_writer` watch each descriptor, and all else is
the same.

The rules:
* An event is handled once, and boundedly: one read, or as many bytes as the socket takes. Who has more to say is found
  ready again in the next turn, behind the others.
* After each turn the loop's timers and callbacks have theirs, if there are any due.
* Who is closed gets no further event of the same turn, and neither does a new connection that got its descriptor:
  events name the object, which is kept until the turn is over.
* A forked child shares the sockets, so closing ours does not take them out of the set: `forget` does.
"""

from cpython.exc cimport PyErr_CheckSignals
from cpython.ref cimport PyObject
from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t

from node.core.timing cimport monotonic_ns

import logging

log = logging.getLogger("shoal")

cdef extern from "<unistd.h>" nogil:
    int close_descriptor "close"(int descriptor)

cdef extern from * nogil:
    """
    #include <stdint.h>
    /* epoll where there is one; elsewhere poller_open() says no and the rest is never called.
       An event names one of ours by its address, and a descriptor of the event loop by an odd number. */
    enum { EVENTS_PER_TURN = 256, CAN_READ = 1, CAN_WRITE = 2, IS_BROKEN = 4 };
    #ifdef __linux__
    #include <sys/epoll.h>
    typedef struct { struct epoll_event items[EVENTS_PER_TURN]; } shoal_events;
    static int poller_open(void) { return epoll_create1(EPOLL_CLOEXEC); }
    static int poller_set(int poller, int add, int fd, uintptr_t name, int reading, int writing) {
        struct epoll_event event;
        event.events = (reading ? EPOLLIN : 0) | (writing ? EPOLLOUT : 0);
        event.data.u64 = name;
        return epoll_ctl(poller, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
    }
    static int poller_remove(int poller, int fd) {
        struct epoll_event unused;  /* kernels before 2.6.9 want one */
        return epoll_ctl(poller, EPOLL_CTL_DEL, fd, &unused);
    }
    static int poller_wait(int poller, shoal_events* events, int milliseconds) {
        return epoll_wait(poller, events->items, EVENTS_PER_TURN, milliseconds);
    }
    static uintptr_t event_name(shoal_events* events, int i) { return events->items[i].data.u64; }
    static int event_kind(shoal_events* events, int i) {
        uint32_t is = events->items[i].events;
        return (is & (EPOLLIN | EPOLLERR | EPOLLHUP) ? CAN_READ : 0)
            | (is & (EPOLLOUT | EPOLLERR | EPOLLHUP) ? CAN_WRITE : 0)
            | (is & (EPOLLERR | EPOLLHUP) ? IS_BROKEN : 0);
    }
    #else
    typedef struct { int unused; } shoal_events;
    static int poller_open(void) { return -1; }
    static int poller_set(int p, int a, int f, uintptr_t n, int r, int w) { return -1; }
    static int poller_remove(int p, int f) { return -1; }
    static int poller_wait(int p, shoal_events* e, int m) { return 0; }
    static uintptr_t event_name(shoal_events* e, int i) { return 0; }
    static int event_kind(shoal_events* e, int i) { return 0; }
    #endif
    """
    ctypedef struct shoal_events:
        pass
    enum:
        CAN_READ
        CAN_WRITE
        IS_BROKEN
    int poller_open()
    int poller_set(int poller, bint add, int descriptor, size_t name, bint reading, bint writing)
    int poller_remove(int poller, int descriptor)
    int poller_wait(int poller, shoal_events* events, int milliseconds)
    size_t event_name(shoal_events* events, int index)
    int event_kind(shoal_events* events, int index)

cdef enum:
    LONGEST_WAIT = 3600000      # ms that epoll_wait(2) is asked for


cpdef at_turn_end(loop):
    """A function that has something called when the turn ends: when all who are ready were heard. With loops that we
    do not drive, when this one has called back all that it had to."""
    cdef Reactor reactor = getattr(loop, "reactor", None)
    return loop.call_soon if reactor is None else reactor.soon


cdef class Watched:

    def __cinit__(self):
        self.descriptor = -1

    cdef int interest(self, bint reading, bint writing) except -1:
        """Want to be told of this from here on, and of nothing else."""
        if self.descriptor >= 0 and (reading != self.reading or writing != self.writing):
            self.reading = reading
            self.writing = writing
            self.reactor.watch(self, reading, writing)
        return 0

    cdef int on_readable(self) except -1:
        raise NotImplementedError

    cdef int on_writable(self) except -1:
        raise NotImplementedError

    cdef int on_broken(self) except -1:
        raise NotImplementedError

    cdef int on_bug(self) except -1:
        raise NotImplementedError


cdef class Reactor:

    def __init__(self, loop=None):
        """`loop` is the running event loop, which does the watching; without one, a loop is to be made that waits
        by `select` (`driven_by` tells which). Raises OSError where the system has nothing to wait by."""
        self.loop = loop
        self.watched = {}
        self.forgotten = []
        self.endings = []
        self.drives = loop is None
        self.poller = poller_open() if self.drives else -1
        if self.drives and self.poller < 0:
            raise OSError(errno, "there is no epoll")

    def driven_by(self, loop not None) -> None:
        self.loop = loop

    def close(self) -> None:
        if self.poller >= 0:
            close_descriptor(self.poller)
            self.poller = -1

    # --- for the event loop --------------------------------------------------------------------------

    def watch_other(self, int descriptor, bint fresh, bint reading, bint writing) -> None:
        """Let `select` tell of a descriptor that is none of ours. Raises OSError."""
        if poller_set(self.poller, fresh, descriptor, <size_t>descriptor << 1 | 1, reading, writing) < 0:
            raise OSError(errno, "a descriptor cannot be watched")

    def forget_other(self, int descriptor) -> None:
        poller_remove(self.poller, descriptor)

    def select(self, double seconds) -> list:
        """Handle what is ready of ours until something is the loop's business, for so long at most; less than 0 is
        for ever. Returns the loop's own descriptors that are ready: [(descriptor, can be read, written)]."""
        cdef list others = []
        cdef list timers = self.loop._scheduled
        cdef object callbacks = self.loop._ready
        cdef Py_ssize_t timer_count = len(timers)
        cdef int64_t left = -1
        cdef int64_t until = 0
        if seconds >= 0:
            left = min(<int64_t>(seconds * 1e9), <int64_t>LONGEST_WAIT * 1000000)
            until = monotonic_ns() + left if left else 0
        while True:
            # Rounded up: to come a little early would mean to come twice.
            if self.turn(-1 if left < 0 else <int>((left + 999999) // 1000000), others) <= 0:
                break
            if others or callbacks or len(timers) != timer_count:
                break
            if left >= 0:
                left = until - monotonic_ns()
                if left <= 0:
                    break
        return others

    cdef int turn(self, int milliseconds, list others) except -1:
        """Wait so long at most, and handle what is ready. Returns how many events there were; 0 also for a signal."""
        cdef shoal_events events
        cdef size_t name
        cdef int count
        cdef int i
        cdef int kind
        with nogil:
            count = poller_wait(self.poller, &events, milliseconds)
        if count < 0:
            if errno != EINTR:
                raise OSError(errno, "nothing can be waited for")
            PyErr_CheckSignals()
            return 0
        self.in_turn = True
        for i in range(count):
            name = event_name(&events, i)
            kind = event_kind(&events, i)
            if name & 1:
                others.append((<int>(name >> 1), bool(kind & CAN_READ), bool(kind & CAN_WRITE)))
            else:
                handle(<Watched><PyObject*>name, kind)
        if self.endings:
            self.end_turn()
        self.in_turn = False
        if self.forgotten:
            self.forgotten.clear()
        return count

    cdef int end_turn(self) except -1:
        while self.endings:
            endings, self.endings = self.endings, []
            for callback in endings:
                try:
                    callback()
                except Exception:
                    log.exception("an internal error at the end of a turn")
        return 0

    def soon(self, callback) -> None:
        """Call back when this turn ends, or, from the event loop's callbacks, as `call_soon`."""
        if self.in_turn:
            self.endings.append(callback)
        else:
            self.loop.call_soon(callback)

    def _readable(self, Watched one):
        handle(one, CAN_READ)

    def _writable(self, Watched one):
        handle(one, CAN_WRITE)

    # --- for those who are watched -------------------------------------------------------------------

    cdef int watch(self, Watched one, bint reading, bint writing) except -1:
        cdef int descriptor = one.descriptor
        cdef bint fresh = descriptor not in self.watched
        if fresh:
            self.watched[descriptor] = one
        if self.drives:
            if poller_set(self.poller, fresh, descriptor, <size_t><PyObject*>one, reading, writing) < 0:
                raise OSError(errno, "a connection cannot be watched")
            return 0
        if reading:
            self.loop.add_reader(descriptor, self._readable, one)
        elif not fresh:
            self.loop.remove_reader(descriptor)
        if writing:
            self.loop.add_writer(descriptor, self._writable, one)
        elif not fresh:
            self.loop.remove_writer(descriptor)
        return 0

    cdef int forget(self, Watched one) except -1:
        """To be called before the descriptor is closed."""
        cdef int descriptor = one.descriptor
        if self.watched.get(descriptor) is not one:
            return 0
        one.reading = one.writing = False
        if not self.drives:
            del self.watched[descriptor]
            self.loop.remove_reader(descriptor)
            self.loop.remove_writer(descriptor)
            return 0
        self.forgotten.append(one)  # first: `watched` may hold the only reference
        del self.watched[descriptor]
        poller_remove(self.poller, descriptor)
        return 0


cdef int handle(Watched one, int kind) except -1:
    """One event. An exception here is a bug; it costs the connection, not the process."""
    try:
        if kind & IS_BROKEN and not (one.reading or one.writing) and one.descriptor >= 0:
            one.on_broken()
            return 0
        if kind & CAN_WRITE and one.writing and one.descriptor >= 0:
            one.on_writable()
        if kind & CAN_READ and one.reading and one.descriptor >= 0:
            one.on_readable()
    except Exception:
        log.exception("closing a connection after an internal error")
        try:
            one.on_bug()
        except Exception:
            log.exception("a connection cannot be closed")
    return 0
