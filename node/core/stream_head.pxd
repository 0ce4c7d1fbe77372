"""What a stream is besides its groups' business, for compiled code. See stream_head.pyx."""

from libc.stdint cimport int64_t

from node.core.stream_node cimport Id

cdef class StreamHead:
    cdef public list _nodes
    cdef public list _masters
    cdef public int64_t length
    cdef Id last             # as `last_id`
    cdef public object max_deleted
    cdef public object entries_added
    cdef public dict groups
