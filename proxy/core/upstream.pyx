"""A worker's connection: requests out, replies back to whoever asked, redirections followed.

`outgoing` is queue and memory in one: bytes stay in it until their request is answered. The part that is sent
but not answered is what a MOVED or ASK needs to send the request again elsewhere, so no other copy is kept.
The ring beside it says which bytes are whose. A worker answers in order, so the oldest entry owns the next
reply.

To a worker on the same host requests travel in batches, as Nagle has it (RFC 896): while replies are awaited the next
requests gather, and leave when these are there, or when they fill HELD_MAX. The worker could not serve them earlier, as
it answers in order; and a send that wakes a process costs more than all else that is done for a request. To other hosts
the way is long, and requests leave with the turn.

While there is no connection requests queue up, up to `queue_max` bytes (or one longer request).

An upstream never decides where a request goes, when to connect, or what becomes of requests when a connection
is lost; that is the pool's (upstreams.py). Each request gets one reply, if need be an error.
"""

from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport free
from libc.string cimport memcmp

from node.core.timing cimport distribution, forget, monotonic_ns, note
from proxy.core.buffers cimport append, consume, release, size
from proxy.core.connection cimport Connection, Turns
from proxy.core.replies cimport ReplyConnection
from proxy.core.rings cimport larger_ring
from proxy.core.secrecy cimport Secrecy

cdef extern from *:
    """
    #include <netinet/in.h>
    #include <string.h>
    #include <sys/socket.h>
    static int is_on_this_host(int fd) {  /* the peer: by a unix socket, or with the address that we have */
        struct sockaddr_storage ours, theirs;
        socklen_t our_length = sizeof ours, their_length = sizeof theirs;
        if (getsockname(fd, (struct sockaddr*)&ours, &our_length) < 0) return 0;
        if (ours.ss_family == AF_UNIX) return 1;
        if (getpeername(fd, (struct sockaddr*)&theirs, &their_length) < 0) return 0;
        if (ours.ss_family != theirs.ss_family) return 0;
        if (ours.ss_family == AF_INET)
            return ((struct sockaddr_in*)&ours)->sin_addr.s_addr == ((struct sockaddr_in*)&theirs)->sin_addr.s_addr;
        return ours.ss_family == AF_INET6 && !memcmp(
            &((struct sockaddr_in6*)&ours)->sin6_addr, &((struct sockaddr_in6*)&theirs)->sin6_addr, 16);
    }
    """
    bint is_on_this_host(int descriptor) nogil

cdef enum:
    RING_START = 64
    HELD_MAX = 8192         # bytes of requests that gather while replies are awaited
    MAX_REDIRECTS = 5       # of one request; then its client sees the redirection

cdef Py_ssize_t UNBOUNDED = 9223372036854775807

FINAL = MAX_REDIRECTS       # as `redirects` of a request: whoever sends it follows redirections itself

cdef bytes QUEUE_FULL = b"-CLUSTERDOWN too many requests wait for a worker\r\n"
cdef bytes ASKING = b"*1\r\n$6\r\nASKING\r\n"


