"""What a client has queued since MULTI, for compiled code: see queue.pyx."""

cimport cython

from node.core.request_reader cimport Span, Spans

cdef struct Queued:
    int row              # the command's number
    size_t first         # its words: spans.items[first:first + count], of `data`
    size_t count
    size_t begin         # its frame: data[begin:end]
    size_t end

cdef enum:
    NO_SLOT = -1         # as `slot`: no key so far,
    SOME_SLOT = -2       # and: it takes the session to tell

@cython.final
@cython.no_gc
cdef class Queue:
    cdef char* data
    cdef size_t length
    cdef size_t room
    cdef Spans spans
    cdef Queued* commands
    cdef Py_ssize_t count
    cdef Py_ssize_t capacity
    cdef int slot        # of all keys, where that matters

    cdef int make_room(self, size_t more) except -1
    cdef int add(self, int row, const char* base, size_t begin, size_t end, Span* words, size_t count) except -1
    cdef int add_words(self, int row, list argv) except -1
    cdef list words_of(self, Py_ssize_t number)
    cdef size_t memory(self) noexcept
    cdef void clear(self) noexcept
