"""Set: distinct members, packed as Redis packs them while they are few.

`encoding` says which of three forms a set has, and it is the form that Redis would have chosen for the same history:

    "intset"      only integers, and few of them
    "listpack"    few short members of any kind, in the order in which they came
    "hashtable"   a member table (`member_table.pyx`)

It never goes back to a smaller form by itself. The thresholds are `node.datatypes.limits`, read at each change.
No Python object is kept for a member, so a set costs what its bytes cost.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from node.core.integer_text cimport DIGITS, canonical_number, print_number
from node.core.intset cimport (
    INTSET_LARGEST,
    intset_add,
    intset_at,
    intset_bytes,
    intset_check,
    intset_count,
    intset_find,
    intset_new,
    intset_remove_at,
)
from node.core.listpack cimport PACK_LARGEST, pack_append, pack_delete, pack_new, text_size
from node.core.listpack_walk cimport (
    Element,
    element_get,
    pack_bytes,
    pack_check,
    pack_count,
    pack_find,
    pack_first,
    pack_next,
    pack_seek,
)
from node.core.member_table cimport (
    Member,
    MemberTable,
    member_hash,
    member_key,
    member_new,
    members_add,
    members_allocated,
    members_clear,
    members_find,
    members_init,
    members_lay_out,
    members_next,
    members_random,
    members_remove,
    members_scan,
    members_shed,
    random_number,
)
from node.core.memory cimport BLOCK_OVERHEAD, malloc_usable_size, release, take
from node.core.pack_unique cimport pack_is_unique
from node.core.packing_limits cimport limits


cdef tuple ENCODINGS = ("intset", "listpack", "hashtable")


cdef inline MemberTable* table_of(Set value) noexcept:
    return <MemberTable*>value.body


cdef inline bytes bytes_of(Walk* walk):
    return PyBytes_FromStringAndSize(walk.text, walk.length)


# ------------------------------------------------------------------------------------------ the forms


cdef Set new_set(SetKind kind):
    """An empty set of some form."""
    cdef Set made = Set.__new__(Set)
    set_start(made, kind)
    return made


cdef int set_start(Set value, SetKind kind) except -1:
    cdef void* body
    if kind == INTSET:
        body = intset_new()
    elif kind == LISTPACK:
        body = pack_new(0)
    else:
        body = take(sizeof(MemberTable))
        if body != NULL:
            members_init(<MemberTable*>body, 0)
    if body == NULL:
        raise MemoryError
    value.kind = kind
    value.body = body
    return 0


cdef void set_drop(Set value) noexcept:
    """Release the body; what follows must give the set another."""
    if value.body != NULL and value.kind == HASHTABLE:
        members_clear(table_of(value))
    release(value.body)
    value.body = NULL


cdef int set_convert(Set value, SetKind kind) except -1:
    """Move the members to another form, in which they must have room."""
    cdef Set made
    cdef Walk walk
    if value.kind == kind:
        return 0
    made = new_set(kind)
    walk_begin(&walk, value)
    while walk_next(&walk, value):
        put_new(made, &walk)
    value.body, made.body = made.body, value.body
    value.kind, made.kind = made.kind, value.kind
    return 0


cdef int put_new(Set value, Walk* walk) except -1:
    """Add a member known to be absent, and to have room in this form."""
    cdef MemberTable* table
    cdef Member* member
    cdef void* moved
    cdef bint added = False
    if value.kind == HASHTABLE:
        table = table_of(value)
        if not walk.is_hashed:
            walk.hash = member_hash(walk.text, walk.length)
            walk.is_hashed = True
        member = member_new(table, walk.hash, walk.text, walk.length, 0)
        if member == NULL:
            raise MemoryError
        try:
            return members_add(table, member)
        except MemoryError:
            release(member)
            raise
    if value.kind == LISTPACK:
        moved = pack_append(<uint8_t*>value.body, walk.text, walk.length)
    else:
        moved = intset_add(<uint8_t*>value.body, walk.number, &added)
    if moved == NULL:
        raise MemoryError
    value.body = moved
    return 0


cdef inline uint64_t fewer(uint64_t left, uint64_t right) noexcept:
    return left if left < right else right


cdef SetKind kind_with(Set value, Walk* walk):
    """The form for a compact set and one member more. Redis' rules."""
    cdef uint8_t* blob = <uint8_t*>value.body
    cdef size_t size = 0
    cdef size_t longest = walk.length
    cdef uint32_t count
    cdef char digits[DIGITS]
    if value.kind == INTSET:
        count = intset_count(blob)
        if walk.is_number:
            return INTSET if count < fewer(limits.set_max_intset_entries, INTSET_LARGEST) else HASHTABLE
        if count:
            longest = max(
                longest,
                print_number(intset_at(blob, 0), digits),
                print_number(intset_at(blob, count - 1), digits),
            )
    else:
        count = pack_count(blob)
        size = pack_bytes(blob)
    if (
        count < <uint64_t>limits.set_max_listpack_entries
        and longest <= <uint64_t>limits.set_max_listpack_value
        and size + text_size(walk.text, walk.length) <= PACK_LARGEST
    ):
        return LISTPACK
    return HASHTABLE


