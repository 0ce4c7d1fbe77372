"""Compiled handlers of commands on keys of any type, and of PING. Their rules: compiled.pxd."""

from libc.stdint cimport int64_t

from node.core cimport key_events as events
from node.core.compiled cimport (
    argument,
    as_drafted,
    as_sent,
    changed,
    count_look,
    draft,
    draft_number,
    drop_key,
    leaves_trail,
    moment_after,
    number_in,
    put,
)
from node.core.engine cimport Client, Engine, Request
from node.core.slot_table cimport HAS_EXPIRY, Entry, entry_expiry


cdef int ping(Engine engine, Client client, Request* request) except -1:
    cdef const char* text
    cdef size_t length
    if request.count == 1:
        engine.reply.raw(b"+PONG\r\n", 7)
        return 1
    if request.count == 2:
        text = argument(engine, request, 1, &length)
        engine.reply.bulk(text, length)
        return 1
    return 0


# --- deleting and asking -------------------------------------------------------------------------------------


cdef inline int delete(Engine engine, Client client, Request* request, bint lazily) except -1:
    cdef int64_t deleted = 0
    cdef int i
    for i in range(engine.key_count):
        if client.db.find(&engine.keys[i]) != NULL:
            drop_key(client, &engine.keys[i], lazily)
            changed(engine, client, &engine.keys[i], events.DEL, 1)
            deleted += 1
    engine.reply.line_of_int(c":", deleted)
    if deleted:
        as_sent(engine, client, request)
    return 1


cdef int del_keys(Engine engine, Client client, Request* request) except -1:
    return delete(engine, client, request, client.db.leaves_deleted)


cdef int unlink_keys(Engine engine, Client client, Request* request) except -1:
    return delete(engine, client, request, True)


cdef int exists(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry
    cdef int64_t found = 0
    cdef int i
    for i in range(engine.key_count):
        entry = client.db.find(&engine.keys[i])
        count_look(client.db, &engine.keys[i], entry)
        found += entry != NULL
    engine.reply.line_of_int(c":", found)
    return 1


# --- how long keys live --------------------------------------------------------------------------------------


cdef int expire_at(Engine engine, Client client, Request* request, int64_t moment) except -1:
    """Let the key expire at a moment in the future. 0 for any other moment, and for commands with conditions."""
    cdef Entry* entry
    if request.count != 3 or moment <= engine.now:
        return 0
    entry = client.db.find(&request.key)
    if entry == NULL:
        engine.reply.line_of_int(c":", 0)
        return 1
    client.db.touch_entry(entry)
    client.db.let_expire(&request.key, entry, moment)
    engine.reply.line_of_int(c":", 1)
    changed(engine, client, &request.key, events.EXPIRE, 1)
    if leaves_trail(engine, client):
        draft(engine, 3, b"PEXPIREAT", 9)
        engine.draft.bulk(request.key.data, request.key.length)
        draft_number(engine, moment)
        as_drafted(engine, client)
    return 1


cdef int expire(Engine engine, Client client, Request* request) except -1:
    cdef int64_t seconds
    return number_in(engine, request, 2, &seconds) and expire_at(
        engine, client, request, moment_after(engine, seconds, 1000)
    )


cdef int pexpire(Engine engine, Client client, Request* request) except -1:
    cdef int64_t milliseconds
    return number_in(engine, request, 2, &milliseconds) and expire_at(
        engine, client, request, moment_after(engine, milliseconds, 1)
    )


cdef int pexpireat(Engine engine, Client client, Request* request) except -1:
    cdef int64_t moment
    return number_in(engine, request, 2, &moment) and expire_at(engine, client, request, moment)


cdef inline int reply_time_left(Engine engine, Client client, Request* request, int64_t unit) except -1:
    """In units of so many ms, to the nearest; -1 for no expiry, -2 for no key."""
    cdef Entry* entry = client.db.find(&request.key)
    cdef int64_t left = -2
    count_look(client.db, &request.key, entry)
    if entry != NULL:
        left = -1
        if entry.flags & HAS_EXPIRY:
            left = (max(entry_expiry(entry) - engine.now, 0) + unit // 2) // unit
    engine.reply.line_of_int(c":", left)
    return 1


cdef int ttl(Engine engine, Client client, Request* request) except -1:
    return reply_time_left(engine, client, request, 1000)


cdef int pttl(Engine engine, Client client, Request* request) except -1:
    return reply_time_left(engine, client, request, 1)


def install(Engine engine not None) -> None:
    put(engine, "ping", ping)
    put(engine, "del", del_keys)
    put(engine, "unlink", unlink_keys)
    put(engine, "exists", exists)
    put(engine, "expire", expire)
    put(engine, "pexpire", pexpire)
    put(engine, "pexpireat", pexpireat)
    put(engine, "ttl", ttl)
    put(engine, "pttl", pttl)
