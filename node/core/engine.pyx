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
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport INT64_MAX, UINT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from node.core.database cimport Database
from node.core.key_slot cimport SLOT_COUNT
from node.core.key_traffic cimport KeyTraffic
from node.core.keyspace cimport Key, key_from_bytes, make_key
from node.core.memory cimport python_used, release, resize, take_zeroed, used
from node.core.outbox cimport Outbox
from node.core.queue cimport NO_SLOT, SOME_SLOT, Queue
from node.core.reply_writer cimport ReplyWriter
from node.core.request_reader cimport Limits, Span, Spans, spans_free
from node.core.slot_table cimport likely_cell, likely_entry, prefetch
from node.core.steady_clock cimport steady_ms
from node.core.timing cimport distribution, forget, monotonic_ns, note
from node.core.trail cimport Trail

from node.errors import ReplyError
from node.replies import NO_REPLY
from node.words import UnbalancedQuotes, split_words

cdef extern from "<Python.h>":
    int PyBUF_WRITE

# Gates of a client
GATE_AUTH = 1 << 0            # not authenticated yet
GATE_TRANSACTION = 1 << 1     # between MULTI and EXEC
GATE_ASKING = 1 << 2          # the next command may use an importing slot
GATE_REPLY = 1 << 3           # CLIENT REPLY OFF or SKIP
GATE_SUBSCRIBED = 1 << 4      # RESP2 subscriber: few commands are allowed
GATE_NO_TOUCH = 1 << 5        # CLIENT NO-TOUCH
GATE_TRACKING = 1 << 6        # CLIENT TRACKING: its reads are remembered; or it is told what others track
GATE_RESTRICTED = 1 << 7      # its user may not do everything
# Gates of the worker
GATE_LOADING = 1 << 8
GATE_PAUSED_WRITES = 1 << 9
GATE_PAUSED_ALL = 1 << 10
GATE_READ_ONLY = 1 << 11      # a replica
GATE_OUT_OF_MEMORY = 1 << 12
GATE_FEW_REPLICAS = 1 << 13   # min-replicas-to-write not met
GATE_DISK_ERROR = 1 << 14     # stop-writes-on-bgsave-error
GATE_STALE = 1 << 15          # replica-serve-stale-data no, and the link is down
GATE_TIMED = 1 << 16          # the slow log wants each command's own time: none is compiled
GATE_MONITORED = 1 << 17      # MONITOR: every command is shown
GATE_BUSY = 1 << 18           # served from inside a script that runs long: few commands are allowed
GATE_PARTICULAR = 1 << 19     # a client's own, as the first eight: CLIENT CAPA redirect, CLIENT IMPORT-SOURCE

NOT_QUEUED = frozenset(("exec", "discard", "multi", "watch", "quit", "reset"))
"""Commands that act at once even between MULTI and EXEC."""

cdef uint32_t MASK_ALL = (
    0xFF | GATE_LOADING | GATE_PAUSED_ALL | GATE_STALE | GATE_TIMED | GATE_MONITORED | GATE_BUSY
    | GATE_PARTICULAR
)
cdef uint32_t WATCHED = GATE_TIMED | GATE_MONITORED   # what concerns clients that are obeyed, too
cdef uint32_t MASK_WRITE = GATE_PAUSED_WRITES | GATE_READ_ONLY | GATE_FEW_REPLICAS | GATE_DISK_ERROR
cdef uint32_t MASK_DENYOOM = GATE_OUT_OF_MEMORY

cdef enum:
    SHARED_SIZE = 64 * 1024
    INDEX_SIZE = 2048
    LONGEST_NAME = 31
    LARGEST_SPARE = 16 * 1024    # bytes of a transaction's queue that is kept for the next

cdef object _ReplyError = ReplyError


cdef inline uint32_t name_hash(const char* name, size_t length) noexcept nogil:
    """Of a command name, whatever its case."""
    cdef uint32_t value = 2166136261U
    cdef size_t i
    for i in range(length):
        value = (value ^ (<unsigned char>name[i] & 0xDF)) * 16777619U
    return value


