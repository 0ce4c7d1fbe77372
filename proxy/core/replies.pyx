"""Finds replies in what a worker sends; see replies.pxd. What they mean is up to the subclasses: upstream.pyx,
where each answers a request, and listener.pyx, where none does."""

from libc.string cimport memset

from proxy.core.frames cimport BROKEN, NEED_MORE, scan_reply
from proxy.core.secrecy cimport Secrecy


cdef class ReplyConnection(Connection):

    cdef int take_over(self, int descriptor, Secrecy secrecy) except -1:
        """A socket on which the handshake is done."""
        memset(&self.scan, 0, sizeof(self.scan))
        self.secrecy = secrecy
        self.attach(descriptor)
        return 0

    cdef int on_readable(self) except -1:
        cdef char* data
        cdef Py_ssize_t used = 0
        cdef Py_ssize_t available = self.receive(&data)
        cdef int result
        if available < 0:
            self.close()
            return 0
        while used < available:
            result = scan_reply(data + used, available - used, &self.scan)
            if result == NEED_MORE:
                break
            if result == BROKEN:
                raise ConnectionError(f"{self!r} does not speak RESP")
            self.take_reply(data + used, self.scan.at)
            if self.descriptor < 0:
                return 0
            used += self.scan.at
            self.scan.at = 0
            self.scan.begun = False
        self.keep(data, available, used)
        return 0

    cdef int take_reply(self, const char* reply, Py_ssize_t length) except -1:
        """One whole reply, raw."""
        raise NotImplementedError
