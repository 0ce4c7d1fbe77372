"""The client side of the forwarder.

The way of a request: found in place in the receive buffer, its key's slot computed, its bytes appended to the
worker's buffer, an entry made in the ring. No Python object is made for it. What the route table does not
know how to forward (several keys, no key, local commands, errors) goes to `service.execute` as a list of
arguments.

What becomes of the reply is told in answers.pyx.

Some commands give the conversation a state: a transaction, subscriptions, a wait for a list to fill
(sessions.py). They begin when all earlier requests are answered (`postpone`), because the connections they
use know nothing of what travels over the shared ones. A state that concerns every following request diverts
the client: nothing is forwarded raw until it ends. Requests without state never ask whether there is one.

A client cannot make the proxy keep much: `must_wait` stops the reading of its requests while too many are in
flight, too much is unsent, or an earlier request has to finish first. How many are too many depends on how
long its replies usually are, because a hundred thousand GETs fit one packet, and what they ask for may fit no
memory. What limits.pyx tells can be set; a rate is kept by handing out leave for requests in advance, up to a
second's worth, so that a request costs one comparison.
"""

from node.core.key_slot cimport slot_of
from node.core.timing cimport monotonic_ns
from proxy.core.answers cimport Answers, Pending
from proxy.core.buffers cimport append, consume, release, size
from proxy.core.frames cimport BROKEN, COMPLETE, NEED_MORE, RequestLimits, error_text, scan_request
from proxy.core.connection cimport Connection, Turns
from proxy.core.hot_reads cimport NOT_TAKEN, TAKEN_BEHIND, Taken
from proxy.core.routes cimport Route, fits
from proxy.core.secrecy cimport Secrecy
from proxy.core.upstream cimport Upstream

import logging

from proxy.core.frames import ProtocolError, request_arguments

log = logging.getLogger("shoal.proxy")

cdef extern from *:
    """
    #include <sys/socket.h>
    static int has_input(int fd) { char byte; return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0; }
    """
    bint has_input(int descriptor) nogil      # or has it been closed by its peer?

cdef enum:
    BYTES_IN_FLIGHT_MAX = 8388608       # of requests of one client; reading goes on when half are answered
    REPLIES_EXPECTED_MAX = 16777216     # and in bytes of replies, going by what they were so far
    USUAL_AT_FIRST = 131072             # the guess before the first reply: 128 requests may be in flight
    UNSENT_MAX = 1048576                # replies a client has not read, before its next requests have to wait
    HELD_MAX = 16384                    # bytes of replies that wait for others to leave with them
    UNREAD_WHILE_BLOCKED = 1048576      # requests behind one that blocks, kept to see whether the client leaves
    SECOND = 1000000000                 # ns
    SHORTEST_WAIT = 10000000            # ns between two looks whether the rate allows more

cdef uint64_t UNLIMITED = 0xFFFFFFFFFFFFFFFF

cdef bytes UNBOUND = b"-CLUSTERDOWN Hash slot not served\r\n"


