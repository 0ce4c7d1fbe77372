"""The table of one slot: open addressing over pointers to entries.

A database is 16,384 of these, one per hash slot, so that counting, listing, moving or dropping a slot
costs what the slot holds, and no table is ever so large that growing it stalls the worker.

An entry is one allocation: header, optional expiry, then either an owned PyObject* (structured types)
and the key, or the key and the string value itself. No Python object exists for a string or its key.

    Entry | Lengths? | int64 expiry? | PyObject*? | key bytes | value bytes

There are as many headers as keys, so one holds 8 bytes and no more: what only long strings, only some keys or only
rare moments need stands behind it, elsewhere, or is worked out again, as the hash is.

A cell is the entry's address (48 bits) and, in its upper 16 bits, the first 16 bits of the key's hash.
The home of a key is the *upper* bits of its hash, and collisions probe linearly. Two things follow:
the tag tells foreign entries apart without touching their memory, and walking homes in order walks the
hashes in order, whatever the table's size: that makes SCAN stateless and safe over resizes
(`Database.scan`). Removal shifts the following entries back, so there are no tombstones.

The hash is a keyed one (key_hash.pyx), so that keys cannot be chosen to collide.
"""

from node.core.memory cimport release, take_zeroed

cdef enum:
    SMALLEST_BITS = 2


cdef inline uint32_t home_of_cell(uint64_t cell, uint32_t bits) noexcept nogil:
    if bits <= 16:
        return <uint32_t>(cell >> 48) >> (16 - bits)
    return entry_hash(entry_of(cell)) >> (32 - bits)


cdef inline void put_cell(uint64_t* cells, uint32_t bits, uint64_t cell) noexcept nogil:
    cdef uint32_t mask = (1U << bits) - 1
    cdef uint32_t i = home_of_cell(cell, bits)
    while cells[i] != 0:
        i = (i + 1) & mask
    cells[i] = cell


cdef int grow(SlotTable* table, uint32_t bits) except -1:
    cdef uint64_t* cells = <uint64_t*>take_zeroed(1U << bits, sizeof(uint64_t))
    cdef uint32_t i
    if cells == NULL:
        raise MemoryError
    if table.cells != NULL:
        for i in range(1U << table.bits):
            if table.cells[i] != 0:
                put_cell(cells, bits, table.cells[i])
        release(table.cells)
    table.cells = cells
    table.bits = bits
    return 0


cdef int table_add(SlotTable* table, uint32_t hash, Entry* entry) except -1:
    """Add an entry whose key is known to be absent. Grows at three quarters full."""
    if table.cells == NULL:
        grow(table, SMALLEST_BITS)
    elif (table.used + 1) * 4ULL > (3ULL << table.bits):
        grow(table, table.bits + 1)
    put_cell(table.cells, table.bits, cell_of(hash, entry))
    table.used += 1
    if entry.flags & HAS_EXPIRY:
        table.volatiles += 1
    return 0


cdef void table_remove(SlotTable* table, uint64_t* cell) noexcept nogil:
    """Take a cell out, without freeing its entry. Shrinks at one eighth full."""
    cdef uint32_t bits = table.bits
    cdef uint32_t mask = (1U << bits) - 1
    cdef uint32_t hole = <uint32_t>(cell - table.cells)
    cdef uint32_t i = hole
    cdef uint32_t home
    if entry_of(cell[0]).flags & HAS_EXPIRY:
        table.volatiles -= 1
    while True:
        i = (i + 1) & mask
        if table.cells[i] == 0:
            break
        home = home_of_cell(table.cells[i], bits)
        # The entry at i may fill the hole unless its home lies cyclically in (hole, i].
        if ((i - home) & mask) >= ((i - hole) & mask):
            table.cells[hole] = table.cells[i]
            hole = i
    table.cells[hole] = 0
    table.used -= 1
    if table.used == 0:
        release(table.cells)
        table.cells = NULL
        table.bits = 0
    elif bits > SMALLEST_BITS and table.used * 8ULL < (1ULL << bits):
        shrink(table, bits - 1)


cdef void shrink(SlotTable* table, uint32_t bits) noexcept nogil:
    """Halve the table if memory for it is to be had; it is only an economy."""
    cdef uint64_t* cells = <uint64_t*>take_zeroed(1U << bits, sizeof(uint64_t))
    cdef uint32_t i
    if cells == NULL:
        return
    for i in range(1U << table.bits):
        if table.cells[i] != 0:
            put_cell(cells, bits, table.cells[i])
    release(table.cells)
    table.cells = cells
    table.bits = bits


cdef uint32_t table_walk(SlotTable* table, uint32_t start_home, uint32_t homes, Entry** out) noexcept nogil:
    """Collect into `out` the entries whose home is in [start_home, start_home + homes); return how many.

    They may have been pushed behind their home, even around the end of the table, but never past an
    empty cell. With `out` NULL they are only counted.
    """
    cdef uint32_t mask = (1U << table.bits) - 1
    cdef uint32_t step = 0
    cdef uint32_t found = 0
    cdef uint64_t cell
    while step <= mask:
        cell = table.cells[(start_home + step) & mask]
        if cell == 0:
            if step >= homes:
                break
        elif home_of_cell(cell, table.bits) - start_home < homes:
            if out != NULL:
                out[found] = entry_of(cell)
            found += 1
        step += 1
    return found
