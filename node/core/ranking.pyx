"""A large sorted set: a member table to find entries by name, and a tree over the same entries for their order."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from node.core.member_table cimport (
    Member,
    member_hash,
    member_new,
    members_add,
    members_allocated,
    members_clear,
    members_find,
    members_init,
    members_remove,
    members_shed,
)
from node.core.memory cimport BLOCK_OVERHEAD, malloc_usable_size, release, take
from node.core.ordered_index cimport (
    Place,
    key_of,
    score_of,
    tree_at,
    tree_bytes,
    tree_clear,
    tree_insert,
    tree_next,
    tree_remove,
    tree_shed,
)


cdef Ranking* ranking_new() except NULL:
    cdef Ranking* ranking = <Ranking*>take(sizeof(Ranking))
    if ranking == NULL:
        raise MemoryError
    memset(ranking, 0, sizeof(Ranking))
    members_init(&ranking.table, sizeof(double))
    return ranking


cdef void ranking_free(Ranking* ranking) noexcept:
    """Release it with all its entries; NULL is none."""
    if ranking != NULL:
        tree_clear(&ranking.tree)
        members_clear(&ranking.table)
        release(ranking)


cdef size_t ranking_shed(Ranking* ranking, size_t limit) noexcept:
    """Release some `limit` blocks; returns how many it were, less than `limit` if nothing but the head is left.
    Between the first such call and `ranking_free` the ranking is good for nothing else."""
    cdef size_t shed = tree_shed(&ranking.tree, limit)
    return shed if shed == limit else shed + members_shed(&ranking.table, limit - shed)


cdef Member* ranking_find(Ranking* ranking, const char* text, size_t length) noexcept:
    return members_find(&ranking.table, member_hash(text, length), text, length)


cdef int ranking_add(Ranking* ranking, uint32_t hash, const char* text, size_t length, double score) except -1:
    """Add a member that is not there, of this `member_hash`."""
    cdef Member* member = member_new(&ranking.table, hash, text, length, 0)
    if member == NULL:
        raise MemoryError
    score_of(member)[0] = score
    try:
        members_add(&ranking.table, member)
        tree_insert(&ranking.tree, member)
    except MemoryError:
        members_remove(&ranking.table, member.hash, text, length)
        release(member)
        raise
    return 0


cdef int ranking_add_all(Ranking* ranking, Ranking* source) except -1:
    """Add copies of the entries of another to an empty one."""
    cdef Place place
    cdef Member* member
    if source.tree.used == 0:
        return 0
    tree_at(&source.tree, 0, &place)
    while True:
        member = tree_next(&place)
        if member == NULL:
            return 0
        ranking_add(ranking, member.hash, key_of(member), member.key_length, score_of(member)[0])


cdef void ranking_drop(Ranking* ranking, Member* member) noexcept:
    """Take an entry out and release it."""
    tree_remove(&ranking.tree, member)
    members_remove(&ranking.table, member.hash, key_of(member), member.key_length)
    release(member)


cdef int ranking_drop_range(Ranking* ranking, uint64_t start, uint64_t stop) except -1:
    """`ranking_drop` the entries of ranks start..stop-1."""
    cdef uint64_t count = stop - start
    cdef uint64_t i
    cdef Place place
    cdef Member** gone
    if count == 1:
        tree_at(&ranking.tree, start, &place)
        ranking_drop(ranking, tree_next(&place))
        return 0
    if count == ranking.tree.used:
        tree_clear(&ranking.tree)
        members_clear(&ranking.table)
        return 0
    gone = <Member**>take(count * sizeof(Member*))
    if gone == NULL:
        raise MemoryError
    tree_at(&ranking.tree, start, &place)
    for i in range(count):
        gone[i] = tree_next(&place)
    for i in range(count):
        ranking_drop(ranking, gone[i])
    release(gone)
    return 0


cdef size_t ranking_bytes(Ranking* ranking, size_t samples) except 0:
    """Bytes of memory, judged by some entries (0: all)."""
    return (
        malloc_usable_size(ranking)
        + BLOCK_OVERHEAD
        + members_allocated(&ranking.table, samples)
        + tree_bytes(&ranking.tree)
    )
