"""Executing a recorded stream of commands: an append-only file, or a part of one.

The stream is fed in pieces of any size, and goes the way of all requests, compiled handlers included. `good` is how far the stream has been executed up to the end of a command that was not part
of an open transaction: where a file that breaks off may be cut without losing anything that is whole. Replies
are dropped, but `error` is the first that was an error.

Between commands the file may hold annotations, lines that begin with `#`.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memchr, memset

from node.core.engine cimport Client, Engine, Request
from node.core.request_reader cimport COMPLETE, EMPTY, NEED_MORE, Limits, Outcome, Progress, read_frame, spans_free

from node.core.engine import GATE_TRANSACTION
from node.errors import ReplyError

cdef uint32_t TRANSACTION = GATE_TRANSACTION
cdef str UNKNOWN = "ERR unknown command"


class Damaged(ValueError):
    """The stream is not what it should be; the text says why."""


cdef class Replay:
    """`client` executes; it should be one that is obeyed."""

    cdef Client client
    cdef bytearray rest           # the beginning of a command, or of an annotation
    cdef Progress progress
    cdef Limits limits
    cdef readonly int64_t done    # bytes executed
    cdef readonly int64_t good    # of these, all but a transaction that has begun and not ended
    cdef readonly int64_t commands
    cdef readonly bytes error     # the line of the first error reply, or None

    def __cinit__(self, Client client not None, int64_t bulk_length=(1 << 40)):
        self.client = client
        self.rest = bytearray()
        self.limits.authenticated = True
        self.limits.bulk_length = bulk_length

    def __dealloc__(self):
        spans_free(&self.progress.spans)

    @property
    def incomplete(self) -> bool:
        """Whether the stream ended inside a command or a transaction."""
        return len(self.rest) > 0 or self.good != self.done

    def feed(self, bytes data not None) -> None:
        """Execute what `data` completes. Raises Damaged; everything up to `done` has been executed then."""
        cdef size_t used
        if len(self.rest):
            self.rest += data
            if <size_t>len(self.rest) < self.progress.wanted:
                return
            data = bytes(self.rest)
            self.rest.clear()
        used = self.execute(data, len(data))
        if used < <size_t>len(data):
            self.rest += data[used:]

    cdef size_t execute(self, const char* base, size_t length) except? 0xFFFFFFFF:
        """Execute the commands in `base[:length]`; returns the bytes that are done with."""
        cdef Engine engine = self.client.engine
        cdef Request request
        cdef Outcome outcome
        cdef size_t position = 0
        cdef size_t next_frame = 0
        cdef const char* newline
        while position < length:
            if base[position] == c"#" and self.progress.position == 0:
                newline = <const char*>memchr(base + position, c"\n", length - position)
                if newline == NULL:
                    break
                self.advance(newline + 1 - (base + position))
                position = newline + 1 - base
                continue
            if base[position] != c"*":
                raise Damaged("a command does not begin with '*'")
            engine.spans.count = 0
            outcome = read_frame(
                base, position, length, &self.progress, &engine.spans, &next_frame, &self.limits
            )
            if outcome == NEED_MORE:
                break
            if outcome != COMPLETE:
                raise Damaged("an empty command" if outcome == EMPTY else self.limits.error.decode("latin-1"))
            memset(&request, 0, sizeof(request))
            request.base = base
            request.count = engine.spans.count
            request.begin = position
            request.end = next_frame
            engine.prepare(&request)
            if request.row == NULL:
                self.execute_container(engine.arguments(&request, 0))
            else:
                engine.serve(self.client, &request)
                if engine.reply.length and engine.reply.data[0] == c"-" and self.error is None:
                    self.error = engine.reply.data[1 : engine.reply.length].rstrip()
                engine.reply.length = 0
            self.commands += 1
            self.advance(next_frame - position)
            position = next_frame
        return position

    cdef void advance(self, size_t length) noexcept:
        self.done += length
        if not self.client.gate & TRANSACTION:
            self.good = self.done

    cdef int execute_container(self, list argv) except -1:
        """A command with subcommands, or none that is known."""
        value = self.client.execute(argv)
        if isinstance(value, ReplyError):
            if value.text.startswith(UNKNOWN):
                raise Damaged(f"unknown command '{argv[0].decode('latin-1')[:128]}'")
            if self.error is None:
                self.error = value.text.encode()
        self.client.engine.finish_command()
        return 0
