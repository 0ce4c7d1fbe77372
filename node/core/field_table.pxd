"""The fields of a large hash. See field_table.pyx."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from node.core.member_table cimport Member, MemberTable

cdef struct Due:
    int64_t at              # Unix ms
    Member* member

cdef struct FieldTable:
    MemberTable members     # extra: a uint32 with the value's length and TIMED
    Due* due                # a heap: those fields that expire, the earliest first
    uint32_t due_used
    uint32_t due_room

cdef FieldTable* fields_new() noexcept nogil
cdef void fields_free(FieldTable* table) noexcept nogil
cdef Member* fields_find(FieldTable* table, const char* field, size_t length) noexcept nogil
cdef const char* field_value(FieldTable* table, Member* member, size_t* length) noexcept nogil
cdef int64_t field_due(FieldTable* table, Member* member) noexcept nogil
cdef int fields_set(
    FieldTable* table, const char* field, size_t length, const char* value, size_t size, bint keep_due
) except -1
cdef bint fields_remove(FieldTable* table, const char* field, size_t length) noexcept nogil
cdef int field_expire(FieldTable* table, Member* member, int64_t at) except -1
cdef bytes field_name(FieldTable* table, Member* member)
cdef bytes field_content(FieldTable* table, Member* member)
cdef uint64_t fields_scan(
    FieldTable* table, uint64_t cursor, size_t count, int64_t horizon, bint moments, list found
) except? 0xFFFFFFFFFFFFFFFF
cdef list fields_expired(FieldTable* table, int64_t now, Py_ssize_t limit)
cdef size_t fields_allocated(FieldTable* table, size_t samples) except? 0
