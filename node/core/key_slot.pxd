from libc.stdint cimport uint16_t

cdef extern from *:
    enum: SLOT_COUNT "16384"

cdef int slot_of(const char* key, size_t length) noexcept nogil
cdef size_t tagged_head(const char* key, size_t length) noexcept nogil
