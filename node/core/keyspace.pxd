"""Keys to entries, for compiled code. See keyspace.pyx."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t

from node.core.cold cimport Cold
from node.core.incoming cimport Incoming
from node.core.slot_table cimport (
    HAS_EXPIRY,
    IS_OBJECT,
    UNSAVED,
    USED,
    Entry,
    SlotTable,
    entry_key,
    entry_key_length,
    entry_object,
    entry_of,
    entry_value,
    entry_value_length,
    table_find,
)

cdef struct Key:
    const char* data
    size_t length
    uint32_t hash
    int slot

cdef enum:
    CLOCK_MASK = 0xFFFFFF

cdef list TYPE_NAMES

cdef void make_key(Key* key, const char* data, size_t length) noexcept nogil
cdef void make_further_key(Key* key, Key* first, size_t head, const char* data, size_t length) noexcept nogil

cdef inline void key_from_bytes(Key* key, bytes data):
    make_key(key, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

cdef inline object value_of(Entry* entry):
    """The value as Python has it: the datatype object, or a copy of the string."""
    if entry.flags & IS_OBJECT:
        return <object>(<PyObject*>entry_object(entry)[0])
    return PyBytes_FromStringAndSize(entry_value(entry), entry_value_length(entry))

cdef inline bytes key_of(Entry* entry):
    return PyBytes_FromStringAndSize(entry_key(entry), entry_key_length(entry))

cdef class Keyspace:
    cdef SlotTable* tables            # [16384]; shared empty ones before the first key
    cdef readonly Py_ssize_t size
    cdef readonly Py_ssize_t volatile_count
    cdef readonly int index
    cdef int64_t* clock               # Unix ms; the engine's, or its own where there is none
    cdef int64_t own_clock
    cdef object clock_owner           # keeps the clock's memory alive
    cdef public bint hides_expired    # a replica hides expired keys and waits for its primary's DEL
    cdef public bint shows_expired    # to its primary's commands a replica's keys are never too old
    cdef public bint tracks_frequency # LFU instead of LRU in the access clock
    cdef public uint32_t lfu_log_factor    # how much harder each step of the LFU counter is than the last
    cdef public uint32_t lfu_decay_time    # minutes without access that cost it a step; 0: none
    cdef public bint keeps_clocks     # CLIENT NO-TOUCH: access leaves no trace
    cdef public object on_expired     # called with (database, key) after a key was dropped because of its age
    cdef public object on_missed      # called with (database, key) when a key to be read was not there, or None
    cdef public object on_added       # called with (database, key) after a key was added, or None
    cdef public object on_left        # called with a value that may be freed piece by piece, or None: see graveyard
    cdef public bint leaves_expired   # free values of expired keys so
    cdef public bint leaves_deleted   # free values that clients delete so
    cdef public bint leaves_replaced  # free values that go in passing so, or are replaced
    cdef public Cold cold             # what lies in the store only, or None where there is no store
    cdef readonly uint64_t hits
    cdef readonly uint64_t misses
    cdef readonly uint64_t expired
    cdef uint64_t random_state

    # for compiled handlers; what nearly every request needs is inline, its rarer part elsewhere
    cdef inline Entry* find(self, Key* key) except? NULL:
        """The live entry of `key`, or NULL. Drops it if it has expired (unless expired keys are hidden)."""
        cdef uint64_t* cell = table_find(&self.tables[key.slot], key.hash, key.data, key.length)
        if cell != NULL and not entry_of(cell[0]).flags & HAS_EXPIRY:
            return entry_of(cell[0])
        return self.find_further(key, cell)

    cdef inline void touch_entry(self, Entry* entry) noexcept:
        """The entry was used: its access clock is set."""
        if self.keeps_clocks:
            return
        if self.tracks_frequency:
            self.count_use(entry)
        else:
            entry.clock = <uint32_t>(self.clock[0] // 1000) & CLOCK_MASK
        entry.flags |= USED

    cdef inline int soil(self, Key* key, Entry* entry) except -1:
        """The entry has changed: the store, where there is one, will have to be told."""
        if self.cold is not None and not entry.flags & UNSAVED:
            return self.soil_further(key, entry)
        return 0

    cdef Entry* find_for_read(self, Key* key) except? NULL
    cdef int missed(self, Key* key) except -1
    cdef Entry* put_string(self, Key* key, const char* value, size_t length, int64_t expiry) except NULL
    cdef bint adopt_string(
        self, Key* key, Incoming* incoming, const char* value, size_t length, int64_t expiry
    ) except -1
    cdef Entry* string_for_edit(self, Key* key, size_t length) except NULL
    cdef Entry* object_entry(self, Key* key, object value, uint32_t flags, int64_t expiry) except NULL
    cdef int let_expire(self, Key* key, Entry* entry, int64_t at_ms) except -1
    cdef int admit(self, Key* key, Entry* entry) except -1
    cdef int lay_out(self, Key* key, object value, int64_t expiry) except -1
    cdef void drop(self, Key* key, uint64_t* cell, bint lazily)
    cdef uint64_t random(self) noexcept

    cdef void swap(self, Keyspace other) noexcept

    cdef void follow_clock(self, int64_t* clock, owner)

    # its own
    cdef Entry* find_further(self, Key* key, uint64_t* cell) except? NULL
    cdef int soil_further(self, Key* key, Entry* entry) except -1
    cdef void count_use(self, Entry* entry) noexcept
    cdef uint32_t decayed_counter(self, Entry* entry) noexcept
    cdef void account(self, Entry* entry, int sign) noexcept
    cdef void release(self, Entry* entry, bint lazily)
    cdef void expire(self, Key* key, uint64_t* cell)
    cdef uint64_t* place_of(self, Key* key) except? NULL
    cdef uint64_t* fetch(self, Key* key) except? NULL
    cdef int bury(self, Key* key, Entry* entry) except -1
    cdef Entry* new_entry(self, Key* key, uint32_t flags, size_t length, int64_t expiry) except NULL
    cdef void lay_head(self, Entry* entry, Key* key, uint32_t flags, size_t length, int64_t expiry) noexcept
    cdef Entry* lay_anew(self, Key* key, Entry* old, size_t length, int64_t expiry) except NULL
    cdef int make_tables(self) except -1
    cdef int own_tables(self) except -1
    cdef int clear_table(self, int slot)
    cdef int add(self, Key* key, Entry* entry) except -1
    cdef int install(self, Key* key, Entry* entry) except -1
