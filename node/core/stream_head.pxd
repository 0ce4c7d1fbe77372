"""What a stream is besides its groups' business, for compiled code. See stream_head.pyx."""

from libc.stdint cimport int64_t

cdef class StreamHead:
    cdef public list _nodes
    cdef public list _masters
    cdef public int64_t length
    cdef public object last_id
    cdef public object max_deleted
    cdef public object entries_added
    cdef public dict groups
