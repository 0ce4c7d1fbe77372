"""A worker's connection: requests out, replies back to whoever asked, redirections followed.

`outgoing` is queue and memory in one: bytes stay in it until their request is answered. The part that is sent
but not answered is what a MOVED or ASK needs to send the request again elsewhere, so no other copy is kept.
The ring beside it says which bytes are whose. A worker answers in order, so the oldest entry owns the next
reply.

An upstream never decides where a request goes or when to connect; that is the pool's (upstreams.py). It
promises its sinks one reply per request: when the connection is lost, an error.
"""

from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memset

from proxy.buffers cimport append, consume, release, size
from proxy.frames cimport BROKEN, NEED_MORE, scan_reply

cdef enum:
    RING_START = 64
    MAX_REDIRECTS = 5       # of one request; then its client sees the redirection

FINAL = MAX_REDIRECTS       # as `redirects` of a request: whoever sends it follows redirections itself

cdef bytes ASKING = b"*1\r\n$6\r\nASKING\r\n"


cdef class Upstream(Connection):

    def __init__(self, reactor, pool, str host, int port, int version):
        self.reactor = reactor
        self.pool = pool
        self.host = host
        self.port = port
        self.version = version
        self.state = IDLE
        self.refusal = b""

    def __dealloc__(self):
        while self.head != self.tail:
            entry = &self.ring[self.head & (self.ring_size - 1)]
            if entry.sink != NULL:
                Py_DECREF(<object>entry.sink)
            self.head += 1
        free(self.ring)

    def __repr__(self):
        return f"{self.host}:{self.port}"

    # What the pool calls

    @property
    def state_name(self) -> str:
        return ("idle", "connecting", "up", "down")[<int>self.state]

    @property
    def in_flight(self) -> int:
        return self.tail - self.head

    @property
    def bytes_in_flight(self) -> int:
        return size(&self.outgoing)

    def send(
        self, bytes request not None, ReplySink sink=None, uint64_t tag=0, int redirects=0, bint asking=False
    ):
        """Send one encoded request; its reply goes to `sink`, or nowhere. `asking` sends ASKING before it."""
        if asking and self.state != DOWN:
            self.request(ASKING, len(ASKING), None, 0, 0)
        self.request(request, len(request), sink, tag, redirects)

    def connecting(self) -> None:
        """From now on requests queue up until `connected` or `refuse`."""
        self.state = CONNECTING

    def connected(self, int descriptor) -> None:
        """Take over a socket on which the handshake is done."""
        self.state = UP
        self.worker = None
        memset(&self.scan, 0, sizeof(self.scan))
        self.attach(descriptor)
        if self.unsent and not self.flush_wanted:
            self.reactor.wants_flush(self)

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
        """The connection is lost: answer what is in flight with an error and tell the pool."""
        if self.descriptor >= 0:
            self.refuse(b"-ERR upstream connection lost: %s:%d\r\n" % (self.host.encode(), self.port))
            self.pool.lost(self)

    # Requests

    cdef int request(
        self, const char* request, Py_ssize_t length, ReplySink sink, uint64_t tag, int redirects
    ) except -1:
        """Queue the bytes of one request. They are copied; the reply goes to `sink` (None: dropped)."""
        if self.state != UP:
            if self.state == DOWN:
                if sink is not None:
                    sink.on_reply(tag, self.refusal, len(self.refusal))
                return 0
            if self.state == IDLE:
                self.state = CONNECTING
                self.pool.connect(self)
        return self._push(request, length, sink, tag, redirects)

    cdef int _push(
        self, const char* request, Py_ssize_t length, ReplySink sink, uint64_t tag, int redirects
    ) except -1:
        cdef InFlight* entry
        if self.tail - self.head == self.ring_size:
            grow_ring(self)
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
        self.tail += 1
        self.requests += 1
        if not self.flush_wanted and self.state == UP:
            self.reactor.wants_flush(self)
        return 0

    cdef int flush(self) except -1:
        cdef Py_ssize_t sent
        if self.unsent == 0:
            return 0
        sent = self.send_now(self.outgoing.data + self.outgoing.end - self.unsent, self.unsent)
        if sent < 0:
            self.close()
            return 0
        self.unsent -= sent
        if self.unsent:
            self.interest(True, True)
        return 0

    # Replies

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
                raise ConnectionError(f"{self!r} does not speak RESP")
            self._answer(data + used, self.scan.at)
            if self.descriptor < 0:
                return 0
            used += self.scan.at
            self.scan.at = 0
            self.scan.begun = False
        self.keep(data, available, used)
        return 0

    cdef int _answer(self, const char* reply, Py_ssize_t length) except -1:
        """Hand one reply to whom it belongs."""
        cdef InFlight entry
        cdef bytes request
        if reply[0] == c">":
            return 0  # out of band, and nobody subscribes on these connections (listener.pyx is for that)
        if self.head == self.tail:
            raise ConnectionError(f"{self!r} answers without being asked")
        entry = self.ring[self.head & (self.ring_size - 1)]
        if size(&self.outgoing) - entry.length < self.unsent:
            raise ConnectionError(f"{self!r} answers what it has not read: {reply[:min(length, 200)]!r}")
        self.head += 1
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
        consume(&self.outgoing, entry.length)
        return sink.on_reply(entry.tag, reply, length)


cdef bint is_redirection(const char* reply, Py_ssize_t length) noexcept:
    if length < 10:
        return False
    return (
        memcmp(reply, b"-MOVED ", 7) == 0
        or memcmp(reply, b"-ASK ", 5) == 0
        or memcmp(reply, b"-TRYAGAIN ", 10) == 0
    )


cdef int grow_ring(Upstream upstream) except -1:
    cdef size_t fresh_size = upstream.ring_size * 2 or RING_START
    cdef size_t i
    cdef InFlight* fresh = <InFlight*>malloc(fresh_size * sizeof(InFlight))
    if fresh == NULL:
        raise MemoryError()
    for i in range(upstream.head, upstream.tail):
        fresh[i & (fresh_size - 1)] = upstream.ring[i & (upstream.ring_size - 1)]
    free(upstream.ring)
    upstream.ring = fresh
    upstream.ring_size = fresh_size
    return 0