# ---------------------------------------------------------------------------------------- one member


cdef size_t set_count(Set value) noexcept:
    if value.kind == INTSET:
        return intset_count(<uint8_t*>value.body)
    if value.kind == LISTPACK:
        return pack_count(<uint8_t*>value.body)
    return table_of(value).used


cdef void walk_to(Walk* walk, const char* text, size_t length) noexcept:
    """Make a walk stand at a member that is given."""
    walk.text = text
    walk.length = length
    walk.is_number = canonical_number(text, length, &walk.number)
    walk.is_hashed = False


cdef bint walk_is_in(Walk* walk, Set other) noexcept:
    """Is the member that a walk has come to in another set?"""
    cdef uint32_t position
    cdef uint8_t* pack
    if other.kind == HASHTABLE:
        if not walk.is_hashed:
            walk.hash = member_hash(walk.text, walk.length)
            walk.is_hashed = True
        return members_find(table_of(other), walk.hash, walk.text, walk.length) != NULL
    if other.kind == LISTPACK:
        pack = <uint8_t*>other.body
        return pack_find(pack, pack_first(pack), walk.text, walk.length, 0) != NULL
    return walk.is_number and intset_find(<uint8_t*>other.body, walk.number, &position)


cdef int walk_add_to(Walk* walk, Set other) except -1:
    """Add the member that a walk has come to to another set: 1 if it is new there."""
    if walk_is_in(walk, other):
        return 0
    if other.kind != HASHTABLE:
        set_convert(other, kind_with(other, walk))
    put_new(other, walk)
    return 1


cdef bint set_has(Set value, const char* text, size_t length) noexcept:
    cdef Walk walk
    walk_to(&walk, text, length)
    return walk_is_in(&walk, value)


cdef int set_add(Set value, const char* text, size_t length) except -1:
    """1 if it was not a member."""
    cdef Walk walk
    walk_to(&walk, text, length)
    return walk_add_to(&walk, value)


cdef int set_expect(Set value, uint64_t coming) except -1:
    """So many members are about to be added, which may change the form at once, as in Redis."""
    if (value.kind == LISTPACK and coming > <uint64_t>limits.set_max_listpack_entries) or (
        value.kind == INTSET and coming > <uint64_t>limits.set_max_intset_entries
    ):
        set_convert(value, HASHTABLE)
    return 0


cdef Set set_sized(const char* first, size_t length, size_t count):
    """An empty set in the form that suits `count` members, the first of which is given."""
    cdef int64_t number
    if canonical_number(first, length, &number) and count <= <uint64_t>limits.set_max_intset_entries:
        return new_set(INTSET)
    return new_set(LISTPACK if count <= <uint64_t>limits.set_max_listpack_entries else HASHTABLE)


cdef bint set_remove(Set value, const char* text, size_t length) except -1:
    """True if it was a member."""
    cdef Member* member
    cdef uint8_t* blob = <uint8_t*>value.body
    cdef uint8_t* at
    cdef uint32_t position
    cdef int64_t number
    if value.kind == HASHTABLE:
        member = members_remove(table_of(value), member_hash(text, length), text, length)
        release(member)
        return member != NULL
    if value.kind == LISTPACK:
        at = pack_find(blob, pack_first(blob), text, length, 0)
        if at == NULL:
            return False
        blob = pack_delete(blob, at, 1, NULL)
    else:
        if not canonical_number(text, length, &number) or not intset_find(blob, number, &position):
            return False
        blob = intset_remove_at(blob, position)
    if blob == NULL:
        raise MemoryError
    value.body = blob
    return True


