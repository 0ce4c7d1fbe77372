"""Numbers of RESP's headers, the short way: as all clients and servers send them. Both readers of frames, the
worker's and the proxy's, begin with it; what it does not take they read by their own, full rules."""

from libc.stdint cimport int64_t


cdef inline const char* read_short(const char* p, size_t* length) noexcept nogil:
    """A length of one to three digits and its line's end at `p`; returns what follows, or NULL where anything else is
    there. Five bytes must be."""
    cdef unsigned int first = p[0] - c"0"
    cdef unsigned int second = p[1] - c"0"
    cdef unsigned int third = p[2] - c"0"
    if first - 1 > 8:
        return NULL
    if p[1] == c"\r":
        length[0] = first
        return p + 3
    if second > 9:
        return NULL
    if p[2] == c"\r":
        length[0] = first * 10 + second
        return p + 4
    if third > 9 or p[3] != c"\r":
        return NULL
    length[0] = first * 100 + second * 10 + third
    return p + 5


cdef inline const char* read_number(const char* text, const char* end, int64_t* value) noexcept nogil:
    """The short way for lengths as all clients send them: digits, CR, and one more byte that is there.

    Returns where the CR is, or NULL where the text is anything else, complete or not.
    """
    cdef const char* limit
    cdef int64_t number = 0
    cdef const char* p = text
    limit = text + 10 if end - text > 10 else end
    while p < limit and c"0" <= p[0] <= c"9":
        number = number * 10 + (p[0] - c"0")
        p += 1
    if p == text or p + 1 >= end or p[0] != c"\r" or (text[0] == c"0" and p - text > 1):
        return NULL
    value[0] = number
    return p


cdef inline const char* short_length(const char* text, const char* end, int64_t* value) noexcept nogil:
    """Both of them: where the CR is, or NULL."""
    cdef const char* behind
    cdef size_t length
    if end - text > 5:
        behind = read_short(text, &length)
        if behind != NULL:
            value[0] = length
            return behind - 2
    return read_number(text, end, value)
