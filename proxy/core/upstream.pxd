"""One connection to one worker, shared by all clients that speak the same protocol version."""

from libc.stdint cimport int64_t, uint64_t

from node.core.timing cimport Timing
from proxy.core.replies cimport ReplyConnection
from proxy.core.sinks cimport ReplySink, Tap

cdef enum UpstreamState:
    IDLE            # never needed so far: the first request makes it connect
    CONNECTING      # requests queue up
    UP
    WAITING         # does the worker serve? Nothing but a probe is sent, requests queue up
    DOWN            # requests are refused at once, until a reconnect succeeds

cdef struct InFlight:
    void* sink              # ReplySink, owned; NULL: nobody wants the reply
    uint64_t tag            # the sink's own name for the request
    Py_ssize_t length       # of the request's bytes in `outgoing`
    int redirects           # how often MOVED or ASK has sent it on
    int64_t started         # when it arrived at the proxy, ns

cdef class Upstream(ReplyConnection):
    cdef readonly str host
    cdef readonly int port
    cdef readonly int version           # RESP 2 or 3
    cdef readonly object pool           # upstreams.UpstreamPool: connects, follows redirections
    cdef UpstreamState state
    cdef bytes refusal                  # error reply while DOWN
    cdef Py_ssize_t probe               # bytes not sent yet that may be while WAITING: the oldest request
    cdef Py_ssize_t queue_max           # bytes of requests that may queue up while not UP
    cdef InFlight* ring                 # requests not answered yet, oldest at `head`
    cdef size_t ring_size               # a power of two
    cdef size_t head                    # head and tail count on for ever; modulo ring_size they are indexes
    cdef size_t tail
    cdef bint nagles                    # it is so near that requests wait for the replies to those before them
    cdef bint torn                      # the socket has taken only a part of what it was given last
    cdef Py_ssize_t unsent              # how much of the end of `outgoing` the socket has not taken yet
    cdef readonly uint64_t requests     # sent since the start, for INFO
    cdef readonly uint64_t errors       # error replies, redirections not among them
    cdef Timing timing                  # until replies are there
    cdef readonly uint64_t connects     # how often it was connected
    cdef public Tap tap                 # hears of all that is answered; None
    cdef public object worker           # what is known of the process at the other end; None with each connect

    cdef int request(
        self, const char* request, Py_ssize_t length, ReplySink sink, uint64_t tag, int redirects,
        int64_t started
    ) except -1
    cdef int _push(
        self, const char* request, Py_ssize_t length, ReplySink sink, uint64_t tag, int redirects,
        int64_t started
    ) except -1
    cdef int grow(self) except -1
    cdef bint awaits_others(self) noexcept
    cdef int send_probe(self) except -1
