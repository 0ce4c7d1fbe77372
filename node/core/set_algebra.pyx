"""Union, intersection and difference of sets, without an object for any member that is only looked at.

All take a list of sets in which None stands for a key that is not there. Which of them is walked, and into what
form the members of a result are put, is as in Redis, so that the result has Redis' encoding.

Tables are walked in the order of hashes, so one that is filled from another is laid out for all that may come as
soon as the result is a table (`add`), and, if that was too much, anew at the end (`fit`).
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t

from node.core.member_table cimport MemberTable, members_lay_out, members_roomy
from node.core.packing_limits cimport limits
from node.core.set cimport (
    HASHTABLE,
    INTSET,
    LISTPACK,
    Set,
    Walk,
    new_set,
    set_convert,
    set_count,
    set_remove,
    walk_add_to,
    walk_begin,
    walk_is_in,
    walk_next,
)


cdef enum:
    FEW = 8    # a set of less than this part of another can be added to it without preparation


def union(list sets not None) -> Set:
    """The members of any of the sets, as a set of its own."""
    cdef Set joined = new_set(INTSET)
    cdef Set each
    for each in sets:
        if each is not None:
            add_all(joined, each)
    fit(joined)
    return joined


cdef int add_all(Set joined, Set source) except -1:
    cdef Walk walk
    cdef uint64_t most = set_count(joined) + set_count(source)
    if joined.kind == HASHTABLE and set_count(source) > set_count(joined) // FEW:
        members_lay_out(<MemberTable*>joined.body, most)
    walk_begin(&walk, source)
    while walk_next(&walk, source):
        add(joined, &walk, most)
    return 0


cdef inline int add(Set joined, Walk* walk, uint64_t most) except -1:
    """Add the member that a walk has come to, to a result that gets up to `most`."""
    cdef bint was_table = joined.kind == HASHTABLE
    walk_add_to(walk, joined)
    if joined.kind == HASHTABLE and not was_table:
        members_lay_out(<MemberTable*>joined.body, most)
    return 0


cdef int fit(Set joined) except -1:
    """The result is complete: give back what was taken for many more."""
    if joined.kind == HASHTABLE and members_roomy(<MemberTable*>joined.body):
        members_lay_out(<MemberTable*>joined.body, 0)
    return 0


def inter(list sets not None, Py_ssize_t limit=0) -> list[bytes]:
    """The members of all the sets, up to `limit` of them unless it is 0."""
    cdef list ordered = smallest_first(sets)
    cdef list found = []
    cdef Walk walk
    if ordered:
        walk_begin(&walk, ordered[0])
        while next_common(&walk, ordered):
            found.append(PyBytes_FromStringAndSize(walk.text, walk.length))
            if len(found) == limit:
                break
    return found


def inter_count(list sets not None, Py_ssize_t limit=0) -> int:
    """How many members all the sets have in common; not counted beyond `limit` unless it is 0."""
    cdef list ordered = smallest_first(sets)
    cdef Py_ssize_t count = 0
    cdef Walk walk
    if ordered:
        walk_begin(&walk, ordered[0])
        while next_common(&walk, ordered):
            count += 1
            if count == limit:
                break
    return count


def inter_set(list sets not None) -> Set:
    """The members of all the sets, as a set of its own."""
    cdef list ordered = smallest_first(sets)
    cdef Set found
    cdef Walk walk
    cdef bint only_numbers = True
    if not ordered:
        return new_set(INTSET)
    found = new_set(INTSET if (<Set>ordered[0]).kind == INTSET else LISTPACK)
    walk_begin(&walk, ordered[0])
    while next_common(&walk, ordered):
        only_numbers = only_numbers and walk.is_number
        add(found, &walk, set_count(ordered[0]))
    fit(found)
    if only_numbers and set_count(found) <= <size_t>limits.set_max_intset_entries:
        set_convert(found, INTSET)
    return found


cdef list smallest_first(list sets):
    """The sets in the order in which they are best asked; nothing if one of them is empty."""
    return [] if None in sets else sorted(sets, key=len)


cdef bint next_common(Walk* walk, list ordered) except -1:
    """Go on to the next member of the first set that the others have too."""
    cdef Py_ssize_t i
    cdef Py_ssize_t count = len(ordered)
    while walk_next(walk, ordered[0]):
        for i in range(1, count):
            if not walk_is_in(walk, ordered[i]):
                break
        else:
            return True
    return False


def diff(list sets not None) -> Set:
    """The members of the first set that no other has, as a set of its own."""
    cdef Set first = sets[0]
    cdef list others = [other for other in sets[1:] if other is not None]
    cdef Set left = new_set(INTSET)
    cdef Set other
    cdef Walk walk
    if first is None or any([other is first for other in others]):
        return left
    if set_count(first) * (len(others) + 1) // 2 > set_count(first) + sum(map(len, others)):
        add_all(left, first)
        for other in others:
            remove_all(left, other)
        return left    # and has shrunk with each that went
    others.sort(key=len, reverse=True)
    walk_begin(&walk, first)
    while walk_next(&walk, first):
        if not in_any(&walk, others):
            add(left, &walk, set_count(first))
    fit(left)
    return left


cdef bint in_any(Walk* walk, list others) except -1:
    cdef Set other
    for other in others:
        if walk_is_in(walk, other):
            return True
    return False


cdef int remove_all(Set value, Set source) except -1:
    cdef Walk walk
    walk_begin(&walk, source)
    while walk_next(&walk, source):
        set_remove(value, walk.text, walk.length)
    return 0
