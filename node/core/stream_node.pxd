"""Nodes of streams, for compiled code beside them. See stream_node.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from node.core.listpack_walk cimport Element, element_get

cdef enum:
    DELETED = 1              # flags of an entry
    SAME_FIELDS = 2
    LARGEST = 1 << 30        # bytes that no entry's fields and values may exceed
    ID_TEXT = 48             # room for the text of an id

cdef struct Id:
    uint64_t high            # milliseconds
    uint64_t low             # sequence

cdef struct Text:
    const char* data
    size_t length

cdef struct Head:            # of a node
    uint32_t fields          # how many
    uint8_t* first_field
    uint8_t* first_entry     # the end mark, if there is none

cdef struct Entry:
    uint8_t* at              # its flags
    int flags
    Id id
    uint8_t* body            # the first value, or the number of fields
    uint8_t* end             # what follows it

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

# --- walking ---

cdef inline bint is_below(Id left, Id right) noexcept nogil:
    return left.high < right.high or (left.high == right.high and left.low < right.low)

cdef inline int64_t integer_at(const uint8_t* at) noexcept nogil:
    cdef Element element
    element_get(at, &element)
    return element.number if element.text == NULL else 0

cdef Head head_of(Node self) noexcept
cdef bint entry_at(Node self, Head head, uint8_t* at, Entry* entry) noexcept
cdef bint last_entry(Node self, Head head, Entry* entry) noexcept
cdef bint entry_before(Node self, Head head, Entry* entry) noexcept
