"""Sorted set: members with scores, in the order of their scores, and of their bytes where these are equal.

`encoding` is "listpack" while there are few short members: Redis' own packed bytes (`packed_scores.pyx`). Beyond the
thresholds of `node.datatypes.limits` it is "skiplist" for good, which is what Redis calls it: here, a table and a tree
(`ranking.pyx`). No Python object is kept for a member.

Ranks count from 0, the lowest. Ranges come as `ScoreBound` and `LexBound` pairs and become ranks at once.
A score is an IEEE double and never NaN.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport isnan
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from node.core.double_digits cimport DOUBLE_TEXT
from node.core.integer_text cimport DIGITS
from node.core.listpack cimport PACK_LARGEST, pack_copy, pack_delete, pack_new, text_size
from node.core.listpack_walk cimport (
    element_as_bytes,
    element_text,
    pack_bytes,
    pack_check,
    pack_count,
    pack_first,
    pack_next,
    pack_seek,
)
from node.core.member_table cimport Member, member_hash, members_find, members_scan
from node.core.memory cimport BLOCK_OVERHEAD, malloc_usable_size, release, take
from node.core.ordered_index cimport (
    BELOW_ENTRY,
    BELOW_MEMBER,
    BELOW_SCORE,
    UP_TO_MEMBER,
    UP_TO_SCORE,
    Place,
    Probe,
    is_before,
    key_of,
    score_of,
    tree_at,
    tree_count,
    tree_move,
    tree_next,
)
from node.core.pack_unique cimport pack_is_unique
from node.core.packed_scores cimport packed_add, packed_count, packed_find, packed_score
from node.core.packing_limits cimport limits
from node.core.ranking cimport (
    Ranking,
    ranking_add,
    ranking_add_all,
    ranking_bytes,
    ranking_drop,
    ranking_drop_range,
    ranking_find,
    ranking_free,
    ranking_new,
    ranking_shed,
)



cdef enum:
    STEP = 256              # entries that an iteration takes at once

PUT_ONLY_NEW = ONLY_NEW
PUT_ONLY_KNOWN = ONLY_KNOWN
PUT_ONLY_GREATER = ONLY_GREATER
PUT_ONLY_LESS = ONLY_LESS
PUT_INCREMENT = INCREMENT


# ------------------------------------------------------------------------------------------ the forms


cdef int start_pack(SortedSet value) except -1:
    value.pack = pack_new(0)
    if value.pack == NULL:
        raise MemoryError
    return 0


cdef size_t zset_count(SortedSet value) noexcept:
    return pack_count(value.pack) // 2 if value.ranking == NULL else value.ranking.table.used


cdef int rank_all(SortedSet value) except -1:
    """Make a large sorted set of a small one."""
    cdef Ranking* ranking
    cdef uint8_t* at
    cdef char digits[DIGITS]
    cdef const char* text
    cdef size_t length
    if value.ranking != NULL:
        return 0
    ranking = ranking_new()
    at = pack_first(value.pack)
    try:
        while at != NULL:
            text = element_text(at, digits, &length)
            at = pack_next(value.pack, at)
            ranking_add(ranking, member_hash(text, length), text, length, packed_score(at))
            at = pack_next(value.pack, at)
    except MemoryError:
        ranking_free(ranking)
        raise
    value.ranking = ranking
    release(value.pack)
    value.pack = NULL
    return 0


cdef SortedSet zset_sized(size_t count, size_t length):
    """An empty sorted set in the form that suits `count` members of `length` bytes."""
    cdef SortedSet made = SortedSet.__new__(SortedSet)
    start_pack(made)
    if length > <uint64_t>limits.zset_max_listpack_value:
        rank_all(made)
    zset_expect(made, count)
    return made


cdef int zset_expect(SortedSet value, size_t coming) except -1:
    """So many members are about to be added, which may change the form at once, as in Redis."""
    if value.ranking == NULL and coming > <uint64_t>limits.zset_max_listpack_entries:
        rank_all(value)
    return 0


cdef int add_packed(SortedSet value, const char* text, size_t length, double score) except -1:
    cdef uint8_t* pack = packed_add(value.pack, text, length, score)
    if pack == NULL:
        raise MemoryError
    value.pack = pack
    return 0


cdef uint64_t zset_count_before(SortedSet value, Probe* probe) noexcept:
    """How many entries are before a probe."""
    if value.ranking != NULL:
        return tree_count(&value.ranking.tree, probe)
    return packed_count(value.pack, probe)


# ----------------------------------------------------------------------------------------- one member


cdef bint zset_score(SortedSet value, const char* text, size_t length, double* score) noexcept:
    """False where it is no member."""
    cdef Member* member
    cdef uint8_t* at
    if value.ranking != NULL:
        member = ranking_find(value.ranking, text, length)
        if member != NULL:
            score[0] = score_of(member)[0]
        return member != NULL
    at = packed_find(value.pack, text, length)
    if at != NULL:
        score[0] = packed_score(pack_next(value.pack, at))
    return at != NULL


cdef void zset_negate_zero(SortedSet value, const char* text, size_t length) noexcept:
    """Make the 0 of a member -0, which is the same place in the order. Of a large sorted set, and a member that is there."""
    score_of(ranking_find(value.ranking, text, length))[0] = -0.0


cdef bint must_rank(SortedSet value, const char* text, size_t length) except -1:
    """Would one member more be too much for a listpack?"""
    return (
        pack_count(value.pack) // 2 + 1 > <uint64_t>limits.zset_max_listpack_entries
        or length > <uint64_t>limits.zset_max_listpack_value
        or pack_bytes(value.pack) + text_size(text, length) + DOUBLE_TEXT > PACK_LARGEST
    )


cdef Outcome zset_put(
    SortedSet value, const char* text, size_t length, double* score, int flags
) except? REFUSED:
    """Add a member or change its score, as far as the flags allow. `score` becomes what it has then."""
    cdef double old = 0
    cdef Member* member = NULL
    cdef uint32_t hash = 0
    if value.ranking != NULL:
        hash = member_hash(text, length)
        member = members_find(&value.ranking.table, hash, text, length)
        if member != NULL:
            old = score_of(member)[0]
    if member == NULL and (value.ranking != NULL or not zset_score(value, text, length, &old)):
        if flags & ONLY_KNOWN:
            return REFUSED
        if value.ranking == NULL and must_rank(value, text, length):
            rank_all(value)
            hash = member_hash(text, length)
        if value.ranking != NULL:
            ranking_add(value.ranking, hash, text, length, score[0])
        else:
            add_packed(value, text, length, score[0])
        return ADDED
    if flags & ONLY_NEW:
        return REFUSED
    if flags & INCREMENT:
        score[0] += old
        if isnan(score[0]):
            return NOT_A_NUMBER
    if (flags & ONLY_GREATER and score[0] <= old) or (flags & ONLY_LESS and score[0] >= old):
        return REFUSED
    if score[0] == old:
        return UNCHANGED
    if value.ranking != NULL:
        tree_move(&value.ranking.tree, member, score[0])
    else:
        move_packed(value, text, length, score[0])
    return UPDATED


cdef int move_packed(SortedSet value, const char* text, size_t length, double score) except -1:
    """Give a member of a small sorted set another score."""
    zset_remove(value, text, length)
    return add_packed(value, text, length, score)


cdef bint zset_remove(SortedSet value, const char* text, size_t length) except -1:
    """True if it was a member."""
    cdef Member* member
    cdef uint8_t* at
    if value.ranking == NULL:
        at = packed_find(value.pack, text, length)
        if at == NULL:
            return False
        value.pack = pack_delete(value.pack, at, 2, NULL)
        return True
    member = ranking_find(value.ranking, text, length)
    if member == NULL:
        return False
    ranking_drop(value.ranking, member)
    return True


cdef int zset_remove_range(SortedSet value, uint64_t start, uint64_t stop) except -1:
    """Remove the members of ranks start..stop-1."""
    if start >= stop:
        return 0
    if value.ranking != NULL:
        return ranking_drop_range(value.ranking, start, stop)
    value.pack = pack_delete(value.pack, pack_seek(value.pack, 2 * start), 2 * (stop - start), NULL)
    return 0


# --------------------------------------------------------------------------------------- many members


cdef inline bytes name_of(Member* member):
    return PyBytes_FromStringAndSize(key_of(member), member.key_length)


cdef enum Layout:
    MEMBERS
    PAIRS                   # (member, score)
    FLAT                    # member, score, member, score ...


cdef inline int lay(list found, bytes name, double score, Layout layout) except -1:
    if layout == PAIRS:
        found.append((name, score))
    else:
        found.append(name)
        if layout == FLAT:
            found.append(score)
    return 0


cdef list entries(SortedSet value, uint64_t start, uint64_t stop, Layout layout):
    """The members of ranks start..stop-1, ascending."""
    cdef list found = []
    cdef uint64_t left = stop - start
    cdef uint8_t* at
    cdef bytes name
    cdef Place place
    cdef Member* member
    if start >= stop:
        return found
    if value.ranking != NULL:
        tree_at(&value.ranking.tree, start, &place)
        while left:
            member = tree_next(&place)
            lay(found, name_of(member), score_of(member)[0], layout)
            left -= 1
        return found
    at = pack_seek(value.pack, 2 * start)
    while left:
        name = element_as_bytes(at)
        at = pack_next(value.pack, at)
        lay(found, name, 0 if layout == MEMBERS else packed_score(at), layout)
        at = pack_next(value.pack, at)
        left -= 1
    return found


cdef int collect(void* context, Member* member) except -1:
    (<list>context).append((name_of(member), score_of(member)[0]))
    return 0


cdef void aim_at_score(Probe* probe, bound, bint upper):
    cdef bint exclusive
    probe.score, exclusive = bound
    probe.kind = UP_TO_SCORE if upper != exclusive else BELOW_SCORE


cdef uint64_t lex_count(SortedSet value, bound, bint upper):
    cdef Probe probe
    cdef bytes member
    cdef bint exclusive
    cdef int infinite
    member, exclusive, infinite = bound
    if infinite:
        return 0 if infinite < 0 else zset_count(value)
    probe.text = PyBytes_AS_STRING(member)
    probe.length = PyBytes_GET_SIZE(member)
    probe.kind = UP_TO_MEMBER if upper != exclusive else BELOW_MEMBER
    return zset_count_before(value, &probe)


cdef bint is_ordered(SortedSet value) except -1:
    """Is a foreign listpack in the order that it should have? ValueError for a score that is no number."""
    cdef uint8_t* at = pack_first(value.pack)
    cdef char digits[2][DIGITS]
    cdef int turn = 0
    cdef bint ordered = True
    cdef Probe last
    cdef const char* text
    cdef size_t length
    cdef double score
    last.kind = BELOW_ENTRY
    last.text = NULL
    while at != NULL:
        text = element_text(at, digits[turn], &length)
        at = pack_next(value.pack, at)
        score = packed_score(at)
        if isnan(score):
            raise ValueError("score that is not a number")
        ordered = ordered and not (last.text != NULL and is_before(score, text, length, &last))
        last.score, last.text, last.length = score, text, length
        turn = 1 - turn
        at = pack_next(value.pack, at)
    return ordered


def by_score(pair) -> tuple:
    """What (member, score) is sorted by."""
    return pair[1], pair[0]


# ----------------------------------------------------------------------------------------- for Python


cdef class SortedSet:
    type_name = "zset"

    def __cinit__(self, pairs=None):
        cdef double score
        if pairs is None:
            return
        start_pack(self)
        if not hasattr(pairs, "__len__"):
            pairs = list(pairs)
        if len(pairs) > limits.zset_max_listpack_entries or any(
            [len(member) > limits.zset_max_listpack_value for member, _ in pairs]
        ):
            rank_all(self)
        for member, score in pairs:
            self.set(member, score)

    def __init__(self, pairs=()):
        """Of pairs that become large together: so the sign of -0, which a listpack has no room for, stays.

        A member given twice keeps its last score."""
        if self.pack == NULL and self.ranking == NULL:
            start_pack(self)

    def __dealloc__(self):
        ranking_free(self.ranking)
        release(self.pack)

    @staticmethod
    def sized(size_t count, size_t length):
        """An empty sorted set in the form that suits `count` members of `length` bytes."""
        return zset_sized(count, length)

    @staticmethod
    def adopt(bytes blob not None):
        """A sorted set of a foreign listpack. ValueError where it is malformed, has a member twice or a score
        that is no number; one that is out of order is put in order."""
        cdef SortedSet made = SortedSet.__new__(SortedSet)
        cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(blob)
        if pack_check(data, PyBytes_GET_SIZE(blob)) < 0:
            raise ValueError("malformed listpack")
        made.pack = <uint8_t*>take(PyBytes_GET_SIZE(blob))
        if made.pack == NULL:
            raise MemoryError
        memcpy(made.pack, data, PyBytes_GET_SIZE(blob))
        if pack_count(made.pack) % 2:
            raise ValueError("sorted set with a member that has no score")
        if not pack_is_unique(made.pack, 2):
            raise ValueError("sorted set with a member twice")
        if not is_ordered(made):
            return SortedSet(sorted(entries(made, 0, zset_count(made), PAIRS), key=by_score))
        if zset_count(made) > <uint64_t>limits.zset_max_listpack_entries:
            rank_all(made)
        return made

    def __len__(self):
        return zset_count(self)

    def __contains__(self, bytes member not None):
        cdef double score
        return zset_score(self, PyBytes_AS_STRING(member), PyBytes_GET_SIZE(member), &score)

    @property
    def encoding(self) -> str:
        return "listpack" if self.ranking == NULL else "skiplist"

    @property
    def blob(self) -> bytes:
        """The listpack, as it is stored in files."""
        if self.ranking != NULL:
            raise TypeError("a large sorted set is no packed bytes")
        return PyBytes_FromStringAndSize(<char*>self.pack, pack_bytes(self.pack))

    def allocated(self, size_t samples) -> int:
        """Bytes of memory beside the object itself, judged by some members (0: all) of a large one."""
        if self.ranking == NULL:
            return malloc_usable_size(self.pack) + BLOCK_OVERHEAD
        return ranking_bytes(self.ranking, samples)

    def enlarge(self) -> None:
        """Take the form of a large one, for good."""
        rank_all(self)

    def dissolve(self, size_t limit) -> int:
        """Free some `limit` blocks of a value that nobody will look at again, but perhaps call this once more;
        returns how many it were, less than `limit` if little is left."""
        return 0 if self.ranking == NULL else ranking_shed(self.ranking, limit)

    def copy(self):
        cdef SortedSet made = SortedSet.__new__(SortedSet)
        if self.ranking != NULL:
            made.ranking = ranking_new()
            ranking_add_all(made.ranking, self.ranking)
            return made
        made.pack = pack_copy(self.pack)
        if made.pack == NULL:
            raise MemoryError
        return made

    # --- one member ----------------------------------------------------------------------------------

    def score(self, bytes member not None) -> float | None:
        cdef double score
        if zset_score(self, PyBytes_AS_STRING(member), PyBytes_GET_SIZE(member), &score):
            return score
        return None

    def set(self, bytes member not None, double score) -> bool:
        """Add a member or change its score, which is no NaN. True if the member is new."""
        return zset_put(self, PyBytes_AS_STRING(member), PyBytes_GET_SIZE(member), &score, 0) == ADDED

    def put_all(self, list scores not None, list args not None, Py_ssize_t start, int flags) -> tuple:
        """ZADD: the members args[start], args[start + 2] ... with their scores, under PUT_ flags.

        Returns how many were added and how many got another score, and the last one's score: None if its
        flags refused it, NaN if an increment had no result.
        """
        cdef Py_ssize_t added = 0
        cdef Py_ssize_t updated = 0
        cdef Py_ssize_t i
        cdef double score
        cdef bytes member
        cdef Outcome outcome = REFUSED
        zset_expect(self, len(scores))
        for i in range(len(scores)):
            member = args[start + 2 * i]
            score = scores[i]
            outcome = zset_put(self, PyBytes_AS_STRING(member), PyBytes_GET_SIZE(member), &score, flags)
            added += outcome == ADDED
            updated += outcome == UPDATED
        return added, updated, None if outcome == REFUSED else score

    def remove(self, bytes member not None) -> bool:
        """True if it was a member."""
        return zset_remove(self, PyBytes_AS_STRING(member), PyBytes_GET_SIZE(member))

    def rank(self, bytes member not None) -> int | None:
        cdef Probe probe
        cdef double score
        if not zset_score(self, PyBytes_AS_STRING(member), PyBytes_GET_SIZE(member), &score):
            return None
        probe.kind = BELOW_ENTRY
        probe.text = PyBytes_AS_STRING(member)
        probe.length = PyBytes_GET_SIZE(member)
        probe.score = score
        return zset_count_before(self, &probe)

    def at(self, uint64_t rank) -> tuple[bytes, float]:
        """The member of a rank of 0..len-1, with its score."""
        return entries(self, rank, rank + 1, PAIRS)[0]

    # --- many members --------------------------------------------------------------------------------

    def items(self):
        """Iterate over (member, score), ascending. The set must not change meanwhile."""
        cdef uint64_t start = 0
        cdef uint64_t length = zset_count(self)
        while start < length:
            yield from entries(self, start, min(start + STEP, length), PAIRS)
            start += STEP

    def range(self, uint64_t start, uint64_t stop) -> list[tuple[bytes, float]]:
        """(member, score) of the ranks start..stop-1, ascending."""
        return entries(self, start, stop, PAIRS)

    def flat_range(self, uint64_t start, uint64_t stop) -> list:
        """Member, score, member, score ... of the ranks start..stop-1, ascending."""
        return entries(self, start, stop, FLAT)

    def members(self, uint64_t start, uint64_t stop) -> list[bytes]:
        """The members of the ranks start..stop-1, ascending."""
        return entries(self, start, stop, MEMBERS)

    def ranks_by_score(self, low, high) -> tuple[int, int]:
        """The ranks start..stop-1 whose scores lie between two bounds."""
        cdef Probe probe
        cdef uint64_t start, stop
        aim_at_score(&probe, low, False)
        start = zset_count_before(self, &probe)
        aim_at_score(&probe, high, True)
        stop = zset_count_before(self, &probe)
        return start, max(start, stop)

    def ranks_by_lex(self, low, high) -> tuple[int, int]:
        """The ranks start..stop-1 whose members lie between two bounds, all scores being equal."""
        cdef uint64_t start = lex_count(self, low, False)
        cdef uint64_t stop = lex_count(self, high, True)
        return start, max(start, stop)

    def delete_range(self, uint64_t start, uint64_t stop) -> None:
        """Remove the members of ranks start..stop-1."""
        zset_remove_range(self, start, stop)

    def scan(self, uint64_t cursor, size_t count) -> tuple[int, list[tuple[bytes, float]]]:
        """At least `count` members with scores from `cursor` on (0 to begin) unless the end is reached, and
        the next cursor (0 at the end).

        A compact set is returned at once, as Redis does.
        """
        cdef list found
        if self.ranking == NULL:
            return 0, entries(self, 0, zset_count(self), PAIRS)
        found = []
        return members_scan(&self.ranking.table, cursor, count, collect, <void*>found), found
