"""Hash: fields with values, each of which may expire.

Small, it is one listpack of fields and values in turn, in the order in which the fields came. From its first
field expiry on the listpack holds triples instead, field, value and Unix ms (0: never), those that expire first
and in that order. Large, it is a table (`field_table.pyx`). It is large once it holds more fields, or a longer
field or value, than `limits` says, and never small again. No Python object exists for a field.

An expired field is there until somebody deletes it: `len()` counts it, and it is written to files. Who reads
sets `horizon` to the present, and then does not see it (`get`, `items`, `scan` …). The default of 0 shows all.

Iteration is over lists that are made at once, except for `walk`, which takes a large hash in pieces.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from node.core.field_table cimport (
    field_due,
    field_expire,
    field_value,
    fields_find,
    fields_free,
    fields_new,
    fields_remove,
    fields_set,
)
from node.core.listpack cimport (
    PACK_LARGEST,
    Element,
    element_as_bytes,
    element_bytes,
    element_get,
    pack_append,
    pack_append_number,
    pack_bytes,
    pack_check,
    pack_copy,
    pack_count,
    pack_delete,
    pack_find,
    pack_first,
    pack_insert,
    pack_insert_number,
    pack_new,
    pack_next,
    pack_replace,
)
from node.core.member_table cimport Member, member_key, members_bytes, members_random, members_scan, random_number
from node.core.memory cimport malloc_usable_size, release, take

from node.core.listpack import Malformed
from node.datatypes.limits import limits

NEVER = 0x7FFFFFFFFFFFFFFF
"""`soonest` of a hash whose fields do not expire."""

cdef int64_t NO_DUE = 0x7FFFFFFFFFFFFFFF

cdef enum:
    CHUNK = 256             # fields that `walk` takes at once
    SPARSE = 3              # up to a third of the fields are drawn one by one


cdef class Hash:
    type_name = "hash"

    def __cinit__(self):
        self.pack = pack_new(0)
        if self.pack == NULL:
            raise MemoryError

    def __init__(self, fields=None):
        """`fields`: a mapping to begin with."""
        if fields is not None:
            for field, value in fields.items():
                self.set(field, value)

    def __dealloc__(self):
        release(self.pack)
        if self.table != NULL:
            fields_free(self.table)

    def __len__(self) -> int:
        """Fields, expired ones included."""
        return length_of(self)

    def __contains__(self, bytes field not None) -> bool:
        cdef Place place
        return find(self, field, &place) and not hidden(self, &place)

    @property
    def encoding(self) -> str:
        if self.table != NULL:
            return "hashtable"
        return "listpackex" if self.timed else "listpack"

    def copy(self) -> Hash:
        cdef Hash made = Hash()
        made.timed = self.timed
        if self.table == NULL:
            release(made.pack)
            made.pack = pack_copy(self.pack)
            if made.pack == NULL:
                raise MemoryError
            return made
        enlarge(made)
        for field, value, due in self.walk():
            put(made, field, value, False)
            if due:
                made.set_expiry(field, due)
        return made

    # --- one field -----------------------------------------------------------------------------------

    def get(self, bytes field not None) -> bytes | None:
        cdef Place place
        if not find(self, field, &place) or hidden(self, &place):
            return None
        return value_at(self, &place)

    def value_length(self, bytes field not None) -> int:
        """Bytes of the field's value, 0 without such a field."""
        value = self.get(field)
        return 0 if value is None else PyBytes_GET_SIZE(<bytes>value)

    def set(self, bytes field not None, bytes value not None, bint keep_expiry=False) -> bool:
        """True if the field is new. An old one does not expire any more, unless `keep_expiry`."""
        cdef int64_t longest = limits.hash_max_listpack_value
        if self.table == NULL and (PyBytes_GET_SIZE(field) > longest or PyBytes_GET_SIZE(value) > longest):
            enlarge(self)
        return put(self, field, value, keep_expiry)

    def set_all(self, list args not None, Py_ssize_t start, bint keep_expiry=False) -> int:
        """Set the fields and values that are in `args` in turn, from `start` on; returns how many are new."""
        cdef Py_ssize_t i
        cdef int added = 0
        make_ready(self, args, start)
        for i in range(start, len(args), 2):
            added += put(self, args[i], args[i + 1], keep_expiry)
        return added

    def delete(self, bytes field not None) -> bool:
        """True if there was such a field, be it expired."""
        cdef Place place
        if self.table != NULL:
            return fields_remove(self.table, PyBytes_AS_STRING(field), PyBytes_GET_SIZE(field))
        if not find(self, field, &place):
            return False
        self.pack = pack_delete(self.pack, place.field, width(self), NULL)
        return True

    def hides(self, bytes field not None) -> bool:
        """Whether there is such a field, but a reader does not see it: it has expired."""
        cdef Place place
        return self.timed and find(self, field, &place) and hidden(self, &place)

    # --- all fields ----------------------------------------------------------------------------------

    def fields(self) -> list[bytes]:
        return gather(self, True, False)

    def values(self) -> list[bytes]:
        return gather(self, False, True)

    def items(self) -> list[tuple[bytes, bytes]]:
        return gather(self, True, True)

    def walk(self):
        """Iterate over (field, value, Unix ms of its expiry or 0), hidden ones too, in pieces: the hash may
        change meanwhile, and then not all of that is seen."""
        cdef uint64_t cursor = 0
        cdef list found
        while True:
            found = []
            if self.table == NULL:
                unpack(self, found)
            else:
                cursor = members_scan(&self.table.members, cursor, CHUNK, add_triple, visit(self, found))
            yield from found
            if cursor == 0:
                return

    def scan(self, uint64_t cursor, size_t count) -> tuple[int, list[tuple[bytes, bytes]]]:
        """At least `count` fields with values from `cursor` on (0 to begin) unless the end is reached, and the
        next cursor (0 at the end). A small hash is returned at once, as Redis does."""
        cdef list found = []
        if self.table == NULL:
            return 0, self.items()
        cursor = members_scan(&self.table.members, cursor, count, add_pair, visit(self, found))
        return cursor, found

    def draw(self, int64_t count) -> list[tuple[bytes, bytes]]:
        """`count` different fields with values at random, all if there are not so many; a negative count: so
        many draws, repeats included. Hidden fields are drawn like others."""
        cdef int64_t length = length_of(self)
        cdef int64_t left = -count
        cdef Member* member
        cdef list items, found
        cdef set drawn
        if length == 0 or count == 0:
            return []
        if self.table == NULL or count * SPARSE > length:
            items = [(field, value) for field, value, _ in self.walk()]
            if count >= length:
                return items
            if count < 0:
                return [items[random_number(length)] for _ in range(left)]
            for i in range(count):
                j = i + random_number(length - i)
                items[i], items[j] = items[j], items[i]
            return items[:count]
        found = []
        drawn = set()
        left = count if count > 0 else -count
        while len(found) < left:
            member = members_random(&self.table.members)
            if count > 0:
                if <size_t>member in drawn:
                    continue
                drawn.add(<size_t>member)
            found.append((key_bytes(self, member), table_value(self, member)))
        return found

    # --- expiry --------------------------------------------------------------------------------------

    @property
    def soonest(self) -> int:
        """Unix ms at which the first field expires; NEVER if none does."""
        return soonest_due(self)

    def expiry(self, bytes field not None) -> int:
        """Unix ms at which the field expires, -1 for never, -2 where there is no such field to be seen."""
        cdef Place place
        if not find(self, field, &place) or hidden(self, &place):
            return -2
        return due_at(self, &place) or -1

    def stored_expiry(self, bytes field not None) -> int:
        """As `expiry`, of fields that are hidden too."""
        cdef Place place
        return (due_at(self, &place) or -1) if find(self, field, &place) else -2

    def allow_expiry(self) -> None:
        """Make room for moments: a listpack becomes one of triples, as Redis does before it looks further."""
        cdef uint8_t* at
        cdef uint8_t* moved
        if self.timed:
            return
        if self.table == NULL:
            at = pack_first(self.pack)
            while at != NULL:
                at += element_bytes(at)
                at += element_bytes(at)
                moved = pack_insert_number(self.pack, at, 0, &at)
                if moved == NULL:
                    raise MemoryError
                self.pack = moved
                at = pack_next(self.pack, at)
        self.timed = True

    def set_expiry(self, bytes field not None, int64_t at) -> bool:
        """Let the field expire at Unix ms `at`, 0 for never. False if there is no such field."""
        cdef Place place
        self.allow_expiry()
        if not find(self, field, &place):
            return False
        if self.table != NULL:
            field_expire(self.table, place.member, at)
        else:
            reorder(self, field, &place, at)
        return True

    def expired(self, int64_t now, Py_ssize_t limit) -> list[bytes]:
        """Up to `limit` fields that expired before `now`, in no particular order."""
        cdef list found = []
        cdef list waiting
        cdef uint32_t place
        if soonest_due(self) >= now:
            return found
        if self.table == NULL:
            triples = []
            unpack(self, triples)
            return [field for field, _, due in triples if 0 < due < now][:limit]
        # what is above an expired place of the heap has expired too
        waiting = [0]
        while waiting and len(found) < limit:
            place = waiting.pop()
            if place < self.table.due_used and self.table.due[place].at < now:
                found.append(key_bytes(self, self.table.due[place].member))
                waiting += (2 * place + 1, 2 * place + 2)
        return found

    # --- the packed bytes ----------------------------------------------------------------------------

    def packed(self) -> bytes:
        """The listpack of a small hash as it stands: pairs, or triples if `timed`."""
        return PyBytes_FromStringAndSize(<char*>self.pack, pack_bytes(self.pack))

    @staticmethod
    def from_packed(bytes blob not None, bint timed) -> Hash:
        """The hash whose listpack is `blob`, of triples if `timed`. Everything in it is checked; raises Malformed."""
        cdef Hash made = Hash()
        cdef int64_t count = pack_check(<uint8_t*>PyBytes_AS_STRING(blob), PyBytes_GET_SIZE(blob))
        cdef uint8_t* pack
        if count < 0 or count % (3 if timed else 2):
            raise Malformed("hash with a wrong listpack")
        pack = <uint8_t*>take(PyBytes_GET_SIZE(blob))
        if pack == NULL:
            raise MemoryError
        memcpy(pack, PyBytes_AS_STRING(blob), PyBytes_GET_SIZE(blob))
        release(made.pack)
        made.pack = pack
        made.timed = timed
        if len(set(made.fields())) != length_of(made):
            raise Malformed("hash with a field twice")
        if timed:
            check_order(made)
        if length_of(made) > limits.hash_max_listpack_entries:
            enlarge(made)
        return made

    def allocated(self, Py_ssize_t samples) -> int:
        """Bytes of memory beside the object itself, judged by some fields (0: all) of a large one."""
        cdef size_t seen = 0
        cdef size_t total = 0
        cdef Visit context
        if self.table == NULL:
            return malloc_usable_size(self.pack)
        context.total = 0
        context.seen = 0
        members_scan(
            &self.table.members, 0, samples if samples else self.table.members.used, add_size, &context
        )
        total = malloc_usable_size(self.table) + members_bytes(&self.table.members)
        if self.table.due != NULL:
            total += malloc_usable_size(self.table.due)
        return total + context.total * self.table.members.used // max(context.seen, 1)


