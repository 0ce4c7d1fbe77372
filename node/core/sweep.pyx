"""Which keys leave memory where there is a store behind it: those that were not used since the sweep last passed.

A hand goes round all tables. A key that was used since it was there last loses the mark of that (USED) and stays; one
without it is spilled, if the store has it as it is. So what is in use stays, what was read once goes after a round, and
no order is kept: the classic clock algorithm, which costs a few cells for each key that goes.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t

from node.core.database cimport Database
from node.core.key_slot cimport SLOT_COUNT
from node.core.memory cimport used
from node.core.slot_table cimport (
    HAS_EXPIRY,
    IN_FLIGHT,
    IS_OBJECT,
    STORED,
    UNSAVED,
    USED,
    Entry,
    SlotTable,
    entry_hash,
    entry_object,
    entry_of,
    leaf_at,
    place_after,
    table_remove,
)

cdef extern from "<Python.h>":
    Py_ssize_t Py_REFCNT(PyObject* held)


cdef class Sweep:
    """The hand that goes round one database."""

    cdef Database db
    cdef int slot
    cdef uint32_t place               # of the leaf, in that slot's table
    cdef uint32_t cell
    cdef readonly int64_t spilled     # keys, since the start

    def __cinit__(self, Database db not None):
        self.db = db

    @property
    def holds_keys(self) -> bool:
        """Whether there is anything to sweep."""
        return self.db.size > 0

    def spill(self, int64_t size, int64_t looks) -> int:
        """Spill keys until `size` counted bytes are free, looking at up to `looks` cells and at no table for longer than
        it takes; returns how many bytes became free."""
        cdef int64_t goal = used - size
        cdef int64_t before = used
        cdef SlotTable* leaf
        cdef Entry* entry
        while used > goal and looks > 0:
            leaf = leaf_at(&self.db.tables[self.slot], self.place)
            looks -= 1
            if leaf == NULL or leaf.cells == NULL or self.cell >> leaf.bits:
                self.go_on(leaf)
                continue
            if leaf.cells[self.cell] == 0:
                self.cell += 1
                continue
            entry = entry_of(leaf.cells[self.cell])
            if entry.flags & USED:
                entry.flags &= ~<uint32_t>USED
                self.cell += 1
            elif may_leave(self.db, entry):
                self.leave(&leaf.cells[self.cell], entry)    # what lay behind it may be in its cell now
            else:
                self.cell += 1
        return before - used

    cdef void go_on(self, SlotTable* leaf) noexcept:
        """To the beginning of the next leaf, perhaps in another table."""
        self.cell = 0
        if leaf != NULL:
            self.place = place_after(&self.db.tables[self.slot], self.place)
        else:
            self.place = 0
            self.slot = (self.slot + 1) % SLOT_COUNT

    cdef int leave(self, uint64_t* cell, Entry* entry) except -1:
        self.db.cold.count(self.slot, 1, 1 if entry.flags & HAS_EXPIRY else 0)
        table_remove(&self.db.tables[self.slot], entry_hash(entry), cell)
        self.db.release(entry, True)
        self.spilled += 1
        return 0


cdef bint may_leave(Database db, Entry* entry) except -1:
    """Whether the store has the entry as it is, and nobody uses its value."""
    if entry.flags & (STORED | UNSAVED | IN_FLIGHT) != STORED:
        return False
    if entry.flags & IS_OBJECT and Py_REFCNT(<PyObject*>entry_object(entry)[0]) != 1:
        return False
    return True
