"""The table of one slot: open addressing over pointers to entries.

A database is 16,384 of these, one per hash slot, so that counting, listing, moving or dropping a slot
costs what the slot holds.

An entry is one allocation: header, optional expiry, then either an owned PyObject* (structured types)
and the key, or the key and the string value itself. No Python object exists for a string or its key.

    Entry | Lengths? | int64 expiry? | PyObject*? | key bytes | gap? | value bytes

The gap is what remains of the request in front of a large value whose entry is the block it was received in
(incoming.pxd).

There are as many headers as keys, so one holds 8 bytes and no more: what only long strings, only some keys or only
rare moments need stands behind it, elsewhere, or is worked out again, as the hash is.

A cell is the entry's address (48 bits) and, in its upper 16 bits, the first 16 bits of the key's hash.
The home of a key is the *upper* bits of its hash, and collisions probe linearly. Two things follow:
the tag tells foreign entries apart without touching their memory, and walking homes in order walks the
hashes in order, whatever the table's size: that makes SCAN stateless and safe over resizes
(`Database.scan`). Removal shifts the following entries back, so there are no tombstones.

No table is ever so large that growing it stalls the worker: one of 2**LARGEST_BITS cells that is full is divided into
*pages*, each a table of its own for the hashes that begin with certain bits, which do not count in it (`hash << depth`).
A page that is full is divided in its turn, by one more bit. The pages stand in the order of their hashes, and for the
same reasons nobody who deletes keys in that order, as SCAN gives them, crowds those that remain: what is emptied is
emptied page by page. It is extendible hashing, after Fagin, Nievergelt, Pippenger and Strong (1979). Slots come to that
by hash tags, or in databases of more than fifty million keys.

The hash is a keyed one (key_hash.pyx), so that keys cannot be chosen to collide.
"""

from libc.string cimport memset

from node.core.memory cimport release, take, take_zeroed

cdef enum:
    SMALLEST_BITS = 2
    ONE_AGAIN_BITS = 10    # of a table whose pages hold half as many entries together, and that is divided no more
    AHEAD = 8              # entries that are fetched from memory while others are looked at


cdef inline uint32_t home_of_cell(uint64_t cell, uint32_t bits) noexcept nogil:
    return <uint32_t>(cell >> 48) >> (16 - bits)


cdef inline void put_cell(uint64_t* cells, uint32_t bits, uint64_t cell) noexcept nogil:
    cdef uint32_t mask = (1U << bits) - 1
    cdef uint32_t i = home_of_cell(cell, bits)
    while cells[i] != 0:
        i = (i + 1) & mask
    cells[i] = cell


cdef uint64_t* new_cells(uint32_t bits) noexcept nogil:
    return <uint64_t*>take_zeroed(1U << bits, sizeof(uint64_t))


# --- leaves ------------------------------------------------------------------------------------------------------


cdef bint set_bits(SlotTable* leaf, uint32_t bits) noexcept nogil:
    """Move to so many cells; False where there is no memory for them."""
    cdef uint64_t* cells = new_cells(bits)
    cdef uint32_t i
    if cells == NULL:
        return False
    if leaf.cells != NULL:
        for i in range(1U << leaf.bits):
            if leaf.cells[i] != 0:
                put_cell(cells, bits, leaf.cells[i])
        release(leaf.cells)
    leaf.cells = cells
    leaf.bits = bits
    return True


cdef inline bint is_full(SlotTable* leaf) noexcept nogil:
    """Three quarters of it."""
    return (leaf.used + 1) * 4ULL > (3ULL << leaf.bits) if leaf.cells != NULL else False


cdef int leaf_add(SlotTable* leaf, uint32_t hash, Entry* entry) except -1:
    if leaf.cells == NULL:
        if not set_bits(leaf, SMALLEST_BITS):
            raise MemoryError
    elif is_full(leaf):
        if not set_bits(leaf, leaf.bits + 1):
            raise MemoryError
    put_cell(leaf.cells, leaf.bits, cell_of(hash, entry))
    leaf.used += 1
    leaf.volatiles += entry.flags & HAS_EXPIRY
    return 0


