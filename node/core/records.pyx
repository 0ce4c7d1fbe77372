"""Entries to records and back: what passes between the keyspace and the store.

`RecordWriter.take` tells the store of keys, as a run of frames that its scribe (node/storage/scribe.py) carries out;
`thaw` makes an entry of a record. record_head.pxd has the format of a record, cold.pyx that of a place.

    frame = op:u8 place length:u16 body length:u32 place body        little-endian
"""

import io

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from node.core.cold cimport Cold
from node.core.database cimport Database
from node.core.hash cimport Hash, soonest_due
from node.core.keyspace cimport Key, key_from_bytes
from node.core.rdb_codes cimport CODE_STRING
from node.core.rdb_output cimport RdbOutput, code_of, put_byte, put_object, put_string
from node.core.rdb_source cimport Source, source_string
from node.core.record_head cimport LONG_KEY, Head, read_head
from node.core.slot_table cimport (
    HAS_EXPIRY,
    IN_FLIGHT,
    IS_OBJECT,
    STORED,
    TYPE_HASH,
    UNSAVED,
    WAS_EDITED,
    Entry,
    entry_expiry,
    entry_object,
    entry_of,
    entry_type,
    entry_value,
    entry_value_length,
    table_find,
)

from node.core.cold import key_in
from node.core.hash import NEVER
from node.persistence.rdb.format import VERSION_WITH_FIELD_EXPIRY
from node.persistence.rdb.streams import save_stream
from node.persistence.rdb.values import load_value

PUT = 1
DELETE = 2
CLEAR = 3          # all places that begin with the frame's place; an empty body
AWAIT = 4          # place = moment:u64 big-endian, then the place of a key of which something expires then
FORGET = 5         # an awaited moment has passed
NOTE = 6           # what is known of the whole: place = a name
COMMIT = 7         # make all of it durable, and say so by the place, which is a number

cdef enum:
    OP_PUT = 1
    OP_DELETE = 2
    OP_AWAIT = 4
    FRAME_HEAD = 7


def frame(int op, bytes place not None, bytes body=b"") -> bytes:
    return op.to_bytes(1, "little") + len(place).to_bytes(2, "little") + len(body).to_bytes(4, "little") + place + body


cdef bytes frame_for(uint8_t op, bytes place, size_t body_length):
    """A frame whose body, at its end, is still to be filled in."""
    cdef bytes made = PyBytes_FromStringAndSize(NULL, FRAME_HEAD + PyBytes_GET_SIZE(place) + body_length)
    cdef char* out = PyBytes_AS_STRING(made)
    cdef uint16_t place_length = <uint16_t>PyBytes_GET_SIZE(place)
    cdef uint32_t length = <uint32_t>body_length
    out[0] = op
    memcpy(out + 1, &place_length, 2)
    memcpy(out + 3, &length, 4)
    memcpy(out + FRAME_HEAD, PyBytes_AS_STRING(place), place_length)
    return made


