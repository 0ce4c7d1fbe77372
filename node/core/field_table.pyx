"""The fields of a large hash: a table of members (`member_table.pyx`), and which of them expire when.

    Member | uint32 length of the value, top bit TIMED | field | uint32 place in the heap, if TIMED | value

Fields that expire are in a binary heap besides, the earliest first, which holds their moments. Each of them
knows its place there, so that a new moment, or its removal, costs a few steps up or down the heap. A hash whose
fields do not expire pays nothing for it.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from node.core.member_table cimport (
    Member,
    member_extra,
    member_hash,
    member_key,
    member_new,
    member_tail,
    members_add,
    members_allocated,
    members_clear,
    members_find,
    members_init,
    members_remove,
    members_repoint,
    members_scan,
)
from node.core.memory cimport BLOCK_OVERHEAD, malloc_usable_size, release, resize, take_zeroed

cdef enum:
    PLACE = 4               # bytes that a TIMED field has before its value
    FEWEST_DUE = 4

cdef uint32_t TIMED = 0x80000000U


cdef FieldTable* fields_new() noexcept nogil:
    """An empty table, NULL without memory."""
    cdef FieldTable* table = <FieldTable*>take_zeroed(1, sizeof(FieldTable))
    if table != NULL:
        members_init(&table.members, sizeof(uint32_t))
    return table


cdef void fields_free(FieldTable* table) noexcept nogil:
    members_clear(&table.members)
    release(table.due)
    release(table)


cdef Member* fields_find(FieldTable* table, const char* field, size_t length) noexcept nogil:
    return members_find(&table.members, member_hash(field, length), field, length)


# --- one field -----------------------------------------------------------------------------------------------


cdef inline uint32_t* word_of(Member* member) noexcept nogil:
    """The value's length, and TIMED."""
    return <uint32_t*>member_extra(member)


cdef const char* field_value(FieldTable* table, Member* member, size_t* length) noexcept nogil:
    cdef uint32_t word = word_of(member)[0]
    length[0] = word & ~TIMED
    return member_tail(&table.members, member) + (PLACE if word & TIMED else 0)


cdef inline uint32_t place_of(FieldTable* table, Member* member) noexcept nogil:
    """Of a TIMED field in the heap."""
    cdef uint32_t place
    memcpy(&place, member_tail(&table.members, member), PLACE)
    return place


cdef inline void put_due(FieldTable* table, uint32_t place, Due due) noexcept nogil:
    """Fill a place of the heap, and tell the field."""
    table.due[place] = due
    memcpy(member_tail(&table.members, due.member), &place, PLACE)


cdef int64_t field_due(FieldTable* table, Member* member) noexcept nogil:
    """Unix ms at which the field expires, 0 for never."""
    return table.due[place_of(table, member)].at if word_of(member)[0] & TIMED else 0


cdef Member* grown(FieldTable* table, Member* member, size_t tail) except NULL:
    """The member with room for a tail of so many bytes, everybody who points to it told."""
    cdef size_t head = sizeof(Member) + table.members.extra + member.key_length
    cdef Member* moved = <Member*>resize(member, head + tail)
    if moved == NULL:
        raise MemoryError
    if moved != member:
        members_repoint(&table.members, moved.hash, member, moved)
        if word_of(moved)[0] & TIMED:
            table.due[place_of(table, moved)].member = moved
    return moved


# --- the table -----------------------------------------------------------------------------------------------


cdef int fields_set(
    FieldTable* table, const char* field, size_t length, const char* value, size_t size, bint keep_due
) except -1:
    """1 if the field is new. An old one does not expire any more, unless `keep_due`."""
    cdef uint32_t hash = member_hash(field, length)
    cdef Member* member = members_find(&table.members, hash, field, length)
    cdef size_t place
    if member == NULL:
        member = member_new(&table.members, hash, field, length, size)
        if member == NULL:
            raise MemoryError
        word_of(member)[0] = <uint32_t>size
        memcpy(member_tail(&table.members, member), value, size)
        try:
            members_add(&table.members, member)
        except MemoryError:
            release(member)
            raise
        return 1
    if word_of(member)[0] & TIMED and not keep_due:
        member = untimed(table, member)
    place = PLACE if word_of(member)[0] & TIMED else 0
    member = grown(table, member, place + size)
    word_of(member)[0] = (word_of(member)[0] & TIMED) | <uint32_t>size
    memcpy(member_tail(&table.members, member) + place, value, size)
    return 0


cdef bint fields_remove(FieldTable* table, const char* field, size_t length) noexcept nogil:
    """Whether there was such a field."""
    cdef Member* member = members_remove(&table.members, member_hash(field, length), field, length)
    if member == NULL:
        return False
    if word_of(member)[0] & TIMED:
        take_due(table, place_of(table, member))
    release(member)
    return True


cdef int field_expire(FieldTable* table, Member* member, int64_t at) except -1:
    """Let the field expire at Unix ms `at`, 0 for never. The member may move."""
    cdef uint32_t size = word_of(member)[0]
    cdef char* tail
    if at == 0:
        if size & TIMED:
            untimed(table, member)
        return 0
    if size & TIMED:
        move_due(table, place_of(table, member), at)
        return 0
    make_room(table)
    member = grown(table, member, PLACE + size)
    tail = member_tail(&table.members, member)
    memmove(tail + PLACE, tail, size)
    word_of(member)[0] = size | TIMED
    put_due(table, table.due_used, Due(at, member))
    table.due_used += 1
    rise(table, table.due_used - 1)
    return 0