# --- finding -------------------------------------------------------------------------------------------------

cdef struct Place:
    uint8_t* field          # in the pack of a small hash
    Member* member          # in the table of a large one


cdef inline uint32_t width(Hash self) noexcept:
    """Elements of the listpack for each field."""
    return 3 if self.timed else 2


cdef inline Py_ssize_t length_of(Hash self) noexcept:
    return pack_count(self.pack) // width(self) if self.table == NULL else self.table.members.used


cdef inline bint find(Hash self, bytes field, Place* place) noexcept:
    """Whether the field is there, expired or not; then `place` says where."""
    cdef const char* text = PyBytes_AS_STRING(field)
    cdef size_t length = PyBytes_GET_SIZE(field)
    if self.table != NULL:
        place.member = fields_find(self.table, text, length)
        return place.member != NULL
    place.field = pack_find(self.pack, pack_first(self.pack), text, length, width(self) - 1)
    return place.field != NULL


cdef inline uint8_t* second(uint8_t* field) noexcept:
    """The value's element, from the field's; the moment's, from the value's."""
    return field + element_bytes(field)


cdef inline int64_t number_at(uint8_t* at) noexcept:
    cdef Element element
    element_get(at, &element)
    return element.number if element.text == NULL else 0


cdef inline int64_t due_at(Hash self, Place* place) noexcept:
    """Unix ms at which a field expires, 0 for never."""
    if not self.timed:
        return 0
    if self.table != NULL:
        return field_due(self.table, place.member)
    return number_at(second(second(place.field)))


