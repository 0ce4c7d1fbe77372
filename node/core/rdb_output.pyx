"""Encoding RDB: strings, values, and all entries of a database.

Bytes are gathered in one buffer, which goes to `write` whenever it has grown to a chunk of 64 KB, so that a
snapshot, even one of a single huge collection, needs no memory of its own beside one element. The checksum is
brought up to date with each chunk.

The child that writes a snapshot shares all memory with its parent until either writes to it, and then a page is
copied; so this only reads. Values are seen through borrowed pointers, since counting a reference would write to the
object, and elements where they lie, in packed bytes and tables. Only streams, few and large objects, are left to
Python (node/persistence/rdb/streams.py).

A collection is written in the encoding that it has, which is what Redis would hold it in: small ones as one packed
blob, larger ones as tables. Numbers and compressible strings shrink as Redis does it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from node.core.crc64 cimport crc64_of
from node.core.field_table cimport FieldTable, field_due, field_value
from node.core.hash cimport Hash, soonest_due
from node.core.integer_text cimport canonical_number
from node.core.intset cimport intset_bytes
from node.core.key_slot cimport SLOT_COUNT
from node.core.keyspace cimport CLOCK_MASK, Keyspace
from node.core.list cimport List
from node.core.listpack_walk cimport pack_bytes
from node.core.lzf cimport lzf_pack
from node.core.member_table cimport Member, MemberPlace, MemberTable, member_key, members_next
from node.core.memory cimport release, resize, take
from node.core.ordered_index cimport Place, key_of, score_of, tree_at, tree_next
from node.core.quicklist_node cimport Node
from node.core.ranking cimport Ranking
from node.core.rdb_codes cimport (
    CODE_HASH,
    CODE_HASH_LISTPACK,
    CODE_HASH_LISTPACK_EX,
    CODE_HASH_METADATA,
    CODE_LIST_QUICKLIST_2,
    CODE_SET,
    CODE_SET_INTSET,
    CODE_SET_LISTPACK,
    CODE_STREAM_LISTPACKS_3,
    CODE_STRING,
    CODE_ZSET_2,
    CODE_ZSET_LISTPACK,
    LENGTH_14,
    LENGTH_32,
    LENGTH_64,
    NODE_PACKED,
    NODE_PLAIN,
    OP_EXPIRE_MS,
    OP_FREQ,
    OP_IDLE,
    STRING_INT8,
    STRING_INT16,
    STRING_INT32,
    STRING_LZF,
)
from node.core.record_head cimport Head, read_head
from node.core.set cimport HASHTABLE, INTSET, Set
from node.core.slot_table cimport (
    HAS_EXPIRY,
    IS_OBJECT,
    TYPE_HASH,
    TYPE_LIST,
    TYPE_SET,
    TYPE_STREAM,
    TYPE_STRING,
    TYPE_ZSET,
    Entry,
    Walk,
    entry_expiry,
    entry_key,
    entry_key_length,
    entry_object,
    next_entry,
    entry_type,
    entry_value,
    entry_value_length,
    prefetch,
)
from node.core.sorted_set cimport SortedSet

cdef enum:
    CHUNK = 64 * 1024
    FIRST_ROOM = 512
    COMPRESS_OVER = 20           # strings up to this length are never compressed: nothing could be gained
    COMPRESS_UP_TO = 1 << 30
    INTEGER_TEXT = 11            # the longest text of a number of 32 bits
    HEAD = 32                    # room for the head of any string
    AHEAD = 16                   # entries by which memory is fetched before their turn
    CACHE_LINE = 64

cdef int64_t NEVER = 0x7FFFFFFFFFFFFFFF     # `soonest_due` of a hash whose fields do not expire


cdef inline size_t length_at(uint8_t* out, uint64_t length) noexcept nogil:
    """Put a length; returns its bytes."""
    cdef int i
    cdef int size = 4 if length < 1ULL << 32 else 8
    if length < 1 << 6:
        out[0] = <uint8_t>length
        return 1
    if length < 1 << 14:
        out[0] = <uint8_t>(LENGTH_14 | length >> 8)
        out[1] = <uint8_t>length
        return 2
    out[0] = LENGTH_32 if size == 4 else LENGTH_64
    for i in range(size):
        out[size - i] = <uint8_t>(length >> 8 * i)
    return 1 + size


cdef inline size_t integer_at(uint8_t* out, int64_t number) noexcept nogil:
    """Put a number of up to 32 bits as a string; returns its bytes."""
    cdef int size = 4
    out[0] = STRING_INT32
    if -128 <= number < 128:
        out[0] = STRING_INT8
        size = 1
    elif -(1 << 15) <= number < 1 << 15:
        out[0] = STRING_INT16
        size = 2
    memcpy(out + 1, &number, size)
    return 1 + size


cdef class RdbOutput:
    """Hands chunks of encoded bytes to `write`, the last one on `flush`. `save_stream` encodes a stream's body
    through this object's methods."""

    def __cinit__(self, write, save_stream, bint compress=True, bint checksum=True):
        self.write = write
        self.save_stream = save_stream
        self.compress = compress
        self.checksum = checksum
        self.room = FIRST_ROOM
        self.buffer = <uint8_t*>take(self.room)
        if self.buffer == NULL:
            raise MemoryError

    def __dealloc__(self):
        release(self.buffer)

    def byte(self, uint8_t value) -> None:
        put_byte(self, value)

    def raw(self, bytes data not None) -> None:
        put(self, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    def length(self, uint64_t length) -> None:
        put_length(self, length)

    def string(self, bytes text not None) -> None:
        put_string(self, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    def value(self, value) -> None:
        """A value (bytes or a datatype object) as it stands behind its key."""
        if isinstance(value, bytes):
            self.string(value)
        else:
            put_object(self, kind_of(value), <PyObject*>value)

    def replace(self, codes, put) -> None:
        """Entries whose type code is among `codes` are left to `put(out, code, key, value)`, from the code on. Of
        one that lies in the store, `value` is the body, as bytes."""
        self.replaced = sum([1 << code for code in codes])
        self.put_replaced = put

    def entries(self, Keyspace db not None, str policy not None="noeviction") -> None:
        """All live entries of a database. With what `policy`, of evictions, chooses by: how long a
        key was not used, or how often it was.

        They come in the order of their slots and lie anywhere in memory. So each waits for AHEAD others while it is
        fetched, and halfway the object that it points to.
        """
        cdef Entry* waiting[AHEAD]
        cdef Entry* entry
        cdef Walk walk
        cdef uint64_t seen = 0
        cdef uint64_t i
        cdef int slot
        self.clocks = BY_IDLE_TIME if "lru" in policy else BY_FREQUENCY if "lfu" in policy else NOT_KEPT
        for slot in range(SLOT_COUNT):
            walk = Walk(NULL, 0, 0)
            if slot + 1 < SLOT_COUNT:
                prefetch(db.tables[slot + 1].cells)
            while True:
                entry = next_entry(&db.tables[slot], &walk)
                if entry == NULL:
                    break
                prefetch(entry)
                prefetch(<char*>entry + CACHE_LINE)
                if seen >= AHEAD:
                    put_if_live(self, db, waiting[seen % AHEAD])
                    prefetch_object(waiting[(seen - AHEAD // 2) % AHEAD])
                waiting[seen % AHEAD] = entry
                seen += 1
        for i in range(seen - min(seen, AHEAD), seen):
            put_if_live(self, db, waiting[i % AHEAD])
        for slot in range(SLOT_COUNT) if db.cold is not None else ():
            for key, record in db.cold_records(slot):
                put_record(self, key, record, db.clock[0])

    def flush(self) -> None:
        """Hand over what has gathered."""
        flush(self)


cdef int flush(RdbOutput self) except -1:
    cdef bytes chunk
    if self.used == 0:
        return 0
    chunk = PyBytes_FromStringAndSize(<char*>self.buffer, self.used)
    if self.checksum:
        self.crc = crc64_of(self.crc, self.buffer, self.used)
    self.used = 0
    self.write(chunk)
    if self.room > 4 * CHUNK:       # a large string was in it
        release(self.buffer)
        self.buffer = <uint8_t*>take(FIRST_ROOM)
        if self.buffer == NULL:
            raise MemoryError
        self.room = FIRST_ROOM
    return 0


cdef inline uint8_t* reserve(RdbOutput self, size_t size) except NULL:
    """Where the next `size` bytes may be put; `advance` says how many were."""
    cdef uint8_t* moved
    cdef size_t room
    if self.used + size > self.room:
        room = max(self.used + size, 2 * self.room)
        moved = <uint8_t*>resize(self.buffer, room)
        if moved == NULL:
            raise MemoryError
        self.buffer = moved
        self.room = room
    return self.buffer + self.used


cdef inline int advance(RdbOutput self, size_t size) except -1:
    self.used += size
    return flush(self) if self.used >= CHUNK else 0


# --- what everything is made of ------------------------------------------------------------------------------


cdef int put(RdbOutput self, const void* data, size_t size) except -1:
    memcpy(reserve(self, size), data, size)
    return advance(self, size)


cdef int put_byte(RdbOutput self, uint8_t value) except -1:
    reserve(self, 1)[0] = value
    return advance(self, 1)


cdef int put_length(RdbOutput self, uint64_t length) except -1:
    return advance(self, length_at(reserve(self, HEAD), length))


cdef int put_string(RdbOutput self, const char* text, size_t length) except -1:
    """A string in its shortest form: as a number of up to 32 bits, compressed, or as it is."""
    cdef uint8_t* out = reserve(self, HEAD + length)
    cdef int64_t number
    cdef size_t size
    if length <= INTEGER_TEXT:
        if canonical_number(text, length, &number) and -(1LL << 31) <= number < 1LL << 31:
            return advance(self, integer_at(out, number))
    elif self.compress and COMPRESS_OVER < length <= COMPRESS_UP_TO:
        size = lzf_pack(<const uint8_t*>text, length, out + HEAD, length - 4)
        if size:
            return put_compressed(self, out, size, length)
    size = length_at(out, length)
    memcpy(out + size, text, length)
    return advance(self, size + length)


cdef int put_compressed(RdbOutput self, uint8_t* out, size_t size, size_t length) except -1:
    """The head of a string of `length` bytes whose `size` packed ones are at `out` + HEAD already."""
    cdef size_t head = 1
    out[0] = STRING_LZF
    head += length_at(out + head, size)
    head += length_at(out + head, length)
    memmove(out + head, out + HEAD, size)
    return advance(self, head + size)


cdef inline int put_pack(RdbOutput self, uint8_t* pack) except -1:
    return put_string(self, <char*>pack, pack_bytes(pack))


# --- entries -------------------------------------------------------------------------------------------------


cdef inline void prefetch_object(Entry* entry) noexcept nogil:
    if entry.flags & IS_OBJECT:
        prefetch(entry_object(entry)[0])


cdef inline int put_if_live(RdbOutput self, Keyspace db, Entry* entry) except -1:
    if entry.flags & HAS_EXPIRY and db.clock[0] > entry_expiry(entry):
        return 0
    self.keys += 1
    return put_entry(self, db, entry)


cdef int put_entry(RdbOutput self, Keyspace db, Entry* entry) except -1:
    """What precedes the type code tells of the key: its expiry, and its access clock as configured."""
    cdef PyObject* value
    cdef uint8_t code
    cdef int64_t expire_at = entry_expiry(entry)
    if expire_at:
        put_byte(self, OP_EXPIRE_MS)
        put(self, &expire_at, sizeof(int64_t))
    put_clock(self, (<uint32_t>(db.clock[0] // 1000) - entry.clock) & CLOCK_MASK, db.decayed_counter(entry))
    if entry.flags & IS_OBJECT:
        value = <PyObject*>entry_object(entry)[0]
        code = code_of(entry_type(entry), value)
        if self.replaced >> code & 1:
            self.put_replaced(self, code, PyBytes_FromStringAndSize(entry_key(entry), entry_key_length(entry)), <object>value)
            return 0
        put_byte(self, code)
        put_string(self, entry_key(entry), entry_key_length(entry))
        return put_object(self, entry_type(entry), value)
    put_byte(self, CODE_STRING)
    put_string(self, entry_key(entry), entry_key_length(entry))
    return put_string(self, entry_value(entry), entry_value_length(entry))


cdef uint32_t kind_of(value) except? 0xFF:
    """TYPE_ of a value that Python holds."""
    if isinstance(value, bytes):
        return TYPE_STRING
    if type(value) is Hash:
        return TYPE_HASH
    if type(value) is Set:
        return TYPE_SET
    if type(value) is SortedSet:
        return TYPE_ZSET
    if type(value) is List:
        return TYPE_LIST
    if value.type_name == "stream":
        return TYPE_STREAM
    raise TypeError(f"{type(value)} is no value")


def type_code(value) -> int:
    """The type code under which `value` (bytes or a datatype object) is written."""
    return code_of(kind_of(value), <PyObject*>value)


cdef uint8_t code_of(uint32_t kind, PyObject* value) noexcept:
    if kind == TYPE_HASH:
        return code_of_hash(<Hash>value)
    if kind == TYPE_SET:
        if (<Set>value).kind == HASHTABLE:
            return CODE_SET
        return CODE_SET_INTSET if (<Set>value).kind == INTSET else CODE_SET_LISTPACK
    if kind == TYPE_ZSET:
        return CODE_ZSET_LISTPACK if (<SortedSet>value).ranking == NULL else CODE_ZSET_2
    if kind == TYPE_LIST:
        return CODE_LIST_QUICKLIST_2
    return CODE_STRING if kind == TYPE_STRING else CODE_STREAM_LISTPACKS_3


cdef uint8_t code_of_hash(Hash value) noexcept:
    """One none of whose fields expires any more is as any other, so that servers read it that know no such fields."""
    if value.table == NULL and not value.timed:
        return CODE_HASH_LISTPACK
    if earliest_of(value) == 0:
        return CODE_HASH
    return CODE_HASH_LISTPACK_EX if value.table == NULL else CODE_HASH_METADATA


cdef int put_object(RdbOutput self, uint32_t kind, PyObject* value) except -1:
    """The body of a collection. Nothing here may hold a reference to it, not for a moment."""
    if kind == TYPE_HASH:
        return put_hash(self, <Hash>value)
    if kind == TYPE_SET:
        return put_set(self, <Set>value)
    if kind == TYPE_ZSET:
        return put_sorted_set(self, <SortedSet>value)
    if kind == TYPE_LIST:
        return put_list(self, <List>value)
    self.save_stream(<object>value, self)
    return 0


cdef int put_clock(RdbOutput self, uint32_t idle, uint32_t frequency) except -1:
    """What is kept of an access clock: seconds without access, or the counter of accesses."""
    if self.clocks == BY_IDLE_TIME:
        put_byte(self, OP_IDLE)
        put_length(self, idle)
    elif self.clocks == BY_FREQUENCY:
        put_byte(self, OP_FREQ)
        put_byte(self, <uint8_t>frequency)
    return 0


cdef int put_record(RdbOutput self, bytes key, bytes record, int64_t now) except -1:
    """An entry that lies in the store only, where its value is encoded already, unless it has expired."""
    cdef Head head
    read_head(&head, record)
    if head.expire_at:
        if now > head.expire_at:
            return 0
        put_byte(self, OP_EXPIRE_MS)
        put(self, &head.expire_at, sizeof(int64_t))
    put_clock(self, (now // 1000 - head.clock) & CLOCK_MASK, head.clock & 0xFF)
    if self.replaced >> head.code & 1:
        self.put_replaced(self, head.code, key, record[head.body : head.end])
        self.keys += 1
        return 0
    put_byte(self, head.code)
    put_string(self, PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
    put(self, PyBytes_AS_STRING(record) + head.body, head.end - head.body)
    self.keys += 1
    return 0


# --- collections ---------------------------------------------------------------------------------------------


cdef int64_t earliest_of(Hash value) noexcept:
    """Unix ms at which the first field expires, 0 for never."""
    cdef int64_t due = soonest_due(value)
    return due if due != NEVER else 0


cdef int put_hash(RdbOutput self, Hash value) except -1:
    cdef int64_t earliest = earliest_of(value)
    if value.table == NULL:
        if value.timed and not earliest:
            return put_pairs(self, value)
        if value.timed:
            put(self, &earliest, sizeof(int64_t))
        return put_pack(self, value.pack)
    if earliest:
        put(self, &earliest, sizeof(int64_t))
    return put_fields(self, value.table, earliest)


cdef int put_pairs(RdbOutput self, Hash value) except -1:
    """A listpack of triples, whose moments are all 0, as a table."""
    put_length(self, len(value))
    for field, text in value.items():
        self.string(field)
        self.string(text)
    return 0


cdef int put_fields(RdbOutput self, FieldTable* table, int64_t earliest) except -1:
    """Moments are written as the time after the earliest, plus one; 0 for fields that do not expire."""
    cdef MemberPlace place
    cdef Member* field
    cdef const char* text
    cdef size_t length
    cdef int64_t due
    place.index = place.cell = 0
    put_length(self, table.members.used)
    while True:
        field = members_next(&table.members, &place)
        if field == NULL:
            return 0
        if earliest:
            due = field_due(table, field)
            put_length(self, due - earliest + 1 if due else 0)
        put_string(self, member_key(&table.members, field), field.key_length)
        text = field_value(table, field, &length)
        put_string(self, text, length)


cdef int put_set(RdbOutput self, Set value) except -1:
    cdef MemberTable* table
    cdef MemberPlace place
    cdef Member* member
    if value.kind == INTSET:
        return put_string(self, <char*>value.body, intset_bytes(<uint8_t*>value.body))
    if value.kind != HASHTABLE:
        return put_pack(self, <uint8_t*>value.body)
    table = <MemberTable*>value.body
    place.index = place.cell = 0
    put_length(self, table.used)
    while True:
        member = members_next(table, &place)
        if member == NULL:
            return 0
        put_string(self, member_key(table, member), member.key_length)


cdef int put_sorted_set(RdbOutput self, SortedSet value) except -1:
    cdef Ranking* ranking = value.ranking
    cdef Place place
    cdef Member* member
    if ranking == NULL:
        return put_pack(self, value.pack)
    put_length(self, ranking.tree.used)
    if ranking.tree.used == 0:
        return 0
    tree_at(&ranking.tree, 0, &place)
    while True:
        member = tree_next(&place)
        if member == NULL:
            return 0
        put_string(self, key_of(member), member.key_length)
        put(self, score_of(member), sizeof(double))


cdef int put_list(RdbOutput self, List value) except -1:
    cdef Node* node
    if value.quick == NULL:
        put_length(self, 1)
        put_length(self, NODE_PACKED)
        return put_pack(self, value.pack)
    put_length(self, value.quick.nodes)
    node = value.quick.head
    while node != NULL:
        put_length(self, NODE_PLAIN if node.plain else NODE_PACKED)
        put_string(self, <char*>node.pack, node.length if node.plain else pack_bytes(node.pack))
        node = node.after
    return 0
