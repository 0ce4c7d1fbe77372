"""What one key takes: MEMORY USAGE.

The entry, with the key and perhaps the string in it; its share of the cells of its slot's table; and of a value of
another type the object and what it allocated, judged by samples where it is large. All as the allocator counts it,
so that the sum over all keys is what `used_memory` grew by.
"""

import sys

from libc.stdint cimport uint64_t

from node.core.database cimport Database
from node.core.keyspace cimport Key, key_from_bytes, value_of
from node.core.memory cimport BLOCK_OVERHEAD, malloc_usable_size
from node.core.slot_table cimport IS_OBJECT, Entry, SlotTable


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
    total = malloc_usable_size(entry) + BLOCK_OVERHEAD + (sizeof(uint64_t) << table.bits) // table.used
    if entry.flags & IS_OBJECT:
        value = value_of(entry)
        total += sys.getsizeof(value) + value.allocated(samples)
    return total
