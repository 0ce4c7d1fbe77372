"""Reading listpacks where they lie: checking, walking, searching. listpack.pyx tells their format.

`pack_check` judges bytes from elsewhere; everything else trusts the pack.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from node.core.integer_text cimport DIGITS, canonical_number, print_number


# --- the whole pack ------------------------------------------------------------------------------------------


cdef int64_t pack_check(const uint8_t* data, size_t length) noexcept nogil:
    """The number of elements in `data`, -1 if it is no listpack. Every length in it is checked."""
    cdef size_t at = PACK_HEADER
    cdef size_t end, room
    cdef uint32_t body, size
    cdef int64_t count = 0
    cdef uint16_t said
    cdef uint8_t[LONGEST_BACKLEN] backlen
    if length < PACK_FRAME or read_uint32(data) != length or data[length - 1] != PACK_END:
        return -1
    end = length - 1
    while at < end:
        room = end - at
        if data[at] >= 0xE0 and room < 2:
            return -1
        # a length of 32 bits must not wrap around once the encoding is added
        if data[at] == 0xF0 and (room < 6 or read_uint32(data + at + 1) > room):
            return -1
        body = body_length(data + at)
        if body == 0 or body >= room:
            return -1
        size = backlen_size(body)
        if size > room - body:
            return -1
        put_backlen(backlen, body, size)
        if memcmp(backlen, data + at + body, size) != 0:
            return -1
        at += body + size
        count += 1
    memcpy(&said, data + 4, 2)
    return -1 if said != PACK_COUNT_UNKNOWN and said != count else count


cdef uint32_t pack_count(uint8_t* pack) noexcept nogil:
    """How many elements there are. Beyond 65534 they must be counted."""
    cdef uint32_t count = (<uint16_t*>(pack + 4))[0]
    cdef uint8_t* at
    if count != PACK_COUNT_UNKNOWN:
        return count
    count = 0
    at = pack + PACK_HEADER
    while at[0] != PACK_END:
        at += element_bytes(at)
        count += 1
    if count < PACK_COUNT_UNKNOWN:
        (<uint16_t*>(pack + 4))[0] = <uint16_t>count
    return count


# --- walking -------------------------------------------------------------------------------------------------


cdef uint8_t* pack_first(uint8_t* pack) noexcept nogil:
    """The first element, NULL where there is none."""
    return NULL if pack[PACK_HEADER] == PACK_END else pack + PACK_HEADER


cdef uint8_t* pack_last(uint8_t* pack) noexcept nogil:
    """The last element, NULL where there is none."""
    return pack_prev(pack, pack + pack_bytes(pack) - 1)


cdef uint8_t* pack_next(uint8_t* pack, const uint8_t* at) noexcept nogil:
    """The element behind `at`, NULL behind the last."""
    at += element_bytes(at)
    return NULL if at[0] == PACK_END else <uint8_t*>at


cdef uint8_t* pack_prev(uint8_t* pack, const uint8_t* at) noexcept nogil:
    """The element before `at`, which may be the end mark; NULL before the first."""
    cdef uint32_t length = 0
    cdef uint32_t shift = 0
    if at == pack + PACK_HEADER:
        return NULL
    at -= 1
    while at[0] & 0x80:
        length |= <uint32_t>(at[0] & 0x7F) << shift
        shift += 7
        at -= 1
    length |= <uint32_t>at[0] << shift
    return <uint8_t*>at - length


cdef uint8_t* pack_seek(uint8_t* pack, int64_t index) noexcept nogil:
    """The element of an index, negative ones counted from the end; NULL where there is none."""
    cdef int64_t count = pack_count(pack)
    cdef uint8_t* at
    if index < 0:
        index += count
    if index < 0 or index >= count:
        return NULL
    if index <= count // 2:
        at = pack + PACK_HEADER
        while index:
            at += element_bytes(at)
            index -= 1
        return at
    at = pack + pack_bytes(pack) - 1
    while index < count:
        at = pack_prev(pack, at)
        index += 1
    return at


# --- one element ---------------------------------------------------------------------------------------------


cdef void element_get(const uint8_t* at, Element* out) noexcept nogil:
    """What the element at `at` is: a string inside the pack, or an integer."""
    cdef uint8_t first = at[0]
    cdef int64_t number = 0
    cdef uint32_t width
    out.text = NULL
    if first < 0x80:
        out.number = first
    elif first < 0xC0:
        out.text = <const char*>at + 1
        out.length = first & 0x3F
    elif first < 0xE0:
        number = (<int64_t>(first & 0x1F) << 8) | at[1]
        out.number = number - 0x2000 if number >= 0x1000 else number
    elif first < 0xF0:
        out.text = <const char*>at + 2
        out.length = (<uint32_t>(first & 0x0F) << 8) | at[1]
    elif first == 0xF0:
        out.text = <const char*>at + 5
        out.length = read_uint32(at + 1)
    else:
        width = 8 if first == 0xF4 else first - 0xF1 + 2
        memcpy(&number, at + 1, width)
        # the sign, from the top of `width` bytes to the top of eight
        out.number = <int64_t>(<uint64_t>number << (64 - 8 * width)) >> (64 - 8 * width)


cdef const char* element_text(const uint8_t* at, char* digits, size_t* length) noexcept nogil:
    """The element as text: inside the pack, or printed into `digits`, which has room for DIGITS bytes."""
    cdef Element element
    element_get(at, &element)
    if element.text != NULL:
        length[0] = element.length
        return element.text
    length[0] = print_number(element.number, digits)
    return digits


cdef bytes element_as_bytes(const uint8_t* at):
    cdef char[DIGITS] digits
    cdef size_t length
    cdef const char* text = element_text(at, digits, &length)
    return PyBytes_FromStringAndSize(text, length)


cdef inline bint equals(
    const uint8_t* at, const char* text, size_t length, bint is_number, int64_t number
) noexcept nogil:
    """Whether the element is `text`, which is `number` if `is_number`."""
    cdef Element element
    element_get(at, &element)
    if element.text == NULL:
        return is_number and element.number == number
    return element.length == length and memcmp(element.text, text, length) == 0


cdef bint element_equals(const uint8_t* at, const char* text, size_t length) noexcept nogil:
    cdef int64_t number = 0
    cdef bint is_number = canonical_number(text, length, &number)
    return equals(at, text, length, is_number, number)


cdef uint8_t* pack_find(
    uint8_t* pack, const uint8_t* start, const char* text, size_t length, uint32_t skip
) noexcept nogil:
    """The first element, of each `skip + 1` from `start` on, that is `text`; NULL where there is none.

    With fields and values in turn, `skip` 1 looks at the fields alone. `start` may be NULL: an empty pack.
    """
    cdef int64_t number = 0
    cdef bint is_number = canonical_number(text, length, &number)
    cdef uint32_t left
    if start == NULL:
        return NULL
    while start[0] != PACK_END:
        if 0x80 <= start[0] < 0xC0:  # short text, as most are
            if (start[0] & 0x3F) == length and memcmp(start + 1, text, length) == 0:
                return <uint8_t*>start
        elif equals(start, text, length, is_number, number):
            return <uint8_t*>start
        start = behind(start)
        left = skip
        while left and start[0] != PACK_END:
            start = behind(start)
            left -= 1
    return NULL


cdef inline const uint8_t* behind(const uint8_t* at) noexcept nogil:
    """The element behind `at`, or the end mark."""
    if at[0] < 0x80:
        return at + 2
    if at[0] < 0xC0:
        return at + 2 + (at[0] & 0x3F)
    return at + element_bytes(at)
