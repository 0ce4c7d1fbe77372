"""Executing our primary's stream as it arrives, and passing it on.

What was executed goes into our own trail byte for byte, so that our offsets are the primary's; in as few pieces as
possible, apart for what is no data and so not for our log (`FOR_REPLICAS`). A transaction is passed on when it is
whole: if the link is cut inside, all of it is asked for again.

To the primary's commands no key is too old: it is the primary that decides what has expired.

Some commands are not executed the usual way, but given to `by_hand(argv, name)`: those with subcommands, those that
are not known, REPLCONF; and all while `all_by_hand` is set. It returns whether the command is for the log.
"""

from libc.stdint cimport int64_t, uint32_t

from node.core.database cimport Database
from node.core.command_rows cimport row_called
from node.core.engine cimport Client, Request, Row
from node.core.replay cimport Replay
from node.core.trail cimport Trail

from node.core.command_rows import GATE_TRANSACTION
from node.core.replay import Damaged
from node.core.trail import FOR_REPLICAS

cdef uint32_t TRANSACTION = GATE_TRANSACTION
cdef int MOST_UNLOGGED = 8


cdef class StreamReplay(Replay):
    """`on_error(name, text)` is told of commands that failed, which they should not."""

    cdef Trail trail
    cdef object by_hand
    cdef object on_error
    cdef public bint all_by_hand
    cdef Row* replconf
    cdef Row* unlogged[8]         # the rows of FOR_REPLICAS
    cdef int unlogged_count
    cdef const char* base         # what is being executed
    cdef size_t recorded          # of this, the trail has so much …
    cdef size_t whole             # … and shall have so much, by now
    cdef int database             # in which begins what the trail has not got yet
    cdef bint logged              # the command being executed is for the log
    cdef bytearray begun          # of the open transaction, what came before `base`

    def __init__(self, Client client not None, int64_t bulk_length, by_hand, on_error):
        self.trail = client.engine.trail
        self.by_hand = by_hand
        self.on_error = on_error
        self.begun = bytearray()
        self.replconf = row_called(client.engine, b"REPLCONF", 8)
        assert len(FOR_REPLICAS) <= MOST_UNLOGGED
        for name in FOR_REPLICAS:
            self.unlogged[self.unlogged_count] = row_called(client.engine, name, len(name))
            self.unlogged_count += 1

    def stop(self) -> None:
        """Execute nothing more, from inside of a command as well."""
        self.stopped = True

    cdef size_t execute(self, const char* base, size_t length, int64_t deadline) except? 0xFFFFFFFF:
        cdef Database db
        cdef size_t used = 0
        self.base = base
        self.recorded = self.whole = 0
        self.database = self.client.db.index
        for db in self.client.engine.databases:
            db.shows_expired = True
        try:
            used = Replay.execute(self, base, length, deadline)
        finally:
            for db in self.client.engine.databases:
                db.shows_expired = False
            if not self.stopped:
                self.record()
                if self.client.gate & TRANSACTION:
                    self.begun += base[self.whole : used]
        return used

    cdef int record(self, bint logged=True) except -1:
        """The trail gets what is whole and new."""
        if self.whole == self.recorded:
            return 0
        if len(self.begun):
            self.trail.pass_on(self.database, self.begun, len(self.begun), logged)
            self.begun.clear()
        self.trail.pass_on(self.database, self.base + self.recorded, self.whole - self.recorded, logged)
        self.recorded = self.whole
        self.database = self.client.db.index
        return 0

    cdef int perform(self, Request* request) except -1:
        if request.row != NULL and request.row != self.replconf and not self.all_by_hand:
            self.logged = not self.is_unlogged(request.row)
            return self.serve(request)
        self.record()
        argv = self.client.engine.arguments(request, 0)
        self.logged = self.by_hand(argv, argv[0].upper())
        return 0

    cdef bint is_unlogged(self, Row* row) noexcept:
        cdef int i
        if not row.is_write:
            for i in range(self.unlogged_count):
                if row == self.unlogged[i]:
                    return True
        return False

    cdef int executed(self, Request* request) except -1:
        self.done += request.end - request.begin
        return self.pass_on(request.end, self.logged)

    cdef int pass_on(self, size_t end, bint logged) except -1:
        """The trail shall have everything up to `end`."""
        if self.client.gate & TRANSACTION:
            return 0
        self.good = self.done
        if logged:
            self.whole = end
            return 0
        self.record()
        self.whole = end
        return self.record(False)

    cdef int failed(self, Request* request, bytes line) except -1:
        name = request.row.name[:request.row.name_length]
        self.on_error(name.decode("latin-1"), line.decode("utf-8", "replace"))
        return 0

    cdef size_t pass_over(self, const char* base, size_t position, size_t length) except? 0xFFFFFFFF:
        """An empty line only says that the primary is there, but it counts."""
        if base[position] != c"\r" and base[position] != c"\n":
            raise Damaged(f"{base[position : min(position + 16, length)]!r} where a command was expected")
        self.done += 1
        self.pass_on(position + 1, False)
        return 1
