"""A hash table of members: what is behind every large set, sorted set and hash. See member_table.pyx."""

from libc.stdint cimport uint32_t, uint64_t

cdef struct Member:         # then: extra bytes of the table's choice | key bytes | tail bytes, the owner's business
    uint32_t hash           # upper half of the key's 64-bit hash
    uint32_t key_length

cdef struct Segment:        # then: its cells
    uint32_t used
    uint32_t size           # number of cells
    uint32_t depth          # how many upper bits of the hash its entries have in common
    uint32_t limit          # entries that it may hold before it must grow

cdef struct MemberTable:
    Segment** directory     # 2**depth pointers, or NULL while empty; a segment of less depth is pointed to repeatedly
    uint64_t used           # entries
    uint32_t extra          # bytes between an entry's header and its key
    uint32_t depth
    uint32_t deepest        # segments of the directory's own depth; without any, the directory is halved

cdef struct MemberPlace:    # of an iteration; all zero at its begin
    uint64_t index          # into the directory
    uint64_t cell

ctypedef int (*MemberVisit)(void* context, Member* member) except -1

cdef inline char* member_extra(Member* member) noexcept nogil:
    return <char*>(member + 1)

cdef inline char* member_key(MemberTable* table, Member* member) noexcept nogil:
    return <char*>(member + 1) + table.extra

cdef inline char* member_tail(MemberTable* table, Member* member) noexcept nogil:
    return <char*>(member + 1) + table.extra + member.key_length

cdef uint32_t member_hash(const char* key, size_t length) noexcept nogil
cdef Member* member_new(
    MemberTable* table, uint32_t hash, const char* key, size_t length, size_t tail
) noexcept nogil

cdef void members_init(MemberTable* table, uint32_t extra) noexcept nogil
cdef Member* members_find(MemberTable* table, uint32_t hash, const char* key, size_t length) noexcept nogil
cdef int members_add(MemberTable* table, Member* member) except -1
cdef int members_lay_out(MemberTable* table, uint64_t count) except -1
cdef bint members_roomy(MemberTable* table) noexcept nogil
cdef Member* members_remove(MemberTable* table, uint32_t hash, const char* key, size_t length) noexcept nogil
cdef void members_repoint(MemberTable* table, uint32_t hash, Member* was, Member* now) noexcept nogil
cdef void members_clear(MemberTable* table) noexcept nogil
cdef size_t members_shed(MemberTable* table, size_t limit) noexcept nogil
cdef size_t members_allocated(MemberTable* table, size_t samples) except? 0
cdef Member* members_next(MemberTable* table, MemberPlace* place) noexcept nogil
cdef uint64_t members_scan(
    MemberTable* table, uint64_t cursor, size_t count, MemberVisit visit, void* context
) except? 0xFFFFFFFFFFFFFFFF
cdef Member* members_random(MemberTable* table) noexcept nogil
cdef uint64_t random_number(uint64_t below) noexcept nogil
