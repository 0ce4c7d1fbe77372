"""A run of neighbouring stream entries, packed as Redis packs them.

    node   = count deleted fields field* 0  entry*
    entry  = flags milliseconds sequence (value* | fields (field value)*) elements

All of them are elements of one listpack, which is what a node is in memory, in files and in DUMP's payloads. The
node's master id is that of its first entry; entries hold the differences to it, and if their fields are the master's
(SAME_FIELDS), their values alone. `elements` says how many elements the entry has before it, so that nodes can be
read from their end. A removed entry is only marked (DELETED): the bytes go with the node, once no entry of it is
alive. Source: t_stream.c of Redis.

An id is 128 bits: a Python integer outside (node/datatypes/stream_id.py), two halves in here.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy

from node.core.integer_text cimport print_number
from node.core.listpack cimport (
    pack_copy,
    pack_grown,
    pack_new,
    pack_replace_number,
    pack_trim,
    place_anew,
    place_number,
    place_text,
)
from node.core.listpack_walk cimport (
    PACK_END,
    PACK_HEADER,
    Element,
    element_as_bytes,
    element_bytes,
    element_equals,
    element_get,
    pack_bytes,
    pack_check,
    pack_prev,
)
from node.core.memory cimport BLOCK_OVERHEAD, malloc_usable_size, release, resize, take

from node.core.listpack import Malformed

cdef enum:
    NUMBER_BYTES = 10     # of the largest integer element
    TEXT_BYTES = 10       # what an element takes beside its text, at most
    SMALL = 512           # bytes from which on a node has room to spare …
    MOST_SPARE = 4096     # … at most so much

cdef object HALF = (1 << 64) - 1


cdef Id id_of(object number):
    cdef Id made
    made.high = <uint64_t>(number >> 64)
    made.low = <uint64_t>(number & HALF)
    return made


cdef object number_of(Id id):
    return (<object>id.high << 64) | <object>id.low


cdef inline uint8_t* behind(const uint8_t* at, uint64_t count) noexcept nogil:
    """What stands `count` elements after `at`; the end mark at the most."""
    while count and at[0] != PACK_END:
        at += element_bytes(at)
        count -= 1
    return <uint8_t*>at


@cython.final
cdef class Node:
    """At least one entry, once `append` has been called."""

    def __cinit__(self):
        self.pack = NULL

    def __init__(self, master, list pairs not None) -> None:
        """A node with the fields of `pairs` (field, value, field, value …) as its own, without entries.

        OverflowError if they are too large for any.
        """
        cdef Text* texts = texts_of(pairs)
        try:
            begin(self, id_of(master), texts, len(pairs))
        finally:
            release(texts)

    def __dealloc__(self):
        release(self.pack)

    @property
    def master(self) -> int:
        return number_of(self.first)

    @property
    def first_id(self) -> int:
        """Of the first entry, deleted or not."""
        cdef Head head = head_of(self)
        cdef Entry entry
        return number_of(entry.id if entry_at(self, head, head.first_entry, &entry) else self.first)

    @property
    def last_id(self) -> int:
        """Of the last entry, deleted or not."""
        return number_of(self.last)

    @property
    def live(self) -> int:
        return node_live(self)

    @property
    def deleted(self) -> int:
        return integer_at(behind(self.pack + PACK_HEADER, 1))

    @property
    def size(self) -> int:
        """Bytes of the listpack."""
        return pack_bytes(self.pack)

    def allocated(self) -> int:
        """Bytes of memory beside the object itself."""
        return malloc_usable_size(self.pack) + BLOCK_OVERHEAD

    def __len__(self) -> int:
        """Entries, deleted ones included."""
        return self.live + self.deleted

    def listpack(self) -> bytes:
        return PyBytes_FromStringAndSize(<char*>self.pack, pack_bytes(self.pack))

    def copy(self) -> Node:
        cdef Node made = Node.__new__(Node)
        made.pack = pack_copy(self.pack)
        if made.pack == NULL:
            raise MemoryError
        made.first = self.first
        made.last = self.last
        return made

    def has_room(self, list pairs not None, int64_t most_bytes, int64_t most_entries) -> bool:
        """Whether an entry may be added, before the node has the bytes or entries that it may have (0: no limit)."""
        cdef Text* texts = texts_of(pairs)
        cdef bint found = node_has_room(self, texts, len(pairs), most_bytes, most_entries)
        release(texts)
        return found

    def append(self, entry_id, list pairs not None) -> None:
        """Add an entry behind the last. `pairs`: field, value, field, value …"""
        cdef Text* texts = texts_of(pairs)
        try:
            node_append(self, id_of(entry_id), texts, len(pairs))
        finally:
            release(texts)

    def close(self) -> None:
        """No entry will be added any more: give back the room for more."""
        node_close(self)

    # --- reading ---------------------------------------------------------------------------------------------

    def read(self, list out not None, start, end, bint reverse, int64_t most, bint as_texts) -> int:
        """Add the live entries with ids start..end, both included, to `out`; at most `most`. Returns how many.

        An entry is (id, [field, value …]), or with `as_texts` a list of the same with the id's text.
        """
        cdef Id low = id_of(start)
        cdef Id high = id_of(end)
        cdef Head head = head_of(self)
        cdef list fields = None
        cdef Entry entry
        cdef int64_t found = 0
        if is_below(self.last, low) or is_below(high, self.first) or most <= 0:
            return 0
        if not (last_entry(self, head, &entry) if reverse else entry_at(self, head, head.first_entry, &entry)):
            return 0
        while True:
            if is_below(entry.id, low):
                if reverse:
                    break
            elif is_below(high, entry.id):
                if not reverse:
                    break
            elif not entry.flags & DELETED:
                if fields is None:
                    fields = elements_from(head.first_field, head.fields)
                pairs = pairs_of(&entry, fields)
                out.append([text_of(entry.id), pairs] if as_texts else (number_of(entry.id), pairs))
                found += 1
                if found == most:
                    break
            if not (entry_before(self, head, &entry) if reverse else entry_at(self, head, entry.end, &entry)):
                break
        return found

    def find(self, entry_id) -> list[bytes] | None:
        """field, value, field, value … of the live entry with this id."""
        cdef Head head = head_of(self)
        cdef Entry entry
        if not find_live(self, head, id_of(entry_id), &entry):
            return None
        return pairs_of(&entry, elements_from(head.first_field, head.fields))

    def has(self, entry_id) -> bool:
        """Whether there is a live entry with this id."""
        cdef Entry entry
        return find_live(self, head_of(self), id_of(entry_id), &entry)

    def edge(self, bint last) -> int | None:
        """The id of the first, or the last, live entry."""
        cdef Head head = head_of(self)
        cdef Entry entry
        cdef bint there = last_entry(self, head, &entry) if last else entry_at(self, head, head.first_entry, &entry)
        while there and entry.flags & DELETED:
            there = entry_before(self, head, &entry) if last else entry_at(self, head, entry.end, &entry)
        return number_of(entry.id) if there else None

    # --- removing --------------------------------------------------------------------------------------------

    def delete(self, entry_id) -> bool:
        """Mark a live entry as deleted. False if there is none with this id."""
        cdef Entry entry
        if not find_live(self, head_of(self), id_of(entry_id), &entry):
            return False
        entry.at[0] |= DELETED
        reserve(self, NUMBER_BYTES)
        count_up(self, 1, 1)
        count_up(self, 0, -1)
        return True

    def delete_first(self, int64_t most, highest) -> int:
        """Mark the first live entries as deleted, at most so many, with ids up to `highest`. Returns how many."""
        cdef Id high = id_of(highest)
        cdef Head head
        cdef Entry entry
        cdef int64_t deleted = 0
        cdef bint there
        reserve(self, NUMBER_BYTES)
        head = head_of(self)
        there = entry_at(self, head, head.first_entry, &entry)
        while there and deleted < most and not is_below(high, entry.id):
            if not entry.flags & DELETED:
                entry.at[0] |= DELETED
                deleted += 1
            there = entry_at(self, head, entry.end, &entry)
        count_up(self, 1, deleted)
        count_up(self, 0, -deleted)
        return deleted

    # --- from elsewhere --------------------------------------------------------------------------------------

    @staticmethod
    def from_listpack(master, bytes blob not None) -> Node:
        """The node that `blob` holds. Raises Malformed, whatever it holds else."""
        cdef Node node = Node.__new__(Node)
        cdef size_t length = PyBytes_GET_SIZE(blob)
        if pack_check(<const uint8_t*>PyBytes_AS_STRING(blob), length) < 0:
            raise Malformed("listpack with wrong lengths in it")
        node.pack = <uint8_t*>take(length)
        if node.pack == NULL:
            raise MemoryError
        memcpy(node.pack, PyBytes_AS_STRING(blob), length)
        node.first = node.last = id_of(master)
        examine(node)
        return node


# --- writing -------------------------------------------------------------------------------------------------


cdef int reserve(Node self, size_t more) except -1:
    """Room for `more` bytes, so that nothing fails until they are used. A node that has grown will go on growing, and
    gets more than it asks for; `close` gives the rest back."""
    cdef size_t wanted = pack_bytes(self.pack) + more
    cdef uint8_t* moved
    if wanted > malloc_usable_size(self.pack):
        if wanted > SMALL:
            wanted += min(wanted // 2, MOST_SPARE)
        moved = <uint8_t*>resize(self.pack, wanted)
        if moved == NULL:
            raise MemoryError
        self.pack = moved
    return 0


cdef bint node_has_room(
    Node self, Text* texts, Py_ssize_t count, int64_t most_bytes, int64_t most_entries
) noexcept:
    """Whether an entry of these texts may be added, before the node has the bytes or entries that it may have (0: no
    limit)."""
    cdef int64_t size = total_length(texts, count) + pack_bytes(self.pack)
    cdef uint8_t* at = self.pack + PACK_HEADER
    if size >= (most_bytes if 0 < most_bytes < LARGEST else LARGEST):
        return False
    return most_entries <= 0 or integer_at(at) + integer_at(behind(at, 1)) < most_entries


cdef int begin(Node self, Id master, Text* texts, Py_ssize_t count) except -1:
    """Make the pack: no entry yet, and the fields among `texts` as the node's own."""
    cdef uint8_t* out
    cdef Py_ssize_t i
    self.first = self.last = master
    self.pack = pack_new(0)
    if self.pack == NULL:
        raise MemoryError
    make_room(self, texts, count)
    out = place_number(self.pack + PACK_HEADER, 0)
    out = place_number(out, 0)
    out = place_number(out, count // 2)
    for i in range(0, count, 2):
        out = place_text(out, texts[i].data, texts[i].length)
    out = place_number(out, 0)
    pack_grown(self.pack, out, 4 + count // 2)
    return 0


cdef Node node_beginning(Id master, Text* texts, Py_ssize_t count):
    """A node as `Node(master, pairs)` makes it."""
    cdef Node made = Node.__new__(Node)
    begin(made, master, texts, count)
    return made


cdef void node_close(Node self) noexcept:
    self.pack = pack_trim(self.pack)


cdef int64_t node_live(Node self) noexcept:
    return integer_at(self.pack + PACK_HEADER)


cdef int node_append(Node self, Id id, Text* texts, Py_ssize_t count) except -1:
    """Add an entry behind the last. `texts`: field, value, field, value …, `count` in all."""
    cdef Py_ssize_t i
    cdef int64_t elements = 3 + count // 2
    cdef bint same
    cdef Head head
    cdef uint8_t* out
    make_room(self, texts, count)
    head = head_of(self)
    same = has_fields(head, texts, count)
    out = self.pack + pack_bytes(self.pack) - 1
    out = place_number(out, SAME_FIELDS if same else 0)
    out = place_number(out, <int64_t>(id.high - self.first.high))
    out = place_number(out, <int64_t>(id.low - self.first.low))
    if not same:
        out = place_number(out, count // 2)
        elements = 4 + count
    for i in range(count):
        if i % 2 or not same:
            out = place_text(out, texts[i].data, texts[i].length)
    out = place_number(out, elements)
    pack_grown(self.pack, out, elements + 1)
    count_up(self, 0, 1)
    self.last = id
    return 0


cdef Text* texts_of(list words) except NULL:
    """Where their bytes are, in a block to be released."""
    cdef Text* texts = <Text*>take(max(len(words), 1) * sizeof(Text))
    cdef Py_ssize_t i
    if texts == NULL:
        raise MemoryError
    for i in range(len(words)):
        texts[i].data = PyBytes_AS_STRING(words[i])
        texts[i].length = PyBytes_GET_SIZE(words[i])
    return texts


cdef int make_room(Node self, Text* texts, Py_ssize_t count) except -1:
    """Room for these texts, and the numbers of an entry or a head."""
    cdef int64_t size = total_length(texts, count)
    if size > LARGEST:
        raise OverflowError("too large for a stream")
    return reserve(self, size + TEXT_BYTES * count + 6 * NUMBER_BYTES)


cdef int64_t total_length(Text* texts, Py_ssize_t count) noexcept:
    cdef int64_t size = 0
    cdef Py_ssize_t i
    for i in range(count):
        size += texts[i].length
    return size


cdef void count_up(Node self, int which, int64_t by) noexcept:
    """Add to the number of live (0) or deleted (1) entries, which may take a few bytes that are there."""
    cdef uint8_t* at = behind(self.pack + PACK_HEADER, which)
    cdef int64_t number = integer_at(at) + by
    if not place_anew(at, number):
        self.pack = pack_replace_number(self.pack, at, number, NULL)


cdef bint has_fields(Head head, Text* texts, Py_ssize_t count) noexcept:
    """Whether every second of these, the fields, is the master's."""
    cdef uint8_t* at = head.first_field
    cdef uint32_t i
    if <uint32_t>(count // 2) != head.fields:
        return False
    for i in range(head.fields):
        if not element_equals(at, texts[2 * i].data, texts[2 * i].length):
            return False
        at += element_bytes(at)
    return True


# --- walking -------------------------------------------------------------------------------------------------


cdef Head head_of(Node self) noexcept:
    cdef Head head
    cdef uint8_t* at = behind(self.pack + PACK_HEADER, 2)
    head.fields = <uint32_t>integer_at(at)
    head.first_field = at + element_bytes(at)
    head.first_entry = behind(head.first_field, head.fields + 1)
    return head


cdef bint entry_at(Node self, Head head, uint8_t* at, Entry* entry) noexcept:
    """Read the entry at `at`. False if that is the end."""
    if at[0] == PACK_END:
        return False
    entry.at = at
    entry.flags = <int>integer_at(at)
    at += element_bytes(at)
    entry.id.high = self.first.high + <uint64_t>integer_at(at)
    at += element_bytes(at)
    entry.id.low = self.first.low + <uint64_t>integer_at(at)
    entry.body = at + element_bytes(at)
    if entry.flags & SAME_FIELDS:
        entry.end = behind(entry.body, <uint64_t>head.fields + 1)
    else:
        entry.end = behind(entry.body, 2 * <uint64_t>integer_at(entry.body) + 2)
    return True


cdef bint entry_ending_at(Node self, Head head, uint8_t* end, Entry* entry) noexcept:
    """Read the entry before `end`. False if there is none."""
    cdef uint8_t* at = end
    cdef int64_t count
    if end == head.first_entry:
        return False
    at = pack_prev(self.pack, at)
    count = integer_at(at)
    while count > 0:
        at = pack_prev(self.pack, at)
        count -= 1
    return entry_at(self, head, at, entry)


cdef bint last_entry(Node self, Head head, Entry* entry) noexcept:
    return entry_ending_at(self, head, self.pack + pack_bytes(self.pack) - 1, entry)


cdef bint entry_before(Node self, Head head, Entry* entry) noexcept:
    return entry_ending_at(self, head, entry.at, entry)


cdef bint find_live(Node self, Head head, Id id, Entry* entry) noexcept:
    if is_below(self.last, id):
        return False
    cdef bint there = entry_at(self, head, head.first_entry, entry)
    while there and is_below(entry.id, id):
        there = entry_at(self, head, entry.end, entry)
    return there and not is_below(id, entry.id) and not entry.flags & DELETED


cdef list elements_from(uint8_t* at, uint64_t count):
    cdef list found = []
    while count:
        found.append(element_as_bytes(at))
        at += element_bytes(at)
        count -= 1
    return found


cdef list pairs_of(Entry* entry, list fields):
    """field, value, field, value … `fields` are the node's."""
    cdef list pairs
    cdef uint8_t* at = entry.body
    if not entry.flags & SAME_FIELDS:
        return elements_from(at + element_bytes(at), 2 * <uint64_t>integer_at(at))
    pairs = []
    for field in fields:
        pairs.append(field)
        pairs.append(element_as_bytes(at))
        at += element_bytes(at)
    return pairs


def id_text(entry_id) -> bytes:
    """An id as clients see it: `<milliseconds>-<sequence>`."""
    return text_of(id_of(entry_id))


cdef bytes text_of(Id id):
    cdef char[ID_TEXT] text
    return PyBytes_FromStringAndSize(text, print_id(id, text))


cdef size_t print_id(Id id, char* text) noexcept nogil:
    """Its length; `text` has room for ID_TEXT."""
    cdef size_t length
    if id.high > INT64_MAX or id.low > INT64_MAX:
        return snprintf(text, ID_TEXT, b"%llu-%llu", <unsigned long long>id.high, <unsigned long long>id.low)
    length = print_number(id.high, text)
    text[length] = c"-"
    return length + 1 + print_number(id.low, text + length + 1)


# --- bytes from elsewhere ------------------------------------------------------------------------------------


cdef int64_t take_number(uint8_t** at) except? -1:
    """The integer at `at`, which moves behind it."""
    cdef Element element
    if at[0][0] == PACK_END:
        raise Malformed("stream node that ends within an entry")
    element_get(at[0], &element)
    if element.text != NULL:
        raise Malformed("text where a stream node has a number")
    at[0] += element_bytes(at[0])
    return element.number


cdef int skip(uint8_t** at, int64_t count) except -1:
    """Move `at` behind so many elements, whatever they are."""
    while count > 0:
        if at[0][0] == PACK_END:
            raise Malformed("stream node that ends within an entry")
        at[0] += element_bytes(at[0])
        count -= 1
    return 0


cdef int examine(Node self) except -1:
    """Find out whether a sound listpack is a sound node, and what its last id is. Raises Malformed."""
    cdef uint8_t* at = self.pack + PACK_HEADER
    cdef int64_t live = take_number(&at)
    cdef int64_t deleted = take_number(&at)
    cdef int64_t fields = take_number(&at)
    cdef bint is_first = True
    cdef Id id
    if fields < 0:
        raise Malformed("stream node with a wrong number of fields")
    skip(&at, fields)
    if take_number(&at) != 0:
        raise Malformed("stream node without an end of its fields")
    while at[0] != PACK_END:
        if examine_entry(self, &at, fields, &id) & DELETED:
            deleted -= 1
        else:
            live -= 1
        if not is_first and not is_below(self.last, id):
            raise Malformed("stream entries out of order")
        is_first = False
        self.last = id
    if live or deleted or is_first:
        raise Malformed("stream node with wrong counts")
    return 0


cdef int examine_entry(Node self, uint8_t** at, int64_t fields, Id* id) except -1:
    """Move `at` behind an entry; returns its flags, which must be one byte, to be changed in place."""
    cdef uint8_t* start = at[0]
    cdef int64_t flags = take_number(at)
    cdef int64_t count
    if flags != start[0] or flags & ~<int64_t>(DELETED | SAME_FIELDS):
        raise Malformed("stream entry with unknown flags")
    id.high = self.first.high + <uint64_t>take_number(at)
    id.low = self.first.low + <uint64_t>take_number(at)
    if flags & SAME_FIELDS:
        count = fields
        skip(at, fields)
        count += 3
    else:
        count = take_number(at)
        if count < 0 or count > pack_bytes(self.pack):
            raise Malformed("stream entry with a wrong number of fields")
        skip(at, 2 * count)
        count = 2 * count + 4
    if take_number(at) != count:
        raise Malformed("stream entry with a wrong length behind it")
    return <int>flags
