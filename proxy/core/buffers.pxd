"""Byte queues in C: what was read but not used, what is to be sent, what was sent but not answered.

A buffer holds memory only while it holds bytes: 10,000 idle connections own none. The common small size comes
from a free list, so that taking and giving back costs nothing in the steady state.
"""

from libc.string cimport memcpy

cdef struct Buffer:
    char* data              # NULL while empty
    Py_ssize_t start        # the first byte that still counts
    Py_ssize_t end          # behind the last one
    Py_ssize_t capacity

# Make room for `extra` bytes behind `end`. May move the bytes: only offsets from `start` keep their meaning.
cdef int reserve(Buffer* buffer, Py_ssize_t extra) except -1

# Give the memory back, with whatever is in it.
cdef void release(Buffer* buffer) noexcept

cdef inline Py_ssize_t size(Buffer* buffer) noexcept:
    return buffer.end - buffer.start

cdef inline int append(Buffer* buffer, const char* source, Py_ssize_t length) except -1:
    if buffer.capacity - buffer.end < length:
        reserve(buffer, length)
    memcpy(buffer.data + buffer.end, source, length)
    buffer.end += length
    return 0

cdef inline void consume(Buffer* buffer, Py_ssize_t length) noexcept:
    """Drop bytes from the front; the last one takes the memory with it."""
    buffer.start += length
    if buffer.start == buffer.end:
        release(buffer)
