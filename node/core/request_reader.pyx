"""Finds requests in received bytes: RESP arrays of bulk strings, and inline commands.

`read_frame` looks at one frame and gives the spans (start, length) of its arguments in the buffer; nothing
is copied and no Python object is made. "Need more" is an outcome, not an error, and what has been read of
an unfinished frame is kept in `Progress`, so that a frame of a million arguments that arrives in a
thousand pieces is still read once. A length is only believed: memory grows with bytes that
arrived, never with bytes that were announced.

Source: RESP specification; error words and limits are those of Redis' processMultibulkBuffer and
processInlineBuffer. The line of an inline command is one span; `node/words.py` splits it.
"""

from libc.stdio cimport snprintf
from libc.string cimport memchr, strcpy

from node.core.lengths cimport read_number, read_short
from node.core.memory cimport release, resize

cdef enum:
    MAX_LINE = 64 * 1024            # PROTO_INLINE_MAX_SIZE
    MAX_ARGUMENTS = 0x7FFFFFFF      # as Redis 7
    MAX_ARGUMENTS_UNAUTHENTICATED = 10
    MAX_BULK_UNAUTHENTICATED = 16384
    LEAST_FRAME = 6                 # bytes from which on a length can be read without asking for each of its digits …
    LEAST_WORD = 6                  # … of a frame, and of a word in it


cdef int spans_push(Spans* spans, size_t start, size_t length) noexcept nogil:
    """Append; returns -1 where no memory is to be had."""
    cdef Span* items
    cdef size_t capacity
    if spans.count == spans.capacity:
        capacity = spans.capacity * 2 if spans.capacity else 16
        items = <Span*>resize(spans.items, capacity * sizeof(Span))
        if items == NULL:
            return -1
        spans.items = items
        spans.capacity = capacity
    spans.items[spans.count].start = start
    spans.items[spans.count].length = length
    spans.count += 1
    return 0


cdef void spans_free(Spans* spans) noexcept nogil:
    release(spans.items)
    spans.items = NULL
    spans.count = 0
    spans.capacity = 0


cdef inline bint parse_length(const char* text, size_t length, int64_t* value) noexcept nogil:
    """Decimal int64 as Redis' string2ll reads it: no spaces, no plus, no leading zero."""
    cdef size_t i = 0
    cdef int64_t result = 0
    cdef bint negative = length > 0 and text[0] == c"-"
    if negative:
        i = 1
    if i == length or length - i > 18:
        return False
    if text[i] == c"0" and (length - i > 1 or negative):
        return False
    while i < length:
        if text[i] < c"0" or text[i] > c"9":
            return False
        result = result * 10 + (text[i] - c"0")
        i += 1
    value[0] = -result if negative else result
    return True


cdef Outcome read_frame(
    const char* base, size_t start, size_t end, Progress* progress, Spans* out, size_t* next_frame, Limits* limits
) noexcept nogil:
    """Read the frame that starts at `base + start`; bytes up to `end` are there.

    COMPLETE: the spans of its arguments, relative to `base`, were appended to `out`. For an inline frame
    that is one span, the line, whose first byte is not `*`. COMPLETE and EMPTY set `next_frame`.
    """
    cdef size_t first = out.count
    cdef size_t position
    cdef int64_t missing
    cdef Outcome outcome
    if progress.position == 0:
        if base[start] != c"*":
            return read_inline(base, start, end, out, next_frame, limits)
        position = start
        outcome = read_count(base, &position, end, &missing, limits)
        if outcome != COMPLETE:
            next_frame[0] = position
            return outcome
    else:
        position = start + progress.position
        missing = progress.missing
        if move_spans(&progress.spans, 0, out, start) < 0:
            return out_of_memory(limits)
        progress.position = 0

    while missing:
        outcome = read_bulk(base, start, &position, end, progress, out, limits)
        if outcome == BAD:
            return BAD
        if outcome == NEED_MORE:
            if move_spans(out, first, &progress.spans, -start) < 0:
                return out_of_memory(limits)
            progress.missing = missing
            progress.position = position - start
            return NEED_MORE
        missing -= 1
    progress.wanted = 0
    next_frame[0] = position
    return COMPLETE


cdef size_t read_plain(const char* base, size_t start, size_t end, Spans* out, Limits* limits) noexcept nogil:
    """`read_frame` for the frames that nearly all are: all there, begun anew, and of words below a thousand bytes.
    Returns where the frame ends; 0, and nothing done, where it is another."""
    cdef const char* stop = base + end
    cdef const char* p = base + start
    cdef Span* span = &out.items[out.count]
    cdef Span* behind
    cdef size_t count, length
    if end - start < LEAST_FRAME or p[0] != c"*" or not limits.authenticated or limits.bulk_length < 1000:
        return 0
    p = read_short(p + 1, &count)
    if p == NULL or count > out.capacity - out.count:
        return 0
    behind = span + count
    while span != behind:
        if stop - p < LEAST_WORD or p[0] != c"$":
            return 0
        p = read_short(p + 1, &length)
        if p == NULL or stop - p < <Py_ssize_t>length + 2:
            return 0
        span.start = p - base
        span.length = length
        span += 1
        p += length + 2
    out.count += count
    return p - base


