"""Filling databases from RDB: runs of entries, from the file's buffer into the tables.

Most entries are strings that lie whole in the buffer. Such a one is made where it will stay, from the buffer, without
a Python object in between. Finding its place in its table would wait for memory, since the tables of a large database
are in no cache and the keys of a file in no order; so entries wait until a batch of them has gathered, while the
places that they will ask for are fetched.

All else is read the careful way: collections (rdb_load.pyx), strings that go on in the next buffer or are damaged. What
is no entry, or of a kind that only Python knows, ends a run.

Access clocks come with the entries where the writer kept them: how long nobody used the key (its policy was LRU), or
how often it was used (LFU). Each counts only for who chooses by it.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from node.core.database cimport Database
from node.core.keyspace cimport CLOCK_MASK, Key, key_from_bytes, make_key
from node.core.memory cimport release
from node.core.rdb_codes cimport CODE_STRING, OP_EXPIRE_MS, OP_FREQ, OP_IDLE
from node.core.rdb_source cimport (
    Piece,
    Source,
    copy_piece,
    find_length,
    find_string,
    keep_key,
    keep_packed_key,
    mark,
    source_string,
)
from node.core.slot_table cimport Entry, entry_key, entry_key_length, entry_value, likely_cell, prefetch

from node.core.listpack import Malformed
from node.core.rdb_load import COLLECTIONS, load_collection

cdef enum:
    BATCH = 32              # entries that wait for their tables
    KNOWN_CODES = 32

cdef bint is_known[KNOWN_CODES]
is_known[CODE_STRING] = True
for _code in COLLECTIONS:
    is_known[<int>_code] = True


cdef struct Preamble:       # what precedes an entry's key
    int64_t expire_at       # Unix ms, 0 for never
    int64_t idle            # seconds, -1 for unknown
    int frequency           # -1 for unknown
    int code


cdef struct Waiting:
    Entry* entry
    uint32_t hash
    int slot


cdef class Filler:
    """Puts entries into databases, and counts them.

    `drop_before`: Unix ms; entries that expired before it are dropped. 0 keeps all. `replaces`: a key that is there
    already is no error.
    """

    cdef readonly int64_t loaded
    cdef readonly int64_t expired
    cdef readonly int64_t drop_before
    cdef public bint replaces
    cdef Waiting waiting[BATCH]
    cdef int gathered

    def __cinit__(self, int64_t drop_before):
        self.drop_before = drop_before

    def put(self, Database db not None, bytes key not None, value not None, int64_t expire_at) -> bool:
        """One entry; False if it was dropped. Raises Malformed if the key is there already."""
        cdef Key k
        if self.drops(expire_at):
            return False
        key_from_bytes(&k, key)
        if not self.replaces and db.find(&k) != NULL:
            raise twice()
        db.set(key, value, expire_at)
        self.loaded += 1
        return True

    def run(self, Source source not None, Database db not None, Py_ssize_t most) -> int:
        """Read and put up to `most` entries, of kinds known here; how many there were.

        Fewer: what comes next is of another kind, or close to the end of the buffer, and Python's turn. Raises
        RdbError, and Malformed and EmptyValue of the value of `source.last_key`, which has been read until there.
        """
        cdef Py_ssize_t done = 0
        cdef Preamble preamble
        cdef const uint8_t* at
        try:
            while done < most:
                mark(source)
                at = read_preamble(source.data + source.at, source.data + source.end, &preamble)
                if at == NULL:
                    break
                if preamble.code != CODE_STRING:
                    source.at = at - source.data
                    self.take_collection(source, db, &preamble)
                elif not self.take_piece(source, db, at, &preamble):
                    source.at = at - source.data
                    self.take_string(source, db, &preamble)
                done += 1
        finally:
            self.settle(source, db)
        return done

    cdef bint drops(self, int64_t expire_at) noexcept:
        if expire_at == 0 or expire_at >= self.drop_before:
            return False
        self.expired += 1
        return True

    cdef bint take_piece(self, Source source, Database db, const uint8_t* at, Preamble* preamble) except -1:
        """A string whose key is at `at`, if all of it is in the buffer, and sound."""
        cdef const uint8_t* end = source.data + source.end
        cdef Piece name, value
        cdef Key key
        cdef Entry* entry
        at = find_string(at, end, &name)
        if at == NULL:
            return False
        at = find_string(at, end, &value)
        if at == NULL:
            return False
        if name.packed:
            if not keep_packed_key(source, &name):
                return False
            make_key(&key, source.key.data, source.key.length)
        else:
            make_key(&key, <const char*>name.data, name.length)
        prefetch(&db.tables[key.slot])
        if not self.drops(preamble.expire_at):
            entry = db.new_entry(&key, 0, value.length, preamble.expire_at)
            if not copy_piece(&value, entry_value(entry)):
                release(entry)
                return False
            self.gather(source, db, entry, &key, preamble)
        source.at = at - source.data
        return True

    cdef int take_string(self, Source source, Database db, Preamble* preamble) except -1:
        cdef Key key
        cdef Entry* entry
        source_string(source, &source.key)
        source_string(source, &source.first)
        if source.first.length > 0xFFFFFFFFU:
            raise Malformed("string that is too long")
        if self.drops(preamble.expire_at):
            return 0
        make_key(&key, source.key.data, source.key.length)
        entry = db.new_entry(&key, 0, source.first.length, preamble.expire_at)
        memcpy(entry_value(entry), source.first.data, source.first.length)
        return self.gather(source, db, entry, &key, preamble)

    cdef int take_collection(self, Source source, Database db, Preamble* preamble) except -1:
        self.settle(source, db)     # so that, of a key that is there twice, the last one stays
        source_string(source, &source.key)
        key = source.last_key
        if self.put(db, key, load_collection(source, preamble.code), preamble.expire_at):
            if preamble.idle >= 0:
                db.set_idle(key, preamble.idle)
            if preamble.frequency >= 0:
                db.set_frequency(key, preamble.frequency)
        return 0

    cdef int gather(self, Source source, Database db, Entry* entry, Key* key, Preamble* preamble) except -1:
        """Let an entry wait for its table."""
        if db.tracks_frequency:
            if preamble.frequency >= 0:
                entry.clock = (entry.clock & ~<uint32_t>0xFF) | <uint32_t>preamble.frequency
        elif preamble.idle >= 0:
            entry.clock = (entry.clock - <uint32_t>preamble.idle) & CLOCK_MASK
        self.waiting[self.gathered].entry = entry
        self.waiting[self.gathered].hash = key.hash
        self.waiting[self.gathered].slot = key.slot
        self.gathered += 1
        return self.settle(source, db) if self.gathered == BATCH else 0

    cdef int settle(self, Source source, Database db) except -1:
        """Put what has gathered into its tables. Raises Malformed if one of the keys, `source.last_key` then, is
        there already; those behind it are gone."""
        cdef int count = self.gathered
        cdef int i
        cdef Entry* entry
        cdef Key key
        self.gathered = 0
        for i in range(count):
            prefetch(likely_cell(&db.tables[self.waiting[i].slot], self.waiting[i].hash))
        for i in range(count):
            entry = self.waiting[i].entry
            key.data = entry_key(entry)
            key.length = entry_key_length(entry)
            key.hash = self.waiting[i].hash
            key.slot = self.waiting[i].slot
            if self.replaces:
                db.install(&key, entry)
            elif db.find(&key) == NULL:
                db.add(&key, entry)
            else:
                keep_key(source, key.data, key.length)
                for i in range(i, count):
                    release(self.waiting[i].entry)
                raise twice()
            self.loaded += 1
        return 0


cdef object twice():
    return Malformed("the same key twice")


cdef const uint8_t* read_preamble(const uint8_t* at, const uint8_t* end, Preamble* preamble) noexcept nogil:
    """What comes before the key of the next entry; returns where the key is. NULL if it is not all there, or no entry
    of a known kind comes."""
    cdef uint64_t idle
    preamble.expire_at = 0
    preamble.idle = preamble.frequency = -1
    while at != NULL and at < end:
        if at[0] < KNOWN_CODES and is_known[at[0]]:
            preamble.code = at[0]
            return at + 1
        if at[0] == OP_EXPIRE_MS and end - at > <Py_ssize_t>sizeof(int64_t):
            memcpy(&preamble.expire_at, at + 1, sizeof(int64_t))
            at += 1 + sizeof(int64_t)
        elif at[0] == OP_FREQ and end - at > 1:
            preamble.frequency = at[1]
            at += 2
        elif at[0] == OP_IDLE:
            at = find_length(at + 1, end, &idle)
            preamble.idle = idle
        else:
            break
    return NULL
