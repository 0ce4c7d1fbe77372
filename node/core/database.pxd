"""One numbered database, as compiled code beside it sees it. See database.pyx."""

from node.core.catalogue cimport Catalogue
from node.core.slot_table cimport Entry

cdef class Database(Catalogue):
    cdef object field_index     # a FieldIndex, or None as long as no field has ever expired

    cdef Entry* string_for_read(self, bytes key) except? NULL