cdef class Client(Answers):

    def __init__(
        self, Turns turns not None, service, RouteTable routes not None, SlotMap slots not None, uint64_t id
    ):
        self.turns = turns
        self.service = service
        self.tallies = turns.tallies
        self.routes = routes
        self.slots = slots
        self.id = id
        self.resp = 2
        self.bounds = service.limits
        self.earned_at = monotonic_ns() - SECOND
        self.usual_reply = USUAL_AT_FIRST
        self.limits = RequestLimits(2147483647, 536870912)

    def open(self, int descriptor, bint authenticated, Secrecy secrecy=None) -> None:
        """Take over an accepted, non-blocking socket. Until it is `authenticated`, requests must be small. With
        `secrecy` a handshake comes first."""
        self.secrecy = secrecy
        self.authenticated = authenticated
        self.attach(descriptor)

    @property
    def authenticated(self) -> bool:
        return self.logged_in

    @authenticated.setter
    def authenticated(self, bint logged_in) -> None:
        self.logged_in = logged_in
        self.plain = logged_in and not self.has_state
        self.limits = RequestLimits(2147483647, 536870912) if logged_in else RequestLimits(10, 16384)

    @property
    def diverted(self) -> bool:
        return self.has_state

    @diverted.setter
    def diverted(self, bint has_state) -> None:
        """Whether all requests take the way through Python, also those that could be forwarded raw."""
        self.has_state = has_state
        self.plain = self.logged_in and not has_state

    @property
    def is_open(self) -> bool:
        return self.descriptor >= 0

    @property
    def closing(self) -> bool:
        """Nothing more is read from it: it is closed when all replies are sent."""
        return self.input_ended

    @property
    def shakes_hands(self) -> bool:
        """It is not known yet who it is."""
        return self.secrecy is not None and not self.secrecy.established

    @property
    def buffered(self) -> tuple:
        """(bytes of unfinished or waiting requests, bytes of replies not sent yet)."""
        return size(&self.unread), size(&self.outgoing) + self.stashed

    def serve_under(self, service, SlotMap slots not None) -> None:
        """From now on another service has the connections to workers: that of another user."""
        self.service = service
        self.slots = slots
        self.hot_reads = service.hot_reads

    def hold(self) -> None:
        """Dispatch no further request before all so far are answered."""
        self.hold_until = self.tail

    def hold_behind(self, uint64_t tag) -> bool:
        """Hold everything behind request `tag`. False if later requests are on their way already."""
        if tag + 1 != self.tail:
            return False
        self.hold()
        return True

    def postpone(self, uint64_t tag) -> bool:
        """Called while request `tag` is executed: if others before it are not answered yet, take it back, to
        be executed again when they are, and return True. Then it must not be completed."""
        if tag == self.head:
            return False
        self.postponed = True
        return True

    def block(self) -> None:
        """Dispatch nothing more before the last request is answered, which may take as long as it likes.
        Meanwhile a client that leaves is noticed, whatever it has sent behind."""
        self.blocked = True
        self.ring[(self.tail - 1) & (self.ring_size - 1)].started = 0
        self.hold()

    def unblock(self) -> None:
        """The request is about to be completed."""
        self.blocked = False

    def end_input(self) -> None:
        """Take no further requests, and close when all replies are sent."""
        self.input_ended = True
        if self.head == self.tail and not self.flush_wanted and self.descriptor >= 0:
            self.turns.wants_flush(self)

    def kill(self) -> None:
        """Close at once, whatever is in flight."""
        self.close()

    # The end of this process (draining.py)

    @property
    def at_rest(self) -> bool:
        """Is all that was dispatched answered, and sent?"""
        return self.head == self.tail and size(&self.outgoing) == 0 and not self.writing

    @property
    def idle(self) -> bool:
        """Has besides nothing more come, not even the beginning of a request?"""
        return self.at_rest and size(&self.unread) == 0 and not has_input(self.descriptor)

    @property
    def moves(self) -> bool:
        """Could another process go on with it? Not if it is about to be closed, and not what TLS knows of it."""
        return not self.input_ended and self.secrecy is None

    def freeze(self) -> None:
        """Read and dispatch nothing more; replies still go out."""
        self.frozen = True
        self.interest(False, self.writing)

    def thaw(self) -> None:
        self.frozen = False
        self.interest(True, self.writing)
        if self.stalled and not self.flush_wanted:
            self.turns.wants_flush(self)

    def give_away(self) -> tuple:
        """Give the connection away: (its open descriptor, what was read but not dispatched)."""
        cdef int descriptor = self.descriptor
        cdef bytes unread = self.unread.data[self.unread.start:self.unread.end] if self.unread.data else b""
        self.let_go()
        self.forget_requests()
        self.service.client_closed(self)
        return descriptor, unread

    def resume(self, const unsigned char[:] unread not None) -> None:
        """After `open`: begin with what another process has read but not dispatched."""
        if unread.shape[0]:
            append(&self.unread, <const char*>&unread[0], unread.shape[0])
            self.process(self.unread.data + self.unread.start, size(&self.unread))

    cpdef close(self):
        if self.descriptor >= 0:
            Connection.close(self)
            self.forget_requests()
            self.service.client_closed(self)

    # Requests

    cdef int on_readable(self) except -1:
        cdef char* data
        cdef Py_ssize_t available
        available = self.receive(&data)
        if available == 0:
            return 0
        if available < 0:
            self.input_ended = True
            if self.blocked or self.head == self.tail and size(&self.outgoing) == 0:
                self.close()
            else:
                self.interest(False, self.writing)
            return 0
        return self.process(data, available)

    cdef int process(self, const char* data, Py_ssize_t available) except -1:
        """Dispatch the requests in `data` until it is used up, breaks off in a request, or has to wait."""
        cdef Py_ssize_t used = 0
        cdef int result
        while used < available:
            if self.must_wait():
                self.stalled = True
                self.interest(self.blocked and available < UNREAD_WHILE_BLOCKED, self.writing)
                if self.tail >= self.paid_until:
                    self.wake_later()
                break
            result = scan_request(data + used, available - used, &self.scan, &self.limits)
            if result == NEED_MORE:
                if available - used > self.bounds.request:
                    log.warning(
                        "closing client %d: a request of more than %d bytes", self.id, self.bounds.request
                    )
                    self.close()
                    return 0
                break
            if result == BROKEN:
                return self.refuse()
            if result == COMPLETE:
                self.dispatch(data + used)
                if self.descriptor < 0:
                    return 0
            used += self.scan.at
            self.scan.at = 0
            self.scan.seen = 0
            if self.input_ended:
                self.interest(False, self.writing)
                used = available
        if self.head != self.tail:
            self.ring[(self.tail - 1) & (self.ring_size - 1)].last = True
        return self.keep(data, available, used)

    cdef bint must_wait(self) noexcept:
        if self.tail >= self.paid_until and not self.earn():
            return True
        if self.head == self.tail and size(&self.outgoing) == 0:
            return False
        # Once stalled, go on only well below the limits, so that reading does not stop and go all the time.
        cdef int slack = 2 if self.stalled else 1
        cdef Py_ssize_t in_flight = slack * <Py_ssize_t>(self.tail - self.head)
        return (
            self.head < self.hold_until
            or in_flight >= self.bounds.in_flight
            or in_flight * self.usual_reply > REPLIES_EXPECTED_MAX
            or slack * self.bytes_in_flight > BYTES_IN_FLIGHT_MAX
            or slack * (size(&self.outgoing) + self.stashed) > UNSENT_MAX
        )

    cdef bint earn(self) noexcept:
        """Does the rate allow a request now? Then how many, is kept in `paid_until`."""
        cdef int64_t now = monotonic_ns()
        cdef int64_t earned
        if self.bounds.rate == 0:
            self.paid_until = UNLIMITED
            return True
        cdef int64_t passed = min(now - self.earned_at, SECOND)
        earned = passed * self.bounds.rate // SECOND
        if earned == 0:
            return False
        self.earned_at = now - (passed - earned * SECOND // self.bounds.rate)
        self.paid_until = self.tail + <uint64_t>earned
        return True

    cdef int wake_later(self) except -1:
        """Go on when the rate allows it."""
        if self.waking:
            return 0
        self.waking = True
        wait = max(SHORTEST_WAIT, SECOND // max(self.bounds.rate, 1))
        self.turns.loop.call_later(wait / SECOND, self._wake)
        return 0

    def _wake(self):
        self.waking = False
        if self.descriptor >= 0 and not self.flush_wanted:
            self.turns.wants_flush(self)

    def limits_changed(self) -> None:
        """Reckon anew what the rate allows."""
        self.paid_until = self.tail

    cdef int dispatch(self, const char* frame) except -1:
        cdef Route* route
        cdef Upstream upstream
        cdef uint64_t tag = self.push(self.scan.at)
        cdef int key, slot
        if self.plain and not self.scan.irregular:
            route = self.routes.find(frame + self.scan.args[0].at, self.scan.args[0].length)
            if route != NULL and fits(route, self.scan.argc):
                key = route.first_key
                if self.routes.guarded and not self.routes.admits(
                    frame + self.scan.args[key].at, self.scan.args[key].length
                ):
                    return self.execute(frame, tag)
                slot = slot_of(frame + self.scan.args[key].at, self.scan.args[key].length)
                if self.reads_replicas and route.reads:
                    upstream = self.slots.reader(slot, self.resp == 3, self.id)
                elif self.hot_reads is not None and self.is_hot(frame, tag, route, slot):
                    return 0
                else:
                    upstream = self.slots.owner(slot, self.resp == 3)
                if upstream is None:
                    return self.on_reply(tag, UNBOUND, len(UNBOUND))
                self.ring[tag & (self.ring_size - 1)].number = route.number
                return upstream.request(frame, self.scan.at, self, tag, 0, self.tallies.now)
        return self.execute(frame, tag)

    cdef bint is_hot(self, const char* frame, uint64_t tag, Route* route, int slot) except *:
        """Is the request taken care of with others about the same, hot key (hot_reads.pyx)?"""
        cdef int key = route.first_key
        cdef Taken taken
        if route.reads and not route.steady:
            return False
        self.ring[tag & (self.ring_size - 1)].number = route.number
        taken = self.hot_reads.take(
            self, tag, frame, self.scan.at, frame + self.scan.args[key].at, self.scan.args[key].length,
            slot, route.steady, self.resp == 3, tag == self.head, self.strict
        )
        if taken == TAKEN_BEHIND:
            self.hold()
        return taken != NOT_TAKEN

    cdef int execute(self, const char* frame, uint64_t tag) except -1:
        """The way through Python. `service.execute` returns the reply, or None and will `complete` later."""
        cdef bytes request = frame[:self.scan.at]
        cdef bytes reply
        try:
            argv = request_arguments(request)
        except ProtocolError as error:
            self.input_ended = True
            reply = b"-ERR Protocol error: %s\r\n" % str(error).encode()
            return self.on_reply(tag, reply, len(reply))
        self.carry_out(tag, argv, None if self.scan.irregular else request)
        return 0

    def carry_out(self, uint64_t tag, list argv not None, bytes request):
        """Have `service` execute request `tag`: now, or later for one that had to wait."""
        cdef bytes reply
        try:
            reply = self.service.execute(self, tag, argv, request)
        except Exception:
            log.exception("a command failed inside the proxy")
            reply = b"-ERR internal error of the proxy\r\n"
        if self.postponed:
            self.take_back(tag)
        elif reply is not None:
            self.on_reply(tag, reply, len(reply))

    cdef void take_back(self, uint64_t tag) noexcept:
        """The request just read counts as not read yet, and has to wait for all before it."""
        cdef Pending* entry = &self.ring[tag & (self.ring_size - 1)]
        self.postponed = False
        self.skip_next = entry.muted and not self.replies_off
        self.bytes_in_flight -= entry.request_length
        self.tail = tag
        self.hold_until = tag
        self.scan.at = 0

    cdef int refuse(self) except -1:
        """The client does not speak RESP: say so after the replies it has coming, and close."""
        cdef bytes reply = b"-ERR Protocol error: %s\r\n" % error_text(&self.scan).encode("latin-1")
        self.input_ended = True
        self.interest(False, self.writing)
        self.complete(self.push(0), reply)
        return 0

    cdef bint expects_more(self, Py_ssize_t held) noexcept:
        """Should what is to be sent wait for replies that belong to it?"""
        return not self.is_whole and self.head != self.tail and not self.blocked and held < HELD_MAX

    cdef int on_patience_ended(self) except -1:
        self.is_whole = True
        return 0

    cdef int flush(self) except -1:
        """Send; then take up requests that had to wait, or close if these were the last words."""
        cdef Py_ssize_t sent
        cdef Py_ssize_t held = size(&self.outgoing)
        if held and self.expects_more(held):
            self.turns.keep_back(self)
        elif held:
            self.kept_since = 0
            sent = self.send_now(self.outgoing.data + self.outgoing.start, held)
            if sent < 0:
                self.close()
                return 0
            consume(&self.outgoing, sent)
            if sent < held:
                self.interest(self.reading, True)
                return self.check_unread()
            self.is_whole = False
        if self.input_ended:
            if self.head == self.tail and not self.writing:
                self.close()
        elif self.stalled and not self.frozen and not self.must_wait():
            self.stalled = False
            self.interest(True, self.writing)
            self.process(self.unread.data + self.unread.start, size(&self.unread))
        elif self.stalled and self.tail >= self.paid_until:
            self.wake_later()
        return 0
