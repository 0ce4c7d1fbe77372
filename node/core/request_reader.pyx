"""Finds requests in received bytes: RESP arrays of bulk strings, and inline commands.

`read_frame` looks at one frame and gives the spans (start, length) of its arguments in the buffer; nothing
is copied and no Python object is made. "Need more" is an outcome, not an error, and what has been read of
an unfinished frame is kept in `Progress`, so that a frame of a million arguments that arrives in a
thousand pieces is still read once. A length is only believed: memory grows with bytes that
arrived, never with bytes that were announced.

Source: RESP specification; error words and limits are those of Redis' processMultibulkBuffer and
processInlineBuffer. Inline commands are split by sdssplitargs' rules (quotes and escapes) in
`split_inline`, which makes Python objects: a person is typing.
"""

from libc.stdio cimport snprintf
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, strcpy

cdef enum:
    MAX_LINE = 64 * 1024            # PROTO_INLINE_MAX_SIZE
    MAX_ARGUMENTS = 0x7FFFFFFF      # as Redis 7
    MAX_ARGUMENTS_UNAUTHENTICATED = 10
    MAX_BULK_UNAUTHENTICATED = 16384


cdef int spans_push(Spans* spans, size_t start, size_t length) noexcept nogil:
    """Append; returns -1 where no memory is to be had."""
    cdef Span* items
    cdef size_t capacity
    if spans.count == spans.capacity:
        capacity = spans.capacity * 2 if spans.capacity else 16
        items = <Span*>realloc(spans.items, capacity * sizeof(Span))
        if items == NULL:
            return -1
        spans.items = items
        spans.capacity = capacity
    spans.items[spans.count].start = start
    spans.items[spans.count].length = length
    spans.count += 1
    return 0


cdef void spans_free(Spans* spans) noexcept nogil:
    free(spans.items)
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
    cdef const char* line
    cdef const char* newline
    cdef size_t position
    cdef int64_t number
    cdef size_t i
    if progress.position == 0:
        if base[start] != c"*":
            return read_inline(base, start, end, out, next_frame, limits)
        line = base + start
        newline = <const char*>memchr(line, c"\r", end - start)
        if newline == NULL:
            if end - start > MAX_LINE:
                strcpy(limits.error, b"Protocol error: too big mbulk count string")
                return BAD
            return NEED_MORE
        if newline + 1 >= base + end:
            return NEED_MORE
        if not parse_length(line + 1, newline - line - 1, &number) or number > MAX_ARGUMENTS:
            strcpy(limits.error, b"Protocol error: invalid multibulk length")
            return BAD
        if number > MAX_ARGUMENTS_UNAUTHENTICATED and not limits.authenticated:
            strcpy(limits.error, b"Protocol error: unauthenticated multibulk length")
            return BAD
        position = newline + 2 - base
        if number <= 0:
            next_frame[0] = position
            return EMPTY
        progress.missing = number
        progress.position = position - start
        progress.spans.count = 0
    position = start + progress.position

    while progress.missing:
        if position >= end:
            break
        line = base + position
        newline = <const char*>memchr(line, c"\r", end - position)
        if newline == NULL:
            if end - position > MAX_LINE:
                strcpy(limits.error, b"Protocol error: too big bulk count string")
                return BAD
            break
        if newline + 1 >= base + end:
            break
        if line[0] != c"$":
            snprintf(limits.error, sizeof(limits.error), b"Protocol error: expected '$', got '%c'", line[0])
            return BAD
        if (
            not parse_length(line + 1, newline - line - 1, &number)
            or number < 0
            or number > limits.bulk_length
        ):
            strcpy(limits.error, b"Protocol error: invalid bulk length")
            return BAD
        if number > MAX_BULK_UNAUTHENTICATED and not limits.authenticated:
            strcpy(limits.error, b"Protocol error: unauthenticated bulk length")
            return BAD
        if <size_t>(end - (newline + 2 - base)) < <size_t>number + 2 or newline + 2 > base + end:
            progress.wanted = (newline + 2 - base) - start + number + 2
            break
        if spans_push(&progress.spans, (newline + 2 - base) - start, number) < 0:
            strcpy(limits.error, b"Protocol error: out of memory")
            return BAD
        position = (newline + 2 - base) + number + 2
        progress.missing -= 1

    if progress.missing:
        progress.position = position - start
        return NEED_MORE
    for i in range(progress.spans.count):
        if spans_push(out, progress.spans.items[i].start + start, progress.spans.items[i].length) < 0:
            strcpy(limits.error, b"Protocol error: out of memory")
            return BAD
    progress.position = 0
    progress.wanted = 0
    progress.spans.count = 0
    next_frame[0] = position
    return COMPLETE


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
        strcpy(limits.error, b"Protocol error: out of memory")
        return BAD
    return COMPLETE


