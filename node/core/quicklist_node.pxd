"""The nodes of a quicklist. See quicklist_node.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum:
    LEAST_LEVEL = -5    # the lowest fill that stands for a size

cdef struct Node:
    Node* before
    Node* after
    uint8_t* pack       # a listpack, or the bytes of one large element
    uint32_t count      # elements
    uint32_t length     # of the large element
    bint plain          # whether it is one

cdef struct Quicklist:
    Node* head
    Node* tail
    int64_t count       # elements of all nodes
    uint32_t nodes
    int fill            # list-max-listpack-size as it was when the list was made

# --- limits
cdef int64_t size_limit(int fill) noexcept nogil
cdef int64_t count_limit(int fill) noexcept nogil
cdef bint exceeds(int fill, int64_t size, int64_t count) noexcept nogil
cdef bint is_large(int fill, size_t length) noexcept nogil
cdef bint has_room(Quicklist* list, Node* node, size_t length) noexcept nogil

# --- nodes; NULL where there is no memory
cdef Node* node_new(uint8_t* pack, uint32_t count) noexcept nogil
cdef Node* node_for(Quicklist* list, const char* text, size_t length) noexcept nogil
cdef void link(Quicklist* list, Node* place, Node* node, bint after) noexcept nogil
cdef void drop(Quicklist* list, Node* node) noexcept nogil
cdef void cut(Quicklist* list, Node* node, uint8_t* at, uint32_t count) noexcept nogil
cdef Node* split_off(Node* node, uint8_t* at, bint tail) noexcept nogil
cdef void merge_around(Quicklist* list, Node* center) noexcept nogil
