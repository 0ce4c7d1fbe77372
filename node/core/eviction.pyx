"""Evicting: which key goes next, and its going.

No order of all keys by age or use is kept. A few keys are drawn at random (sampler.pyx), the best of them enter a
pool of POOL_SIZE, and the best of the pool goes; what was drawn and not taken is remembered there for the next time,
so that the choice comes near a true order at a small fraction of its cost. This is Redis' approximation.

The pool remembers a key by its entry's address and its slot. Before either is used, the address is looked for in the
slot's table: a key that went meanwhile is not found there, and one that was used meanwhile is not worth what it was.

A key that goes leaves a DEL in the trail. No Python object is made for it unless somebody observes changes.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from libc.string cimport memmove

from node.core.compiled cimport as_drafted, draft
from node.core.database cimport Database
from node.core.engine cimport Client, Engine
from node.core.keyspace cimport CLOCK_MASK, Key, Keyspace
from node.core.memory cimport python_used, used
from node.core.sampler cimport Drawn, Sampler
from node.core.slot_table cimport (
    HAS_EXPIRY,
    IS_LONG,
    IS_OBJECT,
    Entry,
    cell_with,
    entry_expiry,
    entry_hash,
    entry_key,
    entry_key_length,
    entry_of,
)
from node.core.timing cimport monotonic_ns

from node.keyspace import events

cdef enum:
    BY_NOTHING = -2
    BY_CHANCE = -1
    BY_IDLENESS = 0
    BY_USE = 1
    BY_EXPIRY = 2

NOTHING = BY_NOTHING
ANY = BY_CHANCE
IDLE_LONGEST = BY_IDLENESS
USED_LEAST = BY_USE
EXPIRES_FIRST = BY_EXPIRY

cdef enum:
    POOL_SIZE = 16
    KEYS_PER_LOOK = 16     # that go between two looks at the clock
    MOST_AT_ONCE = 256     # that go while nobody looks at what is not counted
    WORTH_TELLING = 1000000    # ns: the least that the latency monitor asks for

cdef struct Candidate:
    int64_t score          # the higher, the sooner it may go
    Entry* entry
    uint32_t hash
    int slot
    int db


cdef int64_t dispensability(Keyspace db, Entry* entry, int by) noexcept:
    """The higher, the sooner it may go. Scores compare only within one `by`."""
    if by == BY_USE:
        return 255 - db.decayed_counter(entry)
    if by == BY_EXPIRY:
        return INT64_MAX - entry_expiry(entry)
    return (<uint32_t>(db.clock[0] // 1000) - entry.clock) & CLOCK_MASK


cdef class Evictor:
    """Evicts keys of all databases of an engine, in the name of `client`."""

    cdef Engine engine
    cdef Client client
    cdef uint32_t barring            # gates that forbid it, or make it more than `relieve` can judge
    cdef object leftovers            # () -> whether something that left the keyspace has yet to be freed
    cdef object further              # called with the ns of its beginning where more must be done than `relieve` can
    cdef list samplers               # of each database; None where none was needed yet
    cdef Candidate[POOL_SIZE] pool   # the best keys seen so far and not gone, the best last
    cdef int pooled
    cdef int by
    cdef bint volatile
    cdef int samples
    cdef bint lazily
    cdef int turn                    # the database that was the last to lose a key by chance
    cdef public int64_t evicted      # keys, in all
    cdef public bint is_simple       # nothing but keys of known size count, so that the engine's ceiling is the goal
    cdef public int64_t patience     # ns that a command may be kept waiting
    cdef public int64_t spent        # ns in `relieve`, where that was all there was to do
    cdef public int64_t slowest      # ns of the key that took longest to go

    def __cinit__(self, Engine engine not None, Client client not None, uint32_t barring, leftovers, further):
        self.engine = engine
        self.client = client
        self.barring = barring
        self.leftovers = leftovers
        self.further = further
        self.choose(BY_NOTHING, False, 1, False)

    def choose(self, int by, bint volatile, int samples, bint lazily) -> None:
        """The settings: keys go `by` what, only those with an expiry or all, the best of how many, freed at once or
        later. What was judged by others is void."""
        self.by = by
        self.volatile = volatile
        self.samples = samples
        self.lazily = lazily
        self.samplers = [None] * len(self.engine.databases)
        self.pooled = 0

    def relieve(self) -> None:
        """More memory is taken than the engine's ceiling allows: evict down to it, if that is all there is to it."""
        cdef int64_t began = monotonic_ns()
        cdef int64_t took
        if self.is_simple and not self.engine.gate & self.barring and not self.leftovers():
            self.evict(self.engine.memory_ceiling, began + self.patience)
            took = monotonic_ns() - began
            if used + python_used <= self.engine.memory_ceiling and took < WORTH_TELLING:
                self.spent += took
                return
        self.further(began)

    cpdef int evict(self, int64_t goal, int64_t until) except -1:
        """Evict until no more than `goal` bytes are counted, or monotonic ns `until`, or something is left to be freed
        in pieces, or MOST_AT_ONCE keys have gone. Returns how many have: 0 where none may go."""
        cdef int gone = 0
        while used + python_used > goal and gone < MOST_AT_ONCE:
            if not self.evict_one():
                break
            gone += 1
            if self.lazily and self.leftovers():
                break
            if gone % KEYS_PER_LOOK == 0 and monotonic_ns() > until:
                break
        return gone

    # --- one key -------------------------------------------------------------------------------------

    cdef bint evict_one(self) except -1:
        """Drop the key that is missed least. False if none may be dropped."""
        if self.by == BY_NOTHING:
            return False
        if self.by == BY_CHANCE:
            return self.evict_any()
        while self.fill():
            while self.pooled:
                self.pooled -= 1
                if self.take(&self.pool[self.pooled]):
                    return True
        return False

    cdef Sampler sampler_of(self, int index):
        """None where there is no key that may go."""
        cdef Database db = self.engine.databases[index]
        if (db.volatile_count if self.volatile else db.size) == 0:
            return None
        if self.samplers[index] is None:
            self.samplers[index] = Sampler(db, self.volatile)
        return self.samplers[index]

    cdef bint evict_any(self) except -1:
        """The databases lose a key in turns."""
        cdef Drawn drawn
        cdef Sampler sampler
        cdef int i
        for i in range(<int>len(self.samplers)):
            self.turn = (self.turn + 1) % <int>len(self.samplers)
            sampler = self.sampler_of(self.turn)
            if sampler is not None and sampler.draw(&drawn, 1):
                self.drop(self.turn, drawn.slot, entry_hash(drawn.entry), drawn.entry)
                return True
        return False

    # --- the pool ------------------------------------------------------------------------------------

    cdef bint fill(self) except -1:
        """Draw keys of each database, and keep those that are better than the worst of a full pool. False if there was
        nothing to draw."""
        cdef Drawn drawn[64]
        cdef Sampler sampler
        cdef bint found = False
        cdef int index, i, count
        for index in range(<int>len(self.samplers)):
            sampler = self.sampler_of(index)
            if sampler is None:
                continue
            count = sampler.draw(drawn, self.samples)
            for i in range(count):
                self.consider(sampler.db, index, &drawn[i])
                found = True
        return found

    cdef void consider(self, Keyspace db, int index, Drawn* drawn) noexcept:
        """Let a key into the pool, if it is good enough and not there."""
        cdef int64_t score = dispensability(db, drawn.entry, self.by)
        cdef int place, i
        if self.pooled == POOL_SIZE and score <= self.pool[0].score:
            return
        for i in range(self.pooled):
            if self.pool[i].entry == drawn.entry:
                if self.pool[i].score == score:
                    return
                self.remove(i)    # it is worth something else now, or another key has come to lie there
                break
        if self.pooled == POOL_SIZE:
            self.remove(0)
        place = self.pooled
        while place and self.pool[place - 1].score > score:
            self.pool[place] = self.pool[place - 1]
            place -= 1
        self.pool[place] = Candidate(score, drawn.entry, entry_hash(drawn.entry), drawn.slot, index)
        self.pooled += 1

    cdef void remove(self, int place) noexcept:
        self.pooled -= 1
        memmove(&self.pool[place], &self.pool[place + 1], (self.pooled - place) * sizeof(Candidate))

    cdef bint take(self, Candidate* candidate) except -1:
        """Drop a key of the pool. False if it has gone meanwhile, or was used."""
        cdef Database db = self.engine.databases[candidate.db]
        cdef uint64_t* cell = cell_with(&db.tables[candidate.slot], candidate.hash, candidate.entry)
        if cell == NULL or (self.volatile and not candidate.entry.flags & HAS_EXPIRY):
            return False
        if dispensability(db, candidate.entry, self.by) < candidate.score:
            return False
        self.drop(candidate.db, candidate.slot, candidate.hash, candidate.entry)
        return True

    # --- its going -----------------------------------------------------------------------------------

    cdef int drop(self, int index, int slot, uint32_t hash, Entry* entry) except -1:
        """Drop a key, and tell who must know. One that has expired goes as such."""
        cdef Database db = self.engine.databases[index]
        cdef uint64_t* cell = cell_with(&db.tables[slot], hash, entry)
        cdef bint is_large = entry.flags & (IS_OBJECT | IS_LONG) != 0
        cdef int64_t began = monotonic_ns() if is_large else 0
        cdef Key key = Key(entry_key(entry), entry_key_length(entry), hash, slot)
        cdef bytes name = None
        if entry.flags & HAS_EXPIRY and db.clock[0] > entry_expiry(entry) and not (db.hides_expired or db.shows_expired):
            db.expire(&key, cell)
            return 0
        self.client.db = db
        if self.engine.observed:
            name = PyBytes_FromStringAndSize(key.data, key.length)
        if self.engine.trail.enabled:
            if self.lazily:
                draft(self.engine, 2, b"UNLINK", 6)
            else:
                draft(self.engine, 2, b"DEL", 3)
            self.engine.draft.bulk(key.data, key.length)
            as_drafted(self.engine, self.client)
        db.drop(&key, cell, self.lazily)
        self.evicted += 1
        if name is not None:
            self.client.changed(name, events.EVICTED, 0)
        if is_large:
            self.slowest = max(self.slowest, monotonic_ns() - began)
        return 0
