"""Which keys leave memory where there is a store behind it: those that were not used since the sweep last passed.

A hand goes round all tables. A key that was used since it was there last loses the mark of that (USED) and stays; one
without it is spilled, if the store has it as it is. So what is in use stays, what was read once goes after a round, and
no order is kept: the classic clock algorithm, which costs a few cells for each key that goes.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t

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
    entry_object,
    entry_of,
    table_remove,
)

cdef extern from "<Python.h>":
    Py_ssize_t Py_REFCNT(PyObject* held)


cdef class Sweep:
    """The hand that goes round one database."""

    cdef Database db
    cdef int slot
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
        cdef SlotTable* table
        cdef Entry* entry
        while used > goal and looks > 0:
            table = &self.db.tables[self.slot]
            if table.cells == NULL or self.cell >> table.bits:
                self.slot = (self.slot + 1) % SLOT_COUNT
                self.cell = 0
                looks -= 1
                continue
            looks -= 1
            if table.cells[self.cell] == 0:
                self.cell += 1
                continue
            entry = entry_of(table.cells[self.cell])
            if entry.flags & USED:
                entry.flags &= ~<uint32_t>USED
                self.cell += 1
            elif may_leave(self.db, entry):
                self.leave(table, entry)    # what lay behind it may be in its cell now
            else:
                self.cell += 1
        return before - used

    cdef int leave(self, SlotTable* table, Entry* entry) except -1:
        self.db.cold.count(self.slot, 1, 1 if entry.flags & HAS_EXPIRY else 0)
        table_remove(table, &table.cells[self.cell])
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