# --------------------------------------------------------------------------------------- all members


cdef void walk_begin(Walk* walk, Set value) noexcept:
    memset(walk, 0, sizeof(Walk))
    if value.kind == LISTPACK:
        walk.at = pack_first(<uint8_t*>value.body)


cdef bint walk_next(Walk* walk, Set value) noexcept:
    """Go to the next member; False at the end."""
    cdef Element element
    cdef Member* member
    if value.kind == HASHTABLE:
        member = members_next(table_of(value), &walk.place)
        if member == NULL:
            return False
        walk_to(walk, member_key(table_of(value), member), member.key_length)
        walk.hash = member.hash
        walk.is_hashed = True
        return True
    walk.is_hashed = False
    if value.kind == INTSET:
        if walk.position == intset_count(<uint8_t*>value.body):
            return False
        walk.number = intset_at(<uint8_t*>value.body, walk.position)
        walk.position += 1
        walk.is_number = True
    else:
        if walk.at == NULL:
            return False
        element_get(walk.at, &element)
        walk.at = pack_next(<uint8_t*>value.body, walk.at)
        if element.text != NULL:
            walk_to(walk, element.text, element.length)
            return True
        walk.is_number = True
        walk.number = element.number
    walk.length = print_number(walk.number, walk.digits)
    walk.text = walk.digits
    return True


cdef void set_draw(Set value, Walk* walk) noexcept:
    """Let a walk come to any member, each as likely. The set must not be empty."""
    cdef Member* member
    if value.kind == HASHTABLE:
        member = members_random(table_of(value))
        walk.text = member_key(table_of(value), member)
        walk.length = member.key_length
        return
    walk_begin(walk, value)
    if value.kind == INTSET:
        walk.position = random_number(intset_count(<uint8_t*>value.body))
    else:
        walk.at = pack_seek(<uint8_t*>value.body, random_number(pack_count(<uint8_t*>value.body)))
    walk_next(walk, value)


cdef class Members:
    """Iterates over the members of a set, which must not change meanwhile."""

    cdef Set value
    cdef Walk walk

    def __iter__(self):
        return self

    def __next__(self):
        if not walk_next(&self.walk, self.value):
            raise StopIteration
        return bytes_of(&self.walk)


cdef int collect(void* context, Member* member) except -1:
    (<list>context).append(PyBytes_FromStringAndSize(<char*>(member + 1), member.key_length))
    return 0


# -------------------------------------------------------------------------------------- for Python


