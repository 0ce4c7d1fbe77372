"""All keys of a database that was emptied, on their way to being freed.

FLUSHALL ASYNC must not keep anybody waiting, however much there is. So the tables change hands, which takes no time:
the database goes on with none, and what it had is freed in pieces (node/keyspace/graveyard).
"""

from libc.string cimport memset

from node.core.database cimport Database
from node.core.key_slot cimport SLOT_COUNT
from node.core.keyspace cimport Keyspace
from node.core.slot_table cimport Entry, SlotTable, Walk, next_entry, table_free


cdef class BuriedKeys(Keyspace):
    cdef int slot           # the first one that still has keys
    cdef Walk walk          # in its table: what is before is free already

    def __len__(self) -> int:
        return self.size

    def dissolve(self, size_t limit) -> int:
        """Free up to `limit` keys; returns how many it were. Their large values go to the graveyard in their turn."""
        cdef SlotTable* table
        cdef Entry* entry
        cdef size_t freed = 0
        while self.size and freed < limit and self.slot < SLOT_COUNT:
            table = &self.tables[self.slot]
            entry = next_entry(table, &self.walk)
            if entry != NULL:
                self.walk.leaf.cells[self.walk.cell - 1] = 0
                self.release(entry, True)
                freed += 1
            else:
                table_free(table)
                memset(table, 0, sizeof(SlotTable))
                memset(&self.walk, 0, sizeof(Walk))
                self.slot += 1
        return freed


def bury_keys(Database db not None) -> BuriedKeys:
    """Take all keys from `db`, which is empty from here on."""
    cdef BuriedKeys buried = BuriedKeys.__new__(BuriedKeys)
    buried.swap(db)
    if db.cold is not None:
        db.cold.clear()
    buried.on_left = db.on_left
    db.field_index = None
    return buried
