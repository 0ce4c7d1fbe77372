"""Keys drawn at random, for compiled code. See sampler.pyx."""

from libc.stdint cimport uint32_t, uint64_t

from node.core.keyspace cimport Keyspace
from node.core.slot_table cimport Entry, SlotTable

cdef enum:
    MOST_DRAWN = 64    # at once: the most that `maxmemory-samples` may be

cdef struct Drawn:
    Entry* entry
    int slot

cdef class Sampler:
    cdef Keyspace db
    cdef bint volatile
    cdef uint64_t* sums      # sums[i]: keys in the tables before i
    cdef int draws_left

    cdef int draw(self, Drawn* drawn, int count) noexcept

    # its own
    cdef uint32_t keys_of(self, SlotTable* table) noexcept
    cdef void take_sums(self) noexcept
    cdef int likely_slot(self) noexcept
    cdef int slot_with_keys(self) noexcept
    cdef SlotTable* draw_leaf(self, SlotTable* table) noexcept
    cdef Entry* entry_from(self, SlotTable* leaf, uint32_t cell) noexcept
