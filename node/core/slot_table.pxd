"""The table of one slot. See slot_table.pyx for the layout and its reasons."""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp

from node.core.key_hash cimport hash_of
from node.core.words cimport word_at

cdef extern from * nogil:
    """
    #define SHOAL_PREFETCH(p) __builtin_prefetch(p)
    """
    void prefetch "SHOAL_PREFETCH"(const void* address)

cdef enum:
    HAS_EXPIRY = 1    # an int64 of Unix ms follows the header
    IS_OBJECT = 2     # a PyObject* (owned) follows; there is no inline value
    WAS_EDITED = 4    # the string was changed in place: OBJECT ENCODING says raw
    STORED = 8        # the store has the key, or has been told of it
    UNSAVED = 16      # and has yet to be told of its value: it is among Cold.dirty
    IN_FLIGHT = 32    # and was told of its value, but has not committed it: it is among Cold.in_flight
    IS_LONG = 64      # key or string is longer than SHORT: Lengths follow the header
    USED = 128        # accessed since the sweep last passed (sweep.pyx)

cdef enum:
    SHORT = 0xFFFF    # bytes that the lengths in the header itself can tell of

cdef enum:            # Redis' object type codes
    TYPE_STRING = 0
    TYPE_LIST = 1
    TYPE_SET = 2
    TYPE_ZSET = 3
    TYPE_HASH = 4
    TYPE_MODULE = 5
    TYPE_STREAM = 6

cdef extern from * nogil:
    """
    #include <stdint.h>
    typedef struct {
        uint32_t flags : 8;
        uint32_t clock : 24;
        uint16_t key_length;
        uint16_t value_length;
    } ShoalEntry;
    """
    ctypedef struct Entry "ShoalEntry":
        uint32_t flags         # above
        uint32_t clock         # access clock: seconds, or LFU minutes and counter
        uint16_t key_length    # where not IS_LONG
        uint16_t value_length  # of a string; where IS_LONG, the gap between key and value. Of an object its type code, so
                               # that TYPE need not touch it

cdef struct Lengths:
    uint32_t key
    uint32_t value

cdef enum:
    LARGEST_BITS = 12     # of a table that is not divided
    DEEPEST = 16

cdef extern from * nogil:
    """
    typedef struct {
        uint64_t* cells;
        uint32_t used;
        uint32_t volatiles;
        union {
            uint32_t bits;
            struct ShoalPages* pages;
        };
    } ShoalTable;
    typedef struct {
        ShoalTable table;
        uint32_t depth;
    } ShoalPage;
    typedef struct ShoalPages {
        uint32_t depth;
        ShoalPage* at[];
    } ShoalPages;
    """
    ctypedef struct Pages "ShoalPages"
    ctypedef struct SlotTable "ShoalTable":
        uint64_t* cells       # 2**bits of them; NULL while empty, and of a table that is divided into pages
        uint32_t used
        uint32_t volatiles    # entries with an expiry
        uint32_t bits         # where there are cells
        Pages* pages          # where there are none, but entries
    ctypedef struct Page "ShoalPage":
        SlotTable table       # of hashes without their first `depth` bits
        uint32_t depth        # how many first bits all its hashes have in common
    ctypedef struct Pages "ShoalPages":
        uint32_t depth        # there is a place for each value of so many bits
        Page** at             # one after the other for what a page of less depth is for

cdef struct Walk:         # where somebody is in a table: zero at its beginning
    SlotTable* leaf
    uint32_t place        # of the leaf behind it
    uint32_t cell         # the next one

cdef inline Entry* entry_of(uint64_t cell) noexcept nogil:
    return <Entry*>(cell & 0xFFFFFFFFFFFFULL)

cdef inline uint32_t header_size(uint32_t flags) noexcept nogil:
    """The header itself, and eight bytes for each thing that may follow it: asked for at every look at an entry, hence
    without branches."""
    return sizeof(Entry) + 8 * (
        (flags & HAS_EXPIRY) + (flags & IS_OBJECT) // IS_OBJECT + (flags & IS_LONG) // IS_LONG
    )

cdef inline uint32_t entry_key_length(Entry* entry) noexcept nogil:
    return (<Lengths*>(entry + 1)).key if entry.flags & IS_LONG else entry.key_length

cdef inline uint32_t entry_value_length(Entry* entry) noexcept nogil:
    """Of a string."""
    return (<Lengths*>(entry + 1)).value if entry.flags & IS_LONG else entry.value_length

