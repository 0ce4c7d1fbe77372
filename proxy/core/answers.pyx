"""The replies of one client, in the order of its requests.

For each request that is on its way there is an entry in a ring. A reply to the oldest is appended to the output
at once, and so are the later ones that were waiting behind it. If it comes too early, from a faster worker, it
is stashed in its entry.

What was read together is answered together, though several workers have a part in it: the first replies wait for
the others of their read, for a millisecond or two at most (`Turns.keep_back`), because a send costs more than all
else that is done for a request. Who sends one request at a time waits for nothing.

What is no reply, a message say, goes in between: at once (`tell`), or behind the replies so far
(`tell_behind`).

Redis closes a client whose unread replies pass a limit only for subscribers and replicas; the proxy has such a
last limit for everybody, because what piles up here is not the client's data alone but memory of a process that
all share (limits.pyx).
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from node.core.timing cimport monotonic_ns
from proxy.core.buffers cimport append, size
from proxy.core.limits cimport OutputLimit
from proxy.core.rings cimport larger_ring

import logging

log = logging.getLogger("shoal.proxy")

cdef enum:
    RING_START = 16
    REPLIES = 0                         # indexes of `over_since`
    MESSAGES = 1


cdef class Answers(Connection):

    def __dealloc__(self):
        self.forget_requests()

    def tell(self, bytes frame not None) -> None:
        """Send what is no reply: a message, a line of MONITOR, a confirmation. CLIENT REPLY does not mute it."""
        if self.descriptor < 0:
            return
        if self.overflows(&self.bounds.pushed, MESSAGES, size(&self.outgoing)):
            log.warning("closing client %d: it does not read what is pushed to it", self.id)
            self.close()
            return
        append(&self.outgoing, frame, len(frame))
        self.is_whole = True
        if not self.flush_wanted:
            self.turns.wants_flush(self)

    def tell_behind(self, bytes frame not None) -> None:
        """The same, but not before the requests so far are answered; unless the last one blocks."""
        cdef uint64_t tag
        cdef bint skip_next = self.skip_next
        if self.head == self.tail or self.blocked or self.descriptor < 0:
            self.tell(frame)
            return
        self.skip_next = False
        tag = self.push(0)
        self.skip_next = skip_next
        self.mute(tag, False)
        self.complete(tag, frame)

    def counts_as(self, uint64_t tag, int number) -> None:
        """The request `tag`, which has not been answered yet, is of this command (`Tallies.numbers`)."""
        self.ring[tag & (self.ring_size - 1)].number = number

    def count_rejected(self, uint64_t tag) -> None:
        """It is about to be answered with an error, before anything was done."""
        cdef Pending* entry = &self.ring[tag & (self.ring_size - 1)]
        self.tallies.rows[entry.number].rejected += 1
        entry.number = 0

    cdef int64_t began(self, uint64_t tag) noexcept:
        if self.head <= tag < self.tail:
            return self.ring[tag & (self.ring_size - 1)].started
        return 0

    def mute(self, uint64_t tag, bint muted=True) -> None:
        """Drop (or do not drop) the reply to request `tag`, which has not been answered yet."""
        if self.head <= tag < self.tail:
            self.ring[tag & (self.ring_size - 1)].muted = muted

    def complete(self, uint64_t tag, bytes reply not None) -> None:
        """Answer the request `tag` with an encoded reply. A second answer to a request is dropped."""
        if self.head <= tag < self.tail and not self.ring[tag & (self.ring_size - 1)].answered:
            self.tallies.now = monotonic_ns()
            self.on_reply(tag, reply, len(reply))

    @property
    def last_command(self) -> str:
        """The name of the last request's command; empty if it was none, or there was no request."""
        return self.tallies.names[self.newest()]

    cdef int16_t newest(self) noexcept:
        if self.ring == NULL or self.tail == 0:
            return self.last_number
        return self.ring[(self.tail - 1) & (self.ring_size - 1)].number

    def trim(self) -> int:
        """If nothing was asked since the last call, give back what the pipelines of before needed: how many
        bytes that were."""
        cdef Py_ssize_t held = self.ring_size * sizeof(Pending)
        if self.tail != self.tail_seen or self.head != self.tail:
            self.tail_seen = self.tail
            return 0
        self.last_number = self.newest()
        free(self.ring)
        self.ring = NULL
        self.ring_size = 0
        return held

    cdef uint64_t push(self, Py_ssize_t request_length) except? 0:
        """A ring entry for one more request; returns its tag."""
        cdef Pending* entry
        cdef uint64_t tag = self.tail
        if self.tail - self.head == self.ring_size:
            self.grow()
        entry = &self.ring[tag & (self.ring_size - 1)]
        entry.reply = NULL
        entry.answered = False
        entry.last = False
        entry.muted = self.replies_off or self.skip_next
        entry.request_length = request_length
        entry.started = self.tallies.now
        entry.number = 0
        self.skip_next = False
        self.bytes_in_flight += request_length
        self.tail += 1
        return tag

    cdef int grow(self) except -1:
        cdef uint64_t larger = self.ring_size * 2 or RING_START
        self.ring = <Pending*>larger_ring(
            self.ring, sizeof(Pending), self.ring_size, larger, self.head, self.tail
        )
        self.ring_size = larger
        return 0

    cdef void forget_requests(self) noexcept:
        """Replies that still come find the client closed and are dropped."""
        cdef uint64_t i
        for i in range(self.head, self.tail):
            free(self.ring[i & (self.ring_size - 1)].reply)
        free(self.ring)
        self.ring = NULL
        self.ring_size = 0
        self.head = self.tail = 0

    # Replies

    cdef int on_reply(self, uint64_t tag, const char* reply, Py_ssize_t length) except -1:
        cdef Pending* entry
        if self.descriptor < 0:
            return 0
        entry = &self.ring[tag & (self.ring_size - 1)]
        self.tallies.note(entry.number, entry.started, reply, length)
        self.bytes_in_flight -= entry.request_length
        self.usual_reply += (length - self.usual_reply) >> 3
        if entry.muted:
            length = 0
        if tag == self.head:
            self.head += 1
            self.is_whole |= entry.last
            append(&self.outgoing, reply, length)
            if self.head != self.tail:
                self.release_answered()
            if self.writing:
                return self.check_unread()
            if not self.flush_wanted:
                self.turns.wants_flush(self)
            return 0
        if length <= SMALL:
            memcpy(entry.small, reply, length)
        else:
            entry.reply = <char*>malloc(length)
            if entry.reply == NULL:
                raise MemoryError()
            memcpy(entry.reply, reply, length)
        entry.reply_length = length
        entry.answered = True
        self.stashed += length
        if self.stashed > self.bounds.replies.hard:
            log.warning("closing client %d: %d bytes of replies wait for it", self.id, self.stashed)
            self.close()
        return 0

    cdef int release_answered(self) except -1:
        """Move stashed replies to the output, as far as no unanswered request stands before them."""
        cdef Pending* entry
        while self.head != self.tail:
            entry = &self.ring[self.head & (self.ring_size - 1)]
            if not entry.answered:
                return 0
            self.head += 1
            self.is_whole |= entry.last
            self.stashed -= entry.reply_length
            if entry.reply == NULL:
                append(&self.outgoing, entry.small, entry.reply_length)
                continue
            append(&self.outgoing, entry.reply, entry.reply_length)
            free(entry.reply)
            entry.reply = NULL
        return 0

    cdef int check_unread(self) except -1:
        """The socket has not taken all of the output: do not let it become too much."""
        if self.overflows(&self.bounds.replies, REPLIES, size(&self.outgoing)):
            log.warning("closing client %d: it does not read its replies", self.id)
            self.close()
        return 0

    cdef bint overflows(self, OutputLimit* limit, int kind, Py_ssize_t held) noexcept:
        """Is `held` above the hard limit, or has it been above the soft one for too long?"""
        if held > limit.hard:
            return True
        if limit.soft == 0 or held <= limit.soft:
            self.over_since[kind] = 0
            return False
        cdef int64_t now = monotonic_ns()
        if self.over_since[kind] == 0:
            self.over_since[kind] = now
        return now - self.over_since[kind] > limit.patience