cdef inline bint hidden(Hash self, Place* place) noexcept:
    return self.timed and self.horizon and 0 < due_at(self, place) < self.horizon


cdef inline bytes value_at(Hash self, Place* place):
    if self.table != NULL:
        return table_value(self, place.member)
    return element_as_bytes(second(place.field))


cdef inline bytes table_value(Hash self, Member* member):
    cdef size_t length
    cdef const char* text = field_value(self.table, member, &length)
    return PyBytes_FromStringAndSize(text, length)


cdef inline bytes key_bytes(Hash self, Member* member):
    return PyBytes_FromStringAndSize(member_key(&self.table.members, member), member.key_length)


cdef int64_t soonest_due(Hash self) noexcept:
    cdef uint8_t* first
    cdef int64_t due = 0
    if not self.timed:
        return NO_DUE
    if self.table != NULL:
        return self.table.due[0].at if self.table.due_used else NO_DUE
    first = pack_first(self.pack)
    if first != NULL:
        due = number_at(second(second(first)))
    return due if due else NO_DUE


# --- gathering -----------------------------------------------------------------------------------------------

cdef struct Visit:
    void* owner             # the Hash
    void* found             # the list to append to
    size_t seen
    size_t total


cdef Visit current          # of the members_scan under way; visitors call nothing that scans


