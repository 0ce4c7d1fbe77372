"""TLS of one connection, between its socket and what reads and writes text."""

cdef enum:
    TAKEN = 65536               # bytes of one recv(2)
    LONGEST_RECORD = 17408      # of an unfinished one, so much may be here before
    ROOM = TAKEN + LONGEST_RECORD   # text that one `receive` may give

cdef class Secrecy:
    cdef object tls                     # ssl.SSLObject
    cdef object incoming                # ssl.MemoryBIO: what the socket gave
    cdef object outgoing                # and what it is to take
    cdef readonly bint established      # the handshake is done
    cdef bytes held                     # encrypted, and not taken by the socket yet
    cdef Py_ssize_t held_from
    cdef bint waits                     # there is such

    cdef Py_ssize_t receive(self, int descriptor, char* where, Py_ssize_t room) except -2
    cdef Py_ssize_t send(self, int descriptor, const char* data, Py_ssize_t length) except -2
    cdef Py_ssize_t read(self, int descriptor, char* where, Py_ssize_t room) except -2
    cdef int push(self, int descriptor) except -2
    cdef int part(self, int descriptor) except -1
