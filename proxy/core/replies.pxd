"""A connection on which a worker says something: replies, or what it tells without being asked."""

from proxy.core.frames cimport ReplyScan
from proxy.core.connection cimport Connection
from proxy.core.secrecy cimport Secrecy

cdef class ReplyConnection(Connection):
    cdef ReplyScan scan

    cdef int take_over(self, int descriptor, Secrecy secrecy) except -1
    cdef int take_reply(self, const char* reply, Py_ssize_t length) except -1   # for subclasses to override
