"""Frames on their way to many. See fanout.pyx."""

cdef class Receiver:
    cdef list frames             # that wait for the end of the turn, or None
    cdef size_t frames_length

    cdef int deliver(self, bytes frame) except -1
    cdef int hand_out(self) except -1

cdef class Fanout:
    cdef readonly dict channels      # name -> {session: None}, as node/session/pubsub keeps them
    cdef readonly dict patterns
    cdef public object to_members    # called with (channel, message, sharded) in a cluster, else None
    cdef list waiting                # receivers that have frames
    cdef bint awaited                # `end_turn` will be called

    cdef int enter(self, Receiver receiver, soon) except -1
