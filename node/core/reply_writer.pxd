"""Reply values to RESP bytes, in one growing buffer. See reply_writer.pyx."""

cimport cython
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from node.core.integer_text cimport put_number

cdef enum:
    MOST_AROUND = 32    # bytes that a bulk string's reply may take beyond the string's own

# --- into memory that is there --------------------------------------------------------------------------------

cdef inline char* put_line(char* out, char prefix, int64_t number) noexcept nogil:
    """`prefix`, the number in decimal, CR LF; returns where it ends."""
    out[0] = prefix
    out = put_number(out + 1, number)
    out[0] = c"\r"
    out[1] = c"\n"
    return out + 2

cdef inline char* put_bulk(char* out, const char* text, size_t length) noexcept nogil:
    """`$5 hello`; returns where it ends."""
    if 10 <= length < 100:    # most are, and need no division
        out[0] = c"$"
        out[1] = <char>(c"0" + <unsigned char>length // 10)
        out[2] = <char>(c"0" + <unsigned char>length % 10)
        out[3] = c"\r"
        out[4] = c"\n"
        out += 5
    else:
        out = put_line(out, c"$", length)
    memcpy(out, text, length)
    out += length
    out[0] = c"\r"
    out[1] = c"\n"
    return out + 2

@cython.final
cdef class ReplyWriter:
    cdef char* data
    cdef size_t length
    cdef size_t capacity

    cdef inline int reserve(self, size_t more) except -1:
        """Have room for so many bytes."""
        return 0 if self.length + more <= self.capacity else self.grow(more)

    cdef inline int raw(self, const char* text, size_t length) except -1:
        self.reserve(length)
        memcpy(self.data + self.length, text, length)
        self.length += length
        return 0

    cdef inline int line_of_int(self, char prefix, int64_t number) except -1:
        """`prefix`, the number in decimal, CR LF."""
        self.reserve(MOST_AROUND)
        self.length = put_line(self.data + self.length, prefix, number) - self.data
        return 0

    cdef int grow(self, size_t more) except -1
    cdef int bulk(self, const char* text, size_t length) except -1
    cdef int null(self, int resp) except -1
    cdef int encode(self, object value, int resp) except -1
    cdef int encode_float(self, double value, int resp) except -1
    cdef int encode_error(self, str text) except -1
    cdef int encode_verbatim(self, value, int resp) except -1
    cdef int raw_object(self, bytes data) except -1
    cdef int encode_items(self, object items, int resp) except -1
    cdef void shrink(self) noexcept
    cdef ReplyWriter hand_over(self)
