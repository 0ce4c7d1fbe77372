"""One client's connection: bytes in, requests to the engine, replies out.

A `BufferedProtocol` of the event loop. All connections read into one shared buffer; what is left of an
unfinished frame moves into a buffer of the connection's own, which goes when the frame is done, so an idle
connection holds almost nothing. Requests are taken in batches: frames found, rows looked up and keys
hashed for up to 64 requests, then the memory they will touch is prefetched in two passes, then they are executed.
All replies of one read leave in one send(2), straight to the socket; only what the kernel does not take goes
through the transport, and while anything waits there, everything else queues behind it.

A request may have to wait for its reply (`Client.suspended`): then nothing behind it is executed until
`resume`. What arrives meanwhile is put aside, a read's worth of it, since only who reads hears that a client hung
up. A client that does not read must wait too: when CHOKE_SIZE of replies wait for it, it is not read any more until
it has taken them all. So memory is bounded whatever the output limits say.

A client may turn out to be another server that sends a stream of its own: `divert` hands over all that follows.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from node.core.batch cimport read_batch
from node.core.database cimport Database
from node.core.engine cimport BATCH, Client, Engine, Request
from node.core.fanout cimport Receiver
from node.core.memory cimport release, resize
from node.core.outbox cimport Outbox
from node.core.reply_writer cimport ReplyWriter
from node.core.request_reader cimport BAD, EMPTY, NEED_MORE, Outcome, Progress, spans_free
from node.core.timing cimport monotonic_ns

cdef extern from "<Python.h>":
    int PyBUF_WRITE

cdef extern from "<sys/socket.h>" nogil:
    ssize_t c_send "send"(int fd, const void* data, size_t length, int flags)
    ssize_t c_recv "recv"(int fd, void* data, size_t length, int flags)
    int MSG_DONTWAIT
    int MSG_NOSIGNAL

cdef enum:
    READ_SIZE = 64 * 1024
    FLUSH_SIZE = 256 * 1024      # a batch's replies beyond this do not wait for its end
    CHOKE_SIZE = 1 << 30         # replies waiting for a client beyond this keep its requests waiting


@cython.final
cdef class Connection(Receiver):
    """The connection of one `Client`; made by the server's protocol factory.

    `opened(connection)` must return the client; `closed(connection)` is told when it is gone.
    """

    cdef Engine engine
    cdef readonly Client client
    cdef readonly object transport
    cdef readonly object opened
    cdef readonly object closed
    cdef object loop
    cdef int fd                   # of a plain socket, or -1: then all goes through the transport
    cdef bint protected           # the transport is TLS
    cdef bint blocked             # the transport holds bytes; ours must queue behind them
    cdef bint reading_paused
    cdef bint choked              # too many replies wait for the client
    cdef object taker             # gets what arrives instead of us, or None
    cdef bint gone
    cdef list held                # output that waits in the outbox, as (mark, data), or None
    cdef size_t held_length
    cdef bint closes              # when that has been sent
    cdef bint serving             # inside `serve_buffer`: replies and pushes share the engine's writer
    cdef char* own                # unfinished frame and what follows it
    cdef size_t own_length
    cdef size_t own_capacity
    cdef Progress progress
    cdef public int64_t last_active       # Unix ms of the last read
    cdef readonly uint64_t bytes_received
    cdef readonly uint64_t bytes_sent
    cdef readonly uint64_t commands       # executed
    cdef public int64_t output_limit      # bytes that may wait in the transport, 0 no limit
    cdef readonly bint overflowed
    cdef public int64_t query_limit       # bytes an unfinished frame may hold

    def __cinit__(self, Engine engine not None, loop, opened, closed):
        self.engine = engine
        self.loop = loop
        self.opened = opened
        self.closed = closed
        self.fd = -1
        self.query_limit = 1 << 30

    def __dealloc__(self):
        release(self.own)
        spans_free(&self.progress.spans)

    # --- the protocol's face to the event loop -------------------------------------------------------

    def connection_made(self, transport):
        if self.transport is not None:
            self.adopt(transport)
            return
        self.transport = transport
        transport.set_write_buffer_limits(high=0)
        self.protected = transport.get_extra_info("sslcontext") is not None
        if not self.protected:
            sock = transport.get_extra_info("socket")
            if sock is not None:
                self.fd = sock.fileno()
        self.last_active = self.engine.now
        self.engine.connections_received += 1
        self.client = self.opened(self)
        if self.client is None:
            self.gone = True
            transport.close()

    cdef int adopt(self, transport) except -1:
        """The event loop's transport comes after the stand-in of a connection accepted by a busy worker."""
        before, self.transport = self.transport, transport
        transport.set_write_buffer_limits(high=0)
        if before.unsent:
            transport.write(bytes(before.unsent))
        if self.gone or before.is_closing():
            transport.close()
        elif self.reading_paused:
            transport.pause_reading()
        return 0

    def connection_lost(self, exc):
        self.gone = True
        self.fd = -1
        self.free_own()
        self.frames = None
        if self.held is not None:
            self.held = None
            self.engine.outbox.leave(self)
        if self.client is not None:
            self.closed(self)
        if self.taker is not None:
            self.taker(b"")

    def get_buffer(self, sizehint):
        cdef size_t wanted
        if self.own == NULL:
            return self.engine.shared_view
        wanted = self.own_length + READ_SIZE
        if self.progress.wanted > wanted:
            # A big frame is under way: grow with what arrived, not with what was announced.
            wanted = min(self.progress.wanted, 2 * self.own_length + READ_SIZE)
        if wanted > self.own_capacity:
            self.grow_own(wanted)
        return PyMemoryView_FromMemory(
            self.own + self.own_length, self.own_capacity - self.own_length, PyBUF_WRITE
        )

    def buffer_updated(self, size_t received):
        self.engine.tick()
        self.last_active = self.engine.now
        self.bytes_received += received
        self.engine.bytes_received += received
        self.engine.reads_processed += 1
        if self.gone or self.client.closing:
            return
        if self.client.suspended:
            self.put_aside(received)
        elif self.own != NULL:
            self.own_length += received
            self.serve_own()
        else:
            self.serve_shared(received)

    def read_now(self) -> int:
        """Read and serve what is there, outside of the event loop. Bytes read; 0 or less where there is nothing
        to read, or nothing more to come."""
        cdef ssize_t received
        if self.gone or self.serving or self.reading_paused:
            return -1
        if self.fd < 0:
            return self.transport.read_now() if self.protected else -1
        self.get_buffer(-1)
        if self.own == NULL:
            received = c_recv(self.fd, self.engine.shared, READ_SIZE, MSG_DONTWAIT)
        else:
            received = c_recv(
                self.fd, self.own + self.own_length, self.own_capacity - self.own_length, MSG_DONTWAIT
            )
        if received > 0:
            self.buffer_updated(received)
        return received

    @property
    def descriptor(self) -> int:
        """Of its socket, -1 where there is none."""
        return self.transport.descriptor if self.protected and not self.gone else self.fd

    def eof_received(self):
        return False

    def pause_writing(self):
        self.blocked = True

    def resume_writing(self):
        self.blocked = False
        if self.choked:
            self.choked = False
            self.loop.call_soon(self.go_on)

    # --- buffers -------------------------------------------------------------------------------------

    cdef int grow_own(self, size_t capacity) except -1:
        cdef char* own = <char*>resize(self.own, capacity)
        if own == NULL:
            raise MemoryError
        self.own = own
        self.own_capacity = capacity
        return 0

    cdef void free_own(self) noexcept:
        release(self.own)
        self.own = NULL
        self.own_length = self.own_capacity = 0

    cdef int keep(self, const char* rest, size_t length) except -1:
        """Copy what is left of the shared buffer into our own."""
        self.grow_own(length + 64)
        memcpy(self.own, rest, length)
        self.own_length = length
        return 0

    cdef int put_aside(self, size_t received) except -1:
        """Keep what a suspended client sends. One that sends a lot is read again when it is resumed."""
        if self.taker is not None and self.own == NULL:
            self.taker(self.engine.shared[:received])
            return 0
        if self.own != NULL:
            self.own_length += received
        else:
            self.keep(self.engine.shared, received)
        if self.own_length >= READ_SIZE:
            self.pause_reading()
        return 0

    cdef int serve_shared(self, size_t length) except -1:
        cdef size_t used = self.serve_buffer(self.engine.shared, length)
        if used < length and not self.gone and not self.client.closing:
            self.keep(self.engine.shared + used, length - used)
            self.check_query_limit()
        return 0

    cdef int serve_own(self) except -1:
        cdef size_t used
        if self.own_length < self.progress.wanted:
            self.check_query_limit()
            return 0
        used = self.serve_buffer(self.own, self.own_length)
        if self.own == NULL:
            return 0
        if used == self.own_length or self.gone or self.client.closing:
            self.free_own()
            spans_free(&self.progress.spans)
        elif used:
            memmove(self.own, self.own + used, self.own_length - used)
            self.own_length -= used
        self.check_query_limit()
        return 0

    cdef int check_query_limit(self) except -1:
        if <int64_t>self.own_length > self.query_limit:
            self.engine.query_limit_disconnections += 1
            self.abort()
        return 0

    # --- requests ------------------------------------------------------------------------------------

    cdef size_t serve_buffer(self, const char* base, size_t length) except? 0xFFFFFFFF:
        """Execute the requests in `base[:length]`; returns how many bytes are done with."""
        cdef size_t used = 0
        cdef Engine engine = self.engine
        cdef bint more = True
        engine.limits.bulk_length = engine.bulk_length
        self.serving = True
        try:
            while more and used < length:
                more = self.serve_batch(base, length, &used)
                if engine.reply.length > FLUSH_SIZE:
                    self.flush()
                    if self.waiting_output() > CHOKE_SIZE:
                        self.choked = True
                        more = False
        finally:
            self.serving = False
            self.flush()
        if self.client.closing:
            self.close()
        elif self.choked:
            self.pause_reading()
        return used

    cdef bint serve_batch(self, const char* base, size_t length, size_t* used) except -1:
        """Parse, prefetch and execute up to 64 requests from `base + used[0]`. False: stop for now."""
        cdef Engine engine = self.engine
        cdef Client client = self.client
        cdef Request* request
        cdef size_t position = used[0]
        # A client that is not authenticated is read one request at a time: AUTH lifts the limits.
        cdef int most = 1 if client.gate & 1 else BATCH
        cdef int count, i
        cdef Outcome outcome
        cdef int64_t began, measured
        engine.limits.authenticated = not client.gate & 1
        count = read_batch(
            engine, client.db, base, &position, length, &self.progress, &engine.limits, most, True, &outcome
        )
        began = monotonic_ns() if count else 0
        measured = engine.measured
        for i in range(count):
            request = &engine.batch[i]
            used[0] = request.end
            request.answered = engine.reply.length
            if engine.counts_use:
                engine.serve_counted(client, request)
            else:
                engine.serve(client, request)
            if client.suspended or client.closing or self.gone:
                # What follows will be read again.
                engine.share_out(client, i + 1, monotonic_ns() - began - (engine.measured - measured))
                self.commands += i + 1
                self.progress.position = self.progress.wanted = self.progress.spans.count = 0
                return False
        self.commands += count
        if count:
            engine.share_out(client, count, monotonic_ns() - began - (engine.measured - measured))
        if outcome == BAD:
            client.closing = True
            engine.fail(client, "ERR " + (<bytes>engine.limits.error).decode("utf-8", "surrogateescape"))
            return False
        if outcome == EMPTY:
            used[0] = position
        return outcome != NEED_MORE

    # --- replies -------------------------------------------------------------------------------------

    cdef int flush(self) except -1:
        """Send what stands in the engine's reply writer, after what it promises was handed to replicas and log."""
        cdef ReplyWriter reply = self.engine.reply
        cdef Outbox outbox = self.engine.outbox
        cdef bint tells_data = self.engine.tells_data
        cdef ssize_t sent = 0
        self.engine.tells_data = False
        if self.engine.before_replies is not None:
            self.engine.settle()
        if self.engine.trail.pending.length:
            self.engine.trail.flush()
        if reply.length == 0:
            return 0
        if self.gone:
            reply.length = 0
            reply.shrink()
            return 0
        if self.frames is not None:
            self.hand_out()
        self.bytes_sent += reply.length
        self.engine.bytes_sent += reply.length
        self.engine.writes_processed += 1
        if (outbox.shut and outbox.keeps(tells_data)) or self.held is not None:
            self.hold(PyBytes_FromStringAndSize(reply.data, reply.length), tells_data)
            sent = reply.length
        elif self.fd >= 0 and not self.queued():
            sent = c_send(self.fd, reply.data, reply.length, MSG_DONTWAIT | MSG_NOSIGNAL)
            if sent < 0:
                sent = 0  # full, or broken: the transport will find out
        if <size_t>sent < reply.length:
            self.hand_over(PyBytes_FromStringAndSize(reply.data + sent, reply.length - sent))
        reply.length = 0
        reply.shrink()
        return 0

    cdef bint queued(self) except -1:
        """Whether bytes wait in the transport, so that ours must not overtake them."""
        if self.blocked and self.transport.get_write_buffer_size() == 0:
            self.blocked = False
        return self.blocked

    cdef int hand_over(self, bytes data) except -1:
        cdef size_t waiting
        self.transport.write(data)
        waiting = self.transport.get_write_buffer_size()
        self.blocked = waiting > 0
        if self.output_limit and <int64_t>waiting > self.output_limit:
            self.overflowed = True
            self.abort()
        return 0

    def deliver_soon(self, bytes frame not None) -> None:
        """Send a frame that is no reply to the current request, by the end of the loop's turn."""
        self.deliver(frame)

    cdef int deliver(self, bytes frame) except -1:
        if self.gone:
            return 0
        if self.serving:
            return self.engine.reply.raw(frame, len(frame))
        if self.frames is None:
            self.frames = []
            self.frames_length = 0
            self.engine.fanout.enter(self, self.loop)
        self.frames.append(frame)
        self.frames_length += len(frame)
        if self.frames_length > FLUSH_SIZE:
            self.hand_out()
        return 0

    cdef int hand_out(self) except -1:
        cdef list frames = self.frames
        self.frames = None
        if frames is not None:
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
        self.bytes_sent += len(data)
        self.engine.bytes_sent += len(data)
        self.engine.writes_processed += 1
        if (outbox.shut and outbox.keeps(tells_data)) or self.held is not None:
            return self.hold(data, tells_data)
        return self.put(data)

    cdef int put(self, bytes data) except -1:
        """Give bytes to the kernel, or to the transport where it does not take them."""
        cdef ssize_t sent = 0
        if self.fd >= 0 and not self.queued():
            sent = c_send(self.fd, <const char*>data, len(data), MSG_DONTWAIT | MSG_NOSIGNAL)
            if sent < 0:
                sent = 0
        if sent < len(data):
            self.hand_over(data[sent:] if sent else data)
        return 0

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
        if self.gone:
            self.held = None
            return False
        for mark, data in self.held:
            if mark > limit:
                break
            parts.append(data)
        if not parts:
            return True
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self.held_length -= len(data)
        self.held = self.held[len(parts):] or None
        self.put(data)
        if self.held is not None:
            return True
        if self.closes:
            self.transport.close()
        elif self.choked and not self.blocked:
            self.resume_writing()
        return False

    @property
    def holds_data(self) -> bool:
        """Whether anything that is held tells of data."""
        return any(mark for mark, _ in self.held or ())

    cdef size_t waiting_output(self) except? 0xFFFFFFFF:
        if self.gone:
            return 0
        if self.frames is not None:
            self.hand_out()
        return self.held_length + (<size_t>self.transport.get_write_buffer_size() if self.blocked else 0)

    @property
    def pending_output(self) -> int:
        """Bytes that the kernel has not taken yet."""
        if self.frames is not None:
            self.hand_out()
        return 0 if self.gone else self.held_length + self.transport.get_write_buffer_size()

    @property
    def pending_input(self) -> int:
        """Bytes of requests that are not complete or wait for their turn."""
        return self.own_length

    @property
    def input_capacity(self) -> int:
        return self.own_capacity

    # --- waiting -------------------------------------------------------------------------------------

    cdef int pause_reading(self) except -1:
        if not self.reading_paused and not self.gone:
            self.reading_paused = True
            self.transport.pause_reading()
        return 0

    def resume(self, value) -> None:
        """Give a suspended client its reply and go on with the requests behind it."""
        cdef Client client = self.client
        if self.gone or not client.suspended:
            return
        client.suspended = False
        if self.engine.before_replies is not None:
            self.engine.settle()
        if self.engine.trail.pending.length:
            self.engine.trail.flush()
        writer = ReplyWriter()
        writer.write(value, client.resp)
        self.say(writer.take(), True)
        self.loop.call_soon(self.go_on)

    def go_on(self) -> None:
        """Execute what arrived while the client was suspended or choked, and read on."""
        if self.gone or self.client.suspended or self.choked:
            return
        self.engine.tick()
        if self.own != NULL:
            self.serve_own()
        if self.reading_paused and not (self.gone or self.client.suspended or self.choked):
            self.reading_paused = False
            self.transport.resume_reading()

    def divert(self, taker not None) -> None:
        """What follows the request being served is no request: `taker(data)` gets it from here on, and `b""` at
        the end. To be called from that request's handler; its reply still leaves."""
        self.client.suspended = True
        self.taker = taker
        self.loop.call_soon(self.divert_rest)

    def divert_rest(self) -> None:
        """Hand over what had arrived already."""
        if self.own != NULL and not self.gone:
            data = PyBytes_FromStringAndSize(self.own, self.own_length)
            self.free_own()
            spans_free(&self.progress.spans)
            self.taker(data)

    def hold_reading(self, bint held) -> None:
        """Let a stream that was diverted wait, or go on."""
        if held:
            self.pause_reading()
        elif self.reading_paused and not self.gone:
            self.reading_paused = False
            self.transport.resume_reading()

    # --- the end -------------------------------------------------------------------------------------

    @property
    def is_closing(self) -> bool:
        return self.gone or self.transport.is_closing()

    def close(self) -> None:
        """Close once what was written has been sent."""
        if self.frames is not None:
            self.hand_out()
        if self.held is not None:
            self.closes = True
        elif not self.gone:
            self.transport.close()

    def abort(self) -> None:
        """Close now, dropping what was not sent."""
        if not self.gone:
            self.gone = True
            self.fd = -1
            self.transport.abort()
