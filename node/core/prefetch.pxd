"""The memory that a batch of requests will touch, asked for before the first is executed."""

from node.core.database cimport Database
from node.core.engine cimport Request
from node.core.slot_table cimport Entry, likely_cell, likely_entry, prefetch

cdef inline void prefetch_keys(Request* batch, int count, Database db):
    """The cells, then the entries, of the requests' keys, where they have several of the first. Their tables' heads
    were asked for while the batch was read. Of an entry its first 88 bytes, wherever its cache lines begin: header, a
    usual key, a small value; and no line of its neighbour's."""
    cdef Entry* entry
    cdef int i
    for i in range(count):
        if batch[i].row != NULL and batch[i].row.first_key:
            prefetch(likely_cell(&db.tables[batch[i].key.slot], batch[i].key.hash))
    for i in range(count):
        if batch[i].row != NULL and batch[i].row.first_key:
            entry = likely_entry(&db.tables[batch[i].key.slot], batch[i].key.hash)
            prefetch(entry)
            if batch[i].row.is_write:
                prefetch(<char*>entry - 8)    # the allocator's note of its size, which writing in place asks for
            prefetch(<char*>entry + 64)
            prefetch(<char*>entry + 87)
