"""Hash, for compiled code beside it. See hash.pyx."""

from libc.stdint cimport int64_t, uint8_t

from node.core.field_table cimport FieldTable

cdef class Hash:
    cdef uint8_t* pack              # while small
    cdef FieldTable* table          # while large
    cdef public int64_t horizon     # Unix ms: to readers, fields that expire before it are not there
    cdef readonly bint timed        # fields may expire: the pack holds triples

cdef int64_t soonest_due(Hash self) noexcept
cdef bint put(Hash self, bytes field, bytes value, bint keep_expiry) except -1
cdef int enlarge(Hash self) except -1
