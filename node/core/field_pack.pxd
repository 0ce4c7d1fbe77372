"""The fields of a small hash. See field_pack.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from node.core.listpack_walk cimport Element, element_bytes, element_get

cdef enum:
    PAIRS = 2               # elements for each field: field, value
    TRIPLES = 3             # field, value, Unix ms of its expiry or 0

cdef inline uint8_t* element_after(const uint8_t* at) noexcept nogil:
    """From a field to its value, from there to its moment."""
    return <uint8_t*>at + element_bytes(at)

cdef inline int64_t number_at(const uint8_t* at) noexcept nogil:
    """The moment that an element is."""
    cdef Element element
    element_get(at, &element)
    return element.number if element.text == NULL else 0

cdef inline int64_t pack_due(const uint8_t* field) noexcept nogil:
    """Unix ms at which a field of a pack of triples expires, 0 for never."""
    return number_at(element_after(element_after(field)))

cdef uint8_t* pack_field(uint8_t* pack, uint32_t width, const char* field, size_t length) noexcept
cdef int pack_put(
    uint8_t** pack, uint32_t width, const char* field, size_t length, const char* value, size_t size, bint keep_due
) except -1
cdef int pack_move(uint8_t** pack, const uint8_t* at, const char* field, size_t length, int64_t due) except -1
cdef int pack_widen(uint8_t** pack) except -1
cdef int pack_unpack(uint8_t* pack, uint32_t width, list found) except -1
cdef list pack_gather(uint8_t* pack, uint32_t width, int64_t horizon, bint fields, bint values)
cdef bint pack_is_ordered(uint8_t* pack) except -1
