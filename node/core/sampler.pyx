"""Keys of one database drawn at random, of all or of those with an expiry: each about as likely as any other.

A key is drawn from 16,384 tables, most of which may be empty. The running sums of how many keys each holds are kept,
so that a draw takes the time of a binary search. The sums age while keys come and go; they are taken anew after
SUMS_LAST draws, and when a draw meets a table that has become empty.

Where a key lies is in no cache. So several are drawn together, in passes: which tables, which cells of them, which
entries, each fetched from memory while the others are looked for.
"""

from libc.stdint cimport uint32_t, uint64_t

from node.core.key_slot cimport SLOT_COUNT
from node.core.memory cimport release, take_zeroed
from node.core.slot_table cimport (
    HAS_EXPIRY,
    Entry,
    SlotTable,
    entry_of,
    leaf_at,
    leaf_of,
    place_after,
    prefetch,
)

cdef enum:
    SUMS_LAST = 2000
    MOST_TRIES = 32


cdef class Sampler:
    """Draws keys of one database: of all, or of those with an expiry."""

    def __cinit__(self, Keyspace db not None, bint volatile):
        self.db = db
        self.volatile = volatile
        self.sums = <uint64_t*>take_zeroed(SLOT_COUNT + 1, sizeof(uint64_t))
        if self.sums == NULL:
            raise MemoryError

    def __dealloc__(self):
        release(self.sums)

    cdef inline uint32_t keys_of(self, SlotTable* table) noexcept:
        return table.volatiles if self.volatile else table.used

    cdef void take_sums(self) noexcept:
        cdef int slot
        for slot in range(SLOT_COUNT):
            self.sums[slot + 1] = self.sums[slot] + self.keys_of(&self.db.tables[slot])
        self.draws_left = SUMS_LAST

    cdef int likely_slot(self) noexcept:
        """A slot that held keys when the sums were taken, as likely as it held many; -1 where none did."""
        cdef uint64_t nth
        cdef int low, high, middle
        if self.draws_left <= 0:
            self.take_sums()
        self.draws_left -= 1
        if self.sums[SLOT_COUNT] == 0:
            return -1
        nth = self.db.random() % self.sums[SLOT_COUNT]
        low = 0
        high = SLOT_COUNT - 1
        while low < high:
            middle = (low + high) // 2
            if self.sums[middle + 1] > nth:
                high = middle
            else:
                low = middle + 1
        return low

    cdef int slot_with_keys(self) noexcept:
        """`likely_slot`, of what is there now."""
        self.draws_left = 0
        return self.likely_slot()

    cdef int draw(self, Drawn* drawn, int count) noexcept:
        """Draw `count` keys, up to MOST_DRAWN, some perhaps twice. Returns how many: 0 where there are none."""
        cdef SlotTable* leaves[MOST_DRAWN]
        cdef uint32_t cells[MOST_DRAWN]
        cdef int i
        if (self.db.volatile_count if self.volatile else self.db.size) == 0:
            return 0
        for i in range(count):
            drawn[i].slot = self.likely_slot()
            if drawn[i].slot < 0:
                drawn[i].slot = self.slot_with_keys()
            prefetch(&self.db.tables[drawn[i].slot])
        for i in range(count):
            if not self.keys_of(&self.db.tables[drawn[i].slot]):
                drawn[i].slot = self.slot_with_keys()
            leaves[i] = self.draw_leaf(&self.db.tables[drawn[i].slot])
            cells[i] = <uint32_t>self.db.random() & ((1U << leaves[i].bits) - 1)
            prefetch(&leaves[i].cells[cells[i]])
        for i in range(count):
            drawn[i].entry = self.entry_from(leaves[i], cells[i])
            prefetch(drawn[i].entry)
        return count

    cdef SlotTable* draw_leaf(self, SlotTable* table) noexcept:
        """A leaf that holds keys, of a table that does: a hash is drawn, because hashes are even."""
        cdef SlotTable* leaf = leaf_of(table, <uint32_t>self.db.random())
        cdef uint32_t place = 0
        while not self.keys_of(leaf):
            leaf = leaf_at(table, place)
            place = place_after(table, place)
        return leaf

    cdef Entry* entry_from(self, SlotTable* leaf, uint32_t cell) noexcept:
        """The entry in this cell, or in another one drawn instead. A volatile one may have to be searched for."""
        cdef uint32_t mask = (1U << leaf.bits) - 1
        cdef int tries = 0
        while leaf.cells[cell] == 0 or (self.volatile and not entry_of(leaf.cells[cell]).flags & HAS_EXPIRY):
            tries += 1
            cell = (<uint32_t>self.db.random() if tries < MOST_TRIES else cell + 1) & mask
        return entry_of(leaf.cells[cell])
