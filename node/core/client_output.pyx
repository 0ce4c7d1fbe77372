"""What leaves for one client: replies, what others cause to be sent to it, and what has to wait.

All replies of one read leave in one send(2), straight to the socket where it is ours (wire.pyx), else by the transport.
While anything waits that the kernel did not take, everything else queues behind it. What may not leave yet is held
back for the outbox (outbox.pyx), in order; what many get waits for the end of the turn (fanout.pyx).
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, int64_t

from node.core.engine cimport Engine
from node.core.fanout cimport Receiver
from node.core.outbox cimport LOG, Outbox
from node.core.reactor cimport at_turn_end
from node.core.reply_writer cimport ReplyWriter
from node.core.trail cimport Trail


cdef class ClientOutput(Receiver):

    # --- replies -------------------------------------------------------------------------------------

    cdef int flush(self) except -1:
        """Send what stands in the engine's reply writer, after what it promises was handed to replicas and log."""
        cdef Engine engine = self.engine
        cdef ReplyWriter reply = engine.reply
        cdef Outbox outbox = engine.outbox
        cdef bint tells_data = engine.tells_data
        engine.tells_data = False
        if engine.before_replies is not None:
            engine.settle()
        if engine.trail.pending.length and not self.stream_waits():
            engine.trail.flush()
        if reply.length == 0:
            return 0
        if not self.gone:
            if self.frames is not None:
                self.hand_out()
            self.count_sent(reply.length)
            if (outbox.shut and outbox.keeps(tells_data)) or self.held is not None:
                self.hold(PyBytes_FromStringAndSize(reply.data, reply.length), tells_data)
            else:
                self.put(reply)
        reply.length = 0
        reply.shrink()
        return 0

    cdef bint stream_waits(self) except -1:
        """Whether what was recorded is handed out at the end of the turn, together with what other clients write in
        it. That must be soon, and no reply may promise that it has been: where there is a log, its first chunk of the
        turn keeps replies back until it has all of them."""
        cdef Engine engine = self.engine
        cdef Outbox outbox = engine.outbox
        cdef Trail trail = engine.trail
        if (
            self.wire is None
            or not self.wire.reactor.in_turn
            or engine.aside is not None
            or outbox.shut != (LOG if trail.log is not None else 0)
            or outbox.copied != INT64_MAX
            or trail.pending.length > FLUSH_SIZE
        ):
            return False
        if trail.log is None and not trail.awaits_turn:
            trail.awaits_turn = True
            self.wire.reactor.soon(trail.flush)
        return True

    cdef int count_sent(self, size_t length) except -1:
        self.bytes_sent += length
        self.engine.bytes_sent += length
        self.engine.writes_processed += 1
        return 0

    cdef int put(self, ReplyWriter reply) except -1:
        """Give what was written to the kernel, or to who waits until it takes it."""
        if self.wire is not None:
            self.wire.put(reply)
        else:
            self.transport.write(PyBytes_FromStringAndSize(reply.data, reply.length))
        return self.check_limit()

    cdef int put_bytes(self, bytes data) except -1:
        if self.wire is not None:
            self.wire.write(data)
        else:
            self.transport.write(data)
        return self.check_limit()

    cdef int check_limit(self) except -1:
        if self.output_limit and <int64_t>self.unsent() > self.output_limit:
            self.overflowed = True
            self.abort()
        return 0

    # --- what is no reply to the current request -----------------------------------------------------

    def deliver_soon(self, bytes frame not None) -> None:
        """Send a frame that is no reply to the current request, by the end of the loop's turn."""
        self.deliver(frame)

    cdef int deliver(self, bytes frame) except -1:
        if self.gone:
            return 0
        if self.serving:
            return self.engine.reply.raw(frame, len(frame))
        self.engine.fanout.end_run()
        self.await_turn()
        return self.add_frame(frame)

    cdef bint await_turn(self) except -1:
        if self.serving:
            return False
        if self.frames is None and not self.gone:
            self.frames = []
            self.frames_length = 0
            self.engine.fanout.enter(self, at_turn_end(self.loop))
        return True

    cdef int add_frame(self, bytes frame) except -1:
        if self.gone:
            return 0
        self.frames.append(frame)
        self.frames_length += len(frame)
        if self.frames_length > FLUSH_SIZE:
            self.hand_out()
        return 0

    cdef int hand_out(self) except -1:
        self.engine.fanout.end_run()
        cdef list frames = self.frames
        self.frames = None
        if frames:
            self.say(frames[0] if len(frames) == 1 else b"".join(frames), False)
        return 0

    def send(self, bytes data not None) -> None:
        """Send bytes that are no reply to the current request: replication streams, invalidations."""
        if self.serving and not self.gone:
            self.engine.reply.raw(data, len(data))
        else:
            self.say(data, False)

    cdef int say(self, bytes data, bint tells_data) except -1:
        cdef Outbox outbox = self.engine.outbox
        if self.gone:
            return 0
        if self.frames is not None:
            self.hand_out()
        self.count_sent(len(data))
        if (outbox.shut and outbox.keeps(tells_data)) or self.held is not None:
            return self.hold(data, tells_data)
        return self.put_bytes(data)

    # --- what may not leave yet ----------------------------------------------------------------------

    cdef int hold(self, bytes data, bint tells_data) except -1:
        cdef Outbox outbox = self.engine.outbox
        if self.held is None:
            self.held = []
            outbox.enter(self)
        self.held.append((outbox.mark(tells_data), data))
        self.held_length += len(data)
        return outbox.take(self, self.held_length)

    def release(self, int64_t limit) -> bool:
        """Send what was held back with a mark up to `limit`. Returns whether anything is still held. The outbox
        calls it."""
        cdef list parts = []
        cdef bytes data
        if self.gone:
            self.held = None
            return False
        for mark, part in self.held:
            if mark > limit:
                break
            parts.append(part)
        if not parts:
            return True
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self.held_length -= len(data)
        self.held = self.held[len(parts):] or None
        self.put_bytes(data)
        if self.held is not None:
            return True
        if self.closes:
            self.transport.close()
        elif self.unsent() == 0:
            self.drained()
        return False

    @property
    def holds_data(self) -> bool:
        """Whether anything that is held tells of data."""
        return any(mark for mark, _ in self.held or ())

    # --- what waits ----------------------------------------------------------------------------------

    cdef size_t unsent(self) except? 0xFFFFFFFF:
        """Bytes that the kernel has not taken yet."""
        return self.wire.queued if self.wire is not None else self.transport.get_write_buffer_size()

    cdef size_t waiting_output(self) except? 0xFFFFFFFF:
        if self.gone:
            return 0
        if self.frames is None:
            return self.held_length + self.unsent()
        self.engine.fanout.end_run()
        return self.held_length + self.unsent() + (self.frames_length if self.frames is not None else 0)

    @property
    def pending_output(self) -> int:
        """Bytes that have not left yet."""
        return self.waiting_output()

    def pause_writing(self) -> None:
        """The transport asks to wait. We need not be told: `waiting_output` knows."""

    def resume_writing(self) -> None:
        """The transport has nothing left to send."""
        self.drained()

    cdef int drained(self) except -1:
        raise NotImplementedError

    # --- the end -------------------------------------------------------------------------------------

    @property
    def is_closing(self) -> bool:
        return self.gone or self.transport.is_closing()

    cpdef close(self):
        """Close once what was written has been sent."""
        if self.frames is not None:
            self.hand_out()
        if self.held is not None:
            self.closes = True
        elif not self.gone:
            self.transport.close()

    cpdef abort(self):
        """Close now, dropping what was not sent."""
        if not self.gone:
            self.gone = True
            self.transport.abort()