cdef Outcome read_count(
    const char* base, size_t* position, size_t end, int64_t* count, Limits* limits
) noexcept nogil:
    """The `*3` line at `position`, which moves behind it."""
    cdef const char* line = base + position[0]
    cdef const char* newline = read_number(line + 1, base + end, count)
    if newline == NULL:
        newline = <const char*>memchr(line, c"\r", end - position[0])
        if newline == NULL:
            if end - position[0] > MAX_LINE:
                strcpy(limits.error, b"Protocol error: too big mbulk count string")
                return BAD
            return NEED_MORE
        if newline + 1 >= base + end:
            return NEED_MORE
        if not parse_length(line + 1, newline - line - 1, count):
            strcpy(limits.error, b"Protocol error: invalid multibulk length")
            return BAD
    if count[0] > MAX_ARGUMENTS:
        strcpy(limits.error, b"Protocol error: invalid multibulk length")
        return BAD
    if count[0] > MAX_ARGUMENTS_UNAUTHENTICATED and not limits.authenticated:
        strcpy(limits.error, b"Protocol error: unauthenticated multibulk length")
        return BAD
    position[0] = newline + 2 - base
    return COMPLETE if count[0] > 0 else EMPTY


cdef inline Outcome read_bulk(
    const char* base, size_t start, size_t* position, size_t end, Progress* progress, Spans* out, Limits* limits
) noexcept nogil:
    """One `$5 hello` at `position`, which moves behind it; its span goes to `out`."""
    cdef const char* line = base + position[0]
    cdef const char* newline
    cdef int64_t length
    cdef size_t data
    if position[0] >= end:
        return NEED_MORE
    newline = read_number(line + 1, base + end, &length) if line[0] == c"$" else NULL
    if newline == NULL:
        newline = <const char*>memchr(line, c"\r", end - position[0])
        if newline == NULL:
            if end - position[0] > MAX_LINE:
                strcpy(limits.error, b"Protocol error: too big bulk count string")
                return BAD
            return NEED_MORE
        if newline + 1 >= base + end:
            return NEED_MORE
        if line[0] != c"$":
            snprintf(limits.error, sizeof(limits.error), b"Protocol error: expected '$', got '%c'", line[0])
            return BAD
        if not parse_length(line + 1, newline - line - 1, &length):
            length = -1
    if length < 0 or length > limits.bulk_length:
        strcpy(limits.error, b"Protocol error: invalid bulk length")
        return BAD
    if length > MAX_BULK_UNAUTHENTICATED and not limits.authenticated:
        strcpy(limits.error, b"Protocol error: unauthenticated bulk length")
        return BAD
    data = newline + 2 - base
    if data + length + 2 > end:
        progress.wanted = data + length + 2 - start
        return NEED_MORE
    if spans_push(out, data, length) < 0:
        return out_of_memory(limits)
    position[0] = data + length + 2
    return COMPLETE


cdef int move_spans(Spans* source, size_t first, Spans* target, size_t shift) noexcept nogil:
    """Move spans from `first` on to the end of `target`, `shift` added to their start."""
    cdef size_t i
    for i in range(first, source.count):
        if spans_push(target, source.items[i].start + shift, source.items[i].length) < 0:
            return -1
    source.count = first
    return 0


cdef Outcome out_of_memory(Limits* limits) noexcept nogil:
    strcpy(limits.error, b"Protocol error: out of memory")
    return BAD


cdef Outcome read_inline(
    const char* base, size_t start, size_t end, Spans* out, size_t* next_frame, Limits* limits
) noexcept nogil:
    cdef const char* newline = <const char*>memchr(base + start, c"\n", end - start)
    cdef size_t length
    if newline == NULL:
        if end - start > MAX_LINE:
            strcpy(limits.error, b"Protocol error: too big inline request")
            return BAD
        return NEED_MORE
    length = newline - (base + start)
    next_frame[0] = start + length + 1
    if length and base[start + length - 1] == c"\r":
        length -= 1
    if length == 0:
        return EMPTY
    if spans_push(out, start, length) < 0:
        return out_of_memory(limits)
    return COMPLETE


cdef class RequestReader:
    """Requests out of a stream that arrives in pieces of any size, for whoever has bytes and no connection:
    a replica reading its primary, a file, a test. Inline lines come as one argument, the line.
    """

    cdef bytearray buffer
    cdef Progress progress
    cdef Spans spans
    cdef Limits limits
    cdef bytes skipped
    cdef readonly object error
    """The words of the protocol error that ended the stream, None until then."""

    def __cinit__(self, bint authenticated=True, int64_t bulk_length=512 << 20):
        self.buffer = bytearray()
        self.skipped = b""
        self.limits.authenticated = authenticated
        self.limits.bulk_length = bulk_length

    def __dealloc__(self):
        spans_free(&self.spans)
        spans_free(&self.progress.spans)

    @property
    def pending(self) -> int:
        """Bytes of a request that is not complete."""
        return len(self.buffer)

    def feed(self, bytes data not None) -> list:
        """(arguments, bytes of the frame) of each request that `data` completes. Nothing after `error`.

        Frames that ask for nothing are counted to the one behind them, so that no byte is unaccounted for.
        """
        cdef size_t position = 0
        cdef size_t begin, end, i
        cdef const char* base
        cdef Outcome outcome
        requests = []
        if self.error is not None:
            return requests
        self.buffer += data
        if <size_t>len(self.buffer) < self.progress.wanted:
            return requests
        base = self.buffer
        end = len(self.buffer)
        while position < end:
            begin = position
            self.spans.count = 0
            outcome = read_frame(base, begin, end, &self.progress, &self.spans, &position, &self.limits)
            if outcome == NEED_MORE:
                position = begin
                break
            if outcome == BAD:
                self.error = (<bytes>self.limits.error).decode("utf-8", "surrogateescape")
                break
            if outcome == EMPTY:
                self.skipped += base[begin:position]
            else:
                arguments = [
                    base[self.spans.items[i].start:self.spans.items[i].start + self.spans.items[i].length]
                    for i in range(self.spans.count)
                ]
                requests.append((arguments, self.skipped + base[begin:position]))
                self.skipped = b""
        del self.buffer[:position]
        return requests
