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

from node.core.field_pack cimport (
    PAIRS,
    TRIPLES,
    element_after,
    pack_due,
    pack_field,
    pack_gather,
    pack_is_ordered,
    pack_move,
    pack_put,
    pack_unpack,
    pack_widen,
)
from node.core.field_table cimport (
    field_content,
    field_due,
    field_expire,
    field_name,
    field_value,
    fields_allocated,
    fields_expired,
    fields_find,
    fields_free,
    fields_new,
    fields_remove,
    fields_scan,
    fields_set,
)
from node.core.listpack cimport PACK_LARGEST, pack_copy, pack_delete, pack_new
from node.core.listpack_walk cimport element_as_bytes, element_text, pack_bytes, pack_check, pack_count, pack_first
from node.core.member_table cimport Member, members_lay_out, members_random, members_shed, random_number
from node.core.memory cimport BLOCK_OVERHEAD, malloc_usable_size, release, take
from node.core.pack_unique cimport pack_is_unique
from node.core.packing_limits cimport limits

from node.core.listpack import Malformed

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
        return hash_count(self)

    def __contains__(self, bytes field not None) -> bool:
        cdef FieldPlace place
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
        members_lay_out(&made.table.members, self.table.members.used)
        for field, value, due in self.walk():
            put(made, field, value, False)
            if due:
                made.set_expiry(field, due)
        return made

    # --- one field -----------------------------------------------------------------------------------

    def get(self, bytes field not None) -> bytes | None:
        cdef FieldPlace place
        if not find(self, field, &place) or hidden(self, &place):
            return None
        return value_at(self, &place)

    def value_length(self, bytes field not None) -> int:
        """Bytes of the field's value, 0 without such a field."""
        value = self.get(field)
        return 0 if value is None else PyBytes_GET_SIZE(<bytes>value)

    def set(self, bytes field not None, bytes value not None, bint keep_expiry=False) -> bool:
        """True if the field is new. An old one does not expire any more, unless `keep_expiry`."""
        return hash_set(
            self, PyBytes_AS_STRING(field), PyBytes_GET_SIZE(field),
            PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), keep_expiry,
        )

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
        return hash_remove(self, PyBytes_AS_STRING(field), PyBytes_GET_SIZE(field))

    def hides(self, bytes field not None) -> bool:
        """Whether there is such a field, but a reader does not see it: it has expired."""
        cdef FieldPlace place
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
                pack_unpack(self.pack, width(self), found)
            else:
                cursor = fields_scan(self.table, cursor, CHUNK, 0, True, found)
            yield from found
            if cursor == 0:
                return

    def scan(self, uint64_t cursor, size_t count) -> tuple[int, list[tuple[bytes, bytes]]]:
        """At least `count` fields with values from `cursor` on (0 to begin) unless the end is reached, and the
        next cursor (0 at the end). A small hash is returned at once, as Redis does."""
        cdef list found = []
        if self.table == NULL:
            return 0, self.items()
        cursor = fields_scan(self.table, cursor, count, self.horizon, False, found)
        return cursor, found

    def draw(self, int64_t count) -> list[tuple[bytes, bytes]]:
        """`count` different fields with values at random, all if there are not so many; a negative count: so
        many draws, repeats included. Hidden fields are drawn like others."""
        cdef int64_t length = hash_count(self)
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
            found.append((field_name(self.table, member), field_content(self.table, member)))
        return found

    # --- expiry --------------------------------------------------------------------------------------

    @property
    def soonest(self) -> int:
        """Unix ms at which the first field expires; NEVER if none does."""
        return soonest_due(self)

    def expiry(self, bytes field not None) -> int:
        """Unix ms at which the field expires, -1 for never, -2 where there is no such field to be seen."""
        cdef FieldPlace place
        if not find(self, field, &place) or hidden(self, &place):
            return -2
        return due_at(self, &place) or -1

    def stored_expiry(self, bytes field not None) -> int:
        """As `expiry`, of fields that are hidden too."""
        cdef FieldPlace place
        return (due_at(self, &place) or -1) if find(self, field, &place) else -2

    def allow_expiry(self) -> None:
        """Make room for moments: a listpack becomes one of triples, as Redis does before it looks further."""
        if self.timed:
            return
        if self.table == NULL:
            pack_widen(&self.pack)
        self.timed = True

    def set_expiry(self, bytes field not None, int64_t at) -> bool:
        """Let the field expire at Unix ms `at`, 0 for never. False if there is no such field."""
        cdef FieldPlace place
        self.allow_expiry()
        if not find(self, field, &place):
            return False
        if self.table != NULL:
            field_expire(self.table, place.member, at)
        else:
            pack_move(&self.pack, place.field, PyBytes_AS_STRING(field), PyBytes_GET_SIZE(field), at)
        return True

    def expired(self, int64_t now, Py_ssize_t limit) -> list[bytes]:
        """Up to `limit` fields that expired before `now`, in no particular order."""
        cdef list found = []
        if soonest_due(self) >= now:
            return found
        if self.table != NULL:
            return fields_expired(self.table, now, limit)
        pack_unpack(self.pack, TRIPLES, found)
        return [field for field, _, due in found if 0 < due < now][:limit]

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
        if not pack_is_unique(made.pack, width(made)):
            raise Malformed("hash with a field twice")
        if timed and not pack_is_ordered(made.pack):
            reorder(made)
        if hash_count(made) > limits.hash_max_listpack_entries:
            enlarge(made)
        return made

    def allocated(self, Py_ssize_t samples) -> int:
        """Bytes of memory beside the object itself, judged by some fields (0: all) of a large one."""
        if self.table == NULL:
            return malloc_usable_size(self.pack) + BLOCK_OVERHEAD
        return fields_allocated(self.table, samples)

    def dissolve(self, size_t limit) -> int:
        """Free some `limit` blocks of a value that nobody will look at again, but perhaps call this once more;
        returns how many it were, less than `limit` if little is left."""
        return 0 if self.table == NULL else members_shed(&self.table.members, limit)


