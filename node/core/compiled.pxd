"""What compiled handlers have in common.

A compiled handler is a C function of `Engine`, `Client` and `Request` (engine.pxd has `Compiled`) that a command's row
points to. The engine calls it when nothing stands in the command's way: no gate is closed, its arity is right, its
keys are plainly ours. It either does all that the Python handler in node/handlers does and returns 1, or returns 0
*before it has changed, counted or replied anything*, and the Python handler does it. So a compiled handler knows the
usual forms of a command only; options that are rare, values of another type, arguments that are no numbers, and
every other error are the Python handler's. Transactions and scripts use the same handlers (hot_transactions.pyx,
script_calls.pyx).

A handler that looks something up goes this way:

1. read its arguments where they lie in the buffer (`argument`, `number_in`, `is_word`), no object made;
2. `client.db.find(&request.key)`: NULL or a live entry. Commands that may have several keys find them hashed in
   `engine.keys[:engine.key_count]`;
3. a reading command: `count_read`, or `count_look` where looking is no use of the key (EXISTS, TTL);
   a writing command: `client.db.touch_entry(entry)`, and after a change in place `client.db.soil(key, entry)`;
4. write the reply to `engine.reply`;
5. a write: `changed` for each key, then the trail, once: `as_sent`, or a command put together in `engine.draft`,
   then `as_drafted`. `wrote` is both for the usual write, `shrank` comes before the trail where items of a collection
   were removed. Nothing of it where nothing changed.

Each group of commands has a file, hot_*.pyx, whose `install` puts its handlers into an engine's rows; compiled.py
calls them.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, int64_t

from node.core.engine cimport Client, Compiled, Engine, Request
from node.core.integer_text cimport DIGITS, canonical_number, print_number
from node.core.key_events cimport DEL
from node.core.keyspace cimport Key, Keyspace
from node.core.request_reader cimport Span
from node.core.slot_table cimport Entry, table_find
from node.core.timing cimport monotonic_ns, note

# --- arguments: number 0 is the command's name ---------------------------------------------------------------

cdef inline const char* argument(Engine engine, Request* request, size_t number, size_t* length) noexcept:
    cdef Span* span = &engine.spans.items[request.first + number]
    length[0] = span.length
    return request.base + span.start

cdef inline bint number_in(Engine engine, Request* request, size_t number, int64_t* value) noexcept:
    """Whether an argument is an integer as Redis reads them, which is then `value`."""
    cdef Span* span = &engine.spans.items[request.first + number]
    return canonical_number(request.base + span.start, span.length, value)

cdef inline bint is_word(Engine engine, Request* request, size_t number, const char* lower, size_t length) noexcept:
    """Whether an argument is this word of letters, in whatever case."""
    cdef Span* span = &engine.spans.items[request.first + number]
    cdef const char* text = request.base + span.start
    cdef size_t i
    if span.length != length:
        return False
    for i in range(length):
        if (text[i] | 0x20) != lower[i]:
            return False
    return True

# --- reading -------------------------------------------------------------------------------------------------

cdef inline int count_read(Keyspace db, Key* key, Entry* entry) except -1:
    """`key` was read, and this (or NULL) found: a hit or a miss, and a use of the key."""
    if entry == NULL:
        return db.missed(key)
    db.hits += 1
    db.touch_entry(entry)
    return 0

cdef inline int count_look(Keyspace db, Key* key, Entry* entry) except -1:
    """The same, where it is no use of the key."""
    if entry == NULL:
        return db.missed(key)
    db.hits += 1
    return 0

# --- writing -------------------------------------------------------------------------------------------------

cdef inline int changed(Engine engine, Client client, Key* key, event, int64_t dirty) except -1:
    """The value of `key` changed: `Client.changed` for whoever listens, and an addition where nobody does."""
    if engine.observed:
        client.changed(PyBytes_FromStringAndSize(key.data, key.length), event, dirty)
    else:
        engine.dirty += dirty
    return 0

cdef inline int as_sent(Engine engine, Client client, Request* request) except -1:
    """Replicate and log the command as it came."""
    if not engine.trail.enabled or client.replicated:
        return 0
    if request.is_inline:
        engine.trail.add(client.db.index, engine.arguments(request, 0))
        return 0
    return engine.trail.add_raw(client.db.index, request.base + request.begin, request.end - request.begin)

cdef inline bint leaves_trail(Engine engine, Client client) noexcept:
    """Whether a command has to be put together in `engine.draft`."""
    return engine.trail.enabled and not client.replicated

cdef inline int draft(Engine engine, int words, const char* name, size_t length) except -1:
    """Begin a command of so many words, the name included. The others follow: `draft_word`, `draft_number`."""
    engine.draft.length = 0
    engine.draft.line_of_int(c"*", words)
    return engine.draft.bulk(name, length)

cdef inline int draft_number(Engine engine, int64_t number) except -1:
    cdef char[DIGITS] digits
    return engine.draft.bulk(digits, print_number(number, digits))

cdef inline int as_drafted(Engine engine, Client client) except -1:
    """Replicate and log the command in `engine.draft`."""
    engine.trail.add_raw(client.db.index, engine.draft.data, engine.draft.length)
    engine.draft.length = 0
    engine.draft.shrink()
    return 0

cdef inline int wrote(Engine engine, Client client, Request* request, event, int64_t dirty) except -1:
    """What the usual write of one key ends with. Returns 1, as the handler does then."""
    changed(engine, client, &request.key, event, dirty)
    as_sent(engine, client, request)
    return 1

cdef inline int drop_key(Client client, Key* key, bint lazily) except -1:
    """Remove a key that was found."""
    client.db.drop(key, table_find(&client.db.tables[key.slot], key.hash, key.data, key.length), lazily)
    return 0

cdef inline int shrank(
    Engine engine, Client client, Request* request, Entry* entry, event, int64_t removed, bint is_empty
) except -1:
    """So many items of the collection at `entry` were removed, perhaps its last: its key goes with that."""
    client.db.soil(&request.key, entry)
    changed(engine, client, &request.key, event, removed)
    if is_empty:
        drop_key(client, &request.key, client.db.leaves_replaced)
        changed(engine, client, &request.key, DEL, 0)
    return 0

# --- handlers that may take long ------------------------------------------------------------------------------

cdef inline int took(Engine engine, Client client, Request* request, int64_t began, int64_t measured) except -1:
    """Note the time of a command that is TIMED. `measured`: what the engine had accounted for when it began."""
    cdef int64_t elapsed = monotonic_ns() - began
    engine.measured = measured + elapsed
    note(&request.row.timing, elapsed, 1, engine.tracks_latency)
    if 0 <= engine.slow_us <= elapsed // 1000:
        engine.tell_slow(client, <int>(request.row - engine.rows), engine.arguments(request, 0), elapsed)
    return 0

# --- when a relative expiry ends -----------------------------------------------------------------------------

cdef inline int64_t moment_after(Engine engine, int64_t amount, int64_t unit) noexcept:
    """Unix ms, `amount` units of so many ms from now; 0 where that is not in the future, or too far in it."""
    if amount < 1 or amount > (INT64_MAX - engine.now) // unit:
        return 0
    return engine.now + amount * unit

# --- installing ----------------------------------------------------------------------------------------------

cdef inline int put(Engine engine, str name, Compiled compiled) except -1:
    """Let the command of this table name have a compiled handler, if it is served at all."""
    if name in engine.row_of:
        engine.rows[<int>engine.row_of[name]].compiled = compiled
    return 0
