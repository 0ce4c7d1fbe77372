from libc.stdint cimport uint16_t

cdef extern from *:
    enum: SLOT_COUNT "16384"

cdef uint16_t CRC16_TABLE[256]

cdef int slot_of(const char* key, size_t length) noexcept nogil
