"""One client's conversation: requests in, replies out in the order of the requests."""

from libc.stdint cimport int64_t, uint64_t

from proxy.core.answers cimport Answers
from proxy.core.frames cimport RequestLimits, RequestScan
from proxy.core.hot_reads cimport HotReads
from proxy.core.routes cimport Route, RouteTable, SlotMap

cdef class Client(Answers):
    cdef readonly object service        # commands.Commands: carries out what is not forwarded raw
    cdef RouteTable routes
    cdef SlotMap slots
    cdef public HotReads hot_reads      # None unless hot keys are looked for

    # The session, changed by local commands
    cdef bint logged_in                 # `authenticated`: nothing is owed any more before commands are obeyed
    cdef bint has_state                 # `diverted`: a state of the conversation concerns every request
    cdef bint plain                     # logged in and without such a state: requests may be forwarded raw
    cdef public int resp                # 2 or 3
    cdef public object facts            # local_commands.ClientFacts: name, address, library …
    cdef public bint reads_replicas     # its reads go to replicas where there are any to be read
    cdef public bint strict             # CLIENT CAPA strict: no read is answered from the cache
    cdef public object session          # sessions.Session, None for who never needed one

    # Requests
    cdef RequestScan scan
    cdef RequestLimits limits
    cdef bint stalled                   # `unread` holds requests that must wait; the socket is not read
    cdef bint frozen                    # about to be handed over, or closed: nothing is read or dispatched
    cdef bint postponed                 # by the service, for the request that it is executing
    cdef bint input_ended               # no more requests: close once all is answered and sent
    cdef uint64_t hold_until            # dispatch nothing more before all requests so far are answered
    cdef uint64_t paid_until            # the rate allows requests up to this one; then see `earn`
    cdef int64_t earned_at              # when it was reckoned last, ns
    cdef bint waking                    # a timer will look whether more are allowed

    cdef int process(self, const char* data, Py_ssize_t available) except -1
    cdef int dispatch(self, const char* frame) except -1
    cdef bint is_hot(self, const char* frame, uint64_t tag, Route* route, int slot) except *
    cdef int execute(self, const char* frame, uint64_t tag) except -1
    cdef void take_back(self, uint64_t tag) noexcept
    cdef int refuse(self) except -1
    cdef bint must_wait(self) noexcept
    cdef bint expects_more(self, Py_ssize_t held) noexcept
    cdef bint earn(self) noexcept
    cdef int wake_later(self) except -1
