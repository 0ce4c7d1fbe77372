"""The compiled handler of XADD. Its rules: compiled.pxd."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from node.core cimport key_events as events
from node.core.compiled cimport (
    argument,
    as_drafted,
    changed,
    draft,
    draft_number,
    is_word,
    leaves_trail,
    number_in,
    put,
)
from node.core.engine cimport Client, Engine, Request
from node.core.packing_limits cimport limits
from node.core.slot_table cimport TYPE_STREAM, Entry, entry_object, entry_type
from node.core.stream_head cimport StreamHead
from node.core.stream_node cimport (
    ID_TEXT,
    LARGEST,
    Id,
    Node,
    Text,
    node_append,
    node_beginning,
    node_close,
    node_has_room,
    node_live,
    number_of,
    print_id,
)

cdef enum:
    MOST_TEXTS = 64         # fields and values of one entry
    MOST_DROPPED = 10_000   # entries, which any XADD may trim


cdef inline bint is_sign(Engine engine, Request* request, size_t number, char sign) noexcept:
    """Whether an argument is this one character."""
    cdef size_t length
    cdef const char* text = argument(engine, request, number, &length)
    return length == 1 and text[0] == sign


cdef bint next_id(StreamHead stream, int64_t now, Id* id) noexcept:
    """The id of an entry that is added now. False: there is none left, or none in this millisecond."""
    id[0] = stream.last
    if <uint64_t>now > id.high:
        id.high, id.low = now, 0
        return True
    id.low += 1
    return id.low != 0


cdef int64_t surplus(StreamHead stream, int64_t most) except -2:
    """How many entries the first node takes with it, if a stream that gets one entry more is trimmed to about `most`:
    0 where it stays, -1 where it takes more than a look at two nodes."""
    cdef int64_t length = stream.length + 1
    cdef Py_ssize_t nodes = len(stream._nodes)
    cdef int64_t live
    if most < 2:
        return -1
    if nodes < 2:
        return 0
    live = node_live(<Node>stream._nodes[0])
    if length - live < most:
        return 0
    if live > limits.stream_node_max_entries or live > MOST_DROPPED:
        return -1
    if nodes > 2 and length - live - node_live(<Node>stream._nodes[1]) >= most:
        return -1
    return live


cdef int append(StreamHead stream, Id id, Text* texts, Py_ssize_t count) except -1:
    """Add an entry to the last node, or to a new one where that is full."""
    cdef Py_ssize_t nodes = len(stream._nodes)
    cdef Node tail = <Node>stream._nodes[nodes - 1] if nodes else None
    if tail is None or not node_has_room(
        tail, texts, count, limits.stream_node_max_bytes, limits.stream_node_max_entries
    ):
        if tail is not None:
            node_close(tail)
        tail = node_beginning(id, texts, count)
        stream._nodes.append(tail)
        stream._masters.append(number_of(id))
    node_append(tail, id, texts, count)
    stream.length += 1
    stream.entries_added += 1
    stream.last = id
    return 0


cdef int xadd(Engine engine, Client client, Request* request) except -1:
    """An id of our own to a stream that is there; `MAXLEN ~ count` as long as that takes one node at most."""
    cdef Entry* entry
    cdef StreamHead stream
    cdef Id id
    cdef Text[MOST_TEXTS] texts
    cdef size_t first = 3
    cdef size_t count, total, i
    cdef int64_t most
    cdef int64_t dropped = 0
    if is_word(engine, request, 2, b"maxlen", 6):
        if request.count < 8 or not is_sign(engine, request, 3, c"~") or not number_in(engine, request, 4, &most):
            return 0
        first = 6
    count = request.count - first
    if count == 0 or count % 2 or count > MOST_TEXTS or not is_sign(engine, request, first - 1, c"*"):
        return 0
    entry = client.db.find(&request.key)
    if entry == NULL or entry_type(entry) != TYPE_STREAM:
        return 0
    stream = <StreamHead>(<PyObject*>entry_object(entry)[0])
    total = 0
    for i in range(count):
        texts[i].data = argument(engine, request, first + i, &texts[i].length)
        total += texts[i].length
    if first == 6:
        dropped = surplus(stream, most)
    if dropped < 0 or total > LARGEST or not next_id(stream, engine.now, &id):
        return 0
    append(stream, id, texts, count)
    if dropped:
        del stream._nodes[0], stream._masters[0]
        stream.length -= dropped
    client.db.touch_entry(entry)
    client.db.soil(&request.key, entry)
    return added(engine, client, request, stream, id, dropped)


cdef int added(
    Engine engine, Client client, Request* request, StreamHead stream, Id id, int64_t dropped
) except -1:
    """Reply, tell, and leave the trail, which names the id and how far the stream was trimmed."""
    cdef char[ID_TEXT] text
    cdef const char* word
    cdef size_t length = print_id(id, text)
    cdef size_t at = 2
    engine.reply.bulk(text, length)
    changed(engine, client, &request.key, events.XADD, 1)
    if dropped:
        changed(engine, client, &request.key, events.XTRIM, 0)
    if not leaves_trail(engine, client):
        return 1
    draft(engine, <int>request.count, b"XADD", 4)
    engine.draft.bulk(request.key.data, request.key.length)
    if not is_sign(engine, request, at, c"*"):
        word = argument(engine, request, at, &at)
        engine.draft.bulk(word, at)
        engine.draft.bulk(b"=", 1)
        draft_number(engine, stream.length)
        at = 5
    engine.draft.bulk(text, length)
    for at in range(at + 1, request.count):
        word = argument(engine, request, at, &length)
        engine.draft.bulk(word, length)
    as_drafted(engine, client)
    return 1


def install(Engine engine not None) -> None:
    put(engine, "xadd", xadd)
