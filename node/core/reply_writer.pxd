"""Reply values to RESP bytes, in one growing buffer. See reply_writer.pyx."""

cimport cython
from libc.stdint cimport int64_t

@cython.final
cdef class ReplyWriter:
    cdef char* data
    cdef size_t length
    cdef size_t capacity

    cdef int reserve(self, size_t more) except -1
    cdef int raw(self, const char* text, size_t length) except -1
    cdef int line_of_int(self, char prefix, int64_t number) except -1
    cdef int bulk(self, const char* text, size_t length) except -1
    cdef int null(self, int resp) except -1
    cdef int encode(self, object value, int resp) except -1
    cdef int encode_float(self, double value, int resp) except -1
    cdef int encode_error(self, str text) except -1
    cdef int encode_verbatim(self, value, int resp) except -1
    cdef int raw_object(self, bytes data) except -1
    cdef int encode_items(self, object items, int resp) except -1
    cdef void shrink(self) noexcept
