"""Messages on their way to many.

Whoever listens to a channel that is busy is sent to often, and each send costs more than all else about a message. So
a frame waits in its receiver until the end of the event loop's turn, for what other clients cause in the same turn:
one send per receiver does for all, as many as there may be. Frames are shared: each is encoded once and only
referred to by those that it waits for.
"""


cdef class Receiver:
    """Whatever frames are delivered to: a connection."""

    cdef int deliver(self, bytes frame) except -1:
        """Send `frame` by the end of the turn, before whatever is sent otherwise from here on."""
        raise NotImplementedError

    cdef int hand_out(self) except -1:
        """Send what waits now."""
        raise NotImplementedError


cdef class Fanout:
    """Who listens, and who has frames waiting."""

    def __cinit__(self, dict channels not None, dict patterns not None):
        self.channels = channels
        self.patterns = patterns
        self.waiting = []

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
        self.awaited = False
        waiting, self.waiting = self.waiting, []
        for receiver in waiting:
            receiver.hand_out()
