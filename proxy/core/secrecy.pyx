"""TLS of one connection, between its socket and what reads and writes text.

A plain connection calls recv(2) and send(2); one with a `Secrecy` calls its `receive` and `send`, which mean
the same. So nothing above knows of TLS but for one thing: of what `send` has taken, the end may still be
here, encrypted, because the socket did not take it (`waits`). Then the connection waits until it can be
written to, and calls `push` before it sends anything else. At most one piece is held so.

All that has arrived is decrypted at once. Nothing complete stays here, so a socket without input has nothing to
say, with TLS as without.
"""

from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.errno cimport EAGAIN, EINTR, errno

import logging
import ssl

from node.tls.problems import reason_of

log = logging.getLogger("shoal.proxy")

cdef extern from "<sys/socket.h>" nogil:
    ssize_t c_recv "recv"(int descriptor, void* data, size_t length, int flags)
    ssize_t c_send "send"(int descriptor, const void* data, size_t length, int flags)
    int c_shutdown "shutdown"(int descriptor, int how)
    int SHUT_RD

cdef enum:
    PIECE = 65536               # text that is encrypted at a time

cdef char taken[TAKEN]


cdef class Secrecy:

    def __init__(self, context not None, bint serves):
        """One side of a conversation by `context`, an ssl.SSLContext. Nothing is said yet."""
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=serves)

    # For connections

    cdef Py_ssize_t receive(self, int descriptor, char* where, Py_ssize_t room) except -2:
        """Read once: bytes of text at `where`, 0 if there is none yet, -1 if the connection is at its end, or has
        to be closed. `room` is at least ROOM."""
        cdef ssize_t count = c_recv(descriptor, taken, TAKEN, 0)
        cdef Py_ssize_t length = 0
        if count < 0:
            return 0 if errno == EAGAIN or errno == EINTR else -1
        if count == 0:
            return -1
        self.incoming.write(PyMemoryView_FromMemory(taken, count, PyBUF_READ))
        try:
            if self.established or self.shake_hands():
                length = self.read(descriptor, where, room)
        except ssl.SSLError as error:
            log.debug("a connection is closed: %s", reason_of(error))
            length = -1
        if self.push(descriptor) < 0:  # the handshake, or an alert
            return -1
        return length

    cdef Py_ssize_t read(self, int descriptor, char* where, Py_ssize_t room) except -2:
        cdef Py_ssize_t length = 0
        cdef Py_ssize_t count
        try:
            while length < room:
                text = PyMemoryView_FromMemory(where + length, room - length, PyBUF_WRITE)
                count = self.tls.read(room - length, text)
                if count == 0:  # the other side says that no more will come
                    if length == 0:
                        return -1
                    c_shutdown(descriptor, SHUT_RD)  # so that the next read finds the end
                    break
                length += count
        except ssl.SSLWantReadError:
            pass
        return length

    cdef Py_ssize_t send(self, int descriptor, const char* data, Py_ssize_t length) except -2:
        """Bytes that were taken; -1 if the connection is lost."""
        cdef Py_ssize_t done = 0
        cdef Py_ssize_t piece
        try:
            while done < length and not self.waits:
                piece = min(length - done, PIECE)
                self.tls.write(PyMemoryView_FromMemory(<char*>data + done, piece, PyBUF_READ))
                done += piece
                if self.push(descriptor) < 0:
                    return -1
        except ssl.SSLError:
            return -1
        return done

    cdef int push(self, int descriptor) except -2:
        """Send what is encrypted, as far as the socket takes it. -1 if the connection is lost."""
        cdef ssize_t count
        cdef Py_ssize_t length
        while self.waits or self.outgoing.pending:
            if not self.waits:
                self.held = self.outgoing.read()
                self.held_from = 0
            length = len(self.held) - self.held_from
            count = c_send(descriptor, <const char*>self.held + self.held_from, length, 0)
            if count < 0:
                if errno != EAGAIN and errno != EINTR:
                    return -1
                count = 0
            self.waits = count < length
            if self.waits:
                self.held_from += count
                return 0
            self.held = None
        return 0

    cdef int part(self, int descriptor) except -1:
        """Say that this is the end, if that can be said at once."""
        if self.established and not self.waits:
            try:
                self.tls.unwrap()
            except ssl.SSLError:
                pass  # it would wait for the other side to say so, too
            self.push(descriptor)
        return 0

    # The handshake, and what is said before there is a connection (dialogue.py)

    def shake_hands(self) -> bool:
        """Go on with the handshake: is it done? Raises ssl.SSLError if it cannot be."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.established = True
        return True

    def take_in(self, bytes data not None) -> None:
        """Bytes that have arrived."""
        self.incoming.write(data)

    def put_out(self) -> bytes:
        """Bytes that are to be sent."""
        return self.outgoing.read()

    def encrypt(self, bytes text not None) -> bytes:
        """What is to be sent to say `text`."""
        self.tls.write(text)
        return self.outgoing.read()

    def decrypt(self) -> bytes:
        """Some of what was said; nothing if that is not complete. Raises EOFError at the end, ssl.SSLError for
        damage."""
        try:
            text = self.tls.read(TAKEN)
        except ssl.SSLWantReadError:
            return b""
        if not text:
            raise EOFError
        return text
