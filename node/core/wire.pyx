"""A socket that we read and write ourselves, as a transport of asyncio's kind.

Its protocol is told what asyncio tells protocols, and may ask what they ask: so TLS (node/tls/transport.py) does not
know the difference. A client's connection knows it, and is served without passing through Python (connection.pyx).

What is written leaves at once. What the socket does not take waits in pieces as they came, and while any wait,
everything else queues behind them. A large reply is not copied for that: its memory changes hands.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EINTR, errno

import collections
import os
import socket as sockets

from node.core.reactor cimport Reactor, Watched
from node.core.reply_writer cimport ReplyWriter

cdef extern from "<sys/socket.h>" nogil:
    ssize_t c_send "send"(int fd, const void* data, size_t length, int flags)
    int MSG_DONTWAIT
    int MSG_NOSIGNAL

cdef enum:
    PIECE = 65536               # small ones that wait are sent together, up to this
    LARGE = 4 * PIECE           # what waits of a reply from here on is not copied


cdef class Wire(Watched):

    def __init__(self, Reactor reactor not None, socket not None, protocol not None):
        """An accepted or connected, non-blocking socket. `open` begins."""
        self.reactor = reactor
        self.socket = socket
        self.protocol = protocol
        self.high_water = PIECE

    def open(self) -> None:
        """Tell the protocol, and read from here on, unless it does not want that. Raises OSError."""
        if self.socket.family in (sockets.AF_INET, sockets.AF_INET6):
            self.socket.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
        self.descriptor = self.socket.fileno()
        self.protocol.connection_made(self)
        self.interest(not self.closing and not self.paused, self.queued > 0)

    # --- what arrives --------------------------------------------------------------------------------

    cdef int on_readable(self) except -1:
        self.read_now()
        return 0

    def read_now(self) -> int:
        """Read once, and hand over what there was: how many bytes; 0 or less where there was nothing, or will be
        nothing more."""
        cdef ssize_t received
        if self.closing or self.paused:
            return -1
        room = self.protocol.get_buffer(-1)
        try:
            received = self.socket.recv_into(room)
        except (BlockingIOError, InterruptedError):
            return -1
        except OSError as error:
            self.end(error)
            return -1
        if received:
            self.protocol.buffer_updated(received)
        else:
            self.close()
        return received

    def pause_reading(self) -> None:
        self.paused = True
        self.interest(False, self.writing)

    def resume_reading(self) -> None:
        self.paused = False
        if not self.closing:
            self.interest(True, self.writing)

    # --- what leaves ---------------------------------------------------------------------------------

    cdef size_t send_now(self, const char* data, size_t length) noexcept:
        """Bytes that the socket took. None if it is broken: then reading will tell."""
        cdef ssize_t sent = c_send(self.descriptor, data, length, MSG_DONTWAIT | MSG_NOSIGNAL)
        return sent if sent > 0 else 0

    cdef int put(self, ReplyWriter reply) except -1:
        """Send what stands in `reply`, whose memory may change hands; what it holds then is of no use."""
        cdef size_t length = reply.length
        cdef size_t sent
        if self.closing:
            return 0
        sent = 0 if self.queued else self.send_now(reply.data, length)
        if length - sent >= LARGE:
            self.keep(reply.hand_over(), length - sent)
            self.gone += sent    # nothing waits before it, if any of it has been sent
        elif sent < length:
            self.keep(PyBytes_FromStringAndSize(reply.data + sent, length - sent), length - sent)
        return 0

    cpdef write(self, data):
        """Send bytes-like data."""
        cdef bytes whole = data if type(data) is bytes else bytes(data)
        cdef size_t sent
        if self.closing or not whole:
            return
        sent = 0 if self.queued else self.send_now(whole, len(whole))
        if sent < <size_t>len(whole):
            self.keep(whole[sent:] if sent else whole, len(whole) - sent)

    cdef int keep(self, piece, size_t length) except -1:
        """Queue a piece, of which so many bytes are to be sent, its last ones."""
        if self.queue is None:
            self.queue = collections.deque()
            self.interest(self.reading, True)
        self.queue.append(piece)
        self.queued += length
        if self.queued > self.high_water and not self.told_to_wait:
            self.told_to_wait = True
            self.protocol.pause_writing()
        return 0

    cdef int on_writable(self) except -1:
        cdef const char* data
        cdef size_t length
        cdef ssize_t sent
        while self.queue is not None:
            piece = self.next_piece()
            length = len(piece)
            data = (<ReplyWriter>piece).data if type(piece) is ReplyWriter else <const char*>(<bytes>piece)
            sent = c_send(self.descriptor, data + self.gone, length - self.gone, MSG_DONTWAIT | MSG_NOSIGNAL)
            if sent < 0:
                if errno != EAGAIN and errno != EINTR:
                    self.end(OSError(errno, os.strerror(errno)))
                return 0
            self.queued -= sent
            self.gone += sent
            if self.gone < length:
                return 0
            self.gone = 0
            self.queue.popleft()
            if not self.queue:
                self.queue = None
        self.interest(self.reading, False)
        if self.closing:
            self.end(None)
        elif self.told_to_wait:
            self.told_to_wait = False
            self.protocol.resume_writing()
        return 0

    def next_piece(self):
        """What waits longest, with small ones behind it joined to it."""
        queue = self.queue
        if self.gone or len(queue) == 1 or len(queue[0]) + len(queue[1]) > PIECE:
            return queue[0]
        parts = []
        length = 0
        while queue and length + len(queue[0]) <= PIECE:
            part = queue.popleft()
            parts.append(part)
            length += len(part)
        queue.appendleft(b"".join(parts))
        return queue[0]

    def get_write_buffer_size(self) -> int:
        return self.queued

    def set_write_buffer_limits(self, high=None, low=None) -> None:
        """The protocol is told to wait when more than `high` bytes are queued, until none are."""
        self.high_water = PIECE if high is None else high

    # --- the end -------------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        """Once what was written has been sent. Nothing is read any more."""
        if self.closing:
            return
        self.closing = True
        if self.queued:
            self.interest(False, True)
        else:
            self.end(None)

    def abort(self) -> None:
        """Now."""
        self.end(None)

    cdef int on_broken(self) except -1:
        return self.end(None)

    cdef int on_bug(self) except -1:
        return self.end(None)

    cdef int end(self, error) except -1:
        """Drop what waits, and tell the protocol, but not from inside this call."""
        self.closing = True
        if self.ended:
            return 0
        self.ended = True
        self.queue = None
        self.queued = self.gone = 0
        self.reactor.forget(self)
        self.reactor.loop.call_soon(self.part, error)
        return 0

    def part(self, error) -> None:
        try:
            self.protocol.connection_lost(error)
        finally:
            self.protocol = None
            self.descriptor = -1
            self.socket.close()

    def get_extra_info(self, name, default=None):
        if name == "socket":
            return self.socket
        if name not in ("peername", "sockname"):
            return default
        try:
            return self.socket.getpeername() if name == "peername" else self.socket.getsockname()
        except OSError:  # gone already
            return default
