"""Compiled handlers of set commands. Their rules: compiled.pxd."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from node.core cimport key_events as events
from node.core.compiled cimport (
    argument,
    as_drafted,
    as_sent,
    count_read,
    draft,
    leaves_trail,
    put,
    shrank,
    wrote,
)
from node.core.engine cimport Client, Engine, Request
from node.core.set cimport (
    Set,
    Walk,
    set_add,
    set_count,
    set_draw,
    set_expect,
    set_has,
    set_remove,
    set_sized,
    walk_begin,
    walk_next,
)
from node.core.slot_table cimport TYPE_SET, Entry, entry_object, entry_type


cdef inline bint is_set(Entry* entry) noexcept:
    return entry_type(entry) == TYPE_SET


cdef inline Set set_in(Entry* entry):
    return <Set>(<PyObject*>entry_object(entry)[0])


# --- reading -------------------------------------------------------------------------------------------------


cdef inline bint has(Engine engine, Request* request, size_t number, Entry* entry) noexcept:
    """Whether argument `number` is a member of the set at `entry`."""
    cdef size_t length
    cdef const char* text = argument(engine, request, number, &length)
    return entry != NULL and set_has(set_in(entry), text, length)


cdef int sismember(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    if entry != NULL and not is_set(entry):
        return 0
    count_read(client.db, &request.key, entry)
    engine.reply.line_of_int(c":", has(engine, request, 2, entry))
    return 1


cdef int smismember(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    cdef size_t i
    if entry != NULL and not is_set(entry):
        return 0
    count_read(client.db, &request.key, entry)
    engine.reply.line_of_int(c"*", request.count - 2)
    for i in range(2, request.count):
        engine.reply.line_of_int(c":", has(engine, request, i, entry))
    return 1


cdef int scard(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    if entry != NULL and not is_set(entry):
        return 0
    count_read(client.db, &request.key, entry)
    engine.reply.line_of_int(c":", 0 if entry == NULL else set_count(set_in(entry)))
    return 1


cdef int smembers(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    cdef Set value
    cdef Walk walk
    if entry != NULL and not is_set(entry):
        return 0
    count_read(client.db, &request.key, entry)
    engine.reply.line_of_int(c"*" if client.resp == 2 else c"~", 0 if entry == NULL else set_count(set_in(entry)))
    if entry != NULL:
        value = set_in(entry)
        walk_begin(&walk, value)
        while walk_next(&walk, value):
            engine.reply.bulk(walk.text, walk.length)
    return 1


cdef int srandmember(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry
    cdef Walk walk
    if request.count != 2:
        return 0
    entry = client.db.find(&request.key)
    if entry != NULL and not is_set(entry):
        return 0
    count_read(client.db, &request.key, entry)
    if entry == NULL:
        engine.reply.null(client.resp)
    else:
        set_draw(set_in(entry), &walk)
        engine.reply.bulk(walk.text, walk.length)
    return 1


# --- writing -------------------------------------------------------------------------------------------------


cdef int sadd(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    cdef Set value
    cdef size_t length, i
    cdef const char* text = argument(engine, request, 2, &length)
    cdef int64_t added = 0
    if entry == NULL:
        value = set_sized(text, length, request.count - 2)
    elif not is_set(entry):
        return 0
    else:
        value = set_in(entry)
    set_expect(value, request.count - 2)
    for i in range(2, request.count):
        text = argument(engine, request, i, &length)
        added += set_add(value, text, length)
    if entry == NULL:
        client.db.lay_out(&request.key, value, 0)
    else:
        client.db.touch_entry(entry)
    engine.reply.line_of_int(c":", added)
    if added == 0:
        return 1
    if entry != NULL:
        client.db.soil(&request.key, entry)
    return wrote(engine, client, request, events.SADD, added)


cdef int srem(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    cdef size_t length, i
    cdef const char* text
    cdef int64_t removed = 0
    if entry == NULL:
        engine.reply.line_of_int(c":", 0)
        return 1
    if not is_set(entry):
        return 0
    client.db.touch_entry(entry)
    for i in range(2, request.count):
        text = argument(engine, request, i, &length)
        removed += set_remove(set_in(entry), text, length)
    engine.reply.line_of_int(c":", removed)
    if removed:
        shrank(engine, client, request, entry, events.SREM, removed, set_count(set_in(entry)) == 0)
        as_sent(engine, client, request)
    return 1


cdef int spop(Engine engine, Client client, Request* request) except -1:
    """One member, which the trail names."""
    cdef Entry* entry
    cdef Walk walk
    cdef bint told = leaves_trail(engine, client)
    if request.count != 2:
        return 0
    entry = client.db.find(&request.key)
    if entry == NULL:
        engine.reply.null(client.resp)
        return 1
    if not is_set(entry):
        return 0
    client.db.touch_entry(entry)
    set_draw(set_in(entry), &walk)
    engine.reply.bulk(walk.text, walk.length)
    if told:
        draft(engine, 3, b"SREM", 4)
        engine.draft.bulk(request.key.data, request.key.length)
        engine.draft.bulk(walk.text, walk.length)
    set_remove(set_in(entry), walk.text, walk.length)
    shrank(engine, client, request, entry, events.SPOP, 1, set_count(set_in(entry)) == 0)
    if told:
        as_drafted(engine, client)
    return 1


def install(Engine engine not None) -> None:
    put(engine, "sismember", sismember)
    put(engine, "smismember", smismember)
    put(engine, "scard", scard)
    put(engine, "smembers", smembers)
    put(engine, "srandmember", srandmember)
    put(engine, "sadd", sadd)
    put(engine, "srem", srem)
    put(engine, "spop", spop)
