"""Hash, for compiled code beside it. See hash.pyx."""

from libc.stdint cimport int64_t, uint8_t

from node.core.field_table cimport FieldTable
from node.core.member_table cimport Member

cdef class Hash:
    cdef uint8_t* pack              # while small
    cdef FieldTable* table          # while large
    cdef public int64_t horizon     # Unix ms: to readers, fields that expire before it are not there
    cdef readonly bint timed        # fields may expire: the pack holds triples

cdef struct FieldPlace:
    uint8_t* field          # in the pack of a small hash
    Member* member          # in the table of a large one

cdef Py_ssize_t hash_count(Hash self) noexcept
cdef bint hash_find(Hash self, const char* field, size_t length, FieldPlace* place) noexcept
cdef const char* hash_value(Hash self, FieldPlace* place, char* digits, size_t* length) noexcept
cdef int hash_make_ready(Hash self, size_t fields, size_t longest, size_t total) except -1
cdef bint hash_put(
    Hash self, const char* field, size_t length, const char* value, size_t size, bint keep_expiry
) except -1
cdef bint hash_set(
    Hash self, const char* field, size_t length, const char* value, size_t size, bint keep_expiry
) except -1
cdef bint hash_remove(Hash self, const char* field, size_t length) except -1

cdef int64_t soonest_due(Hash self) noexcept
cdef bint put(Hash self, bytes field, bytes value, bint keep_expiry) except -1
cdef int enlarge(Hash self) except -1