cdef class Upstream(ReplyConnection):

    def __init__(
        self, Turns turns not None, pool, str host, int port, int version, Py_ssize_t queue_max=UNBOUNDED
    ):
        self.turns = turns
        self.pool = pool
        self.host = host
        self.port = port
        self.version = version
        self.state = IDLE
        self.refusal = b""
        self.queue_max = queue_max

    def __dealloc__(self):
        while self.head != self.tail:
            entry = &self.ring[self.head & (self.ring_size - 1)]
            if entry.sink != NULL:
                Py_DECREF(<object>entry.sink)
            self.head += 1
        free(self.ring)
        forget(&self.timing)

    def __repr__(self):
        return f"{self.host}:{self.port}"

    # What the pool calls

    @property
    def state_name(self) -> str:
        return ("idle", "connecting", "up", "waiting", "down")[<int>self.state]

    @property
    def in_flight(self) -> int:
        return self.tail - self.head

    @property
    def awaits_replies(self) -> bool:
        """Has anything been sent that is not answered?"""
        return size(&self.outgoing) > self.unsent

    @property
    def latencies(self) -> tuple:
        """(ns in all, [(longest time in ns, requests)], ascending)."""
        return self.timing.nanoseconds, distribution(&self.timing)

    @property
    def bytes_in_flight(self) -> int:
        return size(&self.outgoing)

    def send(
        self, bytes request not None, ReplySink sink=None, uint64_t tag=0, int redirects=0, bint asking=False
    ):
        """Send one encoded request; its reply goes to `sink`, or nowhere. `asking` sends ASKING before it."""
        cdef int64_t started = 0 if sink is None else sink.began(tag)
        self.turns.tallies.now = monotonic_ns()
        if started == 0:
            started = self.turns.tallies.now
        if asking and self.state != DOWN:
            self.request(ASKING, len(ASKING), None, 0, 0, started)
        self.request(request, len(request), sink, tag, redirects, started)

    def connecting(self) -> None:
        """From now on requests queue up until `connected` or `refuse`."""
        self.state = CONNECTING

    def connected(self, int descriptor, Secrecy secrecy=None) -> None:
        """Take over a socket on which the handshake is done."""
        self.worker = None
        self.connects += 1
        self.torn = False
        self.nagles = self.pool.keeps_requests and is_on_this_host(descriptor)
        self.take_over(descriptor, secrecy)
        if self.pool.keeps_requests:  # not all of the queue at once: the worker may not serve yet
            self.state = WAITING
            self.send_probe()
            return
        self.state = UP
        if self.unsent and not self.flush_wanted:
            self.turns.wants_flush(self)

    def wait(self) -> None:
        """Send nothing more; `pool.quiet` is called when all that was sent is answered."""
        if self.state == UP:
            self.state = WAITING
            self.probe = 0

    def try_again(self, list first not None) -> None:
        """During a wait, when all that was sent is answered: queue the requests `first` (as those of `take_all`)
        before the others, and send one. `pool.carried_out` is called when the worker has obeyed."""
        cdef list later
        if self.state != WAITING:
            return
        later = self.take_all()
        for request, sink, tag, redirects, _ in first + later:
            self.send(request, sink, tag, redirects)
        self.send_probe()

    cdef int send_probe(self) except -1:
        if self.head == self.tail:
            self.state = UP
            return 0
        self.probe = self.ring[self.head & (self.ring_size - 1)].length
        if not self.flush_wanted:
            self.turns.wants_flush(self)
        return 0

    def go_on(self) -> None:
        """End a wait: the worker serves."""
        if self.state == WAITING:
            self.state = UP
            if self.unsent and not self.flush_wanted:
                self.turns.wants_flush(self)

    def take_all(self) -> list:
        """Take away all requests that somebody waits for, the oldest first, as (bytes, sink, tag, redirects,
        whether any of it was sent)."""
        cdef InFlight entry
        cdef list taken = []
        cdef bytes request
        cdef bint sent
        while self.head != self.tail:
            entry = self.ring[self.head & (self.ring_size - 1)]
            sent = size(&self.outgoing) > self.unsent
            request = self.outgoing.data[self.outgoing.start:self.outgoing.start + entry.length]
            consume(&self.outgoing, entry.length)
            self.head += 1
            if entry.sink != NULL:
                sink = <ReplySink>entry.sink
                Py_DECREF(sink)
                taken.append((request, sink, entry.tag, entry.redirects, sent))
        self.unsent = 0
        return taken

    def refuse(self, bytes error not None) -> None:
        """Answer all requests with `error` (a whole error reply): those queued now, and new ones at once."""
        cdef InFlight entry
        self.state = DOWN
        self.refusal = error
        self.worker = None
        if self.descriptor >= 0:
            Connection.close(self)
        release(&self.outgoing)
        self.unsent = 0
        while self.head != self.tail:
            entry = self.ring[self.head & (self.ring_size - 1)]
            self.head += 1
            if entry.sink != NULL:
                sink = <ReplySink>entry.sink
                Py_DECREF(sink)
                sink.on_reply(entry.tag, error, len(error))

    cpdef close(self):
        """The connection is lost. A pool that keeps requests gets them; others want them answered with an
        error."""
        cdef list taken
        if self.descriptor < 0:
            return
        if self.pool.keeps_requests:
            taken = self.take_all()
            Connection.close(self)
            self.state = CONNECTING
            self.worker = None
            self.pool.lost(self, taken)
        else:
            self.refuse(self.lost_error)
            self.pool.lost(self)

    @property
    def lost_error(self) -> bytes:
        return b"-ERR upstream connection lost: %s:%d\r\n" % (self.host.encode(), self.port)

    # Requests

    cdef int request(
        self, const char* request, Py_ssize_t length, ReplySink sink, uint64_t tag, int redirects,
        int64_t started
    ) except -1:
        """Queue the bytes of one request. They are copied; the reply goes to `sink` (None: dropped)."""
        if self.state != UP:
            if self.state == DOWN:
                if sink is not None:
                    sink.on_reply(tag, self.refusal, len(self.refusal))
                return 0
            if self.head != self.tail and size(&self.outgoing) + length > self.queue_max:
                if sink is not None:
                    sink.on_reply(tag, QUEUE_FULL, len(QUEUE_FULL))
                return 0
            if self.state == IDLE:
                self.state = CONNECTING
                self.pool.connect(self)
        return self._push(request, length, sink, tag, redirects, started)

    cdef int _push(
        self, const char* request, Py_ssize_t length, ReplySink sink, uint64_t tag, int redirects,
        int64_t started
    ) except -1:
        cdef InFlight* entry
        if self.tail - self.head == self.ring_size:
            self.grow()
        append(&self.outgoing, request, length)
        self.unsent += length
        entry = &self.ring[self.tail & (self.ring_size - 1)]
        entry.sink = NULL
        if sink is not None:
            Py_INCREF(sink)
            entry.sink = <void*>sink
        entry.tag = tag
        entry.length = length
        entry.redirects = redirects
        entry.started = started
        self.tail += 1
        self.requests += 1
        if not self.flush_wanted and self.state == UP:
            self.turns.wants_flush(self)
        return 0

    cdef int grow(self) except -1:
        cdef size_t larger = self.ring_size * 2 or RING_START
        self.ring = <InFlight*>larger_ring(
            self.ring, sizeof(InFlight), self.ring_size, larger, self.head, self.tail
        )
        self.ring_size = larger
        return 0

    cdef int flush(self) except -1:
        cdef Py_ssize_t sent
        cdef Py_ssize_t allowed = self.unsent if self.state == UP else self.probe
        if allowed == 0 or self.awaits_others():
            return 0
        sent = self.send_now(self.outgoing.data + self.outgoing.end - self.unsent, allowed)
        if sent < 0:
            self.close()
            return 0
        self.unsent -= sent
        if self.state != UP:
            self.probe -= sent
        self.torn = sent < allowed
        if self.torn:
            self.interest(True, True)
        return 0

    cdef bint awaits_others(self) noexcept:
        """Do the requests not sent yet wait for the replies to those that were?"""
        return (
            self.nagles and self.state == UP and not self.torn
            and self.unsent < HELD_MAX and size(&self.outgoing) > self.unsent
        )

    # Replies

    cdef int on_readable(self) except -1:
        ReplyConnection.on_readable(self)
        if self.state == UP and self.unsent and not (self.flush_wanted or self.writing or self.awaits_others()):
            self.turns.wants_flush(self)
        if self.state == WAITING and self.probe == 0 and size(&self.outgoing) == self.unsent:
            if self.descriptor >= 0:
                self.pool.quiet(self)
        return 0

    cdef int take_reply(self, const char* reply, Py_ssize_t length) except -1:
        """Hand one reply to whom it belongs."""
        cdef InFlight entry
        cdef bytes request
        cdef int64_t took
        if reply[0] == c">":
            return 0  # out of band, and nobody subscribes on these connections (listener.pyx is for that)
        if self.head == self.tail:
            raise ConnectionError(f"{self!r} answers without being asked")
        entry = self.ring[self.head & (self.ring_size - 1)]
        if size(&self.outgoing) - entry.length < self.unsent:
            raise ConnectionError(f"{self!r} answers what it has not read: {reply[:min(length, 200)]!r}")
        self.head += 1
        took = self.turns.tallies.now - entry.started
        note(&self.timing, took, 1, True)
        if entry.sink == NULL:
            consume(&self.outgoing, entry.length)
            return 0
        sink = <ReplySink>entry.sink
        Py_DECREF(sink)
        if reply[0] == c"-" and entry.redirects < MAX_REDIRECTS and is_redirection(reply, length):
            request = self.outgoing.data[self.outgoing.start:self.outgoing.start + entry.length]
            consume(&self.outgoing, entry.length)
            self.pool.redirect(self, reply[:length - 2], request, sink, entry.tag, entry.redirects + 1)
            return 0
        if took > self.turns.tallies.slow_after and self.turns.tallies.looks_at_slow():
            request = self.outgoing.data[self.outgoing.start:self.outgoing.start + entry.length]
            self.turns.tallies.slow(self, sink, request, took)
        self.errors += reply[0] == c"-"
        if self.tap is not None:
            self.tap.answered(sink, self.outgoing.data + self.outgoing.start, entry.length, reply, length)
        consume(&self.outgoing, entry.length)
        if self.state == WAITING:
            self.pool.carried_out(self, sink)
        return sink.on_reply(entry.tag, reply, length)


cdef bint is_redirection(const char* reply, Py_ssize_t length) noexcept:
    """Does this error say that nothing was done, and a later or another try may succeed?"""
    if length < 10:
        return False
    return (
        memcmp(reply, b"-MOVED ", 7) == 0
        or memcmp(reply, b"-ASK ", 5) == 0
        or memcmp(reply, b"-TRYAGAIN ", 10) == 0
        or memcmp(reply, b"-LOADING ", 9) == 0
        or memcmp(reply, b"-READONLY ", 10) == 0
        or (length > 13 and memcmp(reply, b"-CLUSTERDOWN ", 13) == 0)
        or (length > 13 and memcmp(reply, b"-MASTERDOWN ", 12) == 0)
    )
