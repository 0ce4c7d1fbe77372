"""The trail every write leaves: one stream of commands, in the order of execution.

AOF and replication read it; nobody else writes to either. A plain write goes in as the bytes the
client sent; a command that must be rewritten (relative expiry, random choice) goes in as the argv its handler
gave to `ctx.propagate`. The stream is handed out in chunks, first to the log, then to the sinks: before the replies of
a read leave, or at the end of the turn where none of them promises anything of it, or all of them wait for the log until
then (client_output.pyx). What only concerns replicas (FOR_REPLICAS) stays out of the log. Without readers nothing is
recorded and the offset stands still.

A replica passes its primary's stream on, as it came (`pass_on`). What it changes of its own accord, where that is
allowed, is no part of that stream (`follows`): it goes into the log only, and the log then has to be told the database
of what follows.
"""

from libc.stdint cimport int64_t

from node.core.reply_writer cimport ReplyWriter

from node.core.reply_writer import encode_command

FOR_REPLICAS = frozenset((b"PING", b"REPLCONF", b"PUBLISH", b"SPUBLISH"))
"""Commands of the stream that change no data."""


cdef class Trail:
    def __cinit__(self):
        self.pending = ReplyWriter()
        self.sinks = []
        self.unlogged = []
        self.unshared = []
        self.selected_db = -1

    def attach(self, sink) -> None:
        """Let the callable `sink(chunk: bytes)` have the stream from here on."""
        self.flush()
        self.sinks.append(sink)
        self.enabled = True

    def detach(self, sink) -> None:
        self.flush()
        self.sinks.remove(sink)
        self.enabled = bool(self.sinks) or self.log is not None

    def attach_log(self, log) -> None:
        """Let the callable `log(chunk: bytes)` have the stream from here on, before all sinks. Call again to have
        the next command name its database: it begins a new file."""
        self.flush()
        self.log = log
        self.selected_db = -1
        self.enabled = True

    def detach_log(self) -> None:
        self.flush()
        self.log = None
        self.enabled = bool(self.sinks)

    cdef int select(self, int db) except -1:
        """Say which database the following commands are for, where it changed."""
        if db != self.selected_db:
            self.selected_db = db
            self.feed(encode_command([b"SELECT", b"%d" % db]))
        return 0

    cdef int add_raw(self, int db, const char* frame, size_t length) except -1:
        """Record a command as the RESP bytes it arrived in."""
        if not self.enabled:
            return 0
        if self.collected is not None:
            self.collected.append((db, frame[:length], True))
            return 0
        self.select(db)
        self.put(frame, length, True)
        return 0

    cpdef add(self, int db, list argv):
        """Record a command given as arguments."""
        if not self.enabled:
            return
        frame = encode_command(argv)
        logged = argv[0].upper() not in FOR_REPLICAS
        if self.collected is not None:
            self.collected.append((db, frame, logged))
            return
        self.select(db)
        self.feed(frame, logged)

    cpdef feed(self, bytes stream, bint logged=True):
        """Record commands that are encoded already."""
        self.put(stream, len(stream), logged)

    cdef int put(self, const char* stream, size_t length, bint logged) except -1:
        if not self.enabled or (self.follows and (self.log is None or not logged)):
            return 0
        if self.follows:
            self.unshared.append((self.pending.length, length))
        else:
            self.offset += length
            if not logged and self.log is not None:
                self.unlogged.append((self.pending.length, length))
        self.pending.raw(stream, length)
        return 0

    cdef int pass_on(self, int db, const char* stream, size_t length, bint logged) except -1:
        """Record bytes of our primary's stream, which begin in the database `db`."""
        if not self.enabled:
            return 0
        if self.selected_db >= 0 and self.log is not None:
            self.feed(encode_command([b"SELECT", b"%d" % db]))
        self.selected_db = -1
        if not logged and self.log is not None:
            self.unlogged.append((self.pending.length, length))
        self.pending.raw(stream, length)
        self.offset += length
        return 0

    cpdef begin(self):
        """What is added from here to `end` is one transaction."""
        self.collected = []

    cpdef end(self):
        """Close the transaction: several commands are wrapped in MULTI and EXEC, a single one is not."""
        collected, self.collected = self.collected, None
        if not collected:
            return
        self.select(collected[0][0])
        if len(collected) > 1:
            self.feed(encode_command([b"MULTI"]))
        for db, frame, logged in collected:
            self.select(db)
            self.feed(frame, logged)
        if len(collected) > 1:
            self.feed(encode_command([b"EXEC"]))

    def forget(self) -> None:
        """Drop what the open transaction has recorded so far."""
        self.collected = []

    @property
    def in_transaction(self) -> bool:
        return self.collected is not None

    def flush(self) -> None:
        """Hand out what was recorded."""
        self.awaits_turn = False
        if self.pending.length == 0:
            return
        chunk = self.pending.take()
        unlogged, self.unlogged = self.unlogged, []
        unshared, self.unshared = self.unshared, []
        if self.log is not None:
            logged = without(chunk, unlogged)
            if logged:
                self.log(logged)
        shared = without(chunk, unshared)
        if shared:
            for sink in tuple(self.sinks):
                sink(shared)


cdef bytes without(bytes chunk, list parts):
    """`chunk` less its `parts`, (start, length) ascending."""
    if not parts:
        return chunk
    kept = []
    done = 0
    for start, length in parts:
        kept.append(chunk[done:start])
        done = start + length
    kept.append(chunk[done:])
    return b"".join(kept)
