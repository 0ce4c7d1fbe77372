"""Is every field, or member, of a foreign listpack a different one?

A table of places by the keyed hash of their texts, which lives as long as the question: an element that comes to
a place of equal text is there twice. Integers count as their texts, since foreign packs may hold the same number in
both ways.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memset

from node.core.integer_text cimport DIGITS
from node.core.listpack_walk cimport element_text, pack_count, pack_first, pack_next
from node.core.member_table cimport member_hash
from node.core.memory cimport release, take

cdef enum:
    FEW = 64            # places of the table that needs no memory


cdef bint put_all(uint8_t* pack, uint32_t width, uint32_t* places, uint32_t mask) noexcept:
    """Put every `width`th element into the empty table; False at the first that is there already."""
    cdef uint8_t* at = pack_first(pack)
    cdef char digits[DIGITS]
    cdef char other_digits[DIGITS]
    cdef const char* text
    cdef const char* other
    cdef size_t length, other_length
    cdef uint32_t i, step
    while at != NULL:
        text = element_text(at, digits, &length)
        i = member_hash(text, length) & mask
        while places[i]:
            other = element_text(pack + places[i], other_digits, &other_length)
            if other_length == length and memcmp(other, text, length) == 0:
                return False
            i = (i + 1) & mask
        places[i] = <uint32_t>(at - pack)
        for step in range(width):
            if at != NULL:
                at = pack_next(pack, at)
    return True


cdef bint pack_is_unique(uint8_t* pack, uint32_t width) except -1:
    """Whether no two of the elements 0, `width`, 2 * `width` ... are equal."""
    cdef uint32_t few[FEW]
    cdef uint32_t* places = few
    cdef size_t room = FEW
    cdef bint unique
    while room < 2 * <size_t>pack_count(pack) // width:
        room *= 2
    if room > FEW:
        places = <uint32_t*>take(room * sizeof(uint32_t))
        if places == NULL:
            raise MemoryError
    memset(places, 0, room * sizeof(uint32_t))
    unique = put_all(pack, width, places, <uint32_t>(room - 1))
    if places != few:
        release(places)
    return unique
