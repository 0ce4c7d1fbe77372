"""The hand that goes round a database and drops what has expired: a few cells at a time, wherever it stopped.

Lazy expiry only meets keys that are looked up. How much of the worker's time the rest may cost, node/keyspace/expiry
decides; here is what one step of it does. Tables and pages without any volatile key are passed over.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from node.core.database cimport Database
from node.core.key_slot cimport SLOT_COUNT
from node.core.keyspace cimport key_of
from node.core.slot_table cimport HAS_EXPIRY, Entry, SlotTable, entry_expiry, entry_of, leaf_at, place_after

cdef enum:
    MOST_DROPPED = 64       # keys, of one step


cdef class ExpiryHand:
    cdef Database db
    cdef int slot
    cdef uint32_t place                 # of the leaf, in that slot's table
    cdef uint32_t cell
    cdef readonly int64_t slots_passed  # since the start: a round is 16,384

    def __cinit__(self, Database db not None):
        self.db = db

    def step(self, int looks) -> tuple:
        """Look at up to `looks` cells or tables, and drop up to MOST_DROPPED keys. Returns (keys dropped, volatile keys
        seen, ms that those not dropped have left, in total)."""
        cdef SlotTable* leaf
        cdef Entry* entry
        cdef uint64_t cell
        cdef int seen = 0
        cdef int64_t left = 0
        cdef list stale = []
        while looks > 0 and len(stale) < MOST_DROPPED:
            looks -= 1
            leaf = leaf_at(&self.db.tables[self.slot], self.place)
            if leaf == NULL or leaf.volatiles == 0 or self.cell >> leaf.bits:
                self.go_on(leaf)
                continue
            cell = leaf.cells[self.cell]
            self.cell += 1
            if cell == 0:
                continue
            entry = entry_of(cell)
            if entry.flags & HAS_EXPIRY:
                seen += 1
                if self.db.clock[0] > entry_expiry(entry):
                    stale.append(key_of(entry))
                else:
                    left += entry_expiry(entry) - self.db.clock[0]
        for key in stale:
            self.db.delete_stale(key)
        return len(stale), seen, left

    cdef void go_on(self, SlotTable* leaf) noexcept:
        """To the beginning of the next leaf, perhaps in another table."""
        self.cell = 0
        if leaf != NULL and self.db.tables[self.slot].volatiles:
            self.place = place_after(&self.db.tables[self.slot], self.place)
        else:
            self.place = 0
            self.slot = (self.slot + 1) % SLOT_COUNT
            self.slots_passed += 1
