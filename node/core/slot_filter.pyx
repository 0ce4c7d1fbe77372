"""What of the stream of writes (trail.pyx) concerns certain slots.

For whoever follows the slots and not the worker: the target of a migration. The stream comes in the chunks that the
trail hands out, which are whole commands. Those that write keys of the slots are passed on as they are; where the
database changes between two of them, SELECT goes ahead. MULTI and EXEC have no keys and are left out: what
follows them is not seen by anybody before the whole is there.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memset

from node.core.command_rows cimport row_called
from node.core.engine cimport Engine, Row
from node.core.key_slot cimport slot_of
from node.core.request_reader cimport COMPLETE, Limits, Progress, Span, Spans, read_frame, spans_free

from node.core.key_slot import key_slot
from node.core.reply_writer import encode_command


cdef class SlotFilter:
    """`take(bytes)` gets what concerns the slots of `ranges`, (first, last) each. `find(argv)` is the Command that a
    request names, or None."""

    cdef Engine engine
    cdef object find
    cdef object take
    cdef uint8_t wanted[16384]
    cdef Spans spans
    cdef Progress progress
    cdef Limits limits
    cdef int database           # of the next command of the stream
    cdef int told               # the database that `take` knows of

    def __cinit__(self, Engine engine not None, ranges, find, take):
        self.engine = engine
        self.find = find
        self.take = take
        self.limits.bulk_length = 1LL << 40
        self.limits.authenticated = True
        self.told = -1
        for first, last in ranges:
            memset(&self.wanted[<int>first], 1, <int>last - <int>first + 1)

    def __dealloc__(self):
        spans_free(&self.spans)
        spans_free(&self.progress.spans)

    def feed(self, bytes chunk not None) -> None:
        """A sink of the trail. The first chunk has to begin with SELECT."""
        cdef const char* base = chunk
        cdef size_t length = len(chunk)
        cdef size_t position = 0
        cdef size_t next_frame = 0
        cdef list found = []
        while position < length:
            self.spans.count = 0
            if read_frame(
                base, position, length, &self.progress, &self.spans, &next_frame, &self.limits
            ) != COMPLETE:
                raise ValueError(f"the stream holds no whole command at {position}")
            if self.concerns(base):
                if self.database != self.told:
                    self.told = self.database
                    found.append(encode_command([b"SELECT", b"%d" % self.database]))
                found.append(chunk[position:next_frame])
            position = next_frame
        if found:
            self.take(b"".join(found))

    cdef bint concerns(self, const char* base) except -1:
        """Whether the command in `spans` writes keys of our slots."""
        cdef Span* name = &self.spans.items[0]
        cdef Span* key
        cdef Row* row = row_called(self.engine, base + name.start, name.length)
        if row != NULL and 0 < row.key_index < <int>self.spans.count:
            key = &self.spans.items[row.key_index]
            return row.is_write and self.wanted[slot_of(base + key.start, key.length)]
        argv = [
            base[self.spans.items[i].start : self.spans.items[i].start + self.spans.items[i].length]
            for i in range(self.spans.count)
        ]
        if argv[0].upper() == b"SELECT":
            self.database = int(argv[1])
            return False
        command = self.find(argv)
        if command is None or not command.is_write:
            return False
        for at in command.key_positions(argv):
            return self.wanted[<int>key_slot(argv[at])]
        return False
