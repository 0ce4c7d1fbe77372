"""Nodes of streams, for compiled code beside them. See stream_node.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef enum:
    LARGEST = 1 << 30        # bytes that no entry's fields and values may exceed
    ID_TEXT = 48             # room for the text of an id

cdef struct Id:
    uint64_t high            # milliseconds
    uint64_t low             # sequence

cdef struct Text:
    const char* data
    size_t length

cdef class Node:
    cdef uint8_t* pack
    cdef Id first
    cdef Id last             # of the last entry, deleted or not

cdef Id id_of(object number)
cdef object number_of(Id id)
cdef size_t print_id(Id id, char* text) noexcept nogil
cdef void node_close(Node self) noexcept
cdef int64_t node_live(Node self) noexcept
cdef Node node_beginning(Id master, Text* texts, Py_ssize_t count)
cdef bint node_has_room(
    Node self, Text* texts, Py_ssize_t count, int64_t most_bytes, int64_t most_entries
) noexcept
cdef int node_append(Node self, Id id, Text* texts, Py_ssize_t count) except -1