cdef void* visit(Hash owner, list found):
    current.owner = <void*>owner
    current.found = <void*>found
    return &current


cdef int add_pair(void* context, Member* member) except -1:
    cdef Hash self = <Hash>(<Visit*>context).owner
    if not (self.timed and self.horizon and 0 < field_due(self.table, member) < self.horizon):
        (<list>(<Visit*>context).found).append((key_bytes(self, member), table_value(self, member)))
    return 0


cdef int add_triple(void* context, Member* member) except -1:
    cdef Hash self = <Hash>(<Visit*>context).owner
    triple = (key_bytes(self, member), table_value(self, member), field_due(self.table, member))
    (<list>(<Visit*>context).found).append(triple)
    return 0


cdef int add_size(void* context, Member* member) except -1:
    (<Visit*>context).seen += 1
    (<Visit*>context).total += malloc_usable_size(member)
    return 0


cdef int unpack(Hash self, list found) except -1:
    """The triples of a small hash, hidden ones too."""
    cdef uint8_t* at = pack_first(self.pack)
    cdef uint8_t* value
    cdef int64_t due = 0
    while at != NULL:
        value = second(at)
        field = element_as_bytes(at)
        at = value
        if self.timed:
            at = second(value)
            due = number_at(at)
        found.append((field, element_as_bytes(value), due))
        at = pack_next(self.pack, at)
    return 0


cdef list gather(Hash self, bint fields, bint values):
    """What is not hidden: fields, values, or tuples of both."""
    cdef list found = []
    cdef uint8_t* at
    cdef uint8_t* value
    cdef uint8_t* last
    cdef int64_t due
    if self.table != NULL:
        members_scan(&self.table.members, 0, self.table.members.used, add_pair, visit(self, found))
        if not fields or not values:
            return [pair[1] if values else pair[0] for pair in found]
        return found
    at = pack_first(self.pack)
    while at != NULL:
        value = last = second(at)
        if self.timed:
            last = second(value)
            due = number_at(last)
            if 0 < due < self.horizon:
                at = pack_next(self.pack, last)
                continue
        if not values:
            found.append(element_as_bytes(at))
        elif not fields:
            found.append(element_as_bytes(value))
        else:
            found.append((element_as_bytes(at), element_as_bytes(value)))
        at = pack_next(self.pack, last)
    return found


# --- changing ------------------------------------------------------------------------------------------------


