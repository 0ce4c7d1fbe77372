"""Sorted sets, for compiled code beside them. See sorted_set.pyx."""

from libc.stdint cimport uint8_t, uint64_t

from node.core.ordered_index cimport Probe
from node.core.ranking cimport Ranking

cdef class SortedSet:
    cdef uint8_t* pack    # while small: a listpack of member, score, member, score ... in order
    cdef Ranking* ranking # while large

cdef enum:                # flags of `put`, as ZADD's options
    ONLY_NEW = 1
    ONLY_KNOWN = 2
    ONLY_GREATER = 4
    ONLY_LESS = 8
    INCREMENT = 16

cdef enum Outcome:
    REFUSED               # by a flag
    NOT_A_NUMBER          # the sum of two infinities; nothing was done
    UNCHANGED
    UPDATED
    ADDED

cdef int rank_all(SortedSet value) except -1
cdef Outcome zset_put(
    SortedSet value, const char* text, size_t length, double* score, int flags
) except? REFUSED
cdef SortedSet zset_sized(size_t count, size_t length)
cdef int zset_expect(SortedSet value, size_t coming) except -1
cdef size_t zset_count(SortedSet value) noexcept
cdef uint64_t zset_count_before(SortedSet value, Probe* probe) noexcept
cdef bint zset_remove(SortedSet value, const char* text, size_t length) except -1
cdef int zset_remove_range(SortedSet value, uint64_t start, uint64_t stop) except -1
cdef void zset_negate_zero(SortedSet value, const char* text, size_t length) noexcept
cdef bint zset_score(SortedSet value, const char* text, size_t length, double* score) noexcept
