"""Executing a recorded stream of commands: an append-only file, or a part of one. (A primary's stream is one, too:
stream_replay.pyx.)

The stream is fed in pieces of any size, and goes the way of all requests, compiled handlers included; as with clients,
up to 64 commands are found and the memory they will touch is asked for before they are executed. `good` is how far the
stream has been executed up to the end of a command that was not part of an open transaction: where a file that breaks
off may be cut without losing anything that is whole. Replies are dropped, but `error` is the first that was an error.

Between commands the file may hold annotations, lines that begin with `#`.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint32_t
from libc.string cimport memchr

from node.core.batch cimport read_batch
from node.core.batch_times cimport share_out
from node.core.engine cimport BATCH, Client, Engine, Request
from node.core.request_reader cimport BAD, EMPTY, NEED_MORE, Limits, Outcome, Progress, spans_free
from node.core.timing cimport monotonic_ns

from node.core.command_rows import GATE_TRANSACTION
from node.errors import ReplyError

cdef uint32_t TRANSACTION = GATE_TRANSACTION
cdef str UNKNOWN = "ERR unknown command"


class Damaged(ValueError):
    """The stream is not what it should be; the text says why."""


cdef class Replay:
    """`client` executes; it should be one that is obeyed."""

    def __cinit__(self, Client client not None, int64_t bulk_length=(1 << 40), *of_subclasses):
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

    def feed(self, bytes data not None, int64_t nanoseconds=0) -> bool:
        """Execute what `data` completes, for about so long (0: all of it). False: there is more, to be had by
        feeding nothing. Raises Damaged; everything up to `done` has been executed then."""
        cdef size_t used
        cdef int64_t deadline = monotonic_ns() + nanoseconds if nanoseconds else INT64_MAX
        if len(self.rest):
            self.rest += data
            if <size_t>len(self.rest) < self.progress.wanted:
                return True
            data = bytes(self.rest)
            self.rest.clear()
        self.more = False
        used = self.execute(data, len(data), deadline)
        if used < <size_t>len(data):
            self.rest += data[used:]
        return not self.more

    cdef size_t execute(self, const char* base, size_t length, int64_t deadline) except? 0xFFFFFFFF:
        """Execute the commands in `base[:length]`; returns the bytes that are done with."""
        cdef size_t used = 0
        while used < length and self.execute_batch(base, length, &used):
            if deadline != INT64_MAX and monotonic_ns() > deadline:
                self.more = used < length
                break
        return used

    cdef bint execute_batch(self, const char* base, size_t length, size_t* used) except -1:
        """Read and execute up to 64 commands from `base + used[0]`. False: there is nothing more to do now."""
        cdef Engine engine = self.client.engine
        cdef size_t position = used[0]
        cdef int count
        cdef int i
        cdef Outcome outcome
        cdef int64_t began, measured
        count = read_batch(
            engine, self.client.db, base, &position, length, &self.progress, &self.limits, BATCH, False, &outcome
        )
        began, measured = monotonic_ns(), engine.measured
        for i in range(count):
            engine.batch[i].answered = 0
            self.perform(&engine.batch[i])
            used[0] = engine.batch[i].end
            self.commands += 1
            self.executed(&engine.batch[i])
            if self.stopped:
                return False
        if count:
            share_out(engine, self.client, count, monotonic_ns() - began - (engine.measured - measured))
        if outcome == NEED_MORE:
            return False
        if outcome == BAD or outcome == EMPTY:
            raise Damaged("an empty command" if outcome == EMPTY else self.limits.error.decode("latin-1"))
        if count < BATCH and position < length:
            used[0] += self.pass_over(base, position, length)
            return used[0] > position
        return True

    cdef int perform(self, Request* request) except -1:
        """Execute a command, one that is not known or has subcommands as well."""
        if request.row != NULL:
            return self.serve(request)
        argv = self.client.engine.arguments(request, 0)
        value = self.client.execute(argv)
        if isinstance(value, ReplyError):
            if value.text.startswith(UNKNOWN):
                raise Damaged(f"unknown command '{argv[0].decode('latin-1')[:128]}'")
            self.failed(request, value.text.encode())
        self.client.engine.finish_command()
        return 0

    cdef int serve(self, Request* request) except -1:
        cdef Engine engine = self.client.engine
        engine.serve(self.client, request)
        if engine.reply.length and engine.reply.data[0] == c"-":
            self.failed(request, engine.reply.data[1 : engine.reply.length].rstrip())
        engine.reply.length = 0
        return 0

    cdef int executed(self, Request* request) except -1:
        """A command is done."""
        self.done += request.end - request.begin
        if not self.client.gate & TRANSACTION:
            self.good = self.done
        return 0

    cdef int failed(self, Request* request, bytes line) except -1:
        """A command was answered with an error."""
        if self.error is None:
            self.error = line
        return 0

    cdef size_t pass_over(self, const char* base, size_t position, size_t length) except? 0xFFFFFFFF:
        """The length of what stands at `position` and is no command; 0 if its end has not come yet."""
        cdef const char* newline
        cdef size_t passed
        if base[position] != c"#":
            raise Damaged("a command does not begin with '*'")
        newline = <const char*>memchr(base + position, c"\n", length - position)
        if newline == NULL:
            return 0
        passed = newline + 1 - (base + position)
        self.done += passed
        if not self.client.gate & TRANSACTION:
            self.good = self.done
        return passed