cdef void leaf_remove(SlotTable* leaf, uint64_t* cell) noexcept nogil:
    """Take a cell out. Shrinks at one eighth full, if there is memory for that: it is only an economy."""
    cdef uint32_t bits = leaf.bits
    cdef uint32_t mask = (1U << bits) - 1
    cdef uint32_t hole = <uint32_t>(cell - leaf.cells)
    cdef uint32_t i = hole
    cdef uint32_t home
    leaf.volatiles -= entry_of(cell[0]).flags & HAS_EXPIRY
    while True:
        i = (i + 1) & mask
        if leaf.cells[i] == 0:
            break
        home = home_of_cell(leaf.cells[i], bits)
        # The entry at i may fill the hole unless its home lies cyclically in (hole, i].
        if ((i - home) & mask) >= ((i - hole) & mask):
            leaf.cells[hole] = leaf.cells[i]
            hole = i
    leaf.cells[hole] = 0
    leaf.used -= 1
    if leaf.used == 0:
        release(leaf.cells)
        leaf.cells = NULL
        leaf.bits = 0
    elif bits > SMALLEST_BITS and leaf.used * 8ULL < (1ULL << bits):
        set_bits(leaf, bits - 1)


# --- pages -------------------------------------------------------------------------------------------------------


cdef Pages* new_pages(uint32_t depth) noexcept nogil:
    return <Pages*>take(sizeof(Pages) + (sizeof(Page*) << depth))


cdef int divide(SlotTable* table) except -1:
    """Make a table one page, which it then has all entries in."""
    cdef Pages* pages = new_pages(0)
    cdef Page* page = <Page*>take(sizeof(Page))
    if pages == NULL or page == NULL:
        release(pages)
        release(page)
        raise MemoryError
    page.table = table[0]
    page.depth = 0
    pages.depth = 0
    pages.at[0] = page
    table.cells = NULL
    table.pages = pages
    return 0


cdef int make_places(SlotTable* table) except -1:
    """Twice as many."""
    cdef Pages* old = table.pages
    cdef Pages* pages = new_pages(old.depth + 1)
    cdef uint32_t i
    if pages == NULL:
        raise MemoryError
    pages.depth = old.depth + 1
    for i in range(1U << old.depth):
        pages.at[2 * i] = pages.at[2 * i + 1] = old.at[i]
    table.pages = pages
    release(old)
    return 0


cdef int split(SlotTable* table, uint32_t hash) except -1:
    """Divide the page for `hash`, which has DEEPEST still before it, into one for either value of the next bit."""
    cdef Page* low = page_of(table, hash)
    cdef Page* high
    cdef uint64_t* both[2]
    cdef uint32_t alike, first, i
    if low.depth == table.pages.depth:
        make_places(table)
    high = <Page*>take(sizeof(Page))
    both[0] = new_cells(low.table.bits)
    both[1] = new_cells(low.table.bits)
    if high == NULL or both[0] == NULL or both[1] == NULL:
        release(high)
        release(both[0])
        release(both[1])
        raise MemoryError
    memset(high, 0, sizeof(Page))
    share_out(low, high, both)
    alike = 1U << (table.pages.depth - low.depth)
    first = <uint32_t>(<uint64_t>hash >> (32 - table.pages.depth)) & ~(2 * alike - 1)
    for i in range(first + alike, first + 2 * alike):
        table.pages.at[i] = high
    return 0


cdef void share_out(Page* low, Page* high, uint64_t** both) noexcept nogil:
    """Let `high`, which is empty, have the entries of `low` whose next bit is 1. `both` are new cells for them."""
    cdef uint64_t* cells = low.table.cells
    cdef uint32_t bits = low.table.bits
    cdef uint32_t i, hash
    cdef Entry* entry
    for i in range(1U << bits):
        if (i + AHEAD) >> bits == 0:
            prefetch(entry_of(cells[i + AHEAD]))
        if cells[i] == 0:
            continue
        entry = entry_of(cells[i])
        hash = entry_hash(entry) << low.depth
        put_cell(both[hash >> 31], bits, cell_of(hash << 1, entry))
        high.table.used += hash >> 31
        high.table.volatiles += entry.flags & HAS_EXPIRY & hash >> 31
    release(cells)
    low.depth += 1
    high.depth = low.depth
    low.table.used -= high.table.used
    low.table.volatiles -= high.table.volatiles
    low.table.cells = both[0]
    high.table.cells = both[1]
    high.table.bits = bits