cdef class Set:
    type_name = "set"

    def __cinit__(self, members=None):
        if members is not None:
            set_start(self, INTSET)
            for member in members:
                self.add(member)

    def __init__(self, members=()):
        if self.body == NULL:
            set_start(self, INTSET)

    def __dealloc__(self):
        set_drop(self)

    @staticmethod
    def sized(bytes first not None, size_t count):
        """An empty set in the form that suits `count` members, the first of which is given."""
        return set_sized(PyBytes_AS_STRING(first), PyBytes_GET_SIZE(first), count)

    @staticmethod
    def adopt_intset(bytes blob not None):
        """A set of a foreign intset. ValueError where it is none."""
        return adopted(blob, INTSET)

    @staticmethod
    def adopt_listpack(bytes blob not None):
        """A set of a foreign listpack. ValueError where it is none, or has a member twice."""
        return adopted(blob, LISTPACK)

    def __len__(self):
        return set_count(self)

    def __contains__(self, bytes member not None):
        return set_has(self, PyBytes_AS_STRING(member), PyBytes_GET_SIZE(member))

    def __iter__(self):
        """An intset ascends, a listpack is in the order of arrival, a table in none that means anything."""
        cdef Members members = Members.__new__(Members)
        members.value = self
        walk_begin(&members.walk, self)
        return members

    @property
    def encoding(self) -> str:
        return ENCODINGS[self.kind]

    @property
    def blob(self) -> bytes:
        """The intset or listpack, as it is stored in files."""
        if self.kind == HASHTABLE:
            raise TypeError("a hashtable is no packed bytes")
        return PyBytes_FromStringAndSize(<char*>self.body, packed_size(self))

    def allocated(self, size_t samples) -> int:
        """Bytes of memory beside the object itself, judged by some members (0: all) of a large one."""
        cdef size_t body = malloc_usable_size(self.body) + BLOCK_OVERHEAD
        return body if self.kind != HASHTABLE else body + members_allocated(table_of(self), samples)

    def dissolve(self, size_t limit) -> int:
        """Free some `limit` blocks of a value that nobody will look at again, but perhaps call this once more;
        returns how many it were, less than `limit` if little is left."""
        return 0 if self.kind != HASHTABLE else members_shed(table_of(self), limit)

    def copy(self):
        cdef Set made
        cdef Walk walk
        if self.kind != HASHTABLE:
            return packed(<uint8_t*>self.body, packed_size(self), self.kind)
        made = new_set(HASHTABLE)
        members_lay_out(table_of(made), table_of(self).used)
        walk_begin(&walk, self)
        while walk_next(&walk, self):
            put_new(made, &walk)
        return made

    def add(self, bytes member not None) -> bool:
        """True if it was not a member."""
        return set_add(self, PyBytes_AS_STRING(member), PyBytes_GET_SIZE(member)) == 1

    def add_all(self, list members not None) -> int:
        """How many were no members. So many to come may change the form at once, as in Redis."""
        cdef Py_ssize_t added = 0
        cdef uint64_t coming = len(members)
        cdef bytes member
        set_expect(self, coming)
        for member in members:
            added += set_add(self, PyBytes_AS_STRING(member), PyBytes_GET_SIZE(member))
        return added

    def remove(self, bytes member not None) -> bool:
        """True if it was a member."""
        return set_remove(self, PyBytes_AS_STRING(member), PyBytes_GET_SIZE(member))

    def remove_all(self, list members not None) -> int:
        """How many were members."""
        cdef Py_ssize_t removed = 0
        cdef bytes member
        for member in members:
            removed += set_remove(self, PyBytes_AS_STRING(member), PyBytes_GET_SIZE(member))
        return removed

    def draw(self) -> bytes:
        """Any member, each as likely. The set must not be empty."""
        cdef Walk walk
        set_draw(self, &walk)
        return bytes_of(&walk)

    def sample(self, uint64_t count) -> list[bytes]:
        """Up to `count` different members, each choice as likely."""
        cdef list members
        cdef size_t length = set_count(self)
        cdef size_t place, other
        if count < length and count * 3 < length:
            chosen = {}
            while len(chosen) < count:
                chosen[self.draw()] = None
            return list(chosen)
        members = list(self)
        if count >= length:
            return members
        for place in range(count):
            other = place + random_number(length - place)
            members[place], members[other] = members[other], members[place]
        del members[count:]
        return members

    def scan(self, uint64_t cursor, size_t count) -> tuple[int, list[bytes]]:
        """At least `count` members from `cursor` on (0 to begin) unless the end is reached, and the next
        cursor (0 at the end).

        A compact set is returned at once, as Redis does.
        """
        cdef list members
        if self.kind != HASHTABLE:
            return 0, list(self)
        members = []
        return members_scan(table_of(self), cursor, count, collect, <void*>members), members


cdef size_t packed_size(Set value) noexcept:
    cdef uint8_t* body = <uint8_t*>value.body
    return intset_bytes(body) if value.kind == INTSET else pack_bytes(body)


cdef Set packed(const uint8_t* data, size_t length, SetKind kind):
    """A compact set of a copy of sound packed bytes."""
    cdef Set made = Set.__new__(Set)
    made.body = take(length)
    if made.body == NULL:
        raise MemoryError
    made.kind = kind
    memcpy(made.body, data, length)
    return made


cdef Set adopted(bytes blob, SetKind kind):
    cdef Set made
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(blob)
    cdef size_t length = PyBytes_GET_SIZE(blob)
    if kind == INTSET and not intset_check(data, length):
        raise ValueError("malformed intset")
    if kind == LISTPACK and pack_check(data, length) < 0:
        raise ValueError("malformed listpack")
    made = packed(data, length, kind)
    if kind == LISTPACK and not pack_is_unique(<uint8_t*>made.body, 1):
        raise ValueError("set with a member twice")
    if set_count(made) > <uint64_t>(
        limits.set_max_intset_entries if kind == INTSET else limits.set_max_listpack_entries
    ):
        set_convert(made, HASHTABLE)
    return made
