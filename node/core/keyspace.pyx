"""Keys to entries: the part of a database that compiled code works on.

Sixteen thousand slot tables (`slot_table.pyx`), and what it takes to find, store, edit and drop an entry in
them: expiry, the access clock, memory accounting. A database that never held a key shares one set of empty tables
with all such, so that it costs nothing. `Database` (database.pyx) is the same with Python's face;
compiled handlers use these methods directly and make no object.

Expiry: an expired key looks absent to every method. A primary drops it when it comes across it (`find`) and
tells `on_expired`; a replica only hides it (`hides_expired`) and waits for its primary's DEL, except from the
commands of that primary (`shows_expired`). Where memory holds only a part of the keys, the rest is `cold` (cold.pyx):
what is not found is looked for there, and every change makes a key dirty. Time is the engine's clock, which stands still while a command, script
or transaction runs, so that each sees one instant.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from node.core.incoming cimport Incoming, incoming_forget
from node.core.key_hash cimport hash_of
from node.core.key_slot cimport SLOT_COUNT, slot_of
from node.core.memory cimport malloc_usable_size, release, resize, take, take_zeroed
from node.core.slot_table cimport (
    HAS_EXPIRY,
    IN_FLIGHT,
    IS_LONG,
    IS_OBJECT,
    SHORT,
    STORED,
    TYPE_HASH,
    TYPE_LIST,
    TYPE_SET,
    TYPE_STREAM,
    TYPE_ZSET,
    UNSAVED,
    WAS_EDITED,
    Lengths,
    Walk,
    entry_expiry,
    entry_key,
    entry_object,
    entry_of,
    entry_value,
    entry_value_length,
    expiry_place,
    header_size,
    next_entry,
    set_value_length,
    table_add,
    table_find,
    table_free,
    table_remove,
    table_replace,
    value_place,
)

from node.errors import STRING_TOO_LONG, WRONGTYPE

cdef extern from "<Python.h>":
    Py_ssize_t Py_REFCNT(PyObject* held)

cdef enum:
    LFU_INITIAL = 5     # as Redis: a new key is not the first to go

cdef SlotTable NO_TABLES[16384]
"""The tables of all databases that never held a key: empty for good, so that nobody else has to ask."""

cdef dict TYPE_CODES = {
    "list": TYPE_LIST, "set": TYPE_SET, "zset": TYPE_ZSET, "hash": TYPE_HASH, "stream": TYPE_STREAM,
}


cdef list TYPE_NAMES = ["string", "list", "set", "zset", "hash", "module", "stream"]
"""By the type codes of entries."""


cdef void make_key(Key* key, const char* data, size_t length) noexcept nogil:
    key.data = data
    key.length = length
    key.hash = hash_of(data, length)
    key.slot = slot_of(data, length)


cdef void make_further_key(Key* key, Key* first, size_t head, const char* data, size_t length) noexcept nogil:
    """`make_key` of one that probably has the tag of `first`, which ends its first `head` bytes; 0 if it has none."""
    key.data = data
    key.length = length
    key.hash = hash_of(data, length)
    if head and length >= head and memcmp(data, first.data, head) == 0:
        key.slot = first.slot
    else:
        key.slot = slot_of(data, length)


cdef class Keyspace:
    def __cinit__(self, int index=0):
        self.tables = NO_TABLES
        self.index = index
        self.random_state = <uint64_t>id(self) | 1
        self.lfu_log_factor = 10
        self.lfu_decay_time = 1
        self.clock = &self.own_clock

    def __dealloc__(self):
        cdef int slot
        if self.tables != NO_TABLES:
            for slot in range(SLOT_COUNT):
                self.clear_table(slot)
            release(self.tables)

    cdef void follow_clock(self, int64_t* clock, owner):
        """Take the time from `clock`, which lives inside `owner`."""
        self.clock = clock
        self.clock_owner = owner

    @property
    def now(self) -> int:
        """Unix ms. The engine sets it at the start of each read, so that a command sees one instant."""
        return self.clock[0]

    @now.setter
    def now(self, int64_t value):
        self.clock[0] = value

    # --- finding -------------------------------------------------------------------------------------

    cdef Entry* find_further(self, Key* key, uint64_t* cell) except? NULL:
        """`find` where the key may have expired, or is not in memory (then `cell` is NULL)."""
        cdef Entry* entry
        if cell == NULL:
            if self.cold is None or self.cold.keys[key.slot] == 0:
                return NULL
            cell = self.fetch(key)
            if cell == NULL:
                return NULL
        entry = entry_of(cell[0])
        if entry.flags & HAS_EXPIRY and self.clock[0] > entry_expiry(entry) and not self.shows_expired:
            if not self.hides_expired:
                self.expire(key, cell)
            return NULL
        return entry

    cdef uint64_t* fetch(self, Key* key) except? NULL:
        """Bring a key that is not in memory from the store; NULL where it is not there either."""
        cdef bytes name = PyBytes_FromStringAndSize(key.data, key.length)
        if self.cold.is_superseded(name):
            return NULL
        record = self.cold.store.get(self.cold.place(key.slot, key.hash, name))
        if record is None:
            return NULL
        self.cold.codec.thaw(self, name, record)
        return table_find(&self.tables[key.slot], key.hash, key.data, key.length)

    cdef Entry* find_for_read(self, Key* key) except? NULL:
        """`find`, counted as a hit or a miss, with the access clock touched."""
        cdef Entry* entry = self.find(key)
        if entry == NULL:
            self.missed(key)
            return NULL
        self.hits += 1
        self.touch_entry(entry)
        return entry

    cdef int missed(self, Key* key) except -1:
        """A key to be read is not there."""
        self.misses += 1
        if self.on_missed is not None:
            self.on_missed(self, PyBytes_FromStringAndSize(key.data, key.length))
        return 0

    cdef void count_use(self, Entry* entry) noexcept:
        """The LFU counter goes up by one, the less likely the higher it is."""
        cdef uint32_t counter = self.decayed_counter(entry)
        if counter < 255 and (
            counter <= LFU_INITIAL
            or self.random() % (<uint64_t>(counter - LFU_INITIAL) * self.lfu_log_factor + 1) == 0
        ):
            counter += 1
        entry.clock = ((<uint32_t>(self.clock[0] // 60000) & 0xFFFF) << 8) | counter

    cdef uint32_t decayed_counter(self, Entry* entry) noexcept:
        """The LFU counter, less one for each `lfu_decay_time` minutes since the last access."""
        cdef uint32_t minutes = (<uint32_t>(self.clock[0] // 60000) - (entry.clock >> 8)) & 0xFFFF
        cdef uint32_t counter = entry.clock & 0xFF
        cdef uint32_t lost = minutes // self.lfu_decay_time if self.lfu_decay_time else 0
        return counter - lost if counter > lost else 0

    cdef uint64_t random(self) noexcept:
        """xorshift64: for sampling keys, not for secrets."""
        self.random_state ^= self.random_state << 13
        self.random_state ^= self.random_state >> 7
        self.random_state ^= self.random_state << 17
        return self.random_state

    # --- what the store does not know yet --------------------------------------------------------------

    cdef int soil_further(self, Key* key, Entry* entry) except -1:
        """`soil` of an entry that is not known to have changed yet."""
        entry.flags |= UNSAVED
        name = PyBytes_FromStringAndSize(key.data, key.length)
        if name in self.cold.dirty:
            entry.flags |= STORED    # the store has not heard yet that the key it knows was deleted
        else:
            self.cold.dirty.add(name)
        return 0

    cdef int bury(self, Key* key, Entry* entry) except -1:
        """The entry is about to go. What was never told of need not be told of now."""
        name = PyBytes_FromStringAndSize(key.data, key.length)
        if entry.flags & STORED:
            self.cold.dirty.add(name)
        else:
            self.cold.dirty.discard(name)
        return 0

    # --- storing -------------------------------------------------------------------------------------

    cdef void account(self, Entry* entry, int sign) noexcept:
        self.size += sign
        if entry.flags & HAS_EXPIRY:
            self.volatile_count += sign

    cdef void release(self, Entry* entry, bint lazily):
        """Free an entry that is in no table any more. `lazily`: its value, if nobody else holds it, may wait for
        its end in the graveyard."""
        cdef PyObject* held
        self.account(entry, -1)
        if entry.flags & IS_OBJECT:
            held = <PyObject*>entry_object(entry)[0]
            release(entry)
            if lazily and self.on_left is not None and Py_REFCNT(held) == 1:
                self.on_left(<object>held)
            Py_DECREF(<object>held)
        else:
            release(entry)

    cdef void drop(self, Key* key, uint64_t* cell, bint lazily):
        cdef Entry* entry = entry_of(cell[0])
        if self.cold is not None:
            self.bury(key, entry)
        table_remove(&self.tables[key.slot], key.hash, cell)
        self.release(entry, lazily)

    cdef void expire(self, Key* key, uint64_t* cell):
        name = PyBytes_FromStringAndSize(key.data, key.length)
        self.drop(key, cell, self.leaves_expired)
        self.expired += 1
        if self.on_expired is not None:
            self.on_expired(self, name)

    cdef uint64_t* place_of(self, Key* key) except? NULL:
        """Where `key` is, for storing: NULL if it is not, or was there but had expired."""
        cdef uint64_t* cell = table_find(&self.tables[key.slot], key.hash, key.data, key.length)
        cdef Entry* entry
        if cell == NULL:
            if self.cold is None or self.cold.keys[key.slot] == 0:
                return NULL
            cell = self.fetch(key)
            if cell == NULL:
                return NULL
        entry = entry_of(cell[0])
        if entry.flags & HAS_EXPIRY and self.clock[0] > entry_expiry(entry):
            if not self.shows_expired and not self.hides_expired:
                self.expire(key, cell)
                return NULL
        return cell

    cdef Entry* new_entry(self, Key* key, uint32_t flags, size_t length, int64_t expiry) except NULL:
        """An entry with its key in place, not yet in the table. `flags` less those that the lengths and `expiry` tell.
        `length` is that of a string, 0 for objects."""
        cdef Entry* entry
        flags &= ~<uint32_t>(IS_LONG | HAS_EXPIRY)
        if key.length > SHORT or length > SHORT:
            flags |= IS_LONG
        if expiry:
            flags |= HAS_EXPIRY
        entry = <Entry*>take(header_size(flags) + key.length + length)
        if entry == NULL:
            raise MemoryError
        self.lay_head(entry, key, flags, length, expiry)
        return entry

    cdef void lay_head(self, Entry* entry, Key* key, uint32_t flags, size_t length, int64_t expiry) noexcept:
        """Write all of a new entry up to its value, which follows at once."""
        entry.flags = flags
        entry.key_length = <uint16_t>key.length
        entry.value_length = <uint16_t>length
        if flags & IS_LONG:
            (<Lengths*>(entry + 1)).key = key.length
            (<Lengths*>(entry + 1)).value = length
            entry.value_length = 0
        entry.clock = (
            ((<uint32_t>(self.clock[0] // 60000) & 0xFFFF) << 8) | LFU_INITIAL
            if self.tracks_frequency
            else <uint32_t>(self.clock[0] // 1000) & CLOCK_MASK
        )
        if expiry:
            expiry_place(entry)[0] = expiry
        memcpy(entry_key(entry), key.data, key.length)

    cdef Entry* lay_anew(self, Key* key, Entry* old, size_t length, int64_t expiry) except NULL:
        """Put in the place of `old`, which is in the table, one of another layout: with or without an expiry, or for
        a string of `length`. An object it owns moves with it; a string is copied as far as it goes."""
        cdef Entry* entry
        if old.flags & IS_OBJECT:
            entry = self.new_entry(key, old.flags, 0, expiry)
            entry.value_length = old.value_length
            entry_object(entry)[0] = entry_object(old)[0]
            Py_INCREF(<object>(<PyObject*>entry_object(old)[0]))
        else:
            entry = self.new_entry(key, old.flags, length, expiry)
            memcpy(entry_value(entry), entry_value(old), min(length, <size_t>entry_value_length(old)))
        entry.clock = old.clock
        self.install(key, entry)
        return entry

    cdef int admit(self, Key* key, Entry* entry) except -1:
        """Have `entry` in memory, where no entry of `key` is."""
        if self.tables == NO_TABLES:
            self.make_tables()
        table_add(&self.tables[key.slot], key.hash, entry)
        self.account(entry, 1)
        return 0

    cdef int add(self, Key* key, Entry* entry) except -1:
        """Put `entry` where no entry of `key` is."""
        self.admit(key, entry)
        self.soil(key, entry)
        if self.on_added is not None:
            self.on_added(self, PyBytes_FromStringAndSize(key.data, key.length))
        return 0

    cdef int install(self, Key* key, Entry* entry) except -1:
        """Put `entry` where `key` is, or add it. Frees what it replaces."""
        cdef uint64_t* cell = self.place_of(key)
        cdef Entry* old
        if cell == NULL:
            return self.add(key, entry)
        old = entry_of(cell[0])
        if self.tracks_frequency:
            self.touch_entry(old)
            entry.clock = old.clock  # how often the key is used outlives its value
        table_replace(&self.tables[key.slot], key.hash, cell, entry)
        self.account(entry, 1)
        entry.flags |= old.flags & (STORED | UNSAVED | IN_FLIGHT)
        self.soil(key, entry)
        self.release(old, self.leaves_replaced)
        return 0

    cdef Entry* put_string(self, Key* key, const char* value, size_t length, int64_t expiry) except NULL:
        """Store a string, replacing whatever is there. `expiry` in Unix ms, 0 none, -1 as it was.

        A string of about the same size is overwritten in place. `value` must not lie in the entry itself.
        """
        cdef uint64_t* cell = self.place_of(key)
        cdef Entry* entry
        cdef size_t place, needed
        if cell != NULL:
            entry = entry_of(cell[0])
            if expiry == -1:
                expiry = entry_expiry(entry)
                if expiry and self.clock[0] > expiry:
                    expiry = 0
            if (
                not entry.flags & IS_OBJECT
                and (entry.flags & HAS_EXPIRY != 0) == (expiry != 0)
                and (length <= SHORT or entry.flags & IS_LONG)
            ):
                place = value_place(entry)
                needed = place + length
                if needed <= malloc_usable_size(entry) and needed * 2 + 64 >= malloc_usable_size(entry):
                    entry.flags &= ~<uint32_t>WAS_EDITED
                    set_value_length(entry, length)
                    if expiry:
                        expiry_place(entry)[0] = expiry
                    memcpy(<char*>entry + place, value, length)
                    self.touch_entry(entry)
                    self.soil(key, entry)
                    return entry
        elif expiry == -1:
            expiry = 0
        entry = self.new_entry(key, 0, length, expiry)
        memcpy(entry_value(entry), value, length)
        self.install(key, entry)
        return entry

    cdef bint adopt_string(
        self, Key* key, Incoming* incoming, const char* value, size_t length, int64_t expiry
    ) except -1:
        """`put_string` of a large value that lies in `incoming`, without a copy: its block becomes the entry. The frame
        stays readable as long as the entry is. False, and nothing done, where it does not fit."""
        cdef uint32_t flags = IS_LONG | HAS_EXPIRY if expiry else IS_LONG
        cdef size_t head = header_size(flags) + key.length
        cdef Entry* entry = <Entry*>(incoming.start - incoming.head)
        cdef size_t gap = value - <char*>entry - head
        if expiry < 0 or length <= SHORT or head > incoming.head or gap > SHORT:
            return False
        incoming_forget(incoming)
        self.lay_head(entry, key, flags, length, expiry)
        entry.value_length = <uint16_t>gap
        self.install(key, entry)
        return True

    cdef int let_expire(self, Key* key, Entry* entry, int64_t at_ms) except -1:
        """Let a key, whose entry this is, expire at Unix ms `at_ms`, 0 for never. The entry may be another then."""
        if (entry.flags & HAS_EXPIRY != 0) != (at_ms != 0):
            self.lay_anew(key, entry, entry_value_length(entry), at_ms)
        elif at_ms:
            expiry_place(entry)[0] = at_ms
            self.soil(key, entry)
        return 0

    cdef int lay_out(self, Key* key, object value, int64_t expiry) except -1:
        """Store a datatype object, replacing whatever is there."""
        cdef Entry* old
        if expiry == -1:
            old = self.find(key)
            expiry = entry_expiry(old) if old != NULL else 0
        self.install(key, self.object_entry(key, value, 0, expiry))
        return 0

    cdef Entry* object_entry(self, Key* key, object value, uint32_t flags, int64_t expiry) except NULL:
        """`new_entry` of a datatype object."""
        cdef Entry* entry = self.new_entry(key, flags | IS_OBJECT, 0, expiry)
        entry.value_length = <uint16_t>TYPE_CODES[value.type_name]
        Py_INCREF(value)
        entry_object(entry)[0] = <void*>value
        return entry

    cdef Entry* string_for_edit(self, Key* key, size_t length) except NULL:
        """The string at `key`, grown with zero bytes to at least `length`, ready to be written into.

        Created when absent. Growth leaves room for more, as sds does, so that appending is cheap.
        """
        cdef Entry* entry = self.find(key)
        cdef uint64_t* cell
        cdef size_t before, needed, room
        if length > 0xFFFFFFFFU:
            raise STRING_TOO_LONG
        if entry == NULL:
            entry = self.new_entry(key, WAS_EDITED, length, 0)
            memset(entry_value(entry), 0, length)
            self.install(key, entry)
            return entry
        if entry.flags & IS_OBJECT:
            raise WRONGTYPE
        self.touch_entry(entry)
        self.soil(key, entry)
        entry.flags |= WAS_EDITED
        before = entry_value_length(entry)
        if length <= before:
            return entry
        if length > SHORT and not entry.flags & IS_LONG:
            entry = self.lay_anew(key, entry, length, entry_expiry(entry))
        needed = value_place(entry) + length
        if needed > malloc_usable_size(entry):
            room = length if length < (1 << 20) else (1 << 20)
            cell = table_find(&self.tables[key.slot], key.hash, key.data, key.length)
            entry = <Entry*>resize(entry, needed + room)
            if entry == NULL:
                raise MemoryError
            cell[0] = (cell[0] & ~0xFFFFFFFFFFFFULL) | <uint64_t>entry
        memset(entry_value(entry) + before, 0, length - before)
        set_value_length(entry, length)
        return entry

    cdef int make_tables(self) except -1:
        """For the first key of a database."""
        cdef SlotTable* tables = <SlotTable*>take_zeroed(SLOT_COUNT, sizeof(SlotTable))
        if tables == NULL:
            raise MemoryError
        self.tables = tables
        return 0

    cdef int own_tables(self) except -1:
        """Before keys come that are not added one by one."""
        return self.make_tables() if self.tables == NO_TABLES else 0

    cdef void swap(self, Keyspace other) noexcept:
        """Exchange all keys, and what is counted of them, with another database."""
        self.tables, other.tables = other.tables, self.tables
        self.size, other.size = other.size, self.size
        self.volatile_count, other.volatile_count = other.volatile_count, self.volatile_count

    # --- dropping all ----------------------------------------------------------------------------------

    def clear_slot(self, int slot) -> int:
        """Drop every key of a slot; returns how many."""
        cdef int cold = self.cold.clear_slot(slot) if self.cold is not None else 0
        return cold + self.clear_table(slot)

    cdef int clear_table(self, int slot):
        """Drop those that are in memory."""
        cdef SlotTable* table = &self.tables[slot]
        cdef SlotTable old = table[0]
        cdef Walk walk = Walk(NULL, 0, 0)
        cdef Entry* entry = NULL
        memset(table, 0, sizeof(SlotTable))
        while True:
            entry = next_entry(&old, &walk)
            if entry == NULL:
                break
            self.release(entry, False)
        table_free(&old)
        return old.used

    def clear(self) -> int:
        """Drop every key; returns how many."""
        cdef Py_ssize_t dropped = self.size
        cdef int slot
        if self.size:
            for slot in range(SLOT_COUNT):
                self.clear_table(slot)
        if self.cold is not None:
            dropped += self.cold.size
            self.cold.clear()
        return dropped
