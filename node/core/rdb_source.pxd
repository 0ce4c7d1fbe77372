"""Where RDB bytes come from, for compiled code. See rdb_source.pyx."""

from libc.stdint cimport uint8_t, uint64_t

cdef struct Text:           # a string that has been read
    char* data
    size_t length
    size_t room

cdef struct Piece:          # a string as it lies in the buffer
    const uint8_t* data
    size_t size             # bytes there
    size_t length           # bytes of the string
    bint packed             # LZF
    char digits[12]         # what a number is as text: `data` then

cdef class Source:
    cdef readonly str name
    cdef object stream
    cdef bytes buffer
    cdef const uint8_t* data    # of the buffer
    cdef size_t at              # handed out so far
    cdef size_t end
    cdef size_t summed          # how much of the buffer the checksum covers
    cdef readonly bint resumable
    cdef size_t kept            # where `rewind` goes back to
    cdef uint64_t before        # offset of the buffer's first byte
    cdef uint64_t sum
    cdef Text key               # of the entry that was read last
    cdef Text first             # for whoever reads, until the next string is read into it
    cdef Text second
    cdef Text packed

cdef inline void mark(Source self) noexcept:
    """An entry begins here."""
    self.kept = self.at

cdef int source_byte(Source self) except -1
cdef int source_read(Source self, void* out, size_t size) except -1
cdef int source_length(Source self, uint64_t* length) except -1
cdef int source_string(Source self, Text* text) except -1
cdef int keep_key(Source self, const char* key, size_t length) except -1
cdef bytes text_bytes(Text* text)

cdef const uint8_t* find_length(const uint8_t* at, const uint8_t* end, uint64_t* length) noexcept nogil
cdef const uint8_t* find_string(const uint8_t* at, const uint8_t* end, Piece* piece) noexcept nogil
cdef bint copy_piece(Piece* piece, char* out) noexcept nogil
cdef int keep_packed_key(Source self, Piece* piece) except -1
