"""One numbered database, as compiled code beside it sees it. See database.pyx."""

from node.core.keyspace cimport Keyspace
from node.core.slot_table cimport Entry

cdef class Database(Keyspace):
    cdef object field_index     # a FieldIndex, or None as long as no field has ever expired

    cdef Entry* string_for_read(self, bytes key) except? NULL
    cdef list live_entries(self, int slot, Py_ssize_t limit, bint with_values)
    cdef int delete_stale(self, bytes key) except -1
