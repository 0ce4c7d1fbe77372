"""A small sorted set: a listpack of member, score, member, score ... in order. See packed_scores.pyx."""

from libc.stdint cimport uint8_t, uint64_t

from node.core.ordered_index cimport Probe

cdef double packed_score(const uint8_t* at) noexcept nogil
cdef uint8_t* packed_find(uint8_t* pack, const char* text, size_t length) noexcept nogil
cdef uint64_t packed_count(uint8_t* pack, Probe* probe) noexcept nogil
cdef uint8_t* packed_add(uint8_t* pack, const char* text, size_t length, double score) noexcept nogil