# --- finding -------------------------------------------------------------------------------------------------

cdef inline uint32_t width(Hash self) noexcept:
    """Elements of the listpack for each field."""
    return TRIPLES if self.timed else PAIRS


cdef Py_ssize_t hash_count(Hash self) noexcept:
    return pack_count(self.pack) // width(self) if self.table == NULL else self.table.members.used


cdef bint hash_find(Hash self, const char* field, size_t length, FieldPlace* place) noexcept:
    """Whether the field is there, expired or not; then `place` says where."""
    if self.table != NULL:
        place.member = fields_find(self.table, field, length)
        return place.member != NULL
    place.field = pack_field(self.pack, width(self), field, length)
    return place.field != NULL


cdef inline bint find(Hash self, bytes field, FieldPlace* place) noexcept:
    return hash_find(self, PyBytes_AS_STRING(field), PyBytes_GET_SIZE(field), place)


cdef const char* hash_value(Hash self, FieldPlace* place, char* digits, size_t* length) noexcept:
    """The value of a field that was found, where it lies, or printed into `digits` (of DIGITS bytes)."""
    if self.table != NULL:
        return field_value(self.table, place.member, length)
    return element_text(element_after(place.field), digits, length)


cdef inline int64_t due_at(Hash self, FieldPlace* place) noexcept:
    """Unix ms at which a field expires, 0 for never."""
    if not self.timed:
        return 0
    if self.table != NULL:
        return field_due(self.table, place.member)
    return pack_due(place.field)


cdef inline bint hidden(Hash self, FieldPlace* place) noexcept:
    return self.timed and self.horizon and 0 < due_at(self, place) < self.horizon


cdef inline bytes value_at(Hash self, FieldPlace* place):
    if self.table != NULL:
        return field_content(self.table, place.member)
    return element_as_bytes(element_after(place.field))


cdef int64_t soonest_due(Hash self) noexcept:
    cdef uint8_t* first
    cdef int64_t due = 0
    if not self.timed:
        return NO_DUE
    if self.table != NULL:
        return self.table.due[0].at if self.table.due_used else NO_DUE
    first = pack_first(self.pack)
    if first != NULL:
        due = pack_due(first)
    return due if due else NO_DUE


cdef list gather(Hash self, bint fields, bint values):
    """What is not hidden: fields, values, or tuples of both."""
    cdef list found
    if self.table == NULL:
        return pack_gather(self.pack, width(self), self.horizon, fields, values)
    found = []
    fields_scan(self.table, 0, self.table.members.used, self.horizon, False, found)
    if fields and values:
        return found
    return [pair[1] if values else pair[0] for pair in found]


# --- changing ------------------------------------------------------------------------------------------------


cdef int make_ready(Hash self, list args, Py_ssize_t start) except -1:
    """Become large before fields and values that do not fit come, as Redis does: it counts them all as new."""
    cdef size_t length
    cdef size_t longest = 0
    cdef size_t total = 0
    cdef Py_ssize_t i
    for i in range(start, len(args)):
        length = PyBytes_GET_SIZE(<bytes>args[i])
        longest = max(longest, length)
        total += length
    return hash_make_ready(self, (len(args) - start) // 2, longest, total)


cdef int hash_make_ready(Hash self, size_t fields, size_t longest, size_t total) except -1:
    """The same for so many fields, the longest text of which has so many bytes, and all together `total`."""
    if self.table == NULL and (
        fields > <size_t>limits.hash_max_listpack_entries
        or longest > <size_t>limits.hash_max_listpack_value
        or pack_bytes(self.pack) + total > PACK_LARGEST
    ):
        enlarge(self)
    return 0


cdef bint put(Hash self, bytes field, bytes value, bint keep_expiry) except -1:
    return hash_put(
        self, PyBytes_AS_STRING(field), PyBytes_GET_SIZE(field),
        PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), keep_expiry,
    )


cdef bint hash_put(
    Hash self, const char* field, size_t length, const char* value, size_t size, bint keep_expiry
) except -1:
    """Set a field, whose size has been checked; True if it is new."""
    cdef bint new
    if self.table != NULL:
        return fields_set(self.table, field, length, value, size, keep_expiry)
    new = pack_put(&self.pack, width(self), field, length, value, size, keep_expiry)
    if new and hash_count(self) > limits.hash_max_listpack_entries:
        enlarge(self)
    return new


cdef bint hash_set(
    Hash self, const char* field, size_t length, const char* value, size_t size, bint keep_expiry
) except -1:
    """Set a field of whatever size; True if it is new."""
    if self.table == NULL and max(length, size) > <size_t>limits.hash_max_listpack_value:
        enlarge(self)
    return hash_put(self, field, length, value, size, keep_expiry)


cdef bint hash_remove(Hash self, const char* field, size_t length) except -1:
    """True if there was such a field, be it expired."""
    cdef FieldPlace place
    if self.table != NULL:
        return fields_remove(self.table, field, length)
    if not hash_find(self, field, length, &place):
        return False
    self.pack = pack_delete(self.pack, place.field, width(self), NULL)
    return True


cdef int enlarge(Hash self) except -1:
    """Become large."""
    cdef list found = []
    pack_unpack(self.pack, width(self), found)
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


cdef int reorder(Hash self) except -1:
    """Put foreign triples into the order in which they expire."""
    cdef list found = []
    pack_unpack(self.pack, TRIPLES, found)
    for field, _, due in found:
        self.set_expiry(field, due)
    return 0