cdef inline bint same_name(const char* upper, const char* name, size_t length) noexcept nogil:
    cdef size_t i
    cdef char c
    for i in range(length):
        c = name[i]
        if c"a" <= c <= c"z":
            c -= 32
        if c != upper[i]:
            return False
    return True


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


cdef class Aside:
    """What the engine was about when it stepped aside."""
    cdef Request batch[64]
    cdef Spans spans
    cdef Limits limits
    cdef ReplyWriter reply
    cdef char* shared
    cdef object shared_view
    cdef object before_replies
    cdef object after_command
    cdef int64_t now


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

    def load(self, commands, bint looks_at_keys) -> None:
        """Fill the rows from (name, Command, handler).

        The name is what clients call it by, "" for subcommands, which the session resolves. `looks_at_keys`:
        several keys are the session's business, unless they are plainly in one slot and in memory.
        """
        commands = list(commands)
        self.looks_at_keys = looks_at_keys
        cdef Row* row
        cdef int i
        self.rows = <Row*>calloc(len(commands), sizeof(Row))
        if self.rows == NULL:
            raise MemoryError
        self.row_count = len(commands)
        for i, (called, command, handler) in enumerate(commands):
            self.commands.append(command)
            self.handlers.append(handler)
            self.row_of[command.name] = i
            row = &self.rows[i]
            row.arity = command.arity
            row.is_write = "write" in command.flags
            row.tells_data = row.is_write or command.may_replicate or "readonly" in command.flags
            row.mask = MASK_ALL
            if "loading" in command.flags:
                row.mask &= ~<uint32_t>GATE_LOADING
            if "stale" in command.flags:
                row.mask &= ~<uint32_t>GATE_STALE
            if "allow_busy" in command.flags:
                row.mask &= ~<uint32_t>GATE_BUSY
            if row.is_write:
                row.mask |= MASK_WRITE
            elif command.may_replicate:
                row.mask |= GATE_PAUSED_WRITES
            if command.name == "ping":
                row.mask |= GATE_DISK_ERROR     # who asks how it goes is told, as by Redis
            if "denyoom" in command.flags:
                row.mask |= MASK_DENYOOM
            name = called.upper().encode()
            if not 0 < len(name) <= LONGEST_NAME:
                continue
            movable = "movablekeys" in command.flags
            one_key = not movable and command.first_key == command.last_key
            row.has_keys = not movable and not one_key and row.tells_data
            if one_key or row.has_keys:
                row.first_key, row.last_key, row.key_step = command.first_key, command.last_key, command.step
            row.key_index = command.first_key if one_key else 0
            if not command.subcommands and (one_key or row.has_keys or not looks_at_keys):
                row.way = DIRECT
            row.in_scripts = row.way == DIRECT and not command.may_replicate and "noscript" not in command.flags
            row.is_queued = (
                row.way == DIRECT and command.name not in NOT_QUEUED and "no_multi" not in command.flags
            )
            row.ends_transactions = command.name in ("exec", "discard")
            row.name_length = len(name)
            for j in range(len(name)):
                row.name[j] = name[j]
            self.add_to_index(i)

    def add_to_index(self, int number) -> None:
        cdef Row* row = &self.rows[number]
        cdef uint32_t i = name_hash(row.name, row.name_length) & (INDEX_SIZE - 1)
        while self.index[i]:
            i = (i + 1) & (INDEX_SIZE - 1)
        self.index[i] = number + 1

    @property
    def slot_states(self):
        """Writable bytes, one per slot: SLOT_SERVED or SLOT_ASK of node/cluster_port."""
        return PyMemoryView_FromMemory(<char*>self.states, SLOT_COUNT, PyBUF_WRITE)

    def count_slot_use(self, bint wanted) -> None:
        """Count time and bytes per slot from here on, or not any more."""
        release(self.slot_use)
        self.slot_use = NULL
        if wanted:
            self.slot_use = <SlotUse*>take_zeroed(SLOT_COUNT, sizeof(SlotUse))
            if self.slot_use == NULL:
                raise MemoryError
        self.counts_use = wanted or self.traffic is not None

    def watch_traffic(self, KeyTraffic traffic) -> None:
        """Tell `traffic` of all commands with keys from here on, or nobody any more (None)."""
        self.traffic = traffic
        self.counts_use = traffic is not None or self.slot_use != NULL

    def slot_use_of(self, int slot) -> tuple[int, int, int, int, int]:
        """(us, bytes received, bytes sent, reads, writes) of a slot's requests since they are counted."""
        if self.slot_use == NULL:
            return 0, 0, 0, 0, 0
        use = self.slot_use[slot]
        return use.nanoseconds // 1000, use.bytes_in, use.bytes_out, use.reads, use.writes

    def slot_use_by(self, int figure) -> list[int]:
        """Of all slots, that figure of `slot_use_of`."""
        cdef int slot
        cdef list column = [0] * SLOT_COUNT
        if self.slot_use == NULL:
            return column
        for slot in range(SLOT_COUNT):
            if figure == 0:
                column[slot] = self.slot_use[slot].nanoseconds // 1000
            elif figure == 1:
                column[slot] = self.slot_use[slot].bytes_in
            elif figure == 2:
                column[slot] = self.slot_use[slot].bytes_out
            elif figure == 3:
                column[slot] = self.slot_use[slot].reads
            else:
                column[slot] = self.slot_use[slot].writes
        return column

    def forget_slot_use(self, int first, int stop) -> None:
        """Begin anew with the slots of range(first, stop)."""
        if self.slot_use != NULL:
            memset(&self.slot_use[first], 0, (stop - first) * sizeof(SlotUse))

    @property
    def command_ns(self) -> int:
        """Time spent in commands."""
        cdef int64_t total = 0
        cdef int i
        for i in range(self.row_count):
            total += self.rows[i].timing.nanoseconds
        return total

    @property
    def commands_processed(self) -> int:
        """How many were called, inside of transactions and scripts too; what was refused does not count."""
        cdef uint64_t total = 0
        cdef int i
        for i in range(self.row_count):
            total += self.rows[i].calls
        return total

    def command_stats(self) -> dict:
        """name -> (calls, rejected, failed, ns spent) of commands that were called or rejected."""
        return {
            name: (
                self.rows[i].calls, self.rows[i].rejected, self.rows[i].failed, self.rows[i].timing.nanoseconds
            )
            for name, i in self.row_of.items()
            if self.rows[i].calls or self.rows[i].rejected
        }

    def latencies(self) -> dict:
        """name -> [(longest time in ns, calls)], ascending, of commands that were called and tracked."""
        found = {name: distribution(&self.rows[<int>i].timing) for name, i in self.row_of.items()}
        return {name: calls for name, calls in found.items() if calls}

    def reset_stats(self) -> None:
        cdef int i
        for i in range(self.row_count):
            self.rows[i].calls = self.rows[i].rejected = self.rows[i].failed = 0
            forget(&self.rows[i].timing)
        self.connections_received = 0
        self.bytes_received = self.bytes_sent = self.reads_processed = self.writes_processed = 0
        self.query_limit_disconnections = 0
        self.forget_slot_use(0, SLOT_COUNT)

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

    cdef Row* lookup(self, const char* name, size_t length) noexcept:
        """The row of the command that clients call so, or NULL."""
        cdef Row* row
        cdef uint32_t i
        if length == 0 or length > LONGEST_NAME:
            return NULL
        i = name_hash(name, length) & (INDEX_SIZE - 1)
        while self.index[i]:
            row = &self.rows[self.index[i] - 1]
            if row.name_length == length and same_name(row.name, name, length):
                return row
            i = (i + 1) & (INDEX_SIZE - 1)
        return NULL

    cdef bint gather(self, Client client, Request* request) except -1:
        """Hash the keys of a command that may have several, and ask for the memory they are in. False: it takes
        the session to tell where they are."""
        cdef Row* row = request.row
        cdef Span* span
        cdef Key* key
        cdef Key* keys
        cdef int last = row.last_key if row.last_key >= 0 else <int>request.count + row.last_key
        cdef int i
        cdef bint judged = self.looks_at_keys and not client.obeyed
        if row.compiled == NULL and not judged:
            return True
        if last < row.first_key or last >= <int>request.count:
            return False
        self.key_count = (last - row.first_key) // row.key_step + 1
        if self.key_count > self.key_room:
            keys = <Key*>resize(self.keys, self.key_count * sizeof(Key))
            if keys == NULL:
                raise MemoryError
            self.keys, self.key_room = keys, self.key_count
        self.keys[0] = request.key
        if self.key_count == 1:
            return True
        if judged and client.db.cold is not None:
            return False
        for i in range(1, self.key_count):
            key = &self.keys[i]
            span = &self.spans.items[request.first + row.first_key + i * row.key_step]
            make_key(key, request.base + span.start, span.length)
            if judged and key.slot != request.key.slot:
                return False
            prefetch(&client.db.tables[key.slot])
        for i in range(1, self.key_count):
            prefetch(likely_cell(&client.db.tables[self.keys[i].slot], self.keys[i].hash))
        for i in range(1, self.key_count):
            prefetch(likely_entry(&client.db.tables[self.keys[i].slot], self.keys[i].hash))
        return True

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
            and (not row.has_keys or self.gather(client, request))
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
            if self.states[request.key.slot] or (row.has_keys and not self.gather(client, request)):
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
        if row.has_keys and not self.gather(client, request):
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
            self.tell_slow(client, <int>(row - self.rows), self.arguments(request, 0), elapsed)
        return True

    cdef int serve_counted(self, Client client, Request* request) except -1:
        """`serve`, with what it costs put down to its keys and their slot, that of the first."""
        cdef Row* row = request.row
        cdef KeyTraffic traffic = self.traffic
        cdef list keys = None
        cdef Key key
        cdef int slot
        if row != NULL and 0 < row.key_index < <int>request.count:
            slot = request.key.slot
        else:
            keys = client.keys_of(self.arguments(request, 0)) if row != NULL else None
            if not keys:
                return self.serve(client, request)
            key_from_bytes(&key, keys[0])
            slot = key.slot
        if traffic is None or not traffic.draws():
            keys = None
        elif keys is None:  # before it is served: its buffer may go
            keys = [PyBytes_FromStringAndSize(request.key.data, request.key.length)]
        cdef size_t written = self.reply.length
        cdef uint64_t rejected = row.rejected
        cdef size_t streamed = self.trail.pending.length
        cdef int64_t dirty = self.dirty
        cdef int64_t began = monotonic_ns()
        self.serve(client, request)
        cdef int64_t elapsed = monotonic_ns() - began
        streamed = max(self.trail.pending.length, streamed) - streamed
        cdef size_t received = request.end - request.begin
        cdef size_t sent = max(self.reply.length, written) - written
        if row.rejected != rejected:
            return 0
        if self.slot_use != NULL:
            self.slot_use[slot].nanoseconds += elapsed
            self.slot_use[slot].bytes_in += received
            self.slot_use[slot].bytes_out += sent + streamed * self.followers
            if row.is_write or self.dirty != dirty:  # as a script or a transaction may
                self.slot_use[slot].writes += 1
            else:
                self.slot_use[slot].reads += 1
        if traffic is not None:
            traffic.note(slot, keys, elapsed, received + sent)
        return 0

    cdef list arguments(self, Request* request, size_t skip):
        cdef list args = []
        cdef size_t i
        for i in range(request.first + skip, request.first + request.count):
            args.append(
                PyBytes_FromStringAndSize(request.base + self.spans.items[i].start, self.spans.items[i].length)
            )
        return args

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
            self.tell_slow(client, row, argv if request == NULL else self.arguments(request, 0), elapsed)
        if isinstance(value, _ReplyError):
            self.tell_failed(row, value)
        if self.trail.enabled and not client.replicated:
            if client.propagation is not None or (self.dirty != dirty and self.rows[row].is_write):
                self.leave_trail(client, argv, request)
        client.request = outer_request
        client.argv = outer_argv
        client.propagation = outer
        return value

    cdef int share_out(self, Client client, int count, int64_t elapsed) except -1:
        """Give the compiled ones of the batch's first `count` requests, which took `elapsed` ns besides the time
        of Python handlers, their share of it; and look at the size of all."""
        cdef int64_t share = elapsed // count
        cdef int i
        cdef Row* row
        cdef int first = 0
        for i in range(count):
            # Equal commands in a row, the usual case, are noted at once.
            row = self.batch[i].row
            if i + 1 < count and self.batch[i + 1].row == row and (
                self.batch[i + 1].compiled == self.batch[i].compiled
            ):
                continue
            if self.batch[i].compiled:
                note(&row.timing, share * (i + 1 - first), i + 1 - first, self.tracks_latency)
            first = i + 1
        if 0 <= self.slow_us <= share // 1000:
            for i in range(count):
                if self.batch[i].compiled:
                    self.tell_slow(
                        client, <int>(self.batch[i].row - self.rows), self.arguments(&self.batch[i], 0), share
                    )
        if (
            self.batch[count - 1].end - self.batch[0].begin >= self.large_request
            or self.reply.length - self.batch[0].answered >= self.large_reply
        ):
            self.tell_large(client, count)
        return 0

    cdef int tell_large(self, Client client, int count) except -1:
        """Tell of those among the batch's first `count` requests that are large, or have a large reply."""
        cdef Request* request
        cdef size_t received, until, sent
        cdef int i
        for i in range(count):
            request = &self.batch[i]
            received = request.end - request.begin
            until = self.batch[i + 1].answered if i + 1 < count else self.reply.length
            sent = until - request.answered if until > request.answered else 0
            if self.on_large is not None and (received >= self.large_request or sent >= self.large_reply):
                argv = self.arguments(request, 0)
                if request.is_line:
                    try:
                        argv = split_words(argv[0])
                    except UnbalancedQuotes:
                        continue
                self.on_large(client, argv, received, sent)
        return 0

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

    def step_aside(self) -> None:
        """Make place for other requests in the middle of one, until `step_back`."""
        cdef Aside aside = Aside()
        cdef char* shared = <char*>malloc(SHARED_SIZE)
        if shared == NULL:
            raise MemoryError
        memcpy(aside.batch, self.batch, sizeof(self.batch))
        aside.spans, aside.limits = self.spans, self.limits
        memset(&self.spans, 0, sizeof(self.spans))
        aside.reply, self.reply = self.reply, ReplyWriter()
        aside.shared, self.shared = self.shared, shared
        aside.shared_view = self.shared_view
        self.shared_view = PyMemoryView_FromMemory(shared, SHARED_SIZE, PyBUF_WRITE)
        aside.before_replies, self.before_replies = self.before_replies, None
        aside.after_command, self.after_command = self.after_command, None
        aside.now = self.now
        self.aside = aside

    def step_back(self) -> None:
        """Go on with what was put aside, as if no time had passed."""
        cdef Aside aside = self.aside
        self.aside = None
        memcpy(self.batch, aside.batch, sizeof(self.batch))
        spans_free(&self.spans)
        self.spans, self.limits = aside.spans, aside.limits
        self.reply = aside.reply
        free(self.shared)
        self.shared, self.shared_view = aside.shared, aside.shared_view
        self.before_replies, self.after_command = aside.before_replies, aside.after_command
        self.now = aside.now

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
