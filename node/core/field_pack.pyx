"""The fields of a small hash: one listpack of PAIRS, or of TRIPLES once a field has had an expiry.

Pairs stand in the order in which their fields came. Triples stand in the order in which they expire, those that do
not at the end, so that the first tells whether any is due; this is what Redis does, and what its files hold. What
changes a pack puts its new address in the place of the old one.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t

from node.core.listpack cimport (
    pack_append,
    pack_append_number,
    pack_delete,
    pack_insert,
    pack_insert_number,
    pack_replace,
)
from node.core.listpack_walk cimport element_as_bytes, pack_find, pack_first, pack_next

from node.core.listpack import Malformed


cdef inline int take_over(uint8_t** pack, uint8_t* moved) except -1:
    if moved == NULL:
        raise MemoryError
    pack[0] = moved
    return 0


cdef uint8_t* pack_field(uint8_t* pack, uint32_t width, const char* field, size_t length) noexcept:
    """Where a field is; NULL where it is not."""
    return pack_find(pack, pack_first(pack), field, length, width - 1)


cdef int pack_put(
    uint8_t** pack, uint32_t width, const char* field, size_t length, const char* value, size_t size, bint keep_due
) except -1:
    """1 if the field is new. An old one does not expire any more, unless `keep_due`."""
    cdef uint8_t* at = pack_field(pack[0], width, field, length)
    cdef Py_ssize_t offset
    if at == NULL:
        take_over(pack, pack_append(pack[0], field, length))
        take_over(pack, pack_append(pack[0], value, size))
        if width == TRIPLES:
            take_over(pack, pack_append_number(pack[0], 0))
        return 1
    offset = at - pack[0]
    take_over(pack, pack_replace(pack[0], element_after(at), value, size, NULL))
    at = pack[0] + offset
    if width == TRIPLES and not keep_due and pack_due(at):
        pack_move(pack, at, field, length, 0)
    return 0


cdef int pack_move(uint8_t** pack, const uint8_t* at, const char* field, size_t length, int64_t due) except -1:
    """Put a triple where its new moment belongs: before the first that does not expire earlier."""
    cdef uint8_t* place
    cdef int64_t other
    value = element_as_bytes(element_after(at))
    pack[0] = pack_delete(pack[0], at, TRIPLES, NULL)
    place = pack_first(pack[0]) if due else NULL
    while place != NULL:
        other = pack_due(place)
        if other == 0 or other >= due:
            break
        place = pack_next(pack[0], element_after(element_after(place)))
    # from behind, each before the one that was put there last
    take_over(pack, pack_insert_number(pack[0], place, due, &place))
    take_over(pack, pack_insert(pack[0], place, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), &place))
    return take_over(pack, pack_insert(pack[0], place, field, length, NULL))


cdef int pack_widen(uint8_t** pack) except -1:
    """Make triples of pairs."""
    cdef uint8_t* at = pack_first(pack[0])
    while at != NULL:
        take_over(pack, pack_insert_number(pack[0], element_after(element_after(at)), 0, &at))
        at = pack_next(pack[0], at)
    return 0


cdef int pack_unpack(uint8_t* pack, uint32_t width, list found) except -1:
    """Append (field, value, Unix ms of its expiry or 0) of all fields to `found`."""
    cdef uint8_t* at = pack_first(pack)
    cdef uint8_t* value
    cdef int64_t due = 0
    while at != NULL:
        value = element_after(at)
        field = element_as_bytes(at)
        at = value
        if width == TRIPLES:
            at = element_after(value)
            due = number_at(at)
        found.append((field, element_as_bytes(value), due))
        at = pack_next(pack, at)
    return 0


cdef list pack_gather(uint8_t* pack, uint32_t width, int64_t horizon, bint fields, bint values):
    """Fields, values, or tuples of both, of what does not expire before `horizon`."""
    cdef list found = []
    cdef uint8_t* at = pack_first(pack)
    cdef uint8_t* value
    cdef uint8_t* last
    while at != NULL:
        value = last = element_after(at)
        if width == TRIPLES:
            last = element_after(value)
            if 0 < number_at(last) < horizon:
                at = pack_next(pack, last)
                continue
        if not values:
            found.append(element_as_bytes(at))
        elif not fields:
            found.append(element_as_bytes(value))
        else:
            found.append((element_as_bytes(at), element_as_bytes(value)))
        at = pack_next(pack, last)
    return found


cdef bint pack_is_ordered(uint8_t* pack) except -1:
    """Whether foreign triples stand in their order. Malformed where a moment is no number."""
    cdef uint8_t* at = pack_first(pack)
    cdef Element element
    cdef int64_t before = 0
    cdef bint ended = False
    cdef bint ordered = True
    while at != NULL:
        at = element_after(element_after(at))
        element_get(at, &element)
        if element.text != NULL or element.number < 0:
            raise Malformed("hash field with an expiry that is no moment")
        if element.number == 0:
            ended = True
        elif ended or element.number < before:
            ordered = False
        before = element.number
        at = pack_next(pack, at)
    return ordered
