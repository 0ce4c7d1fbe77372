"""A hash table of members: what is behind every large set, sorted set and hash.

An entry is one allocation, and no Python object exists for it:

    Member | extra bytes, as many as the table says | key bytes | tail bytes, which only the owner knows of

A set has no extra bytes, a sorted set eight for the score, a hash what it needs to find its values in the tail.

The table is an extendible hash. A directory, indexed by the upper bits of the hash, points to segments of
at most two thousand cells; a segment that is full is split in two by the next bit of the hash, two small
neighbours are merged. So the work of growing and shrinking comes in small pieces, and a table of a hundred
million members never stalls the worker.

Within a segment it is like a slot table (`slot_table.pyx`): a cell is the entry's address and, in its upper 16
bits, a tag, the 16 bits of the hash that follow those which the segment's entries have in common. The tag tells
foreign entries apart without touching their memory, and says which cell is an entry's home: the tag's
fraction of the segment's size, which may be any number, so that a segment grows by a quarter at a time and
is three quarters full on average. Collisions probe linearly; removal shifts back what follows.

Directory and homes both rise with the hash, whatever the sizes. So a position in the hash's range is a cursor
that needs no state and stays true while segments are split and merged (`members_scan`).

The hash is CPython's keyed one (SipHash): members cannot be chosen to collide.
"""

import os

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from node.core.memory cimport BLOCK_OVERHEAD, malloc_usable_size, release, resize, take, take_zeroed
from node.core.slot_table cimport prefetch

cdef extern from *:
    """
    #if PY_VERSION_HEX >= 0x030E0000
    #define SHOAL_HASH(p, n) Py_HashBuffer(p, n)
    #else
    #define SHOAL_HASH(p, n) _Py_HashBytes(p, n)
    #endif
    """
    Py_ssize_t keyed_hash "SHOAL_HASH"(const void* data, Py_ssize_t length) nogil

cdef enum:
    FEWEST_CELLS = 8
    MOST_CELLS = 2048     # a segment of so many is split rather than made larger
    FEW_ENTRIES = 400     # two neighbours with no more between them are merged
    DEEPEST = 16          # so that a tag is always 16 bits of the hash; beyond, segments grow after all
    AHEAD = 8             # cells whose entries are fetched beforehand while a segment is walked
    MANY = 1 << 20
    TRIES = 200           # of drawing fairly, each of which fails about every other time

cdef uint64_t random_state = int.from_bytes(os.urandom(8), "little")


cdef uint64_t random_number(uint64_t below) noexcept nogil:
    """A number of 0..below-1, each as likely (splitmix64)."""
    global random_state
    cdef uint64_t x
    random_state += 0x9E3779B97F4A7C15ULL
    x = random_state
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL
    return (x ^ (x >> 31)) % below


# --------------------------------------------------------------------------------------------- entries


cdef uint32_t member_hash(const char* key, size_t length) noexcept nogil:
    return <uint32_t>(<uint64_t>keyed_hash(key, length) >> 32)


cdef Member* member_new(
    MemberTable* table, uint32_t hash, const char* key, size_t length, size_t tail
) noexcept nogil:
    """An entry that is in no table yet: extra bytes zero, tail undefined. NULL where there is no memory."""
    cdef Member* member = <Member*>take(sizeof(Member) + table.extra + length + tail)
    if member == NULL:
        return NULL
    member.hash = hash
    member.key_length = <uint32_t>length
    memset(member_extra(member), 0, table.extra)
    memcpy(member_key(table, member), key, length)
    return member


# -------------------------------------------------------------------------------------------- segments


cdef inline uint64_t* cells_of(Segment* segment) noexcept nogil:
    return <uint64_t*>(segment + 1)


cdef inline Member* member_of(uint64_t cell) noexcept nogil:
    return <Member*>(cell & 0xFFFFFFFFFFFFULL)


