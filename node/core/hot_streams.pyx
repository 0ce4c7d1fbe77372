"""The compiled handler of XADD. Its rules: compiled.pxd."""

from cpython.object cimport PyObject
from libc.stdint cimport UINT64_MAX, uint64_t

from node.core cimport key_events as events
from node.core.compiled cimport argument, as_drafted, changed, draft, leaves_trail, put
from node.core.engine cimport Client, Engine, Request
from node.core.slot_table cimport TYPE_STREAM, Entry, entry_object, entry_type
from node.core.stream_head cimport StreamHead
from node.core.stream_node cimport (
    ID_TEXT,
    Id,
    Node,
    Text,
    node_append,
    node_has_room,
    print_id,
)

from node.datatypes.limits import limits
cdef enum:
    MOST_TEXTS = 64     # fields and values of one entry


cdef int xadd(Engine engine, Client client, Request* request) except -1:
    """An id of our own, no options, to a stream whose last node has room."""
    cdef Entry* entry
    cdef StreamHead stream
    cdef Node tail
    cdef Id id
    cdef Text[MOST_TEXTS] texts
    cdef char[ID_TEXT] text
    cdef size_t length, i
    cdef size_t count = request.count - 3
    if count == 0 or count % 2 or count > MOST_TEXTS or argument(engine, request, 2, &length)[0] != c"*" or length != 1:
        return 0
    entry = client.db.find(&request.key)
    if entry == NULL or entry_type(entry) != TYPE_STREAM:
        return 0
    stream = <StreamHead>(<PyObject*>entry_object(entry)[0])
    if not stream._nodes:
        return 0
    for i in range(count):
        texts[i].data = argument(engine, request, 3 + i, &texts[i].length)
    tail = <Node>stream._nodes[len(stream._nodes) - 1]
    id = stream.last
    if <uint64_t>engine.now > id.high:
        id.high, id.low = engine.now, 0
    elif id.low == UINT64_MAX:
        return 0
    else:
        id.low += 1
    if not node_has_room(tail, texts, count, limits.stream_node_max_bytes, limits.stream_node_max_entries):
        return 0
    node_append(tail, id, texts, count)
    stream.length += 1
    stream.entries_added += 1
    stream.last = id
    client.db.touch_entry(entry)
    client.db.soil(&request.key, entry)
    length = print_id(id, text)
    engine.reply.bulk(text, length)
    changed(engine, client, &request.key, events.XADD, 1)
    if leaves_trail(engine, client):
        draft(engine, <int>request.count, b"XADD", 4)
        engine.draft.bulk(request.key.data, request.key.length)
        engine.draft.bulk(text, length)
        for i in range(count):
            engine.draft.bulk(texts[i].data, texts[i].length)
        as_drafted(engine, client)
    return 1


def install(Engine engine not None) -> None:
    put(engine, "xadd", xadd)