_ESCAPES = {ord("n"): b"\n", ord("r"): b"\r", ord("t"): b"\t", ord("b"): b"\b", ord("a"): b"\a"}
_SPACES = b" \n\r\t\x0b\x0c\x00"
_HEX = b"0123456789abcdefABCDEF"


def split_inline(bytes line not None) -> list | None:
    """Split a line into arguments by sdssplitargs' rules; None where quotes are unbalanced.

    Double quotes know \\xHH and \\n \\r \\t \\b \\a escapes, single quotes only \\'. A closing quote must be
    followed by white space or the end.
    """
    arguments = []
    i = 0
    n = len(line)
    while True:
        while i < n and line[i:i + 1] in _SPACES:
            i += 1
        if i >= n:
            return arguments
        argument = bytearray()
        while i < n and line[i:i + 1] not in _SPACES:
            quote = line[i:i + 1]
            i += 1
            if quote not in (b'"', b"'"):
                argument += quote
                continue
            while True:
                if i >= n:
                    return None
                c = line[i:i + 1]
                if c == quote:
                    i += 1
                    if i < n and line[i:i + 1] not in _SPACES:
                        return None
                    break
                if c == b"\\" and quote == b'"' and i + 1 < n:
                    if (
                        line[i + 1:i + 2] == b"x"
                        and i + 3 < n
                        and line[i + 2:i + 3] in _HEX
                        and line[i + 3:i + 4] in _HEX
                    ):
                        argument.append(int(line[i + 2:i + 4], 16))
                        i += 4
                    else:
                        argument += _ESCAPES.get(line[i + 1], line[i + 1:i + 2])
                        i += 2
                elif c == b"\\" and line[i + 1:i + 2] == b"'":
                    argument += b"'"
                    i += 2
                else:
                    argument += c
                    i += 1
            break
        arguments.append(bytes(argument))


def read_requests(bytes data not None, bint authenticated=True, long long bulk_length=512 << 20):
    """For tests: (requests, bytes consumed, error or None) of what stands in `data`."""
    cdef const char* base = data
    cdef size_t position = 0
    cdef size_t end = len(data)
    cdef size_t i
    cdef Progress progress
    cdef Spans spans
    cdef Limits limits
    cdef Outcome outcome
    progress = Progress(0, 0, 0, Spans(NULL, 0, 0))
    spans = Spans(NULL, 0, 0)
    limits.bulk_length = bulk_length
    limits.authenticated = authenticated
    requests = []
    error = None
    while position < end:
        spans.count = 0
        outcome = read_frame(base, position, end, &progress, &spans, &position, &limits)
        if outcome == BAD:
            error = (<bytes>limits.error).decode()
            break
        if outcome == NEED_MORE:
            break
        if outcome == COMPLETE:
            requests.append([
                base[spans.items[i].start:spans.items[i].start + spans.items[i].length]
                for i in range(spans.count)
            ])
    spans_free(&spans)
    spans_free(&progress.spans)
    return requests, position, error
