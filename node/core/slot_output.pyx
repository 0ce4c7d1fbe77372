"""The keys of a slot as the commands that make them, for whoever takes the slot over.

Strings, which most keys are, are written as SET from where they lie, without making an object of them; what any
other key takes is asked of `others`. It runs in a forked child (node/persistence/slot_snapshot.py), which shares all
memory with its parent as long as neither writes to it.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint32_t
from libc.stdio cimport snprintf

from node.core.database cimport Database
from node.core.keyspace cimport key_of, value_of
from node.core.reply_writer cimport ReplyWriter
from node.core.slot_table cimport (
    HAS_EXPIRY,
    IS_OBJECT,
    Entry,
    SlotTable,
    Walk,
    entry_expiry,
    entry_key,
    entry_key_length,
    next_entry,
    entry_value,
    entry_value_length,
    prefetch,
)

from node.core.reply_writer import encode_command

cdef enum:
    CHUNK = 256 * 1024
    AHEAD = 2                    # cells by which entries are fetched before their turn


cdef class SlotOutput:
    """Hands chunks of RESP to `write`, the last one on `flush`. `others(key, value, expire_at)` gives the commands,
    lists of bytes, that make a key which is no string; `expire_at` is Unix ms, 0 for never."""

    cdef object write
    cdef object others
    cdef ReplyWriter out

    def __cinit__(self, write, others):
        self.write = write
        self.others = others
        self.out = ReplyWriter()

    def command(self, list argv not None) -> None:
        data = encode_command(argv)
        self.out.raw(data, len(data))
        self.flush_if_large()

    def slot(self, Database db not None, int slot) -> None:
        """All live keys of a slot."""
        cdef SlotTable* table = &db.tables[slot]
        cdef Walk walk = Walk(NULL, 0, 0)
        cdef Walk ahead = Walk(NULL, 0, 0)
        cdef Entry* entry
        cdef int i
        for i in range(AHEAD):
            prefetch(next_entry(table, &ahead))
        while True:
            entry = next_entry(table, &walk)
            if entry == NULL:
                break
            prefetch(next_entry(table, &ahead))
            if entry.flags & HAS_EXPIRY and db.clock[0] > entry_expiry(entry):
                continue
            if entry.flags & IS_OBJECT:
                for argv in self.others(key_of(entry), value_of(entry), entry_expiry(entry)):
                    self.command(argv)
            else:
                self.string(entry)
        if db.cold is not None:
            self.cold_keys(db, slot)

    def cold_keys(self, Database db not None, int slot) -> None:
        """Those that are in the store only."""
        for key, record in db.cold_records(slot):
            value, expire_at = db.cold.codec.value_in(record)
            if expire_at and db.clock[0] > expire_at:
                continue
            if type(value) is not bytes:
                for argv in self.others(key, value, expire_at):
                    self.command(argv)
            else:
                self.command([b"SET", key, value, *((b"PXAT", b"%d" % expire_at) if expire_at else ())])

    def flush(self) -> None:
        """Hand over what has gathered."""
        if self.out.length:
            self.write(PyBytes_FromStringAndSize(self.out.data, self.out.length))
            self.out.length = 0
            self.out.shrink()

    cdef int flush_if_large(self) except -1:
        if self.out.length >= CHUNK:
            self.flush()
        return 0

    cdef int string(self, Entry* entry) except -1:
        cdef char digits[32]
        cdef int64_t expire_at = entry_expiry(entry)
        self.out.raw(b"*5\r\n$3\r\nSET\r\n" if expire_at else b"*3\r\n$3\r\nSET\r\n", 13)
        self.out.bulk(entry_key(entry), entry_key_length(entry))
        self.out.bulk(entry_value(entry), entry_value_length(entry))
        if expire_at:
            self.out.raw(b"$4\r\nPXAT\r\n", 10)
            self.out.bulk(digits, snprintf(digits, sizeof(digits), b"%lld", <long long>expire_at))
        return self.flush_if_large()
