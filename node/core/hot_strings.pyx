"""Compiled handlers of string commands. Their rules: compiled.pxd."""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t
from libc.string cimport memcpy

from node.core cimport key_events as events
from node.core.compiled cimport (
    argument,
    as_drafted,
    as_sent,
    changed,
    count_read,
    draft,
    draft_number,
    drop_key,
    is_word,
    leaves_trail,
    moment_after,
    number_in,
    put,
    wrote,
)
from node.core.engine cimport Client, Engine, Request
from node.core.incoming cimport LARGE_FRAME, Incoming
from node.core.integer_text cimport DIGITS, canonical_number, print_number
from node.core.slot_table cimport IS_OBJECT, WAS_EDITED, Entry, entry_value, entry_value_length

cdef enum:
    KEEP_TTL = -1    # as `expiry` of `put_string`


# --- reading -------------------------------------------------------------------------------------------------


cdef int get_string(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    if entry != NULL and entry.flags & IS_OBJECT:
        return 0
    count_read(client.db, &request.key, entry)
    if entry == NULL:
        engine.reply.null(client.resp)
    else:
        engine.reply.bulk(entry_value(entry), entry_value_length(entry))
    return 1


cdef int mget(Engine engine, Client client, Request* request) except -1:
    """Keys of another type read as absent."""
    cdef Entry* entry
    cdef int i
    engine.reply.line_of_int(c"*", engine.key_count)
    for i in range(engine.key_count):
        entry = client.db.find(&engine.keys[i])
        count_read(client.db, &engine.keys[i], entry)
        if entry == NULL or entry.flags & IS_OBJECT:
            engine.reply.null(client.resp)
        else:
            engine.reply.bulk(entry_value(entry), entry_value_length(entry))
    return 1


cdef int strlen(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    if entry != NULL and entry.flags & IS_OBJECT:
        return 0
    count_read(client.db, &request.key, entry)
    engine.reply.line_of_int(c":", 0 if entry == NULL else entry_value_length(entry))
    return 1


# --- SET and its kin -----------------------------------------------------------------------------------------


cdef bint adopted(
    Engine engine, Client client, Request* request, const char* value, size_t length, int64_t expiry
) except -1:
    """Store an argument as the block it was received in, if nothing else is there."""
    cdef Incoming* incoming = engine.incoming
    return (
        incoming != NULL
        and request.base == incoming.start
        and request.end == incoming.length
        and incoming.capacity - incoming.length <= incoming.capacity // 8
        and client.db.adopt_string(&request.key, incoming, value, length, expiry)
    )


cdef inline int store(
    Engine engine, Client client, Request* request, const char* value, size_t length, int64_t expiry
) except -1:
    """`put_string` of an argument; a large one is adopted where that is possible."""
    if length < LARGE_FRAME or not adopted(engine, client, request, value, length, expiry):
        client.db.put_string(&request.key, value, length, expiry)
    return 0


cdef int set_string(Engine engine, Client client, Request* request) except -1:
    cdef const char* value
    cdef size_t length
    if request.count != 3:
        return set_with_options(engine, client, request)
    value = argument(engine, request, 2, &length)
    store(engine, client, request, value, length, 0)
    engine.reply.raw(b"+OK\r\n", 5)
    return wrote(engine, client, request, events.SET, 1)


cdef int set_with_options(Engine engine, Client client, Request* request) except -1:
    """One of NX and XX; one of EX, PX and KEEPTTL."""
    cdef bint if_absent = False
    cdef bint if_present = False
    cdef int64_t expiry = 0
    cdef int64_t amount, unit
    cdef const char* value
    cdef size_t length
    cdef size_t i = 3
    while i < request.count:
        if is_word(engine, request, i, b"nx", 2) and not if_present:
            if_absent = True
        elif is_word(engine, request, i, b"xx", 2) and not if_absent:
            if_present = True
        elif expiry:
            return 0
        elif is_word(engine, request, i, b"keepttl", 7):
            expiry = KEEP_TTL
        else:
            unit = 1000 if is_word(engine, request, i, b"ex", 2) else 1
            if unit == 1 and not is_word(engine, request, i, b"px", 2):
                return 0
            i += 1
            if i == request.count or not number_in(engine, request, i, &amount):
                return 0
            expiry = moment_after(engine, amount, unit)
            if not expiry:
                return 0
        i += 1
    if (if_absent or if_present) and (client.db.find(&request.key) != NULL) != if_present:
        engine.reply.null(client.resp)
        return 1
    if expiry > 0:
        return set_expiring(engine, client, request, 2, expiry)
    value = argument(engine, request, 2, &length)
    store(engine, client, request, value, length, expiry)
    engine.reply.raw(b"+OK\r\n", 5)
    return wrote(engine, client, request, events.SET, 1)


cdef int set_expiring(Engine engine, Client client, Request* request, size_t which, int64_t moment) except -1:
    """Store argument number `which` until then."""
    cdef size_t length
    cdef const char* value = argument(engine, request, which, &length)
    store(engine, client, request, value, length, moment)
    engine.reply.raw(b"+OK\r\n", 5)
    changed(engine, client, &request.key, events.SET, 1)
    changed(engine, client, &request.key, events.EXPIRE, 0)
    if leaves_trail(engine, client):
        draft(engine, 5, b"SET", 3)
        engine.draft.bulk(request.key.data, request.key.length)
        engine.draft.bulk(value, length)
        engine.draft.bulk(b"PXAT", 4)
        draft_number(engine, moment)
        as_drafted(engine, client)
    return 1


cdef int setex(Engine engine, Client client, Request* request) except -1:
    cdef int64_t seconds, moment
    if not number_in(engine, request, 2, &seconds):
        return 0
    moment = moment_after(engine, seconds, 1000)
    return moment and set_expiring(engine, client, request, 3, moment)


cdef int psetex(Engine engine, Client client, Request* request) except -1:
    cdef int64_t milliseconds, moment
    if not number_in(engine, request, 2, &milliseconds):
        return 0
    moment = moment_after(engine, milliseconds, 1)
    return moment and set_expiring(engine, client, request, 3, moment)


cdef int setnx(Engine engine, Client client, Request* request) except -1:
    cdef const char* value
    cdef size_t length
    if client.db.find(&request.key) != NULL:
        engine.reply.line_of_int(c":", 0)
        return 1
    value = argument(engine, request, 2, &length)
    store(engine, client, request, value, length, 0)
    engine.reply.line_of_int(c":", 1)
    return wrote(engine, client, request, events.SET, 1)


cdef int mset(Engine engine, Client client, Request* request) except -1:
    cdef const char* value
    cdef size_t length
    cdef int i
    if request.count % 2 == 0:
        return 0
    for i in range(engine.key_count):
        value = argument(engine, request, 2 + 2 * i, &length)
        client.db.put_string(&engine.keys[i], value, length, 0)
        changed(engine, client, &engine.keys[i], events.SET, 1)
    engine.reply.raw(b"+OK\r\n", 5)
    as_sent(engine, client, request)
    return 1


cdef int getset(Engine engine, Client client, Request* request) except -1:
    cdef const char* value
    cdef size_t length
    if not get_string(engine, client, request):
        return 0
    value = argument(engine, request, 2, &length)
    store(engine, client, request, value, length, 0)
    changed(engine, client, &request.key, events.SET, 1)
    if leaves_trail(engine, client):
        draft(engine, 3, b"SET", 3)
        engine.draft.bulk(request.key.data, request.key.length)
        engine.draft.bulk(value, length)
        as_drafted(engine, client)
    return 1


cdef int getdel(Engine engine, Client client, Request* request) except -1:
    if not get_string(engine, client, request):
        return 0
    if client.db.find(&request.key) == NULL:
        return 1
    drop_key(client, &request.key, client.db.leaves_replaced)
    changed(engine, client, &request.key, events.DEL, 1)
    if leaves_trail(engine, client):
        draft(engine, 2, b"DEL", 3)
        engine.draft.bulk(request.key.data, request.key.length)
        as_drafted(engine, client)
    return 1


cdef int append(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    cdef size_t length
    cdef size_t old = 0
    cdef const char* tail = argument(engine, request, 2, &length)
    if entry == NULL:
        client.db.put_string(&request.key, tail, length, 0)
    elif entry.flags & IS_OBJECT or <int64_t>(entry_value_length(entry) + length) > engine.bulk_length:
        return 0
    else:
        old = entry_value_length(entry)
        entry = client.db.string_for_edit(&request.key, old + length)
        memcpy(entry_value(entry) + old, tail, length)
    engine.reply.line_of_int(c":", old + length)
    return wrote(engine, client, request, events.APPEND, 1)


# --- counters ------------------------------------------------------------------------------------------------


cdef int add(Engine engine, Client client, Request* request, int64_t amount) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    cdef int64_t number = 0
    cdef char[DIGITS] digits
    cdef size_t length
    if entry != NULL and (
        entry.flags & IS_OBJECT or not canonical_number(entry_value(entry), entry_value_length(entry), &number)
    ):
        return 0
    if number > INT64_MAX - amount if amount > 0 else number < INT64_MIN - amount:
        return 0
    number += amount
    length = print_number(number, digits)
    if entry != NULL and entry_value_length(entry) == length:
        memcpy(entry_value(entry), digits, length)
        entry.flags &= ~<unsigned int>WAS_EDITED
        client.db.touch_entry(entry)
        client.db.soil(&request.key, entry)
    else:
        client.db.put_string(&request.key, digits, length, KEEP_TTL)
    engine.reply.line_of_int(c":", number)
    return wrote(engine, client, request, events.INCRBY, 1)


cdef int incr(Engine engine, Client client, Request* request) except -1:
    return add(engine, client, request, 1)


cdef int decr(Engine engine, Client client, Request* request) except -1:
    return add(engine, client, request, -1)


cdef int incrby(Engine engine, Client client, Request* request) except -1:
    cdef int64_t amount
    return number_in(engine, request, 2, &amount) and add(engine, client, request, amount)


cdef int decrby(Engine engine, Client client, Request* request) except -1:
    cdef int64_t amount
    return (
        number_in(engine, request, 2, &amount)
        and amount != INT64_MIN
        and add(engine, client, request, -amount)
    )


def install(Engine engine not None) -> None:
    put(engine, "get", get_string)
    put(engine, "mget", mget)
    put(engine, "strlen", strlen)
    put(engine, "set", set_string)
    put(engine, "setex", setex)
    put(engine, "psetex", psetex)
    put(engine, "setnx", setnx)
    put(engine, "mset", mset)
    put(engine, "getset", getset)
    put(engine, "getdel", getdel)
    put(engine, "append", append)
    put(engine, "incr", incr)
    put(engine, "decr", decr)
    put(engine, "incrby", incrby)
    put(engine, "decrby", decrby)
