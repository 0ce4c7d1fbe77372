"""The quicklist: a long list as a chain of listpacks. See quicklist.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from node.core.quicklist_node cimport Node, Quicklist

cdef struct Place:
    Node* node          # NULL: beyond an end
    uint8_t* at         # the element in the node's pack; unused in a plain node

# --- the whole
cdef Quicklist* quick_new(int fill) noexcept nogil
cdef Quicklist* quick_copy(Quicklist* list) noexcept nogil
cdef void quick_free(Quicklist* list) noexcept nogil
cdef size_t quick_shed(Quicklist* list, size_t limit) noexcept nogil
cdef size_t quick_bytes(Quicklist* list, size_t samples) noexcept nogil
cdef bint adopt(Quicklist* list, uint8_t* data, uint32_t length, bint plain) noexcept nogil

# --- places
cdef Place place_of(Node* head, Node* tail, int64_t count, int64_t index) noexcept nogil
cdef void step_forward(Place* place) noexcept nogil
cdef void step_back(Place* place) noexcept nogil
cdef bint place_equals(Place* place, const char* text, size_t length) noexcept nogil
cdef bytes place_as_bytes(Place* place)

# --- changing; False where there is no memory
cdef bint quick_push(Quicklist* list, const char* text, size_t length, bint left) noexcept nogil
cdef bint quick_insert(
    Quicklist* list, Place* place, const char* text, size_t length, bint after
) noexcept nogil
cdef bint quick_replace(Quicklist* list, Place* place, const char* text, size_t length) noexcept nogil
cdef void quick_delete(Quicklist* list, Place* place, bint back) noexcept nogil
cdef void quick_delete_end(Quicklist* list, int64_t count, bint left) noexcept nogil