cdef class RecordWriter:
    """Makes frames of what a database's store has to be told."""

    cdef list chunks
    cdef readonly RdbOutput out

    def __cinit__(self):
        self.chunks = []      # of a value that is larger than the output's buffer
        self.out = RdbOutput(self.chunks.append, save_stream, True, False)

    def take(self, Database db not None, int keys, Py_ssize_t size) -> tuple:
        """(frames, slots): up to `keys` dirty keys, or as many as make `size` bytes, are in flight from here on."""
        cdef Cold cold = db.cold
        cdef list frames = []
        cdef set slots = set()
        cdef Py_ssize_t total = 0
        cdef bytes name, made, place
        cdef uint64_t* cell
        cdef Entry* entry
        cdef int64_t due
        cdef Key k
        while cold.dirty and keys > 0 and total < size:
            name = cold.dirty.pop()
            cold.in_flight.add(name)
            key_from_bytes(&k, name)
            slots.add(k.slot)
            place = cold.place(k.slot, k.hash, name)
            cell = table_find(&db.tables[k.slot], k.hash, k.data, k.length)
            if cell == NULL:
                made = frame_for(OP_DELETE, place, 0)
            else:
                entry = entry_of(cell[0])
                entry.flags = (entry.flags & ~<uint32_t>UNSAVED) | STORED | IN_FLIGHT
                made = self.record(entry, place, name)
                due = earliest_end(entry)
                if due:
                    frames.append(frame_for(OP_AWAIT, due.to_bytes(8, "big") + place, 0))
            frames.append(made)
            total += PyBytes_GET_SIZE(made)
            keys -= 1
        return b"".join(frames), slots

    cdef bytes record(self, Entry* entry, bytes place, bytes name):
        cdef bytes made, rest
        cdef char* at
        cdef uint32_t key_length = <uint32_t>PyBytes_GET_SIZE(name)
        cdef bint is_long = place[8] != 0
        cdef uint32_t clock = entry.clock
        cdef uint32_t word = entry.flags & (HAS_EXPIRY | WAS_EDITED) | (LONG_KEY if is_long else 0) | clock << 8
        cdef int64_t expire_at = entry_expiry(entry)
        cdef size_t head = 4 + (8 if expire_at else 0)
        cdef size_t tail = key_length + 4 if is_long else 0
        cdef size_t chunked = 0
        self.out.used = 0
        self.chunks.clear()
        if entry.flags & IS_OBJECT:
            put_byte(self.out, code_of(entry_type(entry), <PyObject*>entry_object(entry)[0]))
            put_object(self.out, entry_type(entry), <PyObject*>entry_object(entry)[0])
        else:
            put_byte(self.out, CODE_STRING)
            put_string(self.out, entry_value(entry), entry_value_length(entry))
        for rest in self.chunks:
            chunked += PyBytes_GET_SIZE(rest)
        made = frame_for(OP_PUT, place, head + chunked + self.out.used + tail)
        at = PyBytes_AS_STRING(made) + FRAME_HEAD + PyBytes_GET_SIZE(place)
        memcpy(at, &word, 4)
        if expire_at:
            memcpy(at + 4, &expire_at, 8)
        at += head
        for rest in self.chunks:
            memcpy(at, PyBytes_AS_STRING(rest), PyBytes_GET_SIZE(rest))
            at += PyBytes_GET_SIZE(rest)
        memcpy(at, self.out.buffer, self.out.used)
        at += self.out.used
        if is_long:
            memcpy(at, PyBytes_AS_STRING(name), key_length)
            memcpy(at + key_length, &key_length, 4)
        return made


cdef int64_t earliest_end(Entry* entry) except -1:
    """Unix ms at which the entry expires, or the first of its fields; 0 for never."""
    cdef int64_t end = entry_expiry(entry)
    cdef int64_t due
    if entry_type(entry) == TYPE_HASH and (<Hash>entry_object(entry)[0]).timed:
        due = soonest_due(<Hash>entry_object(entry)[0])
        if due != NEVER and (end == 0 or due < end):
            end = due
    return end


def value_in(bytes record not None) -> tuple:
    """(value, expiry in Unix ms or 0) of a record."""
    cdef Head head
    read_head(&head, record)
    return load_body(&head, record), head.expire_at


def expiry_in(bytes record not None) -> int:
    """Unix ms, 0 for none."""
    cdef Head head
    read_head(&head, record)
    return head.expire_at


cdef Source READER = Source(io.BytesIO(), "the store")
"""Reads one record's body after the other."""


cdef Source body_of(Head* head, bytes record):
    """What reads the record's body, until the next one is asked for."""
    cdef Source source = READER
    source.buffer = record
    source.data = <const uint8_t*>PyBytes_AS_STRING(record)
    source.at = head.body
    source.end = head.end
    return source


cdef object load_body(Head* head, bytes record):
    return load_value(body_of(head, record), head.code, VERSION_WITH_FIELD_EXPIRY)


def thaw(Database db not None, bytes key not None, bytes record not None) -> None:
    """Put the key, which is not in memory, there."""
    cdef Head head
    cdef Key k
    cdef Entry* entry
    cdef Source source
    key_from_bytes(&k, key)
    read_head(&head, record)
    if head.code == CODE_STRING:
        source = body_of(&head, record)
        source_string(source, &source.first)
        entry = db.new_entry(&k, head.flags & WAS_EDITED | STORED, source.first.length, head.expire_at)
        memcpy(entry_value(entry), source.first.data, source.first.length)
    else:
        value = load_body(&head, record)
        entry = db.object_entry(&k, value, STORED, head.expire_at)
        if type(value) is Hash and (<Hash>value).timed:
            db.await_fields(key, value)
    entry.clock = head.clock
    db.admit(&k, entry)
    db.cold.count(k.slot, -1, -1 if head.expire_at else 0)


def key_at(bytes place not None, store) -> bytes | None:
    """The key whose place this is; None where the store has nothing there."""
    if not place[8]:
        return key_in(place, b"")
    record = store.get(place)
    return None if record is None else key_in(place, record)
