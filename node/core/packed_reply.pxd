"""Elements of listpacks as RESP bulk strings, written straight from the pack to the reply, without an object between.

Ask the writer for room first (`room_for`), for as many elements as come at once; then `put_element` only writes.
"""

from libc.stdint cimport uint8_t

from node.core.integer_text cimport DIGITS, print_number
from node.core.listpack_walk cimport Element, element_get
from node.core.reply_writer cimport MOST_AROUND, ReplyWriter, put_bulk

cdef inline size_t room_for(size_t elements, size_t packed) noexcept nogil:
    """Bytes of reply that so many elements need, which take `packed` bytes together, or more."""
    return packed + elements * MOST_AROUND

cdef inline char* put_element(char* out, const uint8_t* at) noexcept nogil:
    """The element at `at`; returns where its reply ends."""
    cdef Element element
    cdef char[DIGITS] digits
    cdef uint8_t first = at[0]
    if 0x80 <= first < 0xC0:                   # a short string, the usual case
        return put_bulk(out, <const char*>at + 1, first & 0x3F)
    element_get(at, &element)
    if element.text != NULL:
        return put_bulk(out, element.text, element.length)
    return put_bulk(out, digits, print_number(element.number, digits))

cdef inline int bulk_of_element(ReplyWriter reply, const uint8_t* at, size_t packed) except -1:
    """One element, of `packed` bytes at most, by itself."""
    reply.reserve(room_for(1, packed))
    reply.length = put_element(reply.data + reply.length, at) - reply.data
    return 0