cdef Member* untimed(FieldTable* table, Member* member) except NULL:
    """The field, perhaps moved, without an expiry."""
    cdef uint32_t size = word_of(member)[0] & ~TIMED
    cdef char* tail = member_tail(&table.members, member)
    take_due(table, place_of(table, member))
    memmove(tail, tail + PLACE, size)
    word_of(member)[0] = size
    return grown(table, member, size)


# --- many fields ---------------------------------------------------------------------------------------------

cdef struct Scan:
    FieldTable* table
    void* found             # the list that gets the fields
    int64_t horizon         # fields that expire before are left out
    bint moments            # (field, value, moment) rather than (field, value)


cdef bytes field_name(FieldTable* table, Member* member):
    return PyBytes_FromStringAndSize(member_key(&table.members, member), member.key_length)


cdef bytes field_content(FieldTable* table, Member* member):
    cdef size_t length
    cdef const char* text = field_value(table, member, &length)
    return PyBytes_FromStringAndSize(text, length)


cdef uint64_t fields_scan(
    FieldTable* table, uint64_t cursor, size_t count, int64_t horizon, bint moments, list found
) except? 0xFFFFFFFFFFFFFFFF:
    """Append at least `count` fields from `cursor` on, unless the end is reached, to `found`, as (field, value) or
    (field, value, Unix ms or 0), less those that expire before `horizon`; returns the next cursor."""
    cdef Scan scan
    scan.table = table
    scan.found = <void*>found
    scan.horizon = horizon
    scan.moments = moments
    return members_scan(&table.members, cursor, count, add_field, &scan)


cdef int add_field(void* context, Member* member) except -1:
    cdef Scan* scan = <Scan*>context
    cdef int64_t due = field_due(scan.table, member)
    if 0 < due < scan.horizon:
        return 0
    name = field_name(scan.table, member)
    content = field_content(scan.table, member)
    (<list>scan.found).append((name, content, due) if scan.moments else (name, content))
    return 0


cdef list fields_expired(FieldTable* table, int64_t now, Py_ssize_t limit):
    """Up to `limit` fields that expired before `now`: what is above an expired one in the heap has, too."""
    cdef list found = []
    cdef list waiting = [0]
    cdef uint32_t place
    while waiting and len(found) < limit:
        place = waiting.pop()
        if place < table.due_used and table.due[place].at < now:
            found.append(field_name(table, table.due[place].member))
            waiting += (2 * place + 1, 2 * place + 2)
    return found


cdef size_t fields_allocated(FieldTable* table, size_t samples) except? 0:
    """Bytes of memory, judged by so many fields, 0 for all."""
    cdef size_t total = malloc_usable_size(table) + BLOCK_OVERHEAD + members_allocated(&table.members, samples)
    if table.due != NULL:
        total += malloc_usable_size(table.due) + BLOCK_OVERHEAD
    return total


# --- the heap ------------------------------------------------------------------------------------------------


cdef int make_room(FieldTable* table) except -1:
    """For one more field that expires."""
    cdef uint32_t room
    cdef Due* moved
    if table.due_used == table.due_room:
        room = table.due_room * 2 if table.due_room else FEWEST_DUE
        moved = <Due*>resize(table.due, room * sizeof(Due))
        if moved == NULL:
            raise MemoryError
        table.due = moved
        table.due_room = room
    return 0


cdef void move_due(FieldTable* table, uint32_t place, int64_t at) noexcept nogil:
    """Give a field in the heap another moment."""
    cdef int64_t before = table.due[place].at
    table.due[place].at = at
    if at < before:
        rise(table, place)
    else:
        sink(table, place)


cdef void take_due(FieldTable* table, uint32_t place) noexcept nogil:
    """Take a place out of the heap; the last one fills it. The memory goes with the last."""
    cdef Due last
    cdef int64_t at = table.due[place].at
    table.due_used -= 1
    if place != table.due_used:
        last = table.due[table.due_used]
        put_due(table, place, last)
        if last.at < at:
            rise(table, place)
        else:
            sink(table, place)
    if table.due_used == 0:
        release(table.due)
        table.due = NULL
        table.due_room = 0


cdef void rise(FieldTable* table, uint32_t place) noexcept nogil:
    """Move what is at `place` up until nothing above is later."""
    cdef Due due = table.due[place]
    cdef uint32_t above
    while place:
        above = (place - 1) // 2
        if table.due[above].at <= due.at:
            break
        put_due(table, place, table.due[above])
        place = above
    put_due(table, place, due)


cdef void sink(FieldTable* table, uint32_t place) noexcept nogil:
    """Move what is at `place` down until nothing below is earlier."""
    cdef Due due = table.due[place]
    cdef uint32_t below
    while True:
        below = 2 * place + 1
        if below >= table.due_used:
            break
        if below + 1 < table.due_used and table.due[below + 1].at < table.due[below].at:
            below += 1
        if due.at <= table.due[below].at:
            break
        put_due(table, place, table.due[below])
        place = below
    put_due(table, place, due)
