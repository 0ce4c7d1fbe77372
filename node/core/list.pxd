"""Lists, for compiled code beside them. See list.pyx."""

from libc.stdint cimport int64_t, uint8_t

from node.core.quicklist_node cimport Node, Quicklist

cdef struct Chain:
    Node* head
    Node* tail
    int64_t count

cdef class List:
    cdef uint8_t* pack      # while short
    cdef Quicklist* quick   # while long

cdef int64_t list_count(List self) noexcept
cdef Chain list_chain(List self, Node* spare) noexcept
cdef int list_make_room(List self, int64_t size, int64_t count) except -1
cdef int list_push(List self, const char* text, size_t length, bint left) except -1
cdef int list_pop(List self, int64_t count, bint left) except -1