cdef int make_ready(Hash self, list args, Py_ssize_t start) except -1:
    """Become large before fields and values that do not fit come, as Redis does: it counts them all as new."""
    cdef int64_t longest, length
    cdef size_t total = 0
    cdef Py_ssize_t i
    if self.table != NULL:
        return 0
    longest = limits.hash_max_listpack_value
    if (len(args) - start) // 2 > limits.hash_max_listpack_entries:
        return enlarge(self)
    for i in range(start, len(args)):
        length = PyBytes_GET_SIZE(<bytes>args[i])
        if length > longest:
            return enlarge(self)
        total += length
    if pack_bytes(self.pack) + total > PACK_LARGEST:
        enlarge(self)
    return 0


cdef bint put(Hash self, bytes field, bytes value, bint keep_expiry) except -1:
    """Set a field, whose size has been checked; True if it is new."""
    cdef Place place
    cdef uint8_t* moved
    cdef const char* text = PyBytes_AS_STRING(value)
    cdef size_t length = PyBytes_GET_SIZE(value)
    if self.table != NULL:
        return fields_set(
            self.table, PyBytes_AS_STRING(field), PyBytes_GET_SIZE(field), text, length, keep_expiry
        )
    if find(self, field, &place):
        moved = pack_replace(self.pack, second(place.field), text, length, NULL)
        if moved == NULL:
            raise MemoryError
        place.field += moved - self.pack
        self.pack = moved
        if self.timed and not keep_expiry and due_at(self, &place):
            reorder(self, field, &place, 0)
        return False
    append(self, PyBytes_AS_STRING(field), PyBytes_GET_SIZE(field))
    append(self, text, length)
    if self.timed:
        append_number(self, 0)
    if length_of(self) > limits.hash_max_listpack_entries:
        enlarge(self)
    return True


cdef inline int append(Hash self, const char* text, size_t length) except -1:
    cdef uint8_t* moved = pack_append(self.pack, text, length)
    if moved == NULL:
        raise MemoryError
    self.pack = moved
    return 0


cdef inline int append_number(Hash self, int64_t number) except -1:
    cdef uint8_t* moved = pack_append_number(self.pack, number)
    if moved == NULL:
        raise MemoryError
    self.pack = moved
    return 0


cdef int reorder(Hash self, bytes field, Place* place, int64_t due) except -1:
    """Put a field of a small hash where its new moment belongs: before the first that does not expire earlier."""
    cdef uint8_t* at
    cdef uint8_t* moved
    cdef int64_t other
    value = element_as_bytes(second(place.field))
    self.pack = pack_delete(self.pack, place.field, 3, NULL)
    at = pack_first(self.pack) if due else NULL
    while at != NULL:
        other = number_at(second(second(at)))
        if other == 0 or other >= due:
            break
        at = pack_next(self.pack, second(second(at)))
    # from behind, each before the one that was put there last
    moved = pack_insert_number(self.pack, at, due, &at)
    if moved != NULL:
        self.pack = moved
        moved = pack_insert(self.pack, at, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), &at)
    if moved != NULL:
        self.pack = moved
        moved = pack_insert(self.pack, at, PyBytes_AS_STRING(field), PyBytes_GET_SIZE(field), &at)
    if moved == NULL:
        raise MemoryError
    self.pack = moved
    return 0


cdef int enlarge(Hash self) except -1:
    """Become large."""
    cdef list found = []
    unpack(self, found)
    self.table = fields_new()
    if self.table == NULL:
        raise MemoryError
    release(self.pack)
    self.pack = NULL
    for field, value, due in found:
        put(self, field, value, False)
        if due:
            self.set_expiry(field, due)
    return 0


cdef int check_order(Hash self) except -1:
    """Foreign triples: moments must be numbers; fields out of their order are put into it."""
    cdef uint8_t* at = pack_first(self.pack)
    cdef Element element
    cdef int64_t before = 0
    cdef bint ordered = True
    cdef bint ended = False
    while at != NULL:
        at = second(second(at))
        element_get(at, &element)
        if element.text != NULL or element.number < 0:
            raise Malformed("hash field with an expiry that is no moment")
        if element.number == 0:
            ended = True
        elif ended or element.number < before:
            ordered = False
        before = element.number
        at = pack_next(self.pack, at)
    if not ordered:
        found = []
        unpack(self, found)
        for field, _, due in found:
            self.set_expiry(field, due)
    return 0
