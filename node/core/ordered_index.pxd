"""Members in the order of their scores, with ranks. See ordered_index.pyx."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from node.core.member_table cimport Member

cdef enum:
    LEAF_ITEMS = 126          # so that a leaf is 1 KB
    CHILDREN = 64
    DEEPEST = 12              # levels; far beyond what memory can hold

cdef struct Node:
    uint16_t count            # of items or children
    uint16_t level            # 0: a leaf

cdef struct Leaf:
    Node node
    Leaf* next                # in order; NULL for the last
    Member* items[LEAF_ITEMS]

cdef struct Inner:
    Node node
    Node* children[CHILDREN]
    uint64_t sizes[CHILDREN]  # entries below each child
    Member* firsts[CHILDREN]  # the first entry below each child

cdef struct Tree:
    Node* root                # NULL while empty
    uint64_t used             # entries

cdef enum ProbeKind:          # what is before a probe:
    BELOW_SCORE               # lower scores
    UP_TO_SCORE               # scores not higher
    BELOW_ENTRY               # lower scores, and the same score with a lower member
    BELOW_MEMBER              # lower members, all scores being equal
    UP_TO_MEMBER              # members not higher

cdef struct Probe:            # a place in the order
    ProbeKind kind
    double score
    const char* text
    size_t length

cdef struct Place:            # of an entry
    Leaf* leaf
    uint32_t position

cdef inline double* score_of(Member* member) noexcept nogil:
    """Members of an index carry their score as their eight extra bytes."""
    return <double*>(member + 1)

cdef inline char* key_of(Member* member) noexcept nogil:
    return <char*>(member + 1) + sizeof(double)

cdef bint is_before(double score, const char* text, size_t length, Probe* probe) noexcept nogil

cdef int tree_insert(Tree* tree, Member* member) except -1
cdef void tree_remove(Tree* tree, Member* member) noexcept nogil
cdef int tree_move(Tree* tree, Member* member, double score) except -1
cdef uint64_t tree_count(Tree* tree, Probe* probe) noexcept nogil
cdef void tree_at(Tree* tree, uint64_t rank, Place* place) noexcept nogil
cdef Member* tree_next(Place* place) noexcept nogil
cdef void tree_clear(Tree* tree) noexcept nogil
cdef size_t tree_shed(Tree* tree, size_t limit) noexcept nogil
cdef size_t tree_bytes(Tree* tree) noexcept nogil
