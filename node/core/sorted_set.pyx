"""Sorted set: members with scores, in the order of their scores, and of their bytes where these are equal.

`encoding` is "listpack" while there are few short members: Redis' own packed bytes, members and scores in turn
and in order. Beyond the thresholds of `node.datatypes.limits` it is "skiplist" for good, which is what Redis calls
it: here, a member table to find members by name and a tree over the same entries (`ordered_index.pyx`) for all that
is about order. No Python object is kept for a member.

Ranks count from 0, the lowest. Ranges come as `ScoreBound` and `LexBound` pairs and become ranks at once.
A score is an IEEE double and never NaN. In a listpack a score is the text that Redis prints for it, and whole
numbers are integers; -0 is one of them, and loses its sign.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport NAN, isnan
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport strtod
from libc.string cimport memcpy, memset

from node.core.double_digits cimport DOUBLE_TEXT, print_double
from node.core.listpack cimport (
    DIGITS,
    PACK_LARGEST,
    Element,
    element_as_bytes,
    element_bytes,
    element_get,
    element_text,
    pack_bytes,
    pack_check,
    pack_copy,
    pack_count,
    pack_delete,
    pack_find,
    pack_first,
    pack_insert,
    pack_new,
    pack_next,
    pack_seek,
    text_size,
)
from node.core.member_table cimport (
    Member,
    member_hash,
    member_new,
    members_add,
    members_bytes,
    members_clear,
    members_find,
    members_init,
    members_remove,
    members_scan,
)
from node.core.memory cimport malloc_usable_size, release, take
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
    tree_bytes,
    tree_clear,
    tree_count,
    tree_insert,
    tree_move,
    tree_next,
    tree_remove,
)

from node.datatypes.limits import limits

cdef object _limits = limits

cdef enum:
    STEP = 256              # entries that an iteration takes at once
    LONGEST_SCORE = 128     # bytes of a score's text in a foreign listpack

PUT_ONLY_NEW = ONLY_NEW
PUT_ONLY_KNOWN = ONLY_KNOWN
PUT_ONLY_GREATER = ONLY_GREATER
PUT_ONLY_LESS = ONLY_LESS
PUT_INCREMENT = INCREMENT


# -------------------------------------------------------------------------------------- packed scores


cdef double packed_score(const uint8_t* at) noexcept nogil:
    """The score that an element holds; NaN for one that holds none."""
    cdef Element element
    cdef char text[LONGEST_SCORE]
    cdef char* end
    cdef double score
    element_get(at, &element)
    if element.text == NULL:
        return <double>element.number
    if element.length == 0 or element.length >= LONGEST_SCORE:
        return NAN
    memcpy(text, element.text, element.length)
    text[element.length] = 0
    score = strtod(text, &end)
    return score if end == text + element.length else NAN


# ------------------------------------------------------------------------------------------ the forms


cdef int start_pack(SortedSet value) except -1:
    value.pack = pack_new(0)
    if value.pack == NULL:
        raise MemoryError
    return 0


cdef int start_ranking(SortedSet value) except -1:
    value.ranking = <Ranking*>take(sizeof(Ranking))
    if value.ranking == NULL:
        raise MemoryError
    memset(value.ranking, 0, sizeof(Ranking))
    members_init(&value.ranking.table, sizeof(double))
    return 0


cdef void drop(SortedSet value) noexcept:
    if value.ranking != NULL:
        tree_clear(&value.ranking.tree)
        members_clear(&value.ranking.table)
        release(value.ranking)
        value.ranking = NULL
    release(value.pack)
    value.pack = NULL


cdef size_t count_of(SortedSet value) noexcept:
    return pack_count(value.pack) // 2 if value.ranking == NULL else value.ranking.table.used


cdef int rank_all(SortedSet value) except -1:
    """Make a large sorted set of a small one."""
    cdef SortedSet made
    cdef uint8_t* at
    cdef char digits[DIGITS]
    cdef const char* text
    cdef size_t length
    if value.ranking != NULL:
        return 0
    made = SortedSet.__new__(SortedSet)
    start_ranking(made)
    at = pack_first(value.pack)
    while at != NULL:
        text = element_text(at, digits, &length)
        at = pack_next(value.pack, at)
        add_ranked(made, text, length, packed_score(at))
        at = pack_next(value.pack, at)
    value.ranking = made.ranking
    made.ranking = NULL
    release(value.pack)
    value.pack = NULL
    return 0


cdef int add_ranked(SortedSet value, const char* text, size_t length, double score) except -1:
    """Add a member that is not there to a large sorted set."""
    cdef Ranking* ranking = value.ranking
    cdef Member* member = member_new(&ranking.table, member_hash(text, length), text, length, 0)
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


cdef int add_packed(SortedSet value, const char* text, size_t length, double score) except -1:
    """Add a member that is not there to a small sorted set."""
    cdef Probe probe
    cdef char score_text[DOUBLE_TEXT]
    cdef size_t score_length = print_double(score + 0.0, score_text)
    cdef uint8_t* placed = NULL
    cdef uint8_t* at = pack_first(value.pack)
    cdef uint8_t* moved
    aim(&probe, text, length, score)
    while at != NULL and is_packed_before(value.pack, at, &probe):
        at = pack_next(value.pack, pack_next(value.pack, at))
    moved = pack_insert(value.pack, at, text, length, &placed)
    if moved == NULL:
        raise MemoryError
    value.pack = moved
    moved = pack_insert(value.pack, placed + element_bytes(placed), score_text, score_length, NULL)
    if moved == NULL:
        value.pack = pack_delete(value.pack, placed, 1, NULL)
        raise MemoryError
    value.pack = moved
    return 0


cdef bint is_packed_before(uint8_t* pack, uint8_t* at, Probe* probe) noexcept nogil:
    """Is the member at `at` before a probe?"""
    cdef char digits[DIGITS]
    cdef size_t length
    cdef const char* text = element_text(at, digits, &length)
    return is_before(packed_score(pack_next(pack, at)), text, length, probe)


cdef inline void aim(Probe* probe, const char* text, size_t length, double score) noexcept nogil:
    probe.kind = BELOW_ENTRY
    probe.text = text
    probe.length = length
    probe.score = score


cdef uint64_t count_before(SortedSet value, Probe* probe) noexcept:
    """How many entries are before a probe."""
    cdef uint64_t count = 0
    cdef uint8_t* at
    if value.ranking != NULL:
        return tree_count(&value.ranking.tree, probe)
    at = pack_first(value.pack)
    while at != NULL and is_packed_before(value.pack, at, probe):
        at = pack_next(value.pack, pack_next(value.pack, at))
        count += 1
    return count


# ----------------------------------------------------------------------------------------- one member


cdef bint zset_score(SortedSet value, const char* text, size_t length, double* score) noexcept:
    """False where it is no member."""
    cdef Member* member
    cdef uint8_t* at
    if value.ranking != NULL:
        member = members_find(&value.ranking.table, member_hash(text, length), text, length)
        if member != NULL:
            score[0] = score_of(member)[0]
        return member != NULL
    at = pack_find(value.pack, pack_first(value.pack), text, length, 1)
    if at != NULL:
        score[0] = packed_score(pack_next(value.pack, at))
    return at != NULL


cdef bint must_rank(SortedSet value, const char* text, size_t length) except -1:
    """Would one member more be too much for a listpack?"""
    return (
        pack_count(value.pack) // 2 + 1 > <uint64_t>_limits.zset_max_listpack_entries
        or length > <uint64_t>_limits.zset_max_listpack_value
        or pack_bytes(value.pack) + text_size(text, length) + DOUBLE_TEXT > PACK_LARGEST
    )


cdef Outcome zset_put(
    SortedSet value, const char* text, size_t length, double* score, int flags
) except? REFUSED:
    """Add a member or change its score, as far as the flags allow. `score` becomes what it has then."""
    cdef double old = 0
    if not zset_score(value, text, length, &old):
        if flags & ONLY_KNOWN:
            return REFUSED
        if value.ranking == NULL and must_rank(value, text, length):
            rank_all(value)
        if value.ranking != NULL:
            add_ranked(value, text, length, score[0])
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
        tree_move(
            &value.ranking.tree,
            members_find(&value.ranking.table, member_hash(text, length), text, length),
            score[0],
        )
    else:
        move_packed(value, text, length, score[0])
    return UPDATED


cdef int move_packed(SortedSet value, const char* text, size_t length, double score) except -1:
    """Give a member of a small sorted set another score."""
    zset_remove(value, text, length)
    return add_packed(value, text, length, score)


cdef bint zset_remove(SortedSet value, const char* text, size_t length) except -1:
    """True if it was a member."""
    cdef uint32_t hash
    cdef Member* member
    cdef uint8_t* at
    if value.ranking == NULL:
        at = pack_find(value.pack, pack_first(value.pack), text, length, 1)
        if at == NULL:
            return False
        value.pack = pack_delete(value.pack, at, 2, NULL)
        return True
    hash = member_hash(text, length)
    member = members_find(&value.ranking.table, hash, text, length)
    if member == NULL:
        return False
    drop_ranked(value.ranking, member)
    return True


cdef void drop_ranked(Ranking* ranking, Member* member) noexcept:
    tree_remove(&ranking.tree, member)
    members_remove(&ranking.table, member.hash, key_of(member), member.key_length)
    release(member)


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


cdef struct Sample:
    size_t seen
    size_t total


cdef int add_size(void* context, Member* member) except -1:
    (<Sample*>context).seen += 1
    (<Sample*>context).total += malloc_usable_size(member)
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
        return 0 if infinite < 0 else count_of(value)
    probe.text = PyBytes_AS_STRING(member)
    probe.length = PyBytes_GET_SIZE(member)
    probe.kind = UP_TO_MEMBER if upper != exclusive else BELOW_MEMBER
    return count_before(value, &probe)


# ----------------------------------------------------------------------------------------- for Python


cdef class SortedSet:
    type_name = "zset"

    def __cinit__(self, pairs=None):
        cdef double score
        if pairs is None:
            return
        start_pack(self)
        if hasattr(pairs, "__len__") and len(pairs) > _limits.zset_max_listpack_entries:
            rank_all(self)
        for member, score in pairs:
            self.set(member, score)

    def __init__(self, pairs=()):
        """A member given twice keeps its last score."""
        if self.pack == NULL and self.ranking == NULL:
            start_pack(self)

    def __dealloc__(self):
        drop(self)

    @staticmethod
    def sized(size_t count, size_t length):
        """An empty sorted set in the form that suits `count` members of `length` bytes."""
        cdef SortedSet made = SortedSet.__new__(SortedSet)
        start_pack(made)
        if (
            count > <uint64_t>_limits.zset_max_listpack_entries
            or length > <uint64_t>_limits.zset_max_listpack_value
        ):
            rank_all(made)
        return made

    @staticmethod
    def adopt(bytes blob not None):
        """A sorted set of a foreign listpack. ValueError where it is malformed, has a member twice or a score
        that is no number; one that is out of order is put in order."""
        cdef SortedSet made = SortedSet.__new__(SortedSet)
        cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(blob)
        cdef list pairs
        if pack_check(data, PyBytes_GET_SIZE(blob)) < 0:
            raise ValueError("malformed listpack")
        made.pack = <uint8_t*>take(PyBytes_GET_SIZE(blob))
        if made.pack == NULL:
            raise MemoryError
        memcpy(made.pack, data, PyBytes_GET_SIZE(blob))
        if pack_count(made.pack) % 2:
            raise ValueError("sorted set with a member that has no score")
        pairs = entries(made, 0, count_of(made), PAIRS)
        if any([isnan(score) for _, score in pairs]):
            raise ValueError("score that is not a number")
        if len({member for member, _ in pairs}) < len(pairs):
            raise ValueError("sorted set with a member twice")
        ordered = sorted(pairs, key=lambda pair: (pair[1], pair[0]))
        if ordered != pairs:
            return SortedSet(ordered)
        if count_of(made) > <uint64_t>_limits.zset_max_listpack_entries:
            rank_all(made)
        return made

    def __len__(self):
        return count_of(self)

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
        cdef Sample sample
        if self.ranking == NULL:
            return malloc_usable_size(self.pack)
        sample.seen = sample.total = 0
        members_scan(&self.ranking.table, 0, samples if samples else count_of(self), add_size, &sample)
        return (
            malloc_usable_size(self.ranking)
            + members_bytes(&self.ranking.table)
            + tree_bytes(&self.ranking.tree)
            + sample.total * count_of(self) // max(sample.seen, 1)
        )

    def copy(self):
        cdef SortedSet made = SortedSet.__new__(SortedSet)
        cdef Place place
        cdef Member* member
        if self.ranking == NULL:
            made.pack = pack_copy(self.pack)
            if made.pack == NULL:
                raise MemoryError
            return made
        start_ranking(made)
        if count_of(self):
            tree_at(&self.ranking.tree, 0, &place)
            while True:
                member = tree_next(&place)
                if member == NULL:
                    break
                add_ranked(made, key_of(member), member.key_length, score_of(member)[0])
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
        if self.ranking == NULL and len(scores) > _limits.zset_max_listpack_entries:
            rank_all(self)
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
        aim(&probe, PyBytes_AS_STRING(member), PyBytes_GET_SIZE(member), score)
        return count_before(self, &probe)

    def at(self, uint64_t rank) -> tuple[bytes, float]:
        """The member of a rank of 0..len-1, with its score."""
        return entries(self, rank, rank + 1, PAIRS)[0]

    # --- many members --------------------------------------------------------------------------------

    def items(self):
        """Iterate over (member, score), ascending. The set must not change meanwhile."""
        cdef uint64_t start = 0
        cdef uint64_t length = count_of(self)
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
        start = count_before(self, &probe)
        aim_at_score(&probe, high, True)
        stop = count_before(self, &probe)
        return start, max(start, stop)

    def ranks_by_lex(self, low, high) -> tuple[int, int]:
        """The ranks start..stop-1 whose members lie between two bounds, all scores being equal."""
        cdef uint64_t start = lex_count(self, low, False)
        cdef uint64_t stop = lex_count(self, high, True)
        return start, max(start, stop)

    def delete_range(self, uint64_t start, uint64_t stop) -> None:
        """Remove the members of ranks start..stop-1."""
        cdef uint64_t left = stop - start
        cdef uint64_t i
        cdef Place place
        cdef Member** gone
        if start >= stop:
            return
        if self.ranking == NULL:
            self.pack = pack_delete(self.pack, pack_seek(self.pack, 2 * start), 2 * left, NULL)
            return
        if left == count_of(self):
            tree_clear(&self.ranking.tree)
            members_clear(&self.ranking.table)
            return
        gone = <Member**>take(left * sizeof(Member*))
        if gone == NULL:
            raise MemoryError
        tree_at(&self.ranking.tree, start, &place)
        for i in range(left):
            gone[i] = tree_next(&place)
        for i in range(left):
            drop_ranked(self.ranking, gone[i])
        release(gone)

    def scan(self, uint64_t cursor, size_t count) -> tuple[int, list[tuple[bytes, float]]]:
        """At least `count` members with scores from `cursor` on (0 to begin) unless the end is reached, and
        the next cursor (0 at the end).

        A compact set is returned at once, as Redis does.
        """
        cdef list found
        if self.ranking == NULL:
            return 0, entries(self, 0, count_of(self), PAIRS)
        found = []
        return members_scan(&self.ranking.table, cursor, count, collect, <void*>found), found
