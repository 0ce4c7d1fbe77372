"""Finds requests in received bytes without making Python objects. See request_reader.pyx."""

from libc.stdint cimport int64_t, uint32_t

cdef struct Span:
    size_t start   # relative to the buffer the frame is parsed in
    size_t length

cdef struct Spans:
    Span* items
    size_t count
    size_t capacity

cdef struct Progress:
    # How far an unfinished multibulk frame has been read; all zero between frames.
    int64_t missing     # arguments still to come
    size_t position     # where reading goes on, relative to the frame's start
    size_t wanted       # bytes of the frame that must be there before it is worth another look
    Spans spans         # of the arguments read so far, relative to the frame's start

cdef enum Outcome:
    COMPLETE
    EMPTY        # a frame that asks for nothing: an empty line, *0, *-1
    NEED_MORE
    BAD          # a protocol error: `Limits.error` says which

cdef struct Limits:
    int64_t bulk_length        # proto-max-bulk-len
    bint authenticated         # until then, frames must be small
    char error[96]

cdef int spans_push(Spans* spans, size_t start, size_t length) noexcept nogil
cdef void spans_free(Spans* spans) noexcept nogil
cdef size_t read_plain(const char* base, size_t start, size_t end, Spans* out, Limits* limits) noexcept nogil
cdef Outcome read_frame(
    const char* base, size_t start, size_t end, Progress* progress, Spans* out, size_t* next_frame, Limits* limits
) noexcept nogil