cdef inline uint64_t tag_of(uint32_t hash, uint32_t depth) noexcept nogil:
    return <uint32_t>(hash << depth) >> 16


cdef inline uint32_t home_of(uint64_t tag, uint32_t size) noexcept nogil:
    return <uint32_t>(tag * size >> 16)


cdef inline uint32_t roomy(uint64_t used) noexcept nogil:
    """The size of a segment for so many entries, with some room to grow."""
    return max(<uint32_t>FEWEST_CELLS, <uint32_t>(used * 45 // 32 + 8) & ~7U)


cdef Segment* new_segment(uint32_t size, uint32_t depth) noexcept nogil:
    cdef Segment* segment = <Segment*>take_zeroed(1, sizeof(Segment) + size * sizeof(uint64_t))
    if segment != NULL:
        segment.size = size
        segment.depth = depth
        segment.limit = size - size // 5
    return segment


cdef inline void put_cell(Segment* segment, uint64_t cell) noexcept nogil:
    cdef uint64_t* cells = cells_of(segment)
    cdef uint32_t i = home_of(cell >> 48, segment.size)
    while cells[i] != 0:
        i += 1
        if i == segment.size:
            i = 0
    cells[i] = cell
    segment.used += 1


cdef inline void put_member(Segment* segment, Member* member) noexcept nogil:
    put_cell(segment, (tag_of(member.hash, segment.depth) << 48) | <uint64_t>member)


cdef inline uint64_t* find_cell(
    MemberTable* table, Segment* segment, uint32_t hash, const char* key, size_t length
) noexcept nogil:
    cdef uint64_t tag = tag_of(hash, segment.depth)
    cdef uint64_t* cells = cells_of(segment)
    cdef uint32_t i = home_of(tag, segment.size)
    cdef Member* member
    while cells[i] != 0:
        if (cells[i] >> 48) == tag:
            member = member_of(cells[i])
            if (
                member.hash == hash
                and member.key_length == length
                and memcmp(member_key(table, member), key, length) == 0
            ):
                return &cells[i]
        i += 1
        if i == segment.size:
            i = 0
    return NULL


cdef void close_gap(Segment* segment, uint32_t hole) noexcept nogil:
    """Empty a cell: entries behind it move up, unless they would pass their home."""
    cdef uint64_t* cells = cells_of(segment)
    cdef uint32_t size = segment.size
    cdef uint32_t i = hole
    cdef uint32_t home, from_home, from_hole
    while True:
        i += 1
        if i == size:
            i = 0
        if cells[i] == 0:
            break
        home = home_of(cells[i] >> 48, size)
        from_home = i - home if i >= home else i + size - home
        from_hole = i - hole if i >= hole else i + size - hole
        if from_home >= from_hole:
            cells[hole] = cells[i]
            hole = i
    cells[hole] = 0
    segment.used -= 1


# ------------------------------------------------------------------------------------------- directory


cdef inline uint32_t index_of(MemberTable* table, uint32_t hash) noexcept nogil:
    return hash >> (32 - table.depth) if table.depth else 0


cdef inline Segment* segment_of(MemberTable* table, uint32_t hash) noexcept nogil:
    return table.directory[index_of(table, hash)]


cdef void point_to(MemberTable* table, Segment* segment, uint32_t index) noexcept nogil:
    """Let the directory point to a segment wherever its part of the hashes is; `index` is one such place."""
    cdef uint32_t width = 1U << (table.depth - segment.depth)
    cdef uint32_t first = index & ~(width - 1)
    cdef uint32_t i
    for i in range(first, first + width):
        table.directory[i] = segment


cdef int enlarge_directory(MemberTable* table) noexcept nogil:
    """Twice as many pointers, each doubled. -1 where there is no memory."""
    cdef uint32_t count = 1U << table.depth
    cdef Segment** directory = <Segment**>resize(table.directory, 2 * count * sizeof(Segment*))
    cdef uint32_t i = count
    if directory == NULL:
        return -1
    while i:
        i -= 1
        directory[2 * i] = directory[2 * i + 1] = directory[i]
    table.directory = directory
    table.depth += 1
    table.deepest = 0
    return 0


cdef void halve_directory(MemberTable* table) noexcept nogil:
    """Half the pointers, since no segment needs the last bit of the index any more."""
    cdef uint32_t count = 1U << (table.depth - 1)
    cdef Segment** directory
    cdef uint32_t i
    table.depth -= 1
    for i in range(count):
        table.directory[i] = table.directory[2 * i]
        if table.directory[i].depth == table.depth:
            table.deepest += 1
    directory = <Segment**>resize(table.directory, count * sizeof(Segment*))
    if directory != NULL:
        table.directory = directory


cdef int rebuild(MemberTable* table, Segment* segment, uint32_t size, uint32_t index) noexcept nogil:
    """Put a segment's entries into one of another size. -1, and nothing done, where there is no memory."""
    cdef Segment* made = new_segment(size, segment.depth)
    cdef uint64_t* cells = cells_of(segment)
    cdef uint32_t i
    if made == NULL:
        return -1
    for i in range(segment.size):
        if cells[i] != 0:
            put_cell(made, cells[i])
    point_to(table, made, index)
    release(segment)
    return 0


cdef int split(MemberTable* table, Segment* segment, uint32_t index) noexcept nogil:
    """Make two of a segment, by the next bit of the hash. -1, and nothing lost, where there is no memory."""
    cdef uint64_t* cells = cells_of(segment)
    cdef uint32_t depth = segment.depth + 1
    cdef uint32_t upper = 0
    cdef uint32_t i
    cdef Segment* low
    cdef Segment* high
    if depth > table.depth:
        if enlarge_directory(table) < 0:
            return -1
        index *= 2
    for i in range(segment.size):
        upper += cells[i] >> 63     # an empty cell counts as lower
    low = new_segment(roomy(segment.used - upper), depth)
    high = new_segment(roomy(upper), depth)
    if low == NULL or high == NULL:
        release(low)
        release(high)
        return -1
    for i in range(segment.size):
        if cells[i] != 0:
            put_member(high if cells[i] >> 63 else low, member_of(cells[i]))
    index &= ~((1U << (table.depth - depth + 1)) - 1)
    point_to(table, low, index)
    point_to(table, high, index + (1U << (table.depth - depth)))
    if depth == table.depth:
        table.deepest += 2
    release(segment)
    return 0


cdef bint merge(MemberTable* table, Segment* segment, uint32_t index) noexcept nogil:
    """Make one of a segment and its neighbour, if both are small. Only an economy: without memory, or
    where the neighbour is split further, it does not happen."""
    cdef uint32_t width, i, side
    cdef Segment* made
    cdef Segment* neighbour
    if segment.depth == 0:
        return False
    width = 1U << (table.depth - segment.depth)
    neighbour = table.directory[index ^ width]
    if neighbour.depth != segment.depth or segment.used + neighbour.used > FEW_ENTRIES:
        return False
    made = new_segment(roomy(segment.used + neighbour.used), segment.depth - 1)
    if made == NULL:
        return False
    for i in range(segment.size):
        if cells_of(segment)[i] != 0:
            put_member(made, member_of(cells_of(segment)[i]))
    for i in range(neighbour.size):
        if cells_of(neighbour)[i] != 0:
            put_member(made, member_of(cells_of(neighbour)[i]))
    point_to(table, made, index)
    if segment.depth == table.depth:
        table.deepest -= 2
    release(segment)
    release(neighbour)
    while table.depth and table.deepest == 0:
        halve_directory(table)
    return True


# ---------------------------------------------------------------------------------------- the table


cdef void members_init(MemberTable* table, uint32_t extra) noexcept nogil:
    """An empty table, which owns no memory."""
    memset(table, 0, sizeof(MemberTable))
    table.extra = extra


cdef Member* members_find(MemberTable* table, uint32_t hash, const char* key, size_t length) noexcept nogil:
    """The entry of `key`, or NULL."""
    cdef uint64_t* cell
    if table.used == 0:
        return NULL
    cell = find_cell(table, segment_of(table, hash), hash, key, length)
    return NULL if cell == NULL else member_of(cell[0])


cdef int open_directory(MemberTable* table) except -1:
    cdef Segment* segment = new_segment(FEWEST_CELLS, 0)
    table.directory = <Segment**>take(sizeof(Segment*))
    if segment == NULL or table.directory == NULL:
        release(segment)
        release(table.directory)
        table.directory = NULL
        raise MemoryError
    table.directory[0] = segment
    table.depth = 0
    table.deepest = 1
    return 0


cdef int members_add(MemberTable* table, Member* member) except -1:
    """Add an entry whose key is known to be absent. After MemoryError it still is the caller's."""
    cdef Segment* segment
    cdef uint32_t index
    cdef int done
    if table.directory == NULL:
        open_directory(table)
    while True:
        index = index_of(table, member.hash)
        segment = table.directory[index]
        if segment.used < segment.limit:
            break
        if segment.size >= MOST_CELLS and segment.depth < DEEPEST:
            done = split(table, segment, index)
        else:
            done = rebuild(table, segment, (segment.size + segment.size // 4 + 7) & ~7U, index)
        if done < 0:
            raise MemoryError
    put_member(segment, member)
    table.used += 1
    return 0


cdef Member* members_remove(MemberTable* table, uint32_t hash, const char* key, size_t length) noexcept nogil:
    """Take the entry of `key` out, without releasing it. NULL if there is none."""
    cdef uint64_t* cell
    cdef Segment* segment
    cdef Member* member
    if table.used == 0:
        return NULL
    segment = segment_of(table, hash)
    cell = find_cell(table, segment, hash, key, length)
    if cell == NULL:
        return NULL
    member = member_of(cell[0])
    close_gap(segment, <uint32_t>(cell - cells_of(segment)))
    table.used -= 1
    if table.used == 0:
        close_directory(table)
    elif segment.used * 4 < segment.size:
        if segment.used < FEW_ENTRIES and merge(table, segment, index_of(table, hash)):
            pass
        elif segment.size > roomy(segment.used):
            rebuild(table, segment, roomy(segment.used), index_of(table, hash))
    return member


cdef int members_lay_out(MemberTable* table, uint64_t count) except -1:
    """Give the table the shape that suits `count` entries, or those it has, if these are more. After MemoryError it is
    as it was.

    Who is about to add the entries of another table, in that one's order, which is that of the hashes, must do this
    before: a table that still has to grow would get them all at one end, and search long for a free cell each time.
    """
    cdef MemberTable laid
    cdef MemberPlace place
    cdef Member* member
    cdef uint32_t i
    cdef uint32_t size
    count = max(count, table.used)
    if count == 0:
        return 0
    members_init(&laid, table.extra)
    while laid.depth < DEEPEST and roomy(count >> laid.depth) > MOST_CELLS:
        laid.depth += 1
    size = roomy(count >> laid.depth)
    laid.directory = <Segment**>take_zeroed(1U << laid.depth, sizeof(Segment*))
    if laid.directory == NULL:
        raise MemoryError
    for i in range(1U << laid.depth):
        laid.directory[i] = new_segment(size, laid.depth)
        if laid.directory[i] == NULL:
            drop_directory(&laid)
            raise MemoryError
    laid.deepest = 1U << laid.depth
    memset(&place, 0, sizeof(MemberPlace))
    try:
        while (member := members_next(table, &place)) != NULL:
            members_add(&laid, member)
    except MemoryError:
        close_directory(&laid)
        raise
    close_directory(table)
    table[0] = laid
    return 0


cdef bint members_roomy(MemberTable* table) noexcept nogil:
    """Whether it was laid out for twice as many as it has, or more."""
    return table.directory != NULL and (
        (<uint64_t>table.directory[0].size << table.depth) > 2 * <uint64_t>roomy(table.used)
    )


cdef void drop_directory(MemberTable* table) noexcept nogil:
    """Release a directory of one depth in which the last segments are missing."""
    cdef uint32_t i
    for i in range(1U << table.depth):
        release(table.directory[i])
    release(table.directory)


cdef void members_repoint(MemberTable* table, uint32_t hash, Member* was, Member* now) noexcept nogil:
    """The cell that held the address `was` shall hold `now`, an entry of the same key."""
    cdef Segment* segment = segment_of(table, hash)
    cdef uint64_t* cells = cells_of(segment)
    cdef uint64_t old = (tag_of(hash, segment.depth) << 48) | <uint64_t>was
    cdef uint32_t i = home_of(tag_of(hash, segment.depth), segment.size)
    while cells[i] != old:
        i += 1
        if i == segment.size:
            i = 0
    cells[i] = (tag_of(hash, segment.depth) << 48) | <uint64_t>now


cdef void close_directory(MemberTable* table) noexcept nogil:
    """Release directory and segments, not the entries."""
    cdef uint32_t index = 0
    cdef uint32_t width
    if table.directory == NULL:
        return
    while index >> table.depth == 0:
        width = 1U << (table.depth - table.directory[index].depth)
        release(table.directory[index])
        index += width
    release(table.directory)
    members_init(table, table.extra)


cdef void members_clear(MemberTable* table) noexcept nogil:
    """Release all entries and what held them; the table is empty then, and can be used on."""
    while table.directory != NULL:
        members_shed(table, MANY)


cdef size_t members_shed(MemberTable* table, size_t limit) noexcept nogil:
    """Release some `limit` entries with what held them, a segment at a time; returns how many it were, less than
    `limit` if none is left. Between the first such call and the last the table is good for nothing else."""
    cdef size_t shed = 0
    cdef uint32_t index = 0
    cdef uint32_t i
    cdef Segment* segment
    if table.directory == NULL:
        return 0
    while index >> table.depth == 0:
        segment = table.directory[index]
        if segment == NULL:  # released by an earlier call
            index += 1
            continue
        if shed >= limit:
            return shed
        shed += release_members(segment)
        for i in range(1U << (table.depth - segment.depth)):
            table.directory[index + i] = NULL
        release(segment)
    release(table.directory)
    members_init(table, table.extra)
    return min(shed, limit - 1)


cdef size_t release_members(Segment* segment) noexcept nogil:
    cdef uint64_t* cells = cells_of(segment)
    cdef size_t released = 0
    cdef uint32_t i
    for i in range(segment.size):
        if i + AHEAD < segment.size:
            prefetch(member_of(cells[i + AHEAD]))
        if cells[i] != 0:
            release(member_of(cells[i]))
            released += 1
    return released


cdef struct Sample:
    size_t seen
    size_t allocated


cdef int add_size(void* context, Member* member) except -1:
    (<Sample*>context).seen += 1
    (<Sample*>context).allocated += malloc_usable_size(member) + BLOCK_OVERHEAD
    return 0


cdef size_t members_allocated(MemberTable* table, size_t samples) except? 0:
    """Bytes of memory: directory, segments, and entries, these judged by some of them (0: all)."""
    cdef Sample sample
    cdef uint32_t index = 0
    cdef size_t total
    if table.directory == NULL:
        return 0
    sample.seen = sample.allocated = 0
    members_scan(table, 0, samples if samples else table.used, add_size, &sample)
    total = malloc_usable_size(table.directory) + BLOCK_OVERHEAD
    while index >> table.depth == 0:
        total += malloc_usable_size(table.directory[index]) + BLOCK_OVERHEAD
        index += 1U << (table.depth - table.directory[index].depth)
    return total + sample.allocated * table.used // max(sample.seen, 1)


# ------------------------------------------------------------------------------------ many and any


cdef Member* members_next(MemberTable* table, MemberPlace* place) noexcept nogil:
    """The next entry of an iteration, NULL at its end. The table must not change during one."""
    cdef Segment* segment
    cdef uint64_t cell
    if table.directory == NULL:
        return NULL
    while place.index >> table.depth == 0:
        segment = table.directory[place.index]
        while place.cell < segment.size:
            cell = cells_of(segment)[place.cell]
            if place.cell + AHEAD < segment.size:
                prefetch(member_of(cells_of(segment)[place.cell + AHEAD]))
            place.cell += 1
            if cell != 0:
                return member_of(cell)
        place.index += 1ULL << (table.depth - segment.depth)
        place.cell = 0
    return NULL


cdef size_t visit_homes(
    Segment* segment, uint32_t first, uint32_t homes, uint32_t hash, MemberVisit visit, void* context
) except? 0xFFFFFFFFFFFFFFFF:
    """Visit the entries whose home is one of `homes` from `first` on and whose hash is not below `hash`.

    They may have been pushed behind their home, even around the segment's end, but never past an empty cell.
    """
    cdef uint32_t size = segment.size
    cdef uint32_t i = first
    cdef uint32_t step = 0
    cdef size_t found = 0
    cdef uint64_t cell
    while step < size:
        cell = cells_of(segment)[i]
        if cell == 0:
            if step >= homes:
                break
        elif home_of(cell >> 48, size) - first < homes and member_of(cell).hash >= hash:
            visit(context, member_of(cell))
            found += 1
        step += 1
        i += 1
        if i == size:
            i = 0
    return found


cdef uint64_t members_scan(
    MemberTable* table, uint64_t cursor, size_t count, MemberVisit visit, void* context
) except? 0xFFFFFFFFFFFFFFFF:
    """Visit at least `count` entries unless the end is reached; returns the next cursor, 0 at the end.

    A cursor is a hash: every entry with a lower one has been visited. It means the same whatever the table
    does in between, so an entry that is there throughout is visited, and visited once.
    """
    cdef Segment* segment
    cdef uint32_t first, homes, tag
    cdef size_t found = 0
    if table.directory == NULL:
        return 0
    while cursor >> 32 == 0:
        segment = segment_of(table, <uint32_t>cursor)
        first = home_of(tag_of(<uint32_t>cursor, segment.depth), segment.size)
        homes = min(8U, segment.size - first)
        found += visit_homes(segment, first, homes, <uint32_t>cursor, visit, context)
        # The next home's first hash: the segment's part of the hashes, then the lowest tag at home there.
        tag = (((first + homes) << 16) + segment.size - 1) // segment.size
        cursor = (cursor >> (32 - segment.depth) << (32 - segment.depth)) + (
            <uint64_t>tag << (16 - segment.depth)
        )
        if found >= count:
            break
    return cursor if cursor >> 32 == 0 else 0


cdef Member* members_random(MemberTable* table) noexcept nogil:
    """An entry, each as likely; NULL if there is none.

    A draw from the directory meets a segment in proportion to its part of the hashes. It is accepted in proportion to
    how full that part is, which makes both together fair.
    """
    cdef int attempt
    cdef uint64_t cell
    cdef Segment* segment
    if table.used == 0:
        return NULL
    for attempt in range(TRIES):
        segment = table.directory[random_number(1ULL << table.depth)]
        if segment.used == 0:
            continue
        if table.depth == 0 or random_number(
            <uint64_t>MOST_CELLS << (table.depth - segment.depth)
        ) < segment.used:
            break
    else:
        while segment.used == 0:
            segment = table.directory[random_number(1ULL << table.depth)]
    while True:
        cell = cells_of(segment)[random_number(segment.size)]
        if cell != 0:
            return member_of(cell)
