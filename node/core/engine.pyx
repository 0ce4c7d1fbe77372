"""The dispatch of requests, and the state of the hot path.

A request has been found in the receive buffer as spans; the engine looks up its command row and takes one of
three ways:

1. compiled: the row has a compiled handler for the simple form of the command; no Python object is made.
2. direct: the Python handler is called with ready arguments, and its reply value encoded.
3. `Client.execute` (node/session): the whole order of checks (AUTH, arity, MULTI, redirection, ...).

The first two are taken when nothing can stand in the way, which one comparison tells: *gates* are bits of the
client (in MULTI, not authenticated, ...) and of the worker (loading, read-only, out of memory, ...), and a row's
mask says which of them concern its command. Slots that are not plainly served here have a byte in
`slot_states` that also leads to way 3. So what is almost always off costs one branch.

After a write one trail is left (`core/trail`), whichever way it went.

The rows and the gates are in command_rows.pyx; what is counted is read by statistics.pyx and slot_use.pyx, and told of
a batch by batch_times.pyx.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport INT64_MAX, UINT64_MAX, int64_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from node.core.command_rows cimport INDEX_SIZE, WATCHED
from node.core.database cimport Database
from node.core.gathering cimport gather
from node.core.key_slot cimport SLOT_COUNT
from node.core.memory cimport python_used, release, used
from node.core.outbox cimport Outbox
from node.core.queue cimport NO_SLOT, SOME_SLOT, Queue
from node.core.reply_writer cimport ReplyWriter
from node.core.request_reader cimport Span, spans_free
from node.core.steady_clock cimport steady_ms
from node.core.timing cimport forget, monotonic_ns, note
from node.core.trail cimport Trail

from node import cut_words
from node.errors import ReplyError
from node.replies import NO_REPLY
from node.words import UnbalancedQuotes, split_words

cdef extern from "<Python.h>":
    int PyBUF_WRITE

cdef enum:
    LARGEST_SPARE = 16 * 1024    # bytes of a transaction's queue that is kept for the next

cdef object _ReplyError = ReplyError
cdef object _cut_word = cut_words.cut_word
cdef size_t LONGEST = cut_words.LONGEST


cdef class Client:
    """What the engine must know of whoever sends commands. `node/session.Session` is the whole of it."""

    def __cinit__(self, Engine engine not None, *args, **kwargs):
        self.engine = engine
        self.db = engine.databases[0]
        self.resp = 2
        self.last_row = -1
        self.pushes = []
        self.watched = {}

    cpdef execute(self, list argv):
        """Carry out a command with all checks; returns the reply value."""
        raise NotImplementedError

    cpdef execute_queued(self, command, list argv):
        """Carry out a queued command; returns the reply value."""
        raise NotImplementedError

    @property
    def in_transaction(self) -> bool:
        """Between MULTI and EXEC, or being executed by EXEC or a script: then nothing may block."""
        return self.queued is not None

    @property
    def queue(self) -> list:
        """(Command, argv) of what was queued since MULTI, made anew each time."""
        if self.queued is None:
            return []
        return [
            (self.engine.commands[self.queued.commands[i].row], self.queued.words_of(i))
            for i in range(self.queued.count)
        ]

    @property
    def queued_count(self) -> int:
        """-1 outside of a transaction."""
        return -1 if self.queued is None else self.queued.count

    @property
    def queued_bytes(self) -> int:
        """What the queue takes."""
        return 0 if self.queued is None else self.queued.memory()

    cpdef begin_transaction(self):
        cdef Engine engine = self.engine
        self.queued, engine.spare_queue = engine.spare_queue, None
        if self.queued is None:
            self.queued = Queue()
        self.gate |= TRANSACTION

    def enqueue(self, command, list argv not None) -> None:
        """Queue a command after all checks."""
        self.queued.add_words(self.engine.row_of[command.name], argv)
        self.queued.slot = SOME_SLOT

    cpdef end_transaction(self):
        """Forget what was queued."""
        cdef Queue queue = self.queued
        self.queued = None
        self.queue_broken = False
        self.gate &= ~<uint32_t>TRANSACTION
        if queue is not None and queue.memory() <= LARGEST_SPARE:
            queue.clear()
            self.engine.spare_queue = queue

    cpdef list keys_of(self, list argv):
        """The keys of a command, or of those that it carries out; none where that cannot be told."""
        raise NotImplementedError

    cpdef changed(self, bytes key, event, int64_t dirty=1):
        """A command modified `key`. Call once per key: marks the dataset dirty, touches WATCHers, and
        publishes the keyspace event."""
        self.engine.dirty += dirty
        if self.db.cold is not None:
            self.db.changed(key)
        if self.engine.observed:
            for observer in self.engine.observers:
                observer(self, key, event)

    def propagate(self, *argvs) -> None:
        """Replicate and log these commands (each a list of bytes) instead of the one being executed."""
        self.propagation = argvs

    def spelled(self, size_t number=0) -> bytes:
        """A word of the command that runs, its first for 0, in its sender's spelling. To be asked before anything
        else is served in its midst."""
        if self.request == NULL:
            return self.argv[number]
        word = &self.engine.spans.items[self.request.first + number]
        return PyBytes_FromStringAndSize(self.request.base + word.start, word.length)

    @property
    def now(self) -> int:
        """Unix ms, fixed for the command that is being executed."""
        return self.db.now

    @property
    def last_command(self) -> str:
        """Table name of the last command executed, "" before the first."""
        return self.engine.commands[self.last_row].name if self.last_row >= 0 else ""


cdef class Engine:
    def __cinit__(self, int databases=1):
        cdef Database db
        self.databases = [Database(index) for index in range(databases)]
        for db in self.databases:
            db.follow_clock(&self.now, self)
        self.trail = Trail()
        self.reply = ReplyWriter()
        self.draft = ReplyWriter()
        self.outbox = Outbox()
        self.leased_until = INT64_MAX
        self.bulk_length = 512 << 20
        self.memory_ceiling = INT64_MAX
        self.slow_us = -1
        self.large_request = self.large_reply = UINT64_MAX
        self.tracks_latency = True
        self.commands = []
        self.handlers = []
        self.observers = []
        self.row_of = {}
        self.index = <int*>calloc(INDEX_SIZE, sizeof(int))
        self.shared = <char*>malloc(SHARED_SIZE)
        if self.index == NULL or self.shared == NULL:
            raise MemoryError
        self.shared_view = PyMemoryView_FromMemory(self.shared, SHARED_SIZE, PyBUF_WRITE)
        self.tick()

    def __dealloc__(self):
        cdef int i
        for i in range(self.row_count):
            forget(&self.rows[i].timing)
        free(self.rows)
        free(self.index)
        release(self.slot_use)
        release(self.keys)
        free(self.shared)
        spans_free(&self.spans)

    # --- set up --------------------------------------------------------------------------------------

    @property
    def slot_states(self):
        """Writable bytes, one per slot: SLOT_SERVED or SLOT_ASK of node/cluster_port."""
        return PyMemoryView_FromMemory(<char*>self.states, SLOT_COUNT, PyBUF_WRITE)

    cpdef int64_t tick(self):
        """Read the clock: sets and returns `now`, in Unix ms, for the engine and its databases."""
        cdef timespec t
        clock_gettime(CLOCK_REALTIME, &t)
        self.now = <int64_t>t.tv_sec * 1000 + t.tv_nsec // 1000000
        if self.leased_until != INT64_MAX and steady_ms() > self.leased_until and not self.outbox.lapsed:
            self.outbox.lapse()
            self.on_lapse()
        return self.now

    # --- the way of a request ------------------------------------------------------------------------

    cdef int serve(self, Client client, Request* request) except -1:
        """Execute one request of `client` and append its reply to `self.reply`."""
        cdef Row* row = request.row
        cdef int count = <int>request.count
        cdef int done
        if used + python_used > self.memory_ceiling:
            self.on_pressure()
        if (
            row != NULL
            and row.way
            and (client.gate | (self.gate & WATCHED if client.obeyed else self.gate)) & row.mask == 0
            and (count == row.arity if row.arity > 0 else count >= -row.arity)
            and (row.first_key == 0 or self.states[request.key.slot] == 0 or client.obeyed)
            and (not row.has_keys or gather(self, client, request))
        ):
            done = row.compiled(self, client, request) if row.compiled != NULL else 0
            if done:
                row.calls += 1
                self.tells_data |= row.tells_data
                request.compiled = done != TIMED
                client.last_row = <int>(row - self.rows)
                if self.after_command is not None:
                    self.finish_command()
                return 0
            if row.way == DIRECT:
                value = self.run(client, <int>(row - self.rows), self.arguments(request, 1), None, request)
            else:
                value = client.execute(self.arguments(request, 0))
        elif client.gate == TRANSACTION and row != NULL and self.serve_in_transaction(client, request):
            if self.after_command is not None:
                self.finish_command()
            return 0
        elif request.is_line:
            line = PyBytes_FromStringAndSize(
                request.base + self.spans.items[request.first].start, self.spans.items[request.first].length
            )
            try:
                argv = split_words(line)
            except UnbalancedQuotes:
                client.closing = True
                return self.fail(client, "ERR Protocol error: unbalanced quotes in request")
            if not argv:
                return 0
            value = client.execute(argv)
        else:
            value = client.execute(self.arguments(request, 0))
        if value is not NO_REPLY:
            self.reply.encode(value, client.resp)
        if self.after_command is not None:
            self.finish_command()
        return 0

    cdef bint serve_in_transaction(self, Client client, Request* request) except -1:
        """Between MULTI and EXEC: queue a command, or end the transaction, where nothing stands in the way. False:
        nothing has happened."""
        cdef Row* row = request.row
        cdef int count = <int>request.count
        if (self.gate & WATCHED if client.obeyed else self.gate) or (
            count != row.arity if row.arity > 0 else count < -row.arity
        ):
            return False
        if row.is_queued:
            return self.queue_up(client, request)
        if not row.ends_transactions or row.compiled == NULL or not row.compiled(self, client, request):
            return False
        row.calls += 1
        client.last_row = <int>(row - self.rows)
        return True

    cdef bint queue_up(self, Client client, Request* request) except -1:
        cdef Row* row = request.row
        cdef Queue queue = client.queued
        cdef int slot = queue.slot
        if request.is_inline:
            return False
        if self.looks_at_keys and row.first_key and not client.obeyed:
            if self.states[request.key.slot] or (row.has_keys and not gather(self, client, request)):
                return False
            slot = request.key.slot if slot in (NO_SLOT, request.key.slot) else SOME_SLOT
        queue.add(
            <int>(row - self.rows), request.base, request.begin, request.end,
            &self.spans.items[request.first], request.count,
        )
        queue.slot = slot
        self.reply.raw(b"+QUEUED\r\n", 9)
        return True

    cdef bint serve_within(self, Client client, Request* request) except -1:
        """Let the compiled handler execute a command of a script or a transaction, which may be called and for which no
        gate is closed. False: nothing has happened, and the Python handler shall do it."""
        cdef Row* row = request.row
        cdef int64_t began, elapsed
        cdef int done
        if row.first_key and self.states[request.key.slot] and not client.obeyed:
            return False
        if row.has_keys and not gather(self, client, request):
            return False
        began = monotonic_ns()
        done = row.compiled(self, client, request)
        if not done:
            return False
        row.calls += 1
        self.tells_data |= row.tells_data
        client.last_row = <int>(row - self.rows)
        if done == TIMED:
            return True
        elapsed = monotonic_ns() - began
        note(&row.timing, elapsed, 1, self.tracks_latency)
        if 0 <= self.slow_us <= elapsed // 1000:
            self.tell_slow(client, <int>(row - self.rows), self.shown(request), elapsed)
        return True

    cdef list arguments(self, Request* request, size_t skip):
        cdef list args = []
        cdef size_t i
        for i in range(request.first + skip, request.first + request.count):
            args.append(
                PyBytes_FromStringAndSize(request.base + self.spans.items[i].start, self.spans.items[i].length)
            )
        return args

    cdef list shown(self, Request* request):
        """Its words for a log, long ones cut."""
        cdef list words = []
        cdef Span* span
        cdef size_t i
        for i in range(request.first, request.first + request.count):
            span = &self.spans.items[i]
            word = PyBytes_FromStringAndSize(request.base + span.start, min(span.length, LONGEST))
            words.append(word if span.length <= LONGEST else _cut_word(word, span.length))
        return words

    cdef object run(self, Client client, int row, list args, list argv, Request* request):
        """Call a Python handler and leave the write's trail. The frame comes as `request` or as `argv`."""
        cdef int64_t dirty = self.dirty
        cdef int64_t measured = self.measured
        cdef int64_t began = monotonic_ns()
        cdef int64_t elapsed
        cdef Request* outer_request = client.request
        outer_argv = client.argv
        outer = client.propagation
        client.request = request
        client.argv = argv
        client.propagation = None
        client.last_row = row
        try:
            value = self.handlers[row](client, args)
        except _ReplyError as error:
            value = error.with_traceback(None)
        except Exception as bug:
            if self.on_bug is not None:
                self.on_bug(self.commands[row].name, bug)
            value = ReplyError(f"ERR internal error while executing '{self.commands[row].name}'")
        elapsed = monotonic_ns() - began
        self.measured = measured + elapsed  # what EXEC ran is within its own time
        self.rows[row].calls += 1
        self.tells_data |= self.rows[row].tells_data
        note(&self.rows[row].timing, elapsed, 1, self.tracks_latency)
        if 0 <= self.slow_us <= elapsed // 1000:
            self.tell_slow(client, row, argv if request == NULL else self.shown(request), elapsed)
        if isinstance(value, _ReplyError):
            self.tell_failed(row, value)
        if self.trail.enabled and not client.replicated:
            if client.propagation is not None or (self.dirty != dirty and self.rows[row].is_write):
                self.leave_trail(client, argv, request)
        client.request = outer_request
        client.argv = outer_argv
        client.propagation = outer
        return value

    cdef int tell_slow(self, Client client, int row, list argv, int64_t elapsed) except -1:
        if self.on_slow is not None:
            self.on_slow(client, self.commands[row], argv, elapsed // 1000)
        return 0

    cdef int tell_failed(self, int row, value) except -1:
        """A command was replied the ReplyError `value`."""
        self.rows[row].failed += 1
        if self.on_error is not None and not value.counted:
            self.on_error(value.text)
        return 0

    cdef int leave_trail(self, Client client, list argv, Request* request) except -1:
        cdef tuple argvs
        if client.propagation is None:
            if request != NULL and not request.is_inline:
                return self.trail.add_raw(
                    client.db.index, request.base + request.begin, request.end - request.begin
                )
            self.trail.add(client.db.index, argv if request == NULL else self.arguments(request, 0))
            return 0
        argvs = client.propagation
        wrap = len(argvs) > 1 and not self.trail.in_transaction
        if wrap:
            self.trail.begin()
        for rewritten in argvs:
            self.trail.add(client.db.index, rewritten)
        if wrap:
            self.trail.end()
        return 0

    def call(self, Client client not None, str name not None, list argv not None, list args not None):
        """Run the handler of the command `name` (a table name), after all checks: for sessions.

        `argv` is the whole command as it would be propagated, `args` what its handler gets.
        """
        return self.run(client, self.row_of[name], args, argv, NULL)

    def observe(self, observer not None) -> None:
        """Call `observer(client, key, event)` for each change of a key, until `unobserve`. Changes cost more
        while anybody observes, so observe only while there is somebody to tell."""
        if observer not in self.observers:
            self.observers.append(observer)
        self.observed = True

    def unobserve(self, observer not None) -> None:
        if observer in self.observers:
            self.observers.remove(observer)
        self.observed = bool(self.observers)

    def call_before_replies(self, callback not None) -> None:
        """Call `callback()` once, before the replies of the requests being executed leave.

        For what a reply promises and what is cheaper done once for a whole batch: files brought to the disk.
        Where no request is being executed, it is called before the next reply.
        """
        if self.before_replies is None:
            self.before_replies = []
        if callback not in self.before_replies:
            self.before_replies.append(callback)

    def call_after_command(self, callback not None) -> None:
        """Call `callback()` once, when the command being executed, or the transaction it is part of, is done
        and has left its trail."""
        if self.after_command is None:
            self.after_command = []
        if callback not in self.after_command:
            self.after_command.append(callback)

    cpdef finish_command(self):
        """Call who waits for the command's end. For those who execute commands that are no requests."""
        callbacks, self.after_command = self.after_command, None
        for callback in callbacks or ():
            callback()

    cdef int settle(self) except -1:
        callbacks, self.before_replies = self.before_replies, None
        for callback in callbacks:
            callback()
        return 0

    def reject(self, str name) -> None:
        """Count a command that was refused before it ran."""
        if name in self.row_of:
            self.rows[<int>self.row_of[name]].rejected += 1

    def discount(self, str name) -> None:
        """A call that has been counted did not come to its end and will be made again."""
        self.rows[<int>self.row_of[name]].calls -= 1

    cdef int fail(self, Client client, str text) except -1:
        self.reply.encode_error(text)
        if self.on_error is not None:
            self.on_error(text)
        return 0
