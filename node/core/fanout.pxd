"""Frames on their way to many. See fanout.pyx."""

from node.core.reply_writer cimport ReplyWriter

cdef class Receiver:
    cdef list frames             # that wait for the end of the turn, or None
    cdef size_t frames_length

    cdef bint await_turn(self) except -1
    cdef int deliver(self, bytes frame) except -1
    cdef int add_frame(self, bytes frame) except -1
    cdef int hand_out(self) except -1

cdef class Audience:
    cdef list receivers          # of the run, who speak the same protocol
    cdef bytes head              # of each frame of the run, before the message
    cdef ReplyWriter text        # the frames

    cdef int begin(self, int resp, bytes channel) except -1
    cdef size_t add(self, const char* message, size_t length) except? 0xFFFFFFFF
    cdef int end(self) except -1

cdef class Fanout:
    cdef readonly dict channels      # name -> {session: None}, as node/session/pubsub keeps them
    cdef readonly dict patterns
    cdef list waiting                # receivers that have frames
    cdef bint awaited                # `end_turn` will be called
    cdef bytes run                   # the channel of the run, or None
    cdef int run_count               # who listens to it
    cdef Audience in_resp2
    cdef Audience in_resp3
    cdef bint in_cluster
    cdef size_t longest              # bytes that a channel and a message may have together there
    cdef object tell                 # as `meet_members` says, or None where there are no others
    cdef object await_turn
    cdef list published              # (channel, message, sharded) that the others do not know yet
    cdef size_t published_length

    cdef int enter(self, Receiver receiver, soon) except -1
    cdef bint continues(self, const char* channel, size_t length) noexcept
    cdef int begin(self, bytes channel, int count) except -1
    cdef int add(self, const char* message, size_t length) except -1
    cpdef end_run(self)
    cpdef tell_members(self, bytes channel, bytes message, bint sharded)