cdef inline void set_value_length(Entry* entry, uint32_t length) noexcept nogil:
    """Of a string; to no more than SHORT, unless it IS_LONG."""
    if entry.flags & IS_LONG:
        (<Lengths*>(entry + 1)).value = length
    else:
        entry.value_length = <uint16_t>length

cdef inline uint32_t entry_type(Entry* entry) noexcept nogil:
    return entry.value_length if entry.flags & IS_OBJECT else <uint32_t>TYPE_STRING

cdef inline char* entry_key(Entry* entry) noexcept nogil:
    return <char*>entry + header_size(entry.flags)

cdef inline char* entry_value(Entry* entry) noexcept nogil:
    """Of a string."""
    if entry.flags & IS_LONG:
        return entry_key(entry) + (<Lengths*>(entry + 1)).key + entry.value_length
    return entry_key(entry) + entry.key_length

cdef inline size_t value_place(Entry* entry) noexcept nogil:
    """Where in its block a string begins."""
    return entry_value(entry) - <char*>entry

cdef inline uint32_t entry_hash(Entry* entry) noexcept nogil:
    return hash_of(entry_key(entry), entry_key_length(entry))

cdef inline int64_t* expiry_place(Entry* entry) noexcept nogil:
    """Where an entry that HAS_EXPIRY keeps it."""
    return <int64_t*>(<char*>entry + header_size(entry.flags & IS_LONG))

cdef inline int64_t entry_expiry(Entry* entry) noexcept nogil:
    """Unix ms, or 0 for none."""
    return expiry_place(entry)[0] if entry.flags & HAS_EXPIRY else 0

cdef inline void** entry_object(Entry* entry) noexcept nogil:
    return <void**>(<char*>entry + header_size(entry.flags & (IS_LONG | HAS_EXPIRY)))

cdef inline uint64_t cell_of(uint32_t hash, Entry* entry) noexcept nogil:
    return <uint64_t>(hash >> 16) << 48 | <uint64_t>entry

cdef inline uint32_t home_of_hash(uint32_t hash, uint32_t bits) noexcept nogil:
    return hash >> (32 - bits) if bits else 0

# A table is one leaf, itself, or as many as it has pages.

cdef inline Page* page_of(SlotTable* table, uint32_t hash) noexcept nogil:
    """Of a table that is divided."""
    return table.pages.at[<uint64_t>hash >> (32 - table.pages.depth)]

cdef inline SlotTable* leaf_of(SlotTable* table, uint32_t hash) noexcept nogil:
    """The leaf that a key of this hash is in, if it is there."""
    return &page_of(table, hash).table if table.cells == NULL and table.used else table

cdef inline SlotTable* leaf_at(SlotTable* table, uint32_t place) noexcept nogil:
    """The leaf at a place, 0 being that of the first; it may be empty. NULL behind the last one."""
    if table.cells != NULL:
        return table if place == 0 else NULL
    if table.used == 0 or place >> table.pages.depth:
        return NULL
    return &table.pages.at[place].table

cdef inline uint32_t place_after(SlotTable* table, uint32_t place) noexcept nogil:
    """That of the leaf behind the one at `place`."""
    cdef uint32_t alike
    if table.cells != NULL:
        return place + 1
    alike = 1U << (table.pages.depth - table.pages.at[place].depth)
    return (place & ~(alike - 1)) + alike

cdef inline Entry* next_entry(SlotTable* table, Walk* walk) noexcept nogil:
    """One entry after the other, in the order of their hashes, nearly; then NULL. The table must stay as it is."""
    cdef uint64_t cell
    while True:
        if walk.leaf == NULL or walk.leaf.cells == NULL or walk.cell >> walk.leaf.bits:
            walk.leaf = leaf_at(table, walk.place)
            if walk.leaf == NULL:
                return NULL
            walk.place = place_after(table, walk.place)
            walk.cell = 0
            continue
        cell = walk.leaf.cells[walk.cell]
        walk.cell += 1
        if cell != 0:
            return entry_of(cell)

# Where a key most likely is, for prefetching. These return addresses instead of prefetching themselves because
# GCC takes a function that only loads and prefetches for one without effect, and drops its calls.

