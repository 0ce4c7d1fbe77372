"""Moving the keys of a slot from one database to another without touching them.

A slot is a table of its own (slot_table.pyx), so it changes hands as one struct, whatever it holds.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t
from libc.string cimport memset

from node.core.database cimport Database
from node.core.hash cimport Hash
from node.core.key_slot cimport SLOT_COUNT
from node.core.keyspace cimport key_of
from node.core.slot_table cimport (
    IN_FLIGHT,
    IS_OBJECT,
    STORED,
    TYPE_HASH,
    UNSAVED,
    Entry,
    SlotTable,
    Walk,
    entry_object,
    entry_type,
    next_entry,
)


def transfer_slots(
    Database source not None, Database target not None, int first, int last, bint keeps=True
) -> int:
    """Let `target` have all keys of the slots first..last that `source` holds; returns how many. What `target`
    held of a slot that `source` has keys of is dropped. Keys that `source` has in its store only (cold.pyx) leave it;
    `target`, which has none, gets them in memory, unless it does not keep what it gets. Keys that were arriving stay
    in the store as they are: it is that of `target`."""
    cdef int slot
    cdef int moved = 0
    for slot in range(max(first, 0), min(last, SLOT_COUNT - 1) + 1):
        if source.cold is not None and not source.cold.arriving:
            if keeps:
                for key, record in list(source.cold_records(slot)):
                    source.cold.codec.thaw(source, key, record)
            moved += source.cold.clear_slot(slot)
        if source.tables[slot].used:
            moved += transfer(source, target, slot)
    return moved


cdef int transfer(Database source, Database target, int slot) except -1:
    cdef SlotTable* table
    cdef bint known = source.cold is not None and source.cold.arriving
    target.own_tables()
    if known and (source.cold.number != target.cold.number or target.holds(slot)):
        source.cold.clear_slot(slot)    # it has other keys there, or does not look there
        known = False
    if not known:
        target.clear_slot(slot)
    table = &target.tables[slot]
    table[0] = source.tables[slot]
    memset(&source.tables[slot], 0, sizeof(SlotTable))
    source.size -= table.used
    source.volatile_count -= table.volatiles
    target.size += table.used
    target.volatile_count += table.volatiles
    if target.cold is not None and not known:
        own_entries(target, table)
    if source.field_index is not None:
        await_fields(target, table)
    return table.used


cdef int own_entries(Database target, SlotTable* table) except -1:
    """The entries are in nobody's store but, soon, in that of their new database. (Where it has none, nobody looks at
    these flags.)"""
    cdef Walk walk = Walk(NULL, 0, 0)
    cdef Entry* entry
    while True:
        entry = next_entry(table, &walk)
        if entry == NULL:
            return 0
        entry.flags &= ~<uint32_t>(STORED | UNSAVED | IN_FLIGHT)
        entry.flags |= UNSAVED
        target.cold.dirty.add(key_of(entry))


cdef int await_fields(Database target, SlotTable* table) except -1:
    """Fields of hashes may expire: the database must know whose."""
    cdef Walk walk = Walk(NULL, 0, 0)
    cdef Entry* entry
    while True:
        entry = next_entry(table, &walk)
        if entry == NULL:
            return 0
        if entry_type(entry) == TYPE_HASH:
            if (<Hash><PyObject*>entry_object(entry)[0]).timed:
                target.await_fields(key_of(entry), <Hash><PyObject*>entry_object(entry)[0])
