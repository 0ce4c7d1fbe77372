"""What one client may have under way, may ask in a second, and may let pile up; see limits.pyx."""

from libc.stdint cimport int64_t

cdef struct OutputLimit:
    Py_ssize_t hard         # bytes: closed at once
    Py_ssize_t soft         # bytes: closed when above for `patience`; 0: no such limit
    int64_t patience        # ns

cdef class Limits:
    """One for all clients of a proxy."""

    cdef public long long in_flight     # requests not answered yet, before the next have to wait
    cdef public long long rate          # requests a second, before the next have to wait; 0: any
    cdef public Py_ssize_t request      # bytes of one unfinished request
    cdef OutputLimit replies            # what waits because a client does not read: its replies,
    cdef OutputLimit pushed             # ... and messages, when there comes one more
