"""Sets, for compiled code beside them. See set.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from node.core.integer_text cimport DIGITS
from node.core.member_table cimport MemberPlace

cdef enum SetKind:
    INTSET
    LISTPACK
    HASHTABLE

cdef class Set:
    cdef SetKind kind
    cdef void* body          # an intset, a listpack or a MemberTable of its own; see set.pyx

cdef struct Walk:            # over the members of a set that does not change meanwhile
    uint32_t position        # the next one, of an intset
    uint8_t* at              # the next one, of a listpack
    MemberPlace place        # of a table
    char digits[DIGITS]
    # the member it has come to:
    const char* text
    size_t length
    bint is_number           # known to be the canonical text of `number`
    int64_t number
    bint is_hashed
    uint32_t hash

cdef size_t set_count(Set value) noexcept
cdef void set_draw(Set value, Walk* walk) noexcept
cdef int set_expect(Set value, uint64_t coming) except -1
cdef Set set_sized(const char* first, size_t length, size_t count)
cdef int set_add(Set value, const char* text, size_t length) except -1
cdef bint set_remove(Set value, const char* text, size_t length) except -1
cdef bint set_has(Set value, const char* text, size_t length) noexcept
cdef int set_convert(Set value, SetKind kind) except -1
cdef Set new_set(SetKind kind)

cdef void walk_begin(Walk* walk, Set value) noexcept
cdef bint walk_next(Walk* walk, Set value) noexcept
cdef bint walk_is_in(Walk* walk, Set other) noexcept
cdef int walk_add_to(Walk* walk, Set other) except -1
