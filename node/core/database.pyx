"""One numbered database: the keyspace with Python's face.

Keys are `bytes`, values `bytes` (strings) or datatype objects (node/datatypes); nobody above this file knows of
entries and tables. What is here is asked of a key that is named; which keys there are, the catalogue knows
(catalogue.pyx). What all methods have in common, expiry above all, is told in keyspace.pyx.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from node.core.hash cimport Hash, soonest_due
from node.core.integer_text cimport canonical_number
from node.core.keyspace cimport CLOCK_MASK, TYPE_NAMES, Key, key_from_bytes, value_of
from node.core.slot_table cimport (
    HAS_EXPIRY,
    IN_FLIGHT,
    IS_OBJECT,
    WAS_EDITED,
    Entry,
    entry_expiry,
    entry_of,
    entry_type,
    entry_value,
    entry_value_length,
    table_find,
)

from node.core.hash import NEVER
from node.errors import WRONGTYPE
from node.keyspace.field_index import FieldIndex

KEEP_TTL = -1
"""As `expire_at` of `Database.set`: keep the expiry the key has."""

cdef enum:
    EMBSTR_LIMIT = 44


cdef Entry* string_at(Database db, bytes key, bint counted) except? NULL:
    cdef Key k
    key_from_bytes(&k, key)
    cdef Entry* entry = db.find_for_read(&k) if counted else db.find(&k)
    if entry != NULL and entry.flags & IS_OBJECT:
        raise WRONGTYPE
    return entry


cdef class Database(Catalogue):
    def set(self, bytes key not None, value not None, int64_t expire_at=0):
        """Store `value` (bytes or a datatype object) at `key`, replacing any type.

        `expire_at`: Unix ms, 0 for none, KEEP_TTL for what the key had.
        """
        cdef Key k
        key_from_bytes(&k, key)
        if isinstance(value, bytes):
            self.put_string(&k, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), expire_at)
        else:
            self.lay_out(&k, value, expire_at)
            if type(value) is Hash and (<Hash>value).timed:
                self.await_fields(key, value)

    def delete(self, bytes key not None, lazily: bool | None = None) -> bool:
        """Drop a key; False if there is none. `lazily`: a large value is freed later, piece by piece; None: as the
        settings have it for values that go because of another command than DEL."""
        cdef Key k
        key_from_bytes(&k, key)
        if self.find(&k) == NULL:
            return False
        self.drop(&k, table_find(&self.tables[k.slot], k.hash, k.data, k.length), self.leaves_replaced if lazily is None else lazily)
        return True

    def discard(self, bytes key not None) -> bool:
        """`delete`, of a key that has expired too: it counts as deleted then, not as expired."""
        cdef bint shown = self.shows_expired
        self.shows_expired = True
        try:
            return self.delete(key)
        finally:
            self.shows_expired = shown

    def rename(self, bytes old not None, bytes new not None) -> bool:
        """Move the value and expiry of `old` to `new`, replacing what is there. False if there is no `old`."""
        cdef Key k
        cdef Entry* entry
        key_from_bytes(&k, old)
        entry = self.find(&k)
        if entry == NULL:
            return False
        if old != new:
            edited = entry.flags & WAS_EDITED
            self.set(new, value_of(entry), entry_expiry(entry))
            self.delete(old)
            key_from_bytes(&k, new)
            self.find(&k).flags |= edited
        return True

    # --- reading -------------------------------------------------------------------------------------

    def lookup(self, bytes key not None):
        """The value for a reading command: counts a hit or miss and touches the access clock."""
        cdef Key k
        key_from_bytes(&k, key)
        cdef Entry* entry = self.find_for_read(&k)
        return None if entry == NULL else value_of(entry)

    def lookup_write(self, bytes key not None):
        """The value for a command that is about to modify it: touches the clock, counts nothing."""
        cdef Key k
        key_from_bytes(&k, key)
        cdef Entry* entry = self.find(&k)
        if entry == NULL:
            return None
        self.touch_entry(entry)
        return value_of(entry)

    def peek(self, bytes key not None):
        """The value, leaving no trace."""
        cdef Key k
        key_from_bytes(&k, key)
        cdef Entry* entry = self.find(&k)
        return None if entry == NULL else value_of(entry)

    def lookup_as(self, bytes key not None, cls):
        """`lookup`, checked to be of class `cls` (bytes for strings); raises WRONGTYPE."""
        value = self.lookup(key)
        if value is not None and type(value) is not cls:
            raise WRONGTYPE
        return value

    def lookup_write_as(self, bytes key not None, cls):
        """`lookup_write`, checked to be of class `cls` (bytes for strings); raises WRONGTYPE."""
        value = self.lookup_write(key)
        if value is not None and type(value) is not cls:
            raise WRONGTYPE
        return value

    def exists(self, bytes key not None) -> bool:
        cdef Key k
        key_from_bytes(&k, key)
        return self.find(&k) != NULL

    def is_live(self, bytes key not None) -> bool:
        """`exists`, leaving a key that has expired where it is."""
        cdef bint hidden = self.hides_expired
        self.hides_expired = True
        try:
            return self.exists(key)
        finally:
            self.hides_expired = hidden

    def find_quietly(self, bytes key not None, bint told=True) -> bool:
        """`exists`, counted as a hit or a miss. The access clock is left alone: EXISTS, TYPE, TTL are no use
        of a key. `told`: nobody hears of a miss where not."""
        cdef Key k
        key_from_bytes(&k, key)
        cdef bint kept = self.keeps_clocks
        on_missed = self.on_missed
        self.keeps_clocks = True
        if not told:
            self.on_missed = None
        cdef Entry* entry = self.find_for_read(&k)
        self.keeps_clocks = kept
        self.on_missed = on_missed
        return entry != NULL

    def touch(self, bytes key not None) -> bool:
        cdef Key k
        key_from_bytes(&k, key)
        cdef Entry* entry = self.find_for_read(&k)
        return entry != NULL

    def type_name(self, bytes key not None) -> str:
        cdef Key k
        key_from_bytes(&k, key)
        cdef Entry* entry = self.find(&k)
        return "none" if entry == NULL else TYPE_NAMES[entry_type(entry)]

    def encoding(self, bytes key not None) -> str | None:
        """OBJECT ENCODING: int, embstr or raw for strings, what the datatype says for others."""
        cdef Key k
        key_from_bytes(&k, key)
        cdef int64_t number
        cdef Entry* entry = self.find(&k)
        if entry == NULL:
            return None
        if entry.flags & IS_OBJECT:
            return value_of(entry).encoding
        if entry.flags & WAS_EDITED:
            return "raw"
        if canonical_number(entry_value(entry), entry_value_length(entry), &number):
            return "int"
        return "embstr" if entry_value_length(entry) <= EMBSTR_LIMIT else "raw"

    # --- the access clock ----------------------------------------------------------------------------

    def idle_seconds(self, bytes key not None) -> int | None:
        cdef Key k
        key_from_bytes(&k, key)
        cdef Entry* entry = self.find(&k)
        if entry == NULL:
            return None
        return (<uint32_t>(self.clock[0] // 1000) - entry.clock) & CLOCK_MASK

    def set_idle(self, bytes key not None, int64_t seconds) -> None:
        cdef Key k
        key_from_bytes(&k, key)
        cdef Entry* entry = self.find(&k)
        if entry != NULL and not self.tracks_frequency:
            entry.clock = <uint32_t>(self.clock[0] // 1000 - seconds) & CLOCK_MASK

    def frequency(self, bytes key not None) -> int | None:
        cdef Key k
        key_from_bytes(&k, key)
        cdef Entry* entry = self.find(&k)
        return None if entry == NULL else self.decayed_counter(entry)

    def set_frequency(self, bytes key not None, uint32_t frequency) -> None:
        cdef Key k
        key_from_bytes(&k, key)
        cdef Entry* entry = self.find(&k)
        if entry != NULL and self.tracks_frequency:
            entry.clock = ((<uint32_t>(self.clock[0] // 60000) & 0xFFFF) << 8) | (frequency & 0xFF)

    # --- expiry --------------------------------------------------------------------------------------

    def expiry(self, bytes key not None) -> int:
        """Unix ms at which the key expires, -1 for never, -2 where there is no key."""
        cdef Key k
        key_from_bytes(&k, key)
        cdef Entry* entry = self.find(&k)
        if entry == NULL:
            return -2
        return entry_expiry(entry) if entry.flags & HAS_EXPIRY else -1

    def set_expiry(self, bytes key not None, int64_t at_ms) -> bool:
        """Let `key` expire at Unix ms `at_ms`, 0 for never. False if there is no such key."""
        cdef Key k
        key_from_bytes(&k, key)
        cdef Entry* entry = self.find(&k)
        if entry == NULL:
            return False
        self.let_expire(&k, entry, at_ms)
        return True

    def persist(self, bytes key not None) -> bool:
        """Take the expiry away. False if there was none."""
        return self.expiry(key) >= 0 and self.set_expiry(key, 0)

    # --- fields that expire --------------------------------------------------------------------------

    def allow_field_expiry(self, bytes key not None, Hash value not None) -> None:
        """The hash at `key` makes room for moments, which changes its form even if none is set."""
        if not value.timed:
            value.allow_expiry()
            self.changed(key)

    def await_fields(self, bytes key not None, Hash value not None) -> None:
        """The hash at `key` has, perhaps, fields that expire: `due_hash` will know of them."""
        cdef int64_t soonest = soonest_due(value)
        if soonest == NEVER:
            return
        if self.field_index is None:
            self.field_index = FieldIndex(self.soonest_field)
        self.field_index.schedule(key, soonest)

    def soonest_field(self, bytes key not None) -> int:
        """Unix ms at which the first field of the hash at `key` expires; NEVER where there is none."""
        value = self.peek(key)
        return soonest_due(<Hash>value) if type(value) is Hash else NEVER

    def due_hash(self) -> bytes | None:
        """A key whose value has fields that have expired and were not deleted yet; None if there is none."""
        return None if self.field_index is None else self.field_index.due(self.clock[0])

    @property
    def expiring_hashes(self) -> int:
        """How many hashes have fields that expire."""
        return 0 if self.field_index is None else self.field_index.count()

    # --- strings in place ----------------------------------------------------------------------------

    cdef Entry* string_for_read(self, bytes key) except? NULL:
        return string_at(self, key, True)

    def strlen(self, bytes key not None, bint counted=True) -> int:
        """Bytes of the string, 0 where there is no key. Not `counted`: for a command that will modify it."""
        cdef Entry* entry = string_at(self, key, counted)
        return 0 if entry == NULL else entry_value_length(entry)

    def getrange(self, bytes key not None, int64_t start, int64_t stop, bint counted=True) -> bytes:
        """Bytes [start, stop) of the string, clipped to it; empty where there is no key. Not `counted`: for a
        command that will modify it."""
        cdef Entry* entry = string_at(self, key, counted)
        if entry == NULL:
            return b""
        start = max(start, 0)
        stop = min(stop, <int64_t>entry_value_length(entry))
        return PyBytes_FromStringAndSize(entry_value(entry) + start, stop - start) if start < stop else b""

    def setrange(self, bytes key not None, int64_t offset, bytes data not None) -> int:
        """Write `data` at `offset`, filling a gap with zero bytes; returns the new length."""
        cdef Key k
        key_from_bytes(&k, key)
        cdef Entry* entry = self.string_for_edit(&k, offset + PyBytes_GET_SIZE(data))
        memcpy(entry_value(entry) + offset, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        return entry_value_length(entry)

    def append(self, bytes key not None, bytes data not None) -> int:
        """Write `data` behind the string; returns the new length. A new key is a plain SET."""
        cdef Key k
        cdef Entry* entry
        cdef size_t old
        key_from_bytes(&k, key)
        entry = self.find(&k)
        if entry == NULL:
            self.put_string(&k, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), 0)
            return PyBytes_GET_SIZE(data)
        if entry.flags & IS_OBJECT:
            raise WRONGTYPE
        old = entry_value_length(entry)
        entry = self.string_for_edit(&k, old + PyBytes_GET_SIZE(data))
        memcpy(entry_value(entry) + old, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        return entry_value_length(entry)

    # --- what lies in the store only -----------------------------------------------------------------

    def changed(self, bytes key not None) -> None:
        """The value of `key` was changed in place: the store, if there is one, has to be told."""
        cdef Key k
        cdef uint64_t* cell
        if self.cold is None:
            return
        key_from_bytes(&k, key)
        cell = table_find(&self.tables[k.slot], k.hash, k.data, k.length)
        if cell != NULL:
            self.soil(&k, entry_of(cell[0]))

    def may_be_cold(self, bytes key not None) -> bool:
        """Whether only the store can tell if there is such a key."""
        cdef Key k
        key_from_bytes(&k, key)
        if self.cold is None or self.cold.keys[k.slot] == 0 or self.cold.is_superseded(key):
            return False
        return table_find(&self.tables[k.slot], k.hash, k.data, k.length) == NULL

    def bring(self, bytes key not None) -> None:
        """Have `key` in memory, if there is such a key."""
        cdef Key k
        key_from_bytes(&k, key)
        self.find(&k)

    def landed(self) -> None:
        """The store has committed all that was in flight."""
        cdef Key k
        cdef uint64_t* cell
        cdef bytes name
        for name in self.cold.in_flight:
            key_from_bytes(&k, name)
            cell = table_find(&self.tables[k.slot], k.hash, k.data, k.length)
            if cell != NULL:
                entry_of(cell[0]).flags &= ~<uint32_t>IN_FLIGHT
        self.cold.in_flight.clear()

    def lost(self) -> None:
        """What was in flight did not arrive: the store has yet to be told of it, or of its end."""
        cdef bytes name
        cdef set keys = self.cold.in_flight.copy()
        self.landed()
        self.cold.dirty |= keys
        for name in keys:
            self.changed(name)

    # --- all keys at once ----------------------------------------------------------------------------

    def swap_with(self, Database other not None) -> None:
        """SWAPDB: each has the other's keys from here on, under its own number."""
        self.swap(other)
        self.cold, other.cold = other.cold, self.cold
        self.field_index, other.field_index = other.field_index, self.field_index
        if self.field_index is not None:
            self.field_index.soonest = self.soonest_field
        if other.field_index is not None:
            other.field_index.soonest = other.soonest_field

    def reset_stats(self) -> None:
        """CONFIG RESETSTAT: forget the hits, misses and expired keys counted so far."""
        self.hits = self.misses = self.expired = 0
