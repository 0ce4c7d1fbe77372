"""The dispatch of requests: command rows, gates, clients. See engine.pyx."""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from node.core.database cimport Database
from node.core.fanout cimport Fanout
from node.core.incoming cimport Incoming
from node.core.key_traffic cimport KeyTraffic
from node.core.keyspace cimport Key
from node.core.outbox cimport Outbox
from node.core.queue cimport Queue
from node.core.reply_writer cimport ReplyWriter
from node.core.request_reader cimport Limits, Spans
from node.core.timing cimport Timing
from node.core.trail cimport Trail

cdef extern from *:
    enum: BATCH "64"             # requests parsed, hashed and prefetched together

cdef enum:
    SHARED_SIZE = 64 * 1024      # bytes of the buffer that all connections read into

cdef struct Request:
    Row* row                     # NULL: unknown, or inline
    const char* base
    size_t first                 # its arguments: engine.spans.items[first:first + count]
    size_t count
    size_t begin                 # the frame is base[begin:end]
    size_t end
    size_t answered              # where its reply begins, once it is served
    bint is_inline               # the frame is a line, no array of words …
    bint is_line                 # … which is its one argument, since splitting it takes more than spaces
    bint compiled                # a compiled handler did it: its time is shared out
    Key key                      # its first, of a command whose row has `first_key`

ctypedef int (*Compiled)(Engine engine, Client client, Request* request) except -1
# 1: done, replied. 0: not the simple form; the Python handler shall do it. TIMED: done, and its time is noted.

cdef enum:
    TIMED = 2

cdef enum:
    TRANSACTION = 2              # GATE_TRANSACTION

cdef enum:                       # how a request whose row this is may be served without the session's checks
    BY_SESSION = 0               # not at all
    DIRECT = 1                   # when no gate is closed
    COMPILED = 2                 # the same, but by the compiled handler alone, which looks at keys itself

cdef struct Row:
    char name[32]                # upper case
    uint8_t name_length
    bint is_write
    bint tells_data              # it reads or writes keys
    int way                      # above
    bint in_scripts              # a script may have it done by its compiled handler
    bint is_queued               # by the engine, inside MULTI
    bint ends_transactions       # EXEC and DISCARD
    int arity
    int first_key                # arguments that are keys: from here, or 0 where the row does not tell …
    int last_key                 # … to here, or counted from the end if negative …
    int key_step                 # … each so many
    int key_index                # argument that is the one key, or 0
    bint has_keys                # there may be several
    uint32_t mask                # the gates that concern this command
    uint64_t calls
    uint64_t rejected
    uint64_t failed
    Timing timing
    Compiled compiled

cdef struct Spelling:
    uint64_t word                # a name of up to eight bytes as a client wrote it, the first the lowest
    Row* row                     # NULL where nothing was found, or nobody has asked

cdef struct SlotUse:
    int64_t nanoseconds
    uint64_t bytes_in
    uint64_t bytes_out
    uint64_t reads
    uint64_t writes

cdef class Client:
    cdef readonly Engine engine
    cdef public Database db
    cdef public uint32_t gate
    cdef public int resp
    cdef public bint suspended   # waiting for a reply that comes later; its further requests wait too
    cdef public bint closing     # to be closed once what was replied is sent
    cdef public bint obeyed      # applies what another server has decided: its commands are not judged
    cdef public bint replicated  # applies a stream that is recorded elsewhere: leaves no trail
    cdef public object link      # its connection, or None
    cdef public bint executing   # a command of it that makes others wait with what they push to it
    cdef public list pushes      # which is this, and follows the reply
    cdef Queue queued            # since MULTI; None outside of a transaction
    cdef public bint queue_broken    # a command could not be queued: EXEC will refuse
    cdef public dict watched         # (database, key) -> did it exist when it was watched. Kept by node/session/watch
    cdef public bint watch_broken    # and did any of that change
    cdef int last_row            # of the last command, -1 before the first
    cdef object propagation
    cdef Request* request        # what it runs, as it came …
    cdef list argv               # … or in words
    cpdef execute(self, list argv)
    cpdef execute_queued(self, command, list argv)
    cpdef begin_transaction(self)
    cpdef end_transaction(self)
    cpdef list keys_of(self, list argv)
    cpdef changed(self, bytes key, event, int64_t dirty=*)

