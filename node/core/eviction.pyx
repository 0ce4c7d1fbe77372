"""Which key goes next: samples of the keyspace, and the pool of the best candidates.

No order of all keys by age or use is kept. A few keys are drawn at random, the best of them enter a pool of
POOL_SIZE, and the best of the pool goes; what was drawn and not taken is remembered there for the next time,
so that the choice comes near a true order at a small fraction of its cost. This is Redis' approximation.

A key is drawn from 16,384 tables, most of which may be empty. `Sampler` keeps the running sums of how many keys each
holds, so that each key is as likely as any other, and draws in the time of a binary search. The sums age while
keys come and go; they are taken anew after SUMS_LAST draws, and when a draw meets a table that has become empty.
"""

from bisect import insort

from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t

from node.core.key_slot cimport SLOT_COUNT
from node.core.keyspace cimport CLOCK_MASK, Keyspace, key_of
from node.core.memory cimport release, take_zeroed
from node.core.slot_table cimport (
    HAS_EXPIRY,
    Entry,
    SlotTable,
    entry_expiry,
    entry_of,
    leaf_at,
    leaf_of,
    place_after,
)

IDLE_LONGEST = 0
USED_LEAST = 1
EXPIRES_FIRST = 2

cdef enum:
    POOL_SIZE = 16
    SUMS_LAST = 2000
    MOST_TRIES = 32


cdef class Sampler:
    """Draws keys of one database: of all, or of those with an expiry."""

    cdef Keyspace db
    cdef bint volatile
    cdef uint64_t* sums      # sums[i]: keys in the tables before i
    cdef int draws_left

    def __cinit__(self, Keyspace db not None, bint volatile):
        self.db = db
        self.volatile = volatile
        self.sums = <uint64_t*>take_zeroed(SLOT_COUNT + 1, sizeof(uint64_t))
        if self.sums == NULL:
            raise MemoryError

    def __dealloc__(self):
        release(self.sums)

    cdef inline uint32_t keys_in(self, int slot) noexcept:
        return self.keys_of(&self.db.tables[slot])

    cdef inline uint32_t keys_of(self, SlotTable* table) noexcept:
        return table.volatiles if self.volatile else table.used

    cdef void take_sums(self) noexcept:
        cdef int slot
        for slot in range(SLOT_COUNT):
            self.sums[slot + 1] = self.sums[slot] + self.keys_in(slot)
        self.draws_left = SUMS_LAST

    cdef int draw_slot(self) noexcept:
        """A slot that holds keys, as likely as it holds many; -1 where none does."""
        cdef uint64_t nth
        cdef int low, high, middle
        cdef int attempt
        for attempt in range(3):
            if self.draws_left <= 0 or attempt:
                self.take_sums()
            self.draws_left -= 1
            if self.sums[SLOT_COUNT] == 0:
                continue
            nth = self.db.random() % self.sums[SLOT_COUNT]
            low = 0
            high = SLOT_COUNT - 1
            while low < high:
                middle = (low + high) // 2
                if self.sums[middle + 1] > nth:
                    high = middle
                else:
                    low = middle + 1
            if self.keys_in(low):
                return low
        return -1

    cdef Entry* draw(self) noexcept:
        """An entry, or NULL where there is none. A volatile one may have to be searched for in its table."""
        cdef int slot
        cdef SlotTable* leaf
        cdef uint32_t i, mask
        cdef int tries = 0
        if (self.db.volatile_count if self.volatile else self.db.size) == 0:
            return NULL
        slot = self.draw_slot()
        if slot < 0:
            return NULL
        leaf = self.draw_leaf(&self.db.tables[slot])
        mask = (1U << leaf.bits) - 1
        i = <uint32_t>self.db.random() & mask
        while leaf.cells[i] == 0 or (self.volatile and not entry_of(leaf.cells[i]).flags & HAS_EXPIRY):
            tries += 1
            i = (<uint32_t>self.db.random() if tries < MOST_TRIES else i + 1) & mask
        return entry_of(leaf.cells[i])

    cdef SlotTable* draw_leaf(self, SlotTable* table) noexcept:
        """A leaf that holds keys, of a table that does: a hash is drawn, because hashes are even."""
        cdef SlotTable* leaf = leaf_of(table, <uint32_t>self.db.random())
        cdef uint32_t place = 0
        while not self.keys_of(leaf):
            leaf = leaf_at(table, place)
            place = place_after(table, place)
        return leaf

    def random_key(self) -> bytes | None:
        """A key, each about equally likely; None where there is none."""
        cdef Entry* entry = self.draw()
        return None if entry == NULL else key_of(entry)


cdef int64_t dispensability(Keyspace db, Entry* entry, int by) noexcept:
    """The higher, the sooner it may go. Scores compare only within one `by`."""
    if by == USED_LEAST:
        return 255 - db.decayed_counter(entry)
    if by == EXPIRES_FIRST:
        return INT64_MAX - entry_expiry(entry)
    return (<uint32_t>(db.clock[0] // 1000) - entry.clock) & CLOCK_MASK


cdef class Pool:
    """The best candidates seen so far, of all databases: (score, database index, key), the best last."""

    cdef list candidates

    def __cinit__(self):
        self.candidates = []

    def clear(self) -> None:
        """Forget all: they were judged by another policy."""
        self.candidates = []

    def fill(self, Sampler sampler not None, int samples, int by) -> None:
        """Draw `samples` keys and keep those that are better than the worst of a full pool."""
        cdef int i
        cdef int64_t score
        cdef Entry* entry
        for i in range(samples):
            entry = sampler.draw()
            if entry == NULL:
                return
            score = dispensability(sampler.db, entry, by)
            if len(self.candidates) >= POOL_SIZE and score <= <int64_t>self.candidates[0][0]:
                continue
            candidate = (score, sampler.db.index, key_of(entry))
            if candidate in self.candidates:
                continue
            insort(self.candidates, candidate)
            if len(self.candidates) > POOL_SIZE:
                del self.candidates[0]

    def pop(self) -> tuple | None:
        """(database index, key) of the best candidate, which may have gone meanwhile; None without any."""
        if not self.candidates:
            return None
        best = self.candidates.pop()
        return best[1], best[2]
