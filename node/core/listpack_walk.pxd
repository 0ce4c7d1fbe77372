"""Reading listpacks, for compiled code: see listpack_walk.pyx.

An element is named by its address, `at`, which is good until the pack is changed.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

cdef enum:
    PACK_HEADER = 6          # uint32 bytes, uint16 count
    PACK_FRAME = 7           # header and end mark: the size of an empty pack
    PACK_END = 0xFF
    PACK_COUNT_UNKNOWN = 0xFFFF
    LONGEST_BACKLEN = 5

cdef struct Element:
    const char* text         # inside the pack; NULL for an integer
    uint32_t length          # of `text`
    int64_t number           # where there is no text

# --- lengths ---

cdef inline uint32_t backlen_size(uint32_t length) noexcept nogil:
    """Bytes of the backlen of an element of so many. Redis leaves the largest number of each size unused."""
    if length <= 127:
        return 1
    if length < 16383:
        return 2
    if length < 2097151:
        return 3
    return 4 if length < 268435455 else 5

cdef inline void put_backlen(uint8_t* out, uint32_t length, uint32_t size) noexcept nogil:
    cdef uint32_t i = size
    while i > 1:
        i -= 1
        out[i] = <uint8_t>(length & 0x7F | 0x80)
        length >>= 7
    out[0] = <uint8_t>length

cdef inline uint32_t read_uint32(const uint8_t* data) noexcept nogil:
    cdef uint32_t number
    memcpy(&number, data, 4)
    return number

cdef inline uint32_t body_length(const uint8_t* at) noexcept nogil:
    """Bytes of encoding and data; 0 for an unknown encoding."""
    cdef uint8_t first = at[0]
    if first < 0x80:
        return 1
    if first < 0xC0:
        return 1 + (first & 0x3F)
    if first < 0xE0:
        return 2
    if first < 0xF0:
        return 2 + ((<uint32_t>(first & 0x0F) << 8) | at[1])
    if first == 0xF0:
        return 5 + read_uint32(at + 1)
    if first <= 0xF3:
        return first - 0xF1 + 3
    return 9 if first == 0xF4 else 0

cdef inline uint32_t element_bytes(const uint8_t* at) noexcept nogil:
    """All bytes of the element at `at`."""
    cdef uint32_t length = body_length(at)
    return length + backlen_size(length)

# --- the whole pack ---

cdef inline uint32_t pack_bytes(const uint8_t* pack) noexcept nogil:
    return (<uint32_t*>pack)[0]

cdef int64_t pack_check(const uint8_t* data, size_t length) noexcept nogil
cdef uint32_t pack_count(uint8_t* pack) noexcept nogil

# --- walking ---

cdef uint8_t* pack_first(uint8_t* pack) noexcept nogil
cdef uint8_t* pack_last(uint8_t* pack) noexcept nogil
cdef uint8_t* pack_next(uint8_t* pack, const uint8_t* at) noexcept nogil
cdef uint8_t* pack_prev(uint8_t* pack, const uint8_t* at) noexcept nogil
cdef uint8_t* pack_seek(uint8_t* pack, int64_t index) noexcept nogil

# --- one element ---

cdef void element_get(const uint8_t* at, Element* out) noexcept nogil
cdef const char* element_text(const uint8_t* at, char* digits, size_t* length) noexcept nogil
cdef bint element_equals(const uint8_t* at, const char* text, size_t length) noexcept nogil
cdef bytes element_as_bytes(const uint8_t* at)

# --- searching ---

cdef uint8_t* pack_find(
    uint8_t* pack, const uint8_t* start, const char* text, size_t length, uint32_t skip
) noexcept nogil
