"""Listpacks in memory, for compiled code: see listpack.pyx for the format.

A pack is a block of memory.pxd that holds exactly one listpack. An element is named by its address, `at`, which is
good until the pack is changed: whatever changes it returns the pack, perhaps moved, or NULL where there is no
memory, and then the old pack stands unchanged.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

cdef enum:
    PACK_HEADER = 6          # uint32 bytes, uint16 count
    PACK_FRAME = 7           # header and end mark: the size of an empty pack
    PACK_END = 0xFF
    PACK_COUNT_UNKNOWN = 0xFFFF
    PACK_LARGEST = 1 << 30   # bytes; whoever fills packs must not grow one beyond it
    DIGITS = 21              # room for the text of any int64

cdef struct Element:
    const char* text         # inside the pack; NULL for an integer
    uint32_t length          # of `text`
    int64_t number           # where there is no text

# --- the whole pack ------------------------------------------------------------------------------------------

cdef inline uint32_t pack_bytes(const uint8_t* pack) noexcept nogil:
    return (<uint32_t*>pack)[0]

cdef uint8_t* pack_new(size_t capacity) noexcept nogil
cdef uint8_t* pack_copy(const uint8_t* pack) noexcept nogil
cdef int64_t pack_check(const uint8_t* data, size_t length) noexcept nogil
cdef uint32_t pack_count(uint8_t* pack) noexcept nogil
cdef uint8_t* pack_trim(uint8_t* pack) noexcept nogil

# --- walking ---

cdef uint8_t* pack_first(uint8_t* pack) noexcept nogil
cdef uint8_t* pack_last(uint8_t* pack) noexcept nogil
cdef uint8_t* pack_next(uint8_t* pack, const uint8_t* at) noexcept nogil
cdef uint8_t* pack_prev(uint8_t* pack, const uint8_t* at) noexcept nogil
cdef uint8_t* pack_seek(uint8_t* pack, int64_t index) noexcept nogil
cdef uint32_t element_bytes(const uint8_t* at) noexcept nogil

# --- one element ---

cdef void element_get(const uint8_t* at, Element* out) noexcept nogil
cdef const char* element_text(const uint8_t* at, char* digits, size_t* length) noexcept nogil
cdef bint element_equals(const uint8_t* at, const char* text, size_t length) noexcept nogil
cdef bytes element_as_bytes(const uint8_t* at)

# --- searching ---

cdef uint8_t* pack_find(
    uint8_t* pack, const uint8_t* start, const char* text, size_t length, uint32_t skip
) noexcept nogil

# --- changing ---

cdef uint8_t* pack_insert(
    uint8_t* pack, const uint8_t* at, const char* text, size_t length, uint8_t** placed
) noexcept nogil
cdef uint8_t* pack_insert_number(
    uint8_t* pack, const uint8_t* at, int64_t number, uint8_t** placed
) noexcept nogil
cdef uint8_t* pack_replace(
    uint8_t* pack, const uint8_t* at, const char* text, size_t length, uint8_t** placed
) noexcept nogil
cdef uint8_t* pack_replace_number(
    uint8_t* pack, const uint8_t* at, int64_t number, uint8_t** placed
) noexcept nogil
cdef uint8_t* pack_append(uint8_t* pack, const char* text, size_t length) noexcept nogil
cdef uint8_t* pack_append_number(uint8_t* pack, int64_t number) noexcept nogil
cdef uint8_t* pack_prepend(uint8_t* pack, const char* text, size_t length) noexcept nogil
cdef uint8_t* pack_delete(uint8_t* pack, const uint8_t* at, uint32_t count, uint8_t** following) noexcept nogil
cdef uint8_t* pack_splice(
    uint8_t* pack, const uint8_t* at, size_t cut, int64_t cut_count, const uint8_t* body, size_t size, int64_t count
) noexcept nogil

# --- numbers, sizes ---

cdef bint canonical_number(const char* text, size_t length, int64_t* number) noexcept nogil
cdef size_t print_number(int64_t number, char* digits) noexcept nogil
cdef size_t text_size(const char* text, size_t length) noexcept nogil
cdef size_t number_size(int64_t number) noexcept nogil
