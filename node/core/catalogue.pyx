"""Which keys there are: the part of a database that looks at many keys, or at any.

It counts, lists, scans and samples keys, and finds those that have expired. Each method looks at memory and, where
there is a store behind it (cold.pyx), at the keys that are there only. The tables and the store both have the
keys of a slot by their hashes, so a scan's cursor means the same to both.

Expired keys are counted until somebody meets them, but never listed. Who drops them does so after having looked
at all: `find`, which drops, calls back.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from node.core.key_slot cimport SLOT_COUNT
from node.core.keyspace cimport TYPE_NAMES, Key, key_from_bytes, key_of, value_of
from node.core.slot_table cimport (
    HAS_EXPIRY,
    IS_OBJECT,
    Entry,
    SlotTable,
    Walk,
    entry_expiry,
    entry_hash,
    entry_type,
    entry_value_length,
    leaf_at,
    next_entry,
    place_after,
    table_bytes,
    table_find,
    table_walk,
)

cdef enum:
    HOMES_AT_ONCE = 16


cdef class Catalogue(Keyspace):
    # --- how many ------------------------------------------------------------------------------------

    def __len__(self):
        return self.size + (self.cold.size if self.cold is not None else 0)

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

    def count_in_slot(self, int slot) -> int:
        """Keys of the slot, counting those that have expired and were not met yet, as Redis does."""
        return self.totals(slot)[0]

    cdef bint holds(self, int slot) noexcept:
        """Whether the slot has any keys."""
        return self.tables[slot].used != 0 or (self.cold is not None and self.cold.keys[slot] != 0)

    def table_memory(self) -> tuple:
        """Bytes of the tables that find keys, (for all of them, for those with an expiry)."""
        cdef size_t total = SLOT_COUNT * sizeof(SlotTable)
        cdef int slot
        for slot in range(SLOT_COUNT):
            total += table_bytes(&self.tables[slot])
        return total, self.volatile_count * sizeof(int64_t)

    def table_shape(self, int slot) -> tuple:
        """(leaves of the slot's table, cells of the largest, most cells in a row that are taken): the last two bound
        what adding or removing one key may take."""
        cdef SlotTable* leaf
        cdef uint32_t place = 0
        cdef uint32_t leaves = 0, largest = 0, longest = 0, row, i
        while True:
            leaf = leaf_at(&self.tables[slot], place)
            if leaf == NULL:
                return leaves, largest, longest
            place = place_after(&self.tables[slot], place)
            leaves += 1
            if leaf.cells == NULL:
                continue
            largest = max(largest, 1U << leaf.bits)
            row = 0
            for i in range(1U << leaf.bits):
                row = row + 1 if leaf.cells[i] != 0 else 0
                longest = max(longest, row)

    def sizes(self) -> dict:
        """Type → list of counts: how many keys have a size of 0, of 1, from 2, from 4, from 8 ... on. Bytes for
        strings, members for others. Looks at every key."""
        cdef dict counts = {name: [0] * 64 for name in TYPE_NAMES}
        cdef int slot, step
        cdef uint64_t size
        cdef Entry* entry
        cdef Walk walk
        for slot in range(SLOT_COUNT) if self.cold is not None else ():
            for _, record in self.cold_records(slot):
                value = self.cold.codec.value_in(record)[0]
                name = "string" if type(value) is bytes else value.type_name
                counts[name][len(value).bit_length()] += 1
        for slot in range(SLOT_COUNT) if self.size else ():
            walk = Walk(NULL, 0, 0)
            while True:
                entry = next_entry(&self.tables[slot], &walk)
                if entry == NULL:
                    break
                size = len(value_of(entry)) if entry.flags & IS_OBJECT else entry_value_length(entry)
                step = 0
                while size:
                    size >>= 1
                    step += 1
                (<list>counts[TYPE_NAMES[entry_type(entry)]])[step] += 1
        return counts

    # --- lists ---------------------------------------------------------------------------------------

    cdef list live_entries(self, int slot, Py_ssize_t limit, bint with_values):
        cdef SlotTable* table = &self.tables[slot]
        cdef Entry* entry
        cdef Walk walk = Walk(NULL, 0, 0)
        cdef list found = []
        if self.cold is not None and self.cold.keys[slot]:
            self.add_cold(found, slot, limit, with_values)
        while len(found) < limit:
            entry = next_entry(table, &walk)
            if entry == NULL:
                break
            if entry.flags & HAS_EXPIRY and self.clock[0] > entry_expiry(entry):
                continue
            if with_values:
                found.append((key_of(entry), value_of(entry), entry_expiry(entry)))
            else:
                found.append(key_of(entry))
        return found

    def keys_in_slot(self, int slot, Py_ssize_t limit) -> list:
        return self.live_entries(slot, limit, False)

    def key_lists(self, int slot, Py_ssize_t size):
        """Iterate over the slot's keys that are in memory, live or not, in lists of up to `size`. The slot must stay as it is
        meanwhile."""
        cdef Walk walk = Walk(NULL, 0, 0)
        cdef Entry* entry = next_entry(&self.tables[slot], &walk)
        cdef list keys
        while entry != NULL:
            keys = []
            while entry != NULL and len(keys) < size:
                keys.append(key_of(entry))
                entry = next_entry(&self.tables[slot], &walk)
            yield keys

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
        cdef uint32_t found, i
        cdef uint64_t end, walked
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
            found = table_walk(table, start, HOMES_AT_ONCE, NULL, &walked)
            end = walked
            if self.cold is not None and self.cold.keys[slot]:
                end = self.scan_cold(slot, start, end, max(1, count - len(keys)), keys)
            batch = <Entry**>malloc(max(found, 1U) * sizeof(Entry*))
            if batch == NULL:
                raise MemoryError
            if found:
                table_walk(table, start, HOMES_AT_ONCE, batch, &walked)
            for i in range(found):
                if not start <= entry_hash(batch[i]) < end:
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

    # --- any of them ---------------------------------------------------------------------------------

    def random_key(self) -> bytes | None:
        """A key, each equally likely; None when there is none."""
        cdef int slot, attempt
        cdef int64_t nth
        cdef Walk walk
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
            walk = Walk(NULL, 0, 0)
            while nth >= leaf_at(table, walk.place).used:
                nth -= leaf_at(table, walk.place).used
                walk.place = place_after(table, walk.place)
            while True:
                entry = next_entry(table, &walk)
                if nth == 0:
                    break
                nth -= 1
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

    # --- what lies in the store only -----------------------------------------------------------------

    def cold_records(self, int slot, uint32_t start=0):
        """Iterate over (key, record) of the slot's keys that are in the store only, in the order of their hashes, from
        `start` on. Nothing may be changed meanwhile."""
        cdef uint32_t hash
        cdef bytes key
        for hash, key, record in self.cold.walk(slot, start):
            if table_find(&self.tables[slot], hash, PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)) == NULL:
                yield key, record

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

    # --- those that have expired ---------------------------------------------------------------------

    cdef bint is_past(self, int64_t expire_at) noexcept:
        return expire_at != 0 and self.clock[0] > expire_at

    cdef int delete_stale(self, bytes key) except -1:
        """Come across a key, which has expired."""
        cdef Key k
        key_from_bytes(&k, key)
        self.find(&k)
        return 0
