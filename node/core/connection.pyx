"""One client's connection: bytes in, requests to the engine. What leaves is in client_output.pyx.

It reads for itself when its socket is ready (`ClientWire`); by TLS it is a `BufferedProtocol` of a transport. All
connections read into one shared buffer; what is left of an unfinished frame moves into a buffer of the connection's
own, which goes when the frame is done, or becomes the entry of a large value (incoming.pxd), so an idle connection
holds almost nothing. Requests are taken in batches: frames found, rows looked up and keys hashed for up to 64
requests, then the memory they will touch is prefetched in two passes, then they are executed.

A request may have to wait for its reply (`Client.suspended`): then nothing behind it is executed until
`resume`. What arrives meanwhile is put aside, a read's worth of it, since only who reads hears that a client hung
up. A client that does not read must wait too: when CHOKE_SIZE of replies wait for it, it is not read any more until
it has taken them all. So memory is bounded whatever the output limits say.

A client may turn out to be another server that sends a stream of its own: `divert` hands over all that follows.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memmove

from node.core.batch cimport read_batch
from node.core.batch_times cimport share_out
from node.core.client_output cimport FLUSH_SIZE, ClientOutput
from node.core.engine cimport BATCH, Client, Engine, Request
from node.core.incoming cimport LARGE_FRAME, MOST_BEFORE, Incoming, incoming_free, incoming_grow, incoming_make_head
from node.core.reply_writer cimport ReplyWriter
from node.core.request_reader cimport BAD, EMPTY, NEED_MORE, Outcome, Progress, spans_free
from node.core.slot_use cimport serve_counted
from node.core.timing cimport monotonic_ns
from node.core.wire cimport Wire

import os

cdef extern from "<Python.h>":
    int PyBUF_WRITE

cdef extern from "<sys/socket.h>" nogil:
    ssize_t c_recv "recv"(int fd, void* data, size_t length, int flags)
    int MSG_DONTWAIT

cdef enum:
    READ_SIZE = 64 * 1024
    CHOKE_SIZE = 1 << 30         # replies waiting for a client beyond this keep its requests waiting


@cython.final
cdef class ClientWire(Wire):
    """The socket of a client, which wakes its connection without a call into Python."""

    cdef int on_readable(self) except -1:
        (<Connection>self.protocol).read()
        return 0


@cython.final
cdef class Connection(ClientOutput):
    """The connection of one `Client`; made by the server's protocol factory.

    `opened(connection)` must return the client; `closed(connection)` is told when it is gone.
    """

    cdef readonly Client client
    cdef readonly object opened
    cdef readonly object closed
    cdef bint reading_paused
    cdef bint choked              # too many replies wait for the client
    cdef object taker             # gets what arrives instead of us, or None
    cdef Incoming own             # unfinished frame and what follows it
    cdef Progress progress
    cdef public int64_t last_active       # Unix ms of the last read
    cdef readonly uint64_t bytes_received
    cdef readonly uint64_t commands       # executed
    cdef public int64_t query_limit       # bytes an unfinished frame may hold

    def __cinit__(self, Engine engine not None, loop, opened, closed):
        self.engine = engine
        self.loop = loop
        self.opened = opened
        self.closed = closed
        self.query_limit = 1 << 30

    def __dealloc__(self):
        incoming_free(&self.own)
        spans_free(&self.progress.spans)

    # --- the protocol's face to its transport --------------------------------------------------------

    def connection_made(self, transport):
        self.transport = transport
        if isinstance(transport, Wire):
            self.wire = transport
        transport.set_write_buffer_limits(high=0)
        self.last_active = self.engine.now
        self.engine.connections_received += 1
        self.client = self.opened(self)
        if self.client is None:
            self.gone = True
            transport.close()

    def connection_lost(self, exc):
        self.gone = True
        incoming_free(&self.own)
        self.frames = None
        if self.held is not None:
            self.held = None
            self.engine.outbox.leave(self)
        if self.client is not None:
            self.closed(self)
        if self.taker is not None:
            self.taker(b"")

    def get_buffer(self, sizehint):
        cdef size_t length
        cdef char* where = self.room(&length)
        if self.own.start == NULL:
            return self.engine.shared_view
        return PyMemoryView_FromMemory(where, length, PyBUF_WRITE)

    def buffer_updated(self, size_t received):
        self.take(received)

    def eof_received(self):
        return False

    # --- reading -------------------------------------------------------------------------------------

    cdef char* room(self, size_t* length) except NULL:
        """Where to read to, and how much."""
        cdef size_t wanted
        if self.own.start == NULL:
            length[0] = READ_SIZE
            return self.engine.shared
        wanted = self.own.length + READ_SIZE
        if self.progress.wanted > wanted:
            # A big frame is under way: grow with what arrived, not with what was announced.
            wanted = min(self.progress.wanted, 2 * self.own.length + READ_SIZE)
            if (
                self.own.head == 0
                and self.progress.wanted >= LARGE_FRAME
                and self.progress.position <= MOST_BEFORE
            ):
                incoming_make_head(&self.own, self.progress.position, wanted)
        elif self.own.head and self.progress.wanted > self.own.length:
            wanted = self.progress.wanted    # and no more: what follows is not the value's
        if wanted > self.own.capacity:
            incoming_grow(&self.own, wanted)
        length[0] = (wanted if self.own.head else self.own.capacity) - self.own.length
        return self.own.start + self.own.length

    cdef ssize_t read(self) except -2:
        """Read once from the socket, and serve what there was: its bytes, 0 for the end, -1 where there was nothing."""
        cdef size_t length
        cdef char* where = self.room(&length)
        cdef ssize_t received = c_recv(self.wire.descriptor, where, length, MSG_DONTWAIT)
        if received > 0:
            self.take(received)
        elif received == 0:
            self.wire.close()
        elif errno != EAGAIN and errno != EINTR:
            self.wire.end(OSError(errno, os.strerror(errno)))
        return received

    def read_now(self) -> int:
        """Read and serve what is there, outside of the event loop. Bytes read; 0 or less where there is nothing
        to read, or nothing more to come."""
        if self.gone or self.serving or self.reading_paused or self.transport.is_closing():
            return -1
        return self.transport.read_now() if self.wire is None else self.read()

    @property
    def descriptor(self) -> int:
        """Of its socket, -1 where there is none."""
        return -1 if self.gone else self.transport.descriptor

    cdef int take(self, size_t received) except -1:
        self.engine.tick()
        self.last_active = self.engine.now
        self.bytes_received += received
        self.engine.bytes_received += received
        self.engine.reads_processed += 1
        if self.gone or self.client.closing:
            return 0
        if self.client.suspended:
            self.put_aside(received)
        elif self.own.start != NULL:
            self.own.length += received
            self.serve_own()
        else:
            self.serve_shared(received)
        return 0

    # --- buffers -------------------------------------------------------------------------------------

    cdef int keep(self, const char* rest, size_t length) except -1:
        """Copy what is left of the shared buffer into our own."""
        incoming_grow(&self.own, length + 64)
        memcpy(self.own.start, rest, length)
        self.own.length = length
        return 0

    cdef int put_aside(self, size_t received) except -1:
        """Keep what a suspended client sends. One that sends a lot is read again when it is resumed."""
        if self.taker is not None and self.own.start == NULL:
            self.taker(self.engine.shared[:received])
            return 0
        if self.own.start != NULL:
            self.own.length += received
        else:
            self.keep(self.engine.shared, received)
        if self.own.length >= READ_SIZE:
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
        cdef Incoming* outer = self.engine.incoming
        if self.own.length < self.progress.wanted:
            self.check_query_limit()
            return 0
        self.engine.incoming = &self.own
        try:
            used = self.serve_buffer(self.own.start, self.own.length)
        finally:
            self.engine.incoming = outer
        if self.own.start == NULL:
            spans_free(&self.progress.spans)
            return 0
        if used == self.own.length or self.gone or self.client.closing:
            incoming_free(&self.own)
            spans_free(&self.progress.spans)
        elif used:
            memmove(self.own.start, self.own.start + used, self.own.length - used)
            self.own.length -= used
        self.check_query_limit()
        return 0

    cdef int check_query_limit(self) except -1:
        if <int64_t>self.own.length > self.query_limit:
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
                serve_counted(engine, client, request)
            else:
                engine.serve(client, request)
            if client.suspended or client.closing or self.gone:
                # What follows will be read again.
                share_out(engine, client, i + 1, monotonic_ns() - began - (engine.measured - measured))
                self.commands += i + 1
                self.progress.position = self.progress.wanted = self.progress.spans.count = 0
                return False
        self.commands += count
        if count:
            share_out(engine, client, count, monotonic_ns() - began - (engine.measured - measured))
        if outcome == BAD:
            client.closing = True
            engine.fail(client, "ERR " + (<bytes>engine.limits.error).decode("utf-8", "surrogateescape"))
            return False
        if outcome == EMPTY:
            used[0] = position
        return outcome != NEED_MORE

    @property
    def pending_input(self) -> int:
        """Bytes of requests that are not complete or wait for their turn."""
        return self.own.length

    @property
    def input_capacity(self) -> int:
        return self.own.capacity

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

    cdef int drained(self) except -1:
        if self.choked:
            self.choked = False
            self.loop.call_soon(self.go_on)
        return 0

    def go_on(self) -> None:
        """Execute what arrived while the client was suspended or choked, and read on."""
        if self.gone or self.client.suspended or self.choked:
            return
        self.engine.tick()
        if self.own.start != NULL:
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
        if self.own.start != NULL and not self.gone:
            data = PyBytes_FromStringAndSize(self.own.start, self.own.length)
            incoming_free(&self.own)
            spans_free(&self.progress.spans)
            self.taker(data)

    def hold_reading(self, bint held) -> None:
        """Let a stream that was diverted wait, or go on."""
        if held:
            self.pause_reading()
        elif self.reading_paused and not self.gone:
            self.reading_paused = False
            self.transport.resume_reading()
