"""A large sorted set: a table of entries and a tree over them. See ranking.pyx."""

from libc.stdint cimport uint32_t, uint64_t

from node.core.member_table cimport Member, MemberTable
from node.core.ordered_index cimport Tree

cdef struct Ranking:
    MemberTable table     # its entries have eight extra bytes, their scores
    Tree tree             # over the same entries

cdef Ranking* ranking_new() except NULL
cdef void ranking_free(Ranking* ranking) noexcept
cdef size_t ranking_shed(Ranking* ranking, size_t limit) noexcept
cdef Member* ranking_find(Ranking* ranking, const char* text, size_t length) noexcept
cdef int ranking_add(Ranking* ranking, uint32_t hash, const char* text, size_t length, double score) except -1
cdef int ranking_add_all(Ranking* ranking, Ranking* source) except -1
cdef void ranking_drop(Ranking* ranking, Member* member) noexcept
cdef int ranking_drop_range(Ranking* ranking, uint64_t start, uint64_t stop) except -1
cdef size_t ranking_bytes(Ranking* ranking, size_t samples) except 0
