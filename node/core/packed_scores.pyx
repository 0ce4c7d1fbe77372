"""A small sorted set: a listpack of member, score, member, score ... in order.

A score is the text that Redis prints for it; so whole numbers are integers, and -0, being one of them, loses its
sign. As with all packs, what changes one returns it, perhaps moved, or NULL where there is no memory, and then the
old one stands.
"""

from libc.math cimport NAN
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport strtod
from libc.string cimport memcpy

from node.core.double_digits cimport DOUBLE_TEXT, print_double
from node.core.integer_text cimport DIGITS
from node.core.listpack cimport pack_delete, pack_insert
from node.core.listpack_walk cimport (
    Element,
    element_bytes,
    element_get,
    element_text,
    pack_find,
    pack_first,
    pack_next,
)
from node.core.ordered_index cimport BELOW_ENTRY, Probe, is_before

cdef enum:
    LONGEST_SCORE = 128     # bytes of a score's text in a foreign listpack


cdef double packed_score(const uint8_t* at) noexcept nogil:
    """The score that an element holds; NaN for one that holds none."""
    cdef Element element
    cdef char text[LONGEST_SCORE]
    cdef char* end
    cdef double score
    element_get(at, &element)
    if element.text == NULL:
        return <double>element.number
    if element.length == 0 or element.length >= LONGEST_SCORE:
        return NAN
    memcpy(text, element.text, element.length)
    text[element.length] = 0
    score = strtod(text, &end)
    return score if end == text + element.length else NAN


cdef uint8_t* packed_find(uint8_t* pack, const char* text, size_t length) noexcept nogil:
    """The element of a member, or NULL; its score is the next."""
    return pack_find(pack, pack_first(pack), text, length, 1)


cdef uint8_t* place_of(uint8_t* pack, Probe* probe, uint64_t* count) noexcept nogil:
    """The first member that is not before a probe, or NULL; and how many are."""
    cdef uint8_t* at = pack_first(pack)
    cdef uint8_t* score
    cdef char digits[DIGITS]
    cdef const char* text
    cdef size_t length
    count[0] = 0
    while at != NULL:
        score = pack_next(pack, at)
        text = element_text(at, digits, &length)
        if not is_before(packed_score(score), text, length, probe):
            break
        at = pack_next(pack, score)
        count[0] += 1
    return at


cdef uint64_t packed_count(uint8_t* pack, Probe* probe) noexcept nogil:
    """How many members are before a probe."""
    cdef uint64_t count
    place_of(pack, probe, &count)
    return count


cdef uint8_t* packed_add(uint8_t* pack, const char* text, size_t length, double score) noexcept nogil:
    """Add a member that is not there."""
    cdef Probe probe
    cdef char score_text[DOUBLE_TEXT]
    cdef size_t score_length = print_double(score + 0.0, score_text)
    cdef uint8_t* placed = NULL
    cdef uint8_t* grown
    cdef uint8_t* whole
    cdef uint64_t count
    probe.kind = BELOW_ENTRY
    probe.text = text
    probe.length = length
    probe.score = score
    grown = pack_insert(pack, place_of(pack, &probe, &count), text, length, &placed)
    if grown == NULL:
        return NULL
    whole = pack_insert(grown, placed + element_bytes(placed), score_text, score_length, NULL)
    return whole if whole != NULL else pack_delete(grown, placed, 1, NULL)
