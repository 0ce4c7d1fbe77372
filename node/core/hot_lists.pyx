"""Compiled handlers of list commands. Their rules: compiled.pxd."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t

from node.core cimport key_events as events
from node.core.compiled cimport argument, as_sent, count_read, number_in, put, shrank, wrote
from node.core.engine cimport Client, Engine, Request
from node.core.list cimport Chain, List, list_chain, list_count, list_make_room, list_pop, list_push
from node.core.listpack_walk cimport PACK_END, PACK_HEADER, element_bytes, pack_bytes
from node.core.packed_reply cimport bulk_of_element, put_element, room_for
from node.core.quicklist cimport Place, place_of, step_back
from node.core.quicklist_node cimport Node
from node.core.reply_writer cimport ReplyWriter
from node.core.slot_table cimport TYPE_LIST, Entry, entry_object, entry_type


cdef inline bint is_list(Entry* entry) noexcept:
    return entry_type(entry) == TYPE_LIST


cdef inline List list_in(Entry* entry):
    return <List>(<PyObject*>entry_object(entry)[0])


# --- at the ends ---------------------------------------------------------------------------------------------


cdef inline int push(Engine engine, Client client, Request* request, bint left, bint anew, event) except -1:
    """LPUSH and RPUSH, and if not `anew` those that want a list to be there."""
    cdef Entry* entry = client.db.find(&request.key)
    cdef List value
    cdef const char* text
    cdef size_t length, i
    cdef int64_t size = 0
    if entry == NULL:
        if not anew:
            engine.reply.line_of_int(c":", 0)
            return 1
        value = List.__new__(List)
    elif not is_list(entry):
        return 0
    else:
        value = list_in(entry)
    if value.quick == NULL:
        for i in range(2, request.count):
            argument(engine, request, i, &length)
            size += length
        list_make_room(value, size, request.count - 2)
    for i in range(2, request.count):
        text = argument(engine, request, i, &length)
        list_push(value, text, length, left)
    if entry == NULL:
        client.db.lay_out(&request.key, value, 0)
    else:
        client.db.touch_entry(entry)
        client.db.soil(&request.key, entry)
    engine.reply.line_of_int(c":", list_count(value))
    return wrote(engine, client, request, event, request.count - 2)


cdef int lpush(Engine engine, Client client, Request* request) except -1:
    return push(engine, client, request, True, True, events.LPUSH)


cdef int rpush(Engine engine, Client client, Request* request) except -1:
    return push(engine, client, request, False, True, events.RPUSH)


cdef int lpushx(Engine engine, Client client, Request* request) except -1:
    return push(engine, client, request, True, False, events.LPUSH)


cdef int rpushx(Engine engine, Client client, Request* request) except -1:
    return push(engine, client, request, False, False, events.RPUSH)


cdef inline int pop(Engine engine, Client client, Request* request, bint left, event) except -1:
    cdef Entry* entry
    cdef List value
    cdef int64_t count = 1
    if request.count > 3 or (request.count == 3 and (not number_in(engine, request, 2, &count) or count < 1)):
        return 0
    entry = client.db.find(&request.key)
    if entry == NULL:
        if request.count == 3:
            return 0
        engine.reply.null(client.resp)
        return 1
    if not is_list(entry):
        return 0
    value = list_in(entry)
    if request.count == 3:
        count = min(count, list_count(value))
        engine.reply.line_of_int(c"*", count)
    if left:
        write_range(engine.reply, value, 0, count)
    else:
        write_from_end(engine.reply, value, count)
    list_pop(value, count, left)
    client.db.touch_entry(entry)
    shrank(engine, client, request, entry, event, count, list_count(value) == 0)
    as_sent(engine, client, request)
    return 1


cdef int lpop(Engine engine, Client client, Request* request) except -1:
    return pop(engine, client, request, True, events.LPOP)


cdef int rpop(Engine engine, Client client, Request* request) except -1:
    return pop(engine, client, request, False, events.RPOP)


# --- by position ---------------------------------------------------------------------------------------------


cdef int llen(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    if entry != NULL and not is_list(entry):
        return 0
    count_read(client.db, &request.key, entry)
    engine.reply.line_of_int(c":", 0 if entry == NULL else list_count(list_in(entry)))
    return 1


cdef inline int list_to_read(Client client, Request* request, void** value, int64_t* count) except -1:
    """Look up a list of which positions are asked, and what it holds: none where there is no key. 0: it is no list."""
    cdef Entry* entry = client.db.find(&request.key)
    count[0] = 0
    if entry != NULL:
        if not is_list(entry):
            return 0
        value[0] = entry_object(entry)[0]
        count[0] = list_count(<List>value[0])
    count_read(client.db, &request.key, entry)
    return 1


cdef int lindex(Engine engine, Client client, Request* request) except -1:
    cdef void* value
    cdef int64_t index, count
    if not number_in(engine, request, 2, &index) or not list_to_read(client, request, &value, &count):
        return 0
    if index < 0:
        index += count
    if 0 <= index < count:
        write_range(engine.reply, <List>value, index, 1)
    else:
        engine.reply.null(client.resp)
    return 1


cdef int lrange(Engine engine, Client client, Request* request) except -1:
    cdef void* value
    cdef int64_t start, last, count
    if not number_in(engine, request, 2, &start) or not number_in(engine, request, 3, &last):
        return 0
    if not list_to_read(client, request, &value, &count):
        return 0
    start = max(start + count if start < 0 else start, 0)
    last = min(last + count if last < 0 else last, count - 1)
    if start > last:
        engine.reply.line_of_int(c"*", 0)
        return 1
    engine.reply.line_of_int(c"*", last - start + 1)
    write_range(engine.reply, <List>value, start, last - start + 1)
    return 1


# --- elements to the reply -----------------------------------------------------------------------------------


cdef int write_range(ReplyWriter reply, List value, int64_t start, int64_t count) except -1:
    """`count` elements, which are there, from `start` on. Room is asked for once per node."""
    cdef Node spare
    cdef Chain chain = list_chain(value, &spare)
    cdef Place place = place_of(chain.head, chain.tail, chain.count, start)
    cdef Node* node = place.node
    cdef const uint8_t* at = place.at
    cdef char* out
    while True:
        if node.plain:
            reply.bulk(<char*>node.pack, node.length)
            count -= 1
        else:
            if count == 1:
                return bulk_of_element(reply, at, element_bytes(at))
            reply.reserve(room_for(min(count, <int64_t>node.count), pack_bytes(node.pack)))
            out = reply.data + reply.length
            while count and at[0] != PACK_END:
                out = put_element(out, at)
                at += element_bytes(at)
                count -= 1
            reply.length = out - reply.data
        if count == 0:
            return 0
        node = node.after
        at = node.pack + PACK_HEADER


cdef int write_from_end(ReplyWriter reply, List value, int64_t count) except -1:
    """`count` elements, which are there, the last first."""
    cdef Node spare
    cdef Chain chain = list_chain(value, &spare)
    cdef Place place = place_of(chain.head, chain.tail, chain.count, chain.count - 1)
    while count:
        if place.node.plain:
            reply.bulk(<char*>place.node.pack, place.node.length)
        else:
            bulk_of_element(reply, place.at, element_bytes(place.at))
        count -= 1
        if count:
            step_back(&place)
    return 0


def install(Engine engine not None) -> None:
    put(engine, "lpush", lpush)
    put(engine, "rpush", rpush)
    put(engine, "lpushx", lpushx)
    put(engine, "rpushx", rpushx)
    put(engine, "lpop", lpop)
    put(engine, "rpop", rpop)
    put(engine, "llen", llen)
    put(engine, "lindex", lindex)
    put(engine, "lrange", lrange)
