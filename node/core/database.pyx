"""One numbered database: the keyspace with Python's face.

Keys are `bytes`, values `bytes` (strings) or datatype objects (node/datatypes); nobody above this file knows of
entries and tables. What all methods have in common, expiry above all, is told in keyspace.pyx.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from node.core.hash cimport Hash, soonest_due
from node.core.key_slot cimport SLOT_COUNT
from node.core.keyspace cimport CLOCK_MASK, Key, key_from_bytes, key_of, value_of
from node.core.listpack cimport canonical_number
from node.core.slot_table cimport (
    HAS_EXPIRY,
    IN_FLIGHT,
    IS_OBJECT,
    WAS_EDITED,
    Entry,
    SlotTable,
    entry_expiry,
    entry_object,
    entry_of,
    entry_value,
    table_find,
    table_walk,
)

from node.core.hash import NEVER
from node.errors import WRONGTYPE
from node.keyspace.field_index import FieldIndex

KEEP_TTL = -1
"""As `expire_at` of `Database.set`: keep the expiry the key has."""

cdef enum:
    EMBSTR_LIMIT = 44

cdef list TYPE_NAMES = ["string", "list", "set", "zset", "hash", "module", "stream"]


cdef Entry* string_at(Database db, bytes key, bint counted) except? NULL:
    cdef Key k
    key_from_bytes(&k, key)
    cdef Entry* entry = db.find_for_read(&k) if counted else db.find(&k)
    if entry != NULL and entry.flags & IS_OBJECT:
        raise WRONGTYPE
    return entry


cdef class Database(Keyspace):
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
        return "none" if entry == NULL else TYPE_NAMES[entry.type]

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
        if canonical_number(entry_value(entry), entry.value_length, &number):
            return "int"
        return "embstr" if entry.value_length <= EMBSTR_LIMIT else "raw"

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
        cdef Entry* moved
        if entry == NULL:
            return False
        if (entry.flags & HAS_EXPIRY != 0) == (at_ms != 0):
            if at_ms:
                (<int64_t*>(entry + 1))[0] = at_ms
                self.soil(&k, entry)
            return True
        # The layout changes: the entry moves to a new allocation, the object it owns moves with it.
        moved = self.new_entry(&k, entry.flags & ~<uint32_t>HAS_EXPIRY, entry.value_length, at_ms)
        moved.clock = entry.clock
        moved.type = entry.type
        if entry.flags & IS_OBJECT:
            entry_object(moved)[0] = entry_object(entry)[0]
            Py_INCREF(<object>(<PyObject*>entry_object(entry)[0]))
        else:
            memcpy(entry_value(moved), entry_value(entry), entry.value_length)
        self.install(&k, moved)
        return True

    def persist(self, bytes key not None) -> bool:
        """Take the expiry away. False if there was none."""
        return self.expiry(key) >= 0 and self.set_expiry(key, 0)

    def expire_cycle(self, int slot, int limit) -> tuple:
        """Drop up to `limit` expired keys of one slot; returns (dropped, volatile keys seen, ms that those not
        dropped have left, in total)."""
        cdef int64_t left = 0
        cdef SlotTable* table = &self.tables[slot]
        cdef uint32_t seen = 0
        cdef uint32_t i
        cdef Entry* entry
        cdef list stale
        cdef bytes name
        cdef Key k
        if table.volatiles == 0:
            return 0, 0, 0
        stale = []
        for i in range(1U << table.bits):
            if table.cells[i] == 0:
                continue
            entry = entry_of(table.cells[i])
            if entry.flags & HAS_EXPIRY:
                seen += 1
                if self.clock[0] > entry_expiry(entry):
                    stale.append(key_of(entry))
                    if len(stale) >= limit:
                        break
                else:
                    left += entry_expiry(entry) - self.clock[0]
        for name in stale:
            key_from_bytes(&k, name)
            self.find(&k)
        return len(stale), seen, left

    def next_volatile_slot(self, int start) -> int:
        """The first slot at or after `start` that holds keys with an expiry, or -1."""
        cdef int slot
        for slot in range(start, SLOT_COUNT):
            if self.tables[slot].volatiles:
                return slot
        return -1

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
        return 0 if entry == NULL else entry.value_length

    def getrange(self, bytes key not None, int64_t start, int64_t stop, bint counted=True) -> bytes:
        """Bytes [start, stop) of the string, clipped to it; empty where there is no key. Not `counted`: for a
        command that will modify it."""
        cdef Entry* entry = string_at(self, key, counted)
        if entry == NULL:
            return b""
        start = max(start, 0)
        stop = min(stop, <int64_t>entry.value_length)
        return PyBytes_FromStringAndSize(entry_value(entry) + start, stop - start) if start < stop else b""

    def setrange(self, bytes key not None, int64_t offset, bytes data not None) -> int:
        """Write `data` at `offset`, filling a gap with zero bytes; returns the new length."""
        cdef Key k
        key_from_bytes(&k, key)
        cdef Entry* entry = self.string_for_edit(&k, offset + PyBytes_GET_SIZE(data))
        memcpy(entry_value(entry) + offset, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        return entry.value_length

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
        old = entry.value_length
        entry = self.string_for_edit(&k, old + PyBytes_GET_SIZE(data))
        memcpy(entry_value(entry) + old, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        return entry.value_length

    def sizes(self) -> dict:
        """Type → list of counts: how many keys have a size of 0, of 1, from 2, from 4, from 8 ... on. Bytes for
        strings, members for others. Looks at every key."""
        cdef dict counts = {name: [0] * 64 for name in TYPE_NAMES}
        cdef int slot, step
        cdef uint32_t i
        cdef uint64_t size
        cdef Entry* entry
        for slot in range(SLOT_COUNT) if self.cold is not None else ():
            for _, record in self.cold_records(slot):
                value = self.cold.codec.value_in(record)[0]
                name = "string" if type(value) is bytes else value.type_name
                counts[name][len(value).bit_length()] += 1
        for slot in range(SLOT_COUNT) if self.size else ():
            for i in range(1U << self.tables[slot].bits if self.tables[slot].used else 0):
                if self.tables[slot].cells[i] == 0:
                    continue
                entry = entry_of(self.tables[slot].cells[i])
                size = len(value_of(entry)) if entry.flags & IS_OBJECT else entry.value_length
                step = 0
                while size:
                    size >>= 1
                    step += 1
                (<list>counts[TYPE_NAMES[entry.type]])[step] += 1
        return counts

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

    @property
    def expiring(self) -> int:
        """How many keys have an expiry."""
        return self.volatile_count + (self.cold.volatile_count if self.cold is not None else 0)

    def totals(self, int slot) -> tuple:
        """(keys, those with an expiry) of a slot."""
        cdef SlotTable* table = &self.tables[slot]
        if self.cold is None:
            return table.used, table.volatiles
        return table.used + self.cold.keys[slot], table.volatiles + self.cold.volatiles[slot]

    cdef bint is_past(self, int64_t expire_at) noexcept:
        return expire_at != 0 and self.clock[0] > expire_at

    cdef int add_cold(self, list found, int slot, Py_ssize_t limit, bint with_values) except -1:
        """Add the live ones of the slot's cold keys to `found`, up to `limit` in all."""
        for key, record in self.cold_records(slot):
            if len(found) >= limit:
                break
            if with_values:
                value, expire_at = self.cold.codec.value_in(record)
                if not self.is_past(expire_at):
                    found.append((key, value, expire_at))
            elif not self.is_past(self.cold.codec.expiry_in(record)):
                found.append(key)
        return 0

    cdef uint64_t scan_cold(self, int slot, uint32_t start, uint64_t end, Py_ssize_t count, list keys) except? 0:
        """Add the slot's cold keys with hashes from `start` on to `keys`: all below the hash that is returned, which
        is `end` unless there are more than `count` of them."""
        cdef uint32_t last = start
        cdef Py_ssize_t met = 0
        cdef bytes key
        cdef Key k
        for key, record in self.cold_records(slot, start):
            key_from_bytes(&k, key)
            if k.hash >= end:
                return end
            if met >= count and k.hash != last:
                return k.hash
            last = k.hash
            met += 1
            if not self.is_past(self.cold.codec.expiry_in(record)):
                keys.append(key)
        return end

    # --- many keys -----------------------------------------------------------------------------------

    def swap_with(self, Database other not None) -> None:
        """SWAPDB: each has the other's keys from here on, under its own number."""
        self.swap(other)
        self.cold, other.cold = other.cold, self.cold
        self.field_index, other.field_index = other.field_index, self.field_index
        if self.field_index is not None:
            self.field_index.soonest = self.soonest_field
        if other.field_index is not None:
            other.field_index.soonest = other.soonest_field

    def __len__(self):
        return self.size + (self.cold.size if self.cold is not None else 0)

    def reset_stats(self) -> None:
        """CONFIG RESETSTAT: forget the hits, misses and expired keys counted so far."""
        self.hits = self.misses = self.expired = 0

    def count_in_slot(self, int slot) -> int:
        """Keys of the slot, counting those that have expired and were not met yet, as Redis does."""
        return self.totals(slot)[0]

    cdef list live_entries(self, int slot, Py_ssize_t limit, bint with_values):
        cdef SlotTable* table = &self.tables[slot]
        cdef Entry* entry
        cdef list found = []
        cdef uint32_t i
        if self.cold is not None and self.cold.keys[slot]:
            self.add_cold(found, slot, limit, with_values)
        if table.cells == NULL:
            return found
        for i in range(1U << table.bits):
            if len(found) >= limit:
                break
            if table.cells[i] == 0:
                continue
            entry = entry_of(table.cells[i])
            if entry.flags & HAS_EXPIRY and self.clock[0] > entry_expiry(entry):
                continue
            if with_values:
                found.append((key_of(entry), value_of(entry), entry_expiry(entry)))
            else:
                found.append(key_of(entry))
        return found

    cdef bint holds(self, int slot) noexcept:
        """Whether the slot has any keys."""
        return self.tables[slot].used != 0 or (self.cold is not None and self.cold.keys[slot] != 0)

    def table_memory(self) -> tuple:
        """Bytes of the tables that find keys, (for all of them, for those with an expiry)."""
        cdef int64_t cells = 0
        cdef int slot
        for slot in range(SLOT_COUNT):
            if self.tables[slot].cells != NULL:
                cells += <int64_t>sizeof(uint64_t) << self.tables[slot].bits
        return SLOT_COUNT * sizeof(SlotTable) + cells, self.volatile_count * sizeof(int64_t)

    def keys_in_slot(self, int slot, Py_ssize_t limit) -> list:
        return self.live_entries(slot, limit, False)

    def keys(self):
        """Iterate over all live keys. Keys may be removed meanwhile; those of a slot are taken at once."""
        cdef int slot
        for slot in range(SLOT_COUNT):
            if self.holds(slot):
                yield from self.live_entries(slot, len(self), False)

    def entries(self, slot=None):
        """Iterate over (key, value, expiry in Unix ms or 0) of all live keys, or of one slot's."""
        cdef int i
        for i in range(SLOT_COUNT) if slot is None else (slot,):
            if self.holds(i):
                yield from self.live_entries(i, len(self), True)

    def scan(self, uint64_t cursor, Py_ssize_t count) -> tuple:
        """(next cursor, keys): at least `count` keys unless the end is reached; next cursor 0 at the end.

        A cursor is `slot << 32 | hash`: everything before that hash in that slot has been returned. It
        means the same whatever happens to the table's size in between, so a key that is there
        throughout is returned, and returned once. Keys on the way that have expired are dropped.
        """
        cdef int slot = <int>min(cursor >> 32, <uint64_t>SLOT_COUNT)
        cdef uint32_t start = <uint32_t>cursor
        cdef uint32_t home, homes, found, i
        cdef uint64_t end
        cdef SlotTable* table
        cdef Entry** batch
        cdef list keys = []
        cdef list stale = []
        while slot < SLOT_COUNT:
            table = &self.tables[slot]
            if not self.holds(slot):
                slot += 1
                start = 0
                continue
            home = start >> (32 - table.bits) if table.bits else 0
            homes = min(16U, (1U << table.bits) - home)
            end = <uint64_t>(home + homes) << (32 - table.bits)
            if self.cold is not None and self.cold.keys[slot]:
                end = self.scan_cold(slot, start, end, max(1, count - len(keys)), keys)
            found = table_walk(table, home, homes, NULL) if table.used else 0
            batch = <Entry**>malloc(max(found, 1U) * sizeof(Entry*))
            if batch == NULL:
                raise MemoryError
            if found:
                table_walk(table, home, homes, batch)
            for i in range(found):
                if batch[i].hash < start or batch[i].hash >= end:
                    continue  # the table shrank since, and an earlier call returned this one; or a later one will
                if batch[i].flags & HAS_EXPIRY and self.clock[0] > entry_expiry(batch[i]):
                    stale.append(key_of(batch[i]))
                else:
                    keys.append(key_of(batch[i]))
            free(batch)
            if end >> 32:
                slot += 1
                start = 0
            else:
                start = <uint32_t>end
            if len(keys) >= count:
                break
        for name in stale:
            self.delete_stale(name)
        if slot >= SLOT_COUNT:
            return 0, keys
        return (<uint64_t>slot << 32) | start, keys

    def random_key(self) -> bytes | None:
        """A key, each equally likely; None when there is none."""
        cdef int slot, attempt
        cdef int64_t nth
        cdef uint32_t i, index
        cdef SlotTable* table
        cdef Entry* entry
        for attempt in range(100):
            if self.cold is not None and self.random() % <uint64_t>max(1, len(self)) >= <uint64_t>self.size:
                return self.random_cold_key()
            if self.size == 0:
                return None
            nth = self.random() % <uint64_t>self.size
            slot = 0
            while nth >= self.tables[slot].used:
                nth -= self.tables[slot].used
                slot += 1
            table = &self.tables[slot]
            index = 0
            for i in range(1U << table.bits):
                if table.cells[i] != 0:
                    if index == nth:
                        break
                    index += 1
            entry = entry_of(table.cells[i])
            if not (entry.flags & HAS_EXPIRY and self.clock[0] > entry_expiry(entry)):
                return key_of(entry)
            if self.hides_expired:
                continue
            self.delete_stale(key_of(entry))
        return None

    cdef bytes random_cold_key(self):
        """A key that is in the store only: any slot as likely as it has many, then whatever hash comes next."""
        cdef int slot = 0
        cdef int64_t nth
        if self.cold.size == 0:
            return None
        nth = self.random() % <uint64_t>self.cold.size
        while nth >= self.cold.keys[slot]:
            nth -= self.cold.keys[slot]
            slot += 1
        for start in (<uint32_t>self.random(), 0):
            for key, record in self.cold_records(slot, start):
                if not self.is_past(self.cold.codec.expiry_in(record)):
                    return key
        return None

    cdef int delete_stale(self, bytes key) except -1:
        cdef Key k
        key_from_bytes(&k, key)
        self.find(&k)
        return 0