cdef inline uint64_t* likely_cell(SlotTable* table, uint32_t hash) noexcept nogil:
    """The key's home, or NULL."""
    return NULL if table.cells == NULL else &table.cells[home_of_hash(hash, table.bits)]

cdef inline Entry* likely_entry(SlotTable* table, uint32_t hash) noexcept nogil:
    """The first entry from the key's home with the same tag, or NULL."""
    cdef uint32_t i
    cdef uint64_t cell
    if table.cells == NULL:
        return NULL
    i = home_of_hash(hash, table.bits)
    while True:
        cell = table.cells[i]
        if cell == 0 or (cell >> 48) == (hash >> 16):
            return entry_of(cell)
        i = (i + 1) & ((1U << table.bits) - 1)

# Finding is inline: it is what every request does, and half of what it costs would be the calls.

cdef inline uint64_t differing(const char* one, const char* other) noexcept nogil:
    """Not 0 where eight bytes at `one` are not those at `other`."""
    return word_at(one) ^ word_at(other)

cdef inline bint same_bytes(const char* one, const char* other, size_t length) noexcept nogil:
    """memcmp, without a call for keys of usual length: by words from both ends, which may overlap in the middle."""
    if 8 <= length <= 16:
        return differing(one, other) | differing(one + length - 8, other + length - 8) == 0
    if 16 < length <= 32:
        return (
            differing(one, other) | differing(one + 8, other + 8)
            | differing(one + length - 16, other + length - 16) | differing(one + length - 8, other + length - 8)
        ) == 0
    return memcmp(one, other, length) == 0

cdef inline uint64_t* leaf_find(SlotTable* table, uint32_t hash, const char* key, size_t length) noexcept nogil:
    """`table_find` in a leaf that is not empty; `hash` as it has them."""
    cdef uint32_t i
    cdef uint64_t cell
    cdef Entry* entry
    i = home_of_hash(hash, table.bits)
    while True:
        cell = table.cells[i]
        if cell == 0:
            return NULL
        if (cell >> 48) == (hash >> 16):
            entry = entry_of(cell)
            if entry_key_length(entry) == length and same_bytes(entry_key(entry), key, length):
                return &table.cells[i]
        i = (i + 1) & ((1U << table.bits) - 1)

cdef uint64_t* find_in_pages(SlotTable* table, uint32_t hash, const char* key, size_t length) noexcept nogil

cdef inline uint64_t* table_find(SlotTable* table, uint32_t hash, const char* key, size_t length) noexcept nogil:
    """The cell that holds `key`, or NULL."""
    if table.cells == NULL:
        return find_in_pages(table, hash, key, length) if table.used else NULL
    return leaf_find(table, hash, key, length)

cdef inline uint64_t* cell_with(SlotTable* table, uint32_t hash, Entry* entry) noexcept nogil:
    """The cell that holds this entry, of a key of this hash; NULL if none does. The entry, which may be no more, is not
    looked at."""
    cdef SlotTable* leaf = leaf_of(table, hash)
    cdef uint32_t i
    if leaf.cells == NULL:
        return NULL
    if leaf != table:
        hash <<= page_of(table, hash).depth
    i = home_of_hash(hash, leaf.bits)
    while leaf.cells[i] != 0:
        if leaf.cells[i] == cell_of(hash, entry):
            return &leaf.cells[i]
        i = (i + 1) & ((1U << leaf.bits) - 1)
    return NULL

cdef inline void table_replace(SlotTable* table, uint32_t hash, uint64_t* cell, Entry* entry) noexcept nogil:
    """Have `entry` in `cell`, instead of another one of the same key."""
    cdef uint32_t change = (entry.flags & HAS_EXPIRY) - (entry_of(cell[0]).flags & HAS_EXPIRY)    # may be less than 0
    table.volatiles += change
    if table.cells == NULL:
        page_of(table, hash).table.volatiles += change
    cell[0] = (cell[0] & ~0xFFFFFFFFFFFFULL) | <uint64_t>entry

cdef int table_add(SlotTable* table, uint32_t hash, Entry* entry) except -1
cdef void table_remove(SlotTable* table, uint32_t hash, uint64_t* cell) noexcept nogil
cdef void table_free(SlotTable* table) noexcept nogil
cdef size_t table_bytes(SlotTable* table) noexcept nogil
cdef uint32_t table_walk(SlotTable* table, uint32_t start, uint32_t homes, Entry** out, uint64_t* end) noexcept nogil