cdef void be_one_again(SlotTable* table) noexcept nogil:
    """Divide a table no more, which few entries are left of; it is only an economy."""
    cdef Walk walk = Walk(NULL, 0, 0)
    cdef SlotTable divided = table[0]
    cdef uint64_t* cells = new_cells(ONE_AGAIN_BITS)
    cdef Entry* entry = NULL
    if cells == NULL:
        return
    while True:
        entry = next_entry(&divided, &walk)
        if entry == NULL:
            break
        put_cell(cells, ONE_AGAIN_BITS, cell_of(entry_hash(entry), entry))
    table_free(&divided)
    table.cells = cells
    table.bits = ONE_AGAIN_BITS


cdef uint64_t* find_in_pages(SlotTable* table, uint32_t hash, const char* key, size_t length) noexcept nogil:
    """`table_find` in a table that is divided."""
    cdef Page* page = page_of(table, hash)
    return leaf_find(&page.table, hash << page.depth, key, length) if page.table.used else NULL


# --- tables ------------------------------------------------------------------------------------------------------


cdef int table_add(SlotTable* table, uint32_t hash, Entry* entry) except -1:
    """Add an entry whose key is known to be absent."""
    cdef Page* page
    if table.bits >= LARGEST_BITS and is_full(table):
        divide(table)
    if table.cells != NULL or table.used == 0:
        return leaf_add(table, hash, entry)
    page = page_of(table, hash)
    while is_full(&page.table) and page.table.bits >= LARGEST_BITS and page.depth < DEEPEST:
        split(table, hash)
        page = page_of(table, hash)
    leaf_add(&page.table, hash << page.depth, entry)
    table.used += 1
    table.volatiles += entry.flags & HAS_EXPIRY
    return 0


cdef void table_remove(SlotTable* table, uint32_t hash, uint64_t* cell) noexcept nogil:
    """Take a cell out, without freeing its entry."""
    if table.cells != NULL:
        leaf_remove(table, cell)
        return
    table.volatiles -= entry_of(cell[0]).flags & HAS_EXPIRY
    table.used -= 1
    leaf_remove(&page_of(table, hash).table, cell)
    if table.used <= 1U << (ONE_AGAIN_BITS - 1):
        be_one_again(table)


cdef void table_free(SlotTable* table) noexcept nogil:
    """Free all of it but the entries; it is to be set to zero before it is used again."""
    cdef uint32_t place = 0
    cdef uint32_t following
    cdef Page* page
    if table.cells != NULL:
        release(table.cells)
    elif table.used:
        while place >> table.pages.depth == 0:
            page = table.pages.at[place]
            place = place_after(table, place)
            release(page.table.cells)
            release(page)
        release(table.pages)


cdef size_t table_bytes(SlotTable* table) noexcept nogil:
    """What it takes, without the entries."""
    cdef size_t total = 0
    cdef uint32_t place = 0
    cdef SlotTable* leaf
    if table.cells == NULL and table.used:
        total = sizeof(Pages) + (sizeof(Page*) << table.pages.depth)
    while True:
        leaf = leaf_at(table, place)
        if leaf == NULL:
            return total
        if leaf.cells != NULL:
            total += sizeof(uint64_t) << leaf.bits
        if leaf != table:
            total += sizeof(Page)
        place = place_after(table, place)


cdef uint32_t table_walk(SlotTable* table, uint32_t start, uint32_t homes, Entry** out, uint64_t* end) noexcept nogil:
    """Collect into `out` the entries of `homes` homes, or fewer, beginning with that of the hash `start`; return how many.
    `end` is the first hash that belongs to none of these, up to 2**32.

    They may have been pushed behind their home, even around the end of a leaf, but never past an
    empty cell. With `out` NULL they are only counted.
    """
    cdef SlotTable* leaf = leaf_of(table, start)
    cdef uint32_t depth = page_of(table, start).depth if leaf != table else 0
    cdef uint64_t base = (<uint64_t>start >> (32 - depth)) << (32 - depth)
    cdef uint32_t step = 0
    cdef uint32_t found = 0
    cdef uint32_t mask, home
    cdef uint64_t cell
    if leaf.cells == NULL:
        end[0] = base + (1ULL << (32 - depth))
        return 0
    mask = (1U << leaf.bits) - 1
    home = home_of_hash(start << depth, leaf.bits)
    homes = min(homes, mask + 1 - home)
    end[0] = base + (<uint64_t>(home + homes) << (32 - depth - leaf.bits))
    while step <= mask:
        cell = leaf.cells[(home + step) & mask]
        if cell == 0:
            if step >= homes:
                break
        elif home_of_cell(cell, leaf.bits) - home < homes:
            if out != NULL:
                out[found] = entry_of(cell)
            found += 1
        step += 1
    return found