@cython.final
cdef class Engine:
    cdef readonly list databases
    cdef readonly Trail trail
    cdef readonly ReplyWriter reply
    cdef public int64_t now              # Unix ms
    cdef public int64_t dirty            # changes since the last snapshot
    cdef public uint32_t gate
    cdef list observers                  # called with (client, key, event) for each change
    cdef readonly bint observed          # whether there are any
    cdef object before_replies           # what must be done before any reply leaves, or None
    cdef readonly Outbox outbox
    cdef public Fanout fanout            # None where nobody can listen
    cdef bint tells_data                 # the replies in `reply` tell of data
    cdef public int64_t leased_until     # by the steady clock; later the outbox is shut, and `on_lapse` called
    cdef public object on_lapse
    cdef object after_command            # what must be done when the command is done, or None
    cdef public object on_bug            # called with (command name, exception) when a handler fails
    cdef public object on_error          # called with the text of each error reply
    cdef public object on_slow           # called with (client, Command, argv, us) when one took too long
    cdef public int64_t memory_ceiling   # counted bytes above which `on_pressure` is asked, before a request
    cdef public object on_pressure       # called without arguments, when there is a ceiling
    cdef public int64_t slow_us          # from which time on, -1 for never
    cdef public uint64_t large_request   # bytes from which on `on_large` is told of a request …
    cdef public uint64_t large_reply     # … or of a reply; UINT64_MAX for never
    cdef public object on_large          # called with (client, argv, bytes of the request, bytes of the reply)
    cdef public bint tracks_latency      # keep a histogram per command
    cdef int64_t measured                # ns that `run` has accounted for since the engine was made
    cdef public int64_t bulk_length
    cdef public uint64_t reads_processed
    cdef public uint64_t writes_processed
    cdef public uint64_t query_limit_disconnections
    cdef bint counts_use                 # what requests cost, for one of these:
    cdef SlotUse* slot_use               # per slot, or NULL where it is not counted
    cdef public int followers            # replicas, as of the last second: what is streamed counts for each
    cdef readonly KeyTraffic traffic     # the keys that cost most, or None while nobody asks
    cdef public uint64_t bytes_received
    cdef public uint64_t bytes_sent
    cdef public uint64_t connections_received
    cdef Spans spans
    cdef Request batch[64]
    cdef Key* keys                       # of the command being executed, where it may have several …
    cdef int key_count
    cdef int key_room
    cdef bint looks_at_keys              # … which then must be one slot's, and in memory
    cdef ReplyWriter draft               # where compiled handlers put together what they propagate
    cdef Limits limits
    cdef uint8_t states[16384]           # per slot: 0 served here, else ask the cluster port
    cdef Row* rows
    cdef int row_count
    cdef Spelling spellings[16]          # of names that were looked up lately: see batch.pyx
    cdef int* index                      # open addressing: name hash -> row number + 1
    cdef list commands                   # Command and handler of each row
    cdef list handlers
    cdef readonly dict row_of            # command name -> row number
    cdef Incoming* incoming              # what requests are being read from, NULL where it is `shared`
    cdef char* shared                    # the receive buffer all connections share
    cdef readonly object shared_view
    cdef object aside                    # what aside.pyx put there
    cdef Queue spare_queue               # for the next transaction, or None
    cdef public object scripting         # what runs scripts: a Runner of script_runner, once there was one

    cdef int serve(self, Client client, Request* request) except -1
    cdef object run(self, Client client, int row, list args, list argv, Request* request)
    cdef bint queue_up(self, Client client, Request* request) except -1
    cdef bint serve_in_transaction(self, Client client, Request* request) except -1
    cdef bint serve_within(self, Client client, Request* request) except -1
    cdef list arguments(self, Request* request, size_t skip)
    cdef list shown(self, Request* request)
    cdef int tell_slow(self, Client client, int row, list argv, int64_t elapsed) except -1
    cdef int tell_failed(self, int row, value) except -1
    cdef int leave_trail(self, Client client, list argv, Request* request) except -1
    cdef int fail(self, Client client, str text) except -1
    cpdef int64_t tick(self)
    cpdef finish_command(self)
    cdef int settle(self) except -1
