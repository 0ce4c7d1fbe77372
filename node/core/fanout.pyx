"""Messages on their way to many.

Whoever listens to a channel that is busy is sent to often, and each send costs more than all else about a message. So
a frame waits in its receiver until the end of the event loop's turn, for what other clients cause in the same turn:
one send per receiver does for all, as many as there may be. Frames are shared: each is encoded once and only
referred to by those that it waits for.

What is published to one channel without anything between is a *run*: its frames are written one behind the other, once
for each protocol that is spoken among its listeners, and what has come together is given to all of them as one frame
when the run ends. So a message costs the same whether one listens or a thousand. A run ends with the turn, with a
message of any other kind, and before anybody comes to its listeners or leaves.

The other members of a cluster are told once a turn, too.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memcmp

from node.core.reply_writer cimport ReplyWriter

cdef enum:
    LONGEST_WAIT = 256 * 1024    # bytes beyond which nothing waits for the end of the turn
    ADDED_BY_BUS = 2264          # to each message, where it goes to other members


cdef class Receiver:
    """Whatever frames are delivered to: a connection."""

    cdef bint await_turn(self) except -1:
        """Whether frames for it may wait for the end of the turn, which it then awaits."""
        raise NotImplementedError

    cdef int deliver(self, bytes frame) except -1:
        """Send `frame` by the end of the turn, before whatever is sent otherwise from here on."""
        raise NotImplementedError

    cdef int add_frame(self, bytes frame) except -1:
        """The same, of a run that it awaited."""
        raise NotImplementedError

    cdef int hand_out(self) except -1:
        """Send what waits now."""
        raise NotImplementedError


cdef class Audience:
    """Those of a run who speak one protocol, and what they will get."""

    def __cinit__(self):
        self.receivers = []
        self.text = ReplyWriter()

    cdef int begin(self, int resp, bytes channel) except -1:
        self.text.line_of_int(c"*" if resp == 2 else c">", 3)
        self.text.bulk(b"message", 7)
        self.text.bulk(<const char*>channel, len(channel))
        self.head = PyBytes_FromStringAndSize(self.text.data, self.text.length)
        self.text.length = 0
        return 0

    cdef size_t add(self, const char* message, size_t length) except? 0xFFFFFFFF:
        """Returns how long the run has become."""
        if self.receivers:
            self.text.raw(<const char*>self.head, len(self.head))
            self.text.bulk(message, length)
        return self.text.length

    cdef int end(self) except -1:
        cdef Receiver receiver
        cdef list receivers = self.receivers
        if not receivers:
            return 0
        self.receivers = []
        if self.text.length == 0:
            return 0
        frame = PyBytes_FromStringAndSize(self.text.data, self.text.length)
        self.text.length = 0
        self.text.shrink()
        for receiver in receivers:
            receiver.add_frame(frame)
        return 0


cdef class Fanout:
    """Who listens, and who has frames waiting."""

    def __cinit__(self, dict channels not None, dict patterns not None):
        self.channels = channels
        self.patterns = patterns
        self.waiting = []
        self.published = []
        self.in_resp2 = Audience()
        self.in_resp3 = Audience()

    cdef int enter(self, Receiver receiver, soon) except -1:
        """`receiver` has frames from here on. `soon` calls back at the end of the turn."""
        self.waiting.append(receiver)
        if not self.awaited:
            self.awaited = True
            soon(self.end_turn)
        return 0

    def end_turn(self) -> None:
        """Let everybody have what waits for them."""
        cdef Receiver receiver
        self.end_run()
        self.awaited = False
        waiting, self.waiting = self.waiting, []
        for receiver in waiting:
            receiver.hand_out()

    # --- runs

    cdef bint continues(self, const char* channel, size_t length) noexcept:
        """Whether there is a run of this channel."""
        return (
            self.run is not None and <size_t>len(self.run) == length
            and memcmp(<const char*>self.run, channel, length) == 0
        )

    cdef int begin(self, bytes channel, int count) except -1:
        """A run, which `count` listen to; who they are is entered into the audiences then."""
        self.end_run()
        self.in_resp2.begin(2, channel)
        self.in_resp3.begin(3, channel)
        self.run = channel
        self.run_count = count
        return 0

    cdef int add(self, const char* message, size_t length) except -1:
        """Another message of the run."""
        if self.in_resp2.add(message, length) + self.in_resp3.add(message, length) > LONGEST_WAIT:
            self.end_run()
        return 0

    cpdef end_run(self):
        """To be called before the listeners of any channel change."""
        if self.run is not None:
            self.run = None
            self.in_resp2.end()
            self.in_resp3.end()

    # --- the other members

    def join_cluster(self, size_t longest) -> None:
        """Messages are the cluster's business. `longest`: bytes that one may have with its channel."""
        self.in_cluster = True
        self.longest = longest

    def meet_members(self, tell not None, await_turn not None) -> None:
        """From here on, what is published is told by `tell([(channel, message, whether it is for a shard), ...])`:
        when it has become much, and by `tell_now`, which `await_turn()` has to see to at the end of the turn. Until
        then there is nobody to tell."""
        self.tell = tell
        self.await_turn = await_turn

    cpdef tell_members(self, bytes channel, bytes message, bint sharded):
        """What was published here has to be published everywhere."""
        if self.tell is None:
            return
        if not self.published:
            self.await_turn()
        self.published.append((channel, message, sharded))
        self.published_length += len(channel) + len(message) + ADDED_BY_BUS
        if self.published_length > LONGEST_WAIT:
            self.tell_now()

    def tell_now(self) -> None:
        published, self.published = self.published, []
        self.published_length = 0
        if published:
            self.tell(published)
