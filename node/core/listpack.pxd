"""Making and changing listpacks, for compiled code: see listpack.pyx for the format, listpack_walk.pxd for reading.

A pack is a block of memory.pxd that holds exactly one listpack. Whatever changes it returns it, perhaps moved, or NULL
where there is no memory, and then the old pack stands unchanged.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum:
    PACK_LARGEST = 1 << 30   # bytes; whoever fills packs must not grow one beyond it

# --- the whole pack ---

cdef uint8_t* pack_new(size_t capacity) noexcept nogil
cdef uint8_t* pack_copy(const uint8_t* pack) noexcept nogil
cdef uint8_t* pack_trim(uint8_t* pack) noexcept nogil

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

# --- adding several at the end, into room that is there: at most what `text_size` and `number_size` say ---

cdef uint8_t* place_text(uint8_t* out, const char* text, size_t length) noexcept nogil
cdef uint8_t* place_number(uint8_t* out, int64_t number) noexcept nogil
cdef void pack_grown(uint8_t* pack, uint8_t* end, int64_t count) noexcept nogil
cdef bint place_anew(uint8_t* at, int64_t number) noexcept nogil

# --- sizes of elements to be ---

cdef size_t text_size(const char* text, size_t length) noexcept nogil
cdef size_t number_size(int64_t number) noexcept nogil
