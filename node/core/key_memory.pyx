"""What one key takes (MEMORY USAGE), or all of a slot (CLUSTER SLOT-STATS).

The entry, with the key and perhaps the string in it; its share of the cells of its slot's table; and of a value of
another type the object and what it allocated, judged by samples where it is large. All as the allocator counts it,
so that the sum over all keys is what `used_memory` grew by.
"""

import sys

from libc.stdint cimport uint32_t

from node.core.database cimport Database
from node.core.keyspace cimport Key, key_from_bytes, value_of
from node.core.memory cimport BLOCK_OVERHEAD, malloc_usable_size
from node.core.slot_table cimport IS_OBJECT, Entry, SlotTable, Walk, next_entry, table_bytes

cdef Py_ssize_t SAMPLES = 5      # members of a large value that stand for all, as for MEMORY USAGE


def key_memory(Database db not None, bytes key not None, Py_ssize_t samples) -> int | None:
    """Bytes, None where there is no such key. `samples`: how many members to look at, 0 for all. No access."""
    cdef Key k
    cdef Entry* entry
    cdef SlotTable* table
    cdef size_t total
    key_from_bytes(&k, key)
    entry = db.find(&k)
    if entry == NULL:
        return None
    table = &db.tables[k.slot]
    return entry_memory(entry, samples) + table_bytes(table) // table.used


def slot_memory(Database db not None, int slot, uint32_t most) -> int:
    """Bytes of what a slot has in memory. Of a slot with many keys `most` are looked at, those that hash first:
    any, that is."""
    cdef SlotTable* table = &db.tables[slot]
    cdef Walk walk = Walk(NULL, 0, 0)
    cdef uint32_t seen = 0
    cdef size_t total = 0
    if table.used == 0:
        return 0
    while seen < min(most, table.used):
        total += entry_memory(next_entry(table, &walk), SAMPLES)
        seen += 1
    return total * table.used // seen + table_bytes(table)


cdef size_t entry_memory(Entry* entry, Py_ssize_t samples) except? 0:
    cdef size_t total = malloc_usable_size(entry) + BLOCK_OVERHEAD
    if entry.flags & IS_OBJECT:
        value = value_of(entry)
        total += sys.getsizeof(value) + value.allocated(samples)
    return total
