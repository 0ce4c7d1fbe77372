"""Compiled handlers of hash commands. Their rules: compiled.pxd.

A hash of which fields may expire is the Python handlers': who names an expired field there deletes it.
"""

from cpython.object cimport PyObject
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t

from node.core cimport key_events as events
from node.core.compiled cimport argument, as_sent, count_read, number_in, put, shrank, wrote
from node.core.engine cimport Client, Engine, Request
from node.core.field_table cimport field_value
from node.core.hash cimport (
    FieldPlace,
    Hash,
    hash_count,
    hash_find,
    hash_make_ready,
    hash_put,
    hash_remove,
    hash_set,
    hash_value,
)
from node.core.integer_text cimport DIGITS, canonical_number, print_number
from node.core.listpack_walk cimport pack_bytes, pack_first, pack_next
from node.core.member_table cimport Member, member_key, members_scan
from node.core.packed_reply cimport put_element, room_for
from node.core.reply_writer cimport ReplyWriter
from node.core.slot_table cimport TYPE_HASH, Entry, entry_object, entry_type


cdef inline bint is_plain(Entry* entry) noexcept:
    """Whether it is a hash whose fields do not expire."""
    return entry_type(entry) == TYPE_HASH and not hash_in(entry).timed


cdef inline Hash hash_in(Entry* entry):
    return <Hash>(<PyObject*>entry_object(entry)[0])


cdef inline int edited(Client client, Request* request, Entry* entry, Hash value) except -1:
    """`value` was changed in place, or, without an entry, is new."""
    if entry == NULL:
        return client.db.lay_out(&request.key, value, 0)
    client.db.touch_entry(entry)
    return client.db.soil(&request.key, entry)


# --- one field -----------------------------------------------------------------------------------------------


cdef inline int write_field(Engine engine, Client client, Request* request, size_t number, Hash value) except -1:
    """The value of the field that argument `number` names."""
    cdef FieldPlace place
    cdef char[DIGITS] digits
    cdef size_t length
    cdef const char* text = argument(engine, request, number, &length)
    if value is None or not hash_find(value, text, length, &place):
        return engine.reply.null(client.resp)
    text = hash_value(value, &place, digits, &length)
    return engine.reply.bulk(text, length)


cdef int hget(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    if entry != NULL and not is_plain(entry):
        return 0
    count_read(client.db, &request.key, entry)
    write_field(engine, client, request, 2, None if entry == NULL else hash_in(entry))
    return 1


cdef int hmget(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    cdef size_t i
    if entry != NULL and not is_plain(entry):
        return 0
    count_read(client.db, &request.key, entry)
    engine.reply.line_of_int(c"*", request.count - 2)
    for i in range(2, request.count):
        write_field(engine, client, request, i, None if entry == NULL else hash_in(entry))
    return 1


cdef int hexists(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    cdef FieldPlace place
    cdef size_t length
    cdef const char* text
    if entry != NULL and not is_plain(entry):
        return 0
    count_read(client.db, &request.key, entry)
    text = argument(engine, request, 2, &length)
    engine.reply.line_of_int(c":", entry != NULL and hash_find(hash_in(entry), text, length, &place))
    return 1


cdef int hlen(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    if entry != NULL and entry_type(entry) != TYPE_HASH:
        return 0
    count_read(client.db, &request.key, entry)
    engine.reply.line_of_int(c":", 0 if entry == NULL else hash_count(hash_in(entry)))
    return 1


# --- all fields ----------------------------------------------------------------------------------------------

cdef struct Telling:        # a large hash on its way to a reply
    void* reply
    void* value
    bint fields
    bint values


cdef int hgetall(Engine engine, Client client, Request* request) except -1:
    return tell_all(engine, client, request, True, True)


cdef int hkeys(Engine engine, Client client, Request* request) except -1:
    return tell_all(engine, client, request, True, False)


cdef int hvals(Engine engine, Client client, Request* request) except -1:
    return tell_all(engine, client, request, False, True)


cdef int tell_all(Engine engine, Client client, Request* request, bint fields, bint values) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    cdef Telling telling
    cdef Hash value
    cdef Py_ssize_t count = 0
    cdef bint paired = fields and values and client.resp == 3
    if entry != NULL and not is_plain(entry):
        return 0
    count_read(client.db, &request.key, entry)
    if entry != NULL:
        value = hash_in(entry)
        count = hash_count(value)
    engine.reply.line_of_int(c"%" if paired else c"*", count * 2 if fields and values and not paired else count)
    if count and value.table == NULL:
        write_pack(engine.reply, value, fields, values)
    elif count:
        telling.reply = <void*>engine.reply
        telling.value = <void*>value
        telling.fields, telling.values = fields, values
        members_scan(&value.table.members, 0, count, write_member, &telling)
    return 1


cdef int write_pack(ReplyWriter reply, Hash value, bint fields, bint values) except -1:
    """A small hash, in the order of its pack, into room that is asked for once."""
    cdef uint8_t* at = pack_first(value.pack)
    cdef char* out
    cdef bint told = fields
    reply.reserve(room_for(2 * hash_count(value), pack_bytes(value.pack)))
    out = reply.data + reply.length
    while at != NULL:
        if told:
            out = put_element(out, at)
        at = pack_next(value.pack, at)
        if fields != values:
            told = not told
    reply.length = out - reply.data
    return 0


cdef int write_member(void* context, Member* member) except -1:
    cdef Telling* telling = <Telling*>context
    cdef Hash value = <Hash>telling.value
    cdef ReplyWriter reply = <ReplyWriter>telling.reply
    cdef size_t length
    cdef const char* text
    if telling.fields:
        reply.bulk(member_key(&value.table.members, member), member.key_length)
    if telling.values:
        text = field_value(value.table, member, &length)
        reply.bulk(text, length)
    return 0


# --- writing -------------------------------------------------------------------------------------------------


cdef int64_t set_fields(Engine engine, Client client, Request* request) except -2:
    """HSET and HMSET: how many fields are new, -1 where it is not the simple form."""
    cdef Entry* entry
    cdef Hash value
    cdef const char* field
    cdef const char* text
    cdef size_t length, size, i
    cdef size_t longest = 0
    cdef size_t total = 0
    cdef int64_t added = 0
    if request.count % 2:
        return -1
    entry = client.db.find(&request.key)
    if entry == NULL:
        value = Hash.__new__(Hash)
    elif not is_plain(entry):
        return -1
    else:
        value = hash_in(entry)
    if value.table == NULL:
        for i in range(2, request.count):
            argument(engine, request, i, &length)
            longest = max(longest, length)
            total += length
        hash_make_ready(value, request.count // 2 - 1, longest, total)
    for i in range(2, request.count, 2):
        field = argument(engine, request, i, &length)
        text = argument(engine, request, i + 1, &size)
        added += hash_put(value, field, length, text, size, False)
    edited(client, request, entry, value)
    return added


cdef int hset(Engine engine, Client client, Request* request) except -1:
    cdef int64_t added = set_fields(engine, client, request)
    if added < 0:
        return 0
    engine.reply.line_of_int(c":", added)
    return wrote(engine, client, request, events.HSET, request.count // 2 - 1)


cdef int hmset(Engine engine, Client client, Request* request) except -1:
    if set_fields(engine, client, request) < 0:
        return 0
    engine.reply.raw(b"+OK\r\n", 5)
    return wrote(engine, client, request, events.HSET, request.count // 2 - 1)


cdef int hsetnx(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    cdef FieldPlace place
    cdef Hash value
    cdef size_t length, size
    cdef const char* field = argument(engine, request, 2, &length)
    cdef const char* text = argument(engine, request, 3, &size)
    if entry == NULL:
        value = Hash.__new__(Hash)
    elif not is_plain(entry):
        return 0
    else:
        value = hash_in(entry)
        if hash_find(value, field, length, &place):
            client.db.touch_entry(entry)
            engine.reply.line_of_int(c":", 0)
            return 1
    hash_set(value, field, length, text, size, False)
    edited(client, request, entry, value)
    engine.reply.line_of_int(c":", 1)
    return wrote(engine, client, request, events.HSET, 1)


cdef int hincrby(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry
    cdef FieldPlace place
    cdef Hash value
    cdef char[DIGITS] digits
    cdef int64_t increment
    cdef int64_t number = 0
    cdef size_t length, size
    cdef const char* text
    cdef const char* field = argument(engine, request, 2, &length)
    if not number_in(engine, request, 3, &increment):
        return 0
    entry = client.db.find(&request.key)
    if entry == NULL:
        value = Hash.__new__(Hash)
    elif not is_plain(entry):
        return 0
    else:
        value = hash_in(entry)
        if hash_find(value, field, length, &place):
            text = hash_value(value, &place, digits, &size)
            if not canonical_number(text, size, &number):
                return 0
    if (increment > 0 and number > INT64_MAX - increment) or (increment < 0 and number < INT64_MIN - increment):
        return 0
    number += increment
    hash_set(value, field, length, digits, print_number(number, digits), True)
    edited(client, request, entry, value)
    engine.reply.line_of_int(c":", number)
    return wrote(engine, client, request, events.HINCRBY, 1)


cdef int hdel(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    cdef Hash value
    cdef const char* field
    cdef size_t length, i
    cdef int64_t removed = 0
    if entry == NULL:
        engine.reply.line_of_int(c":", 0)
        return 1
    if not is_plain(entry):
        return 0
    value = hash_in(entry)
    client.db.touch_entry(entry)
    for i in range(2, request.count):
        field = argument(engine, request, i, &length)
        removed += hash_remove(value, field, length)
    engine.reply.line_of_int(c":", removed)
    if removed == 0:
        return 1
    shrank(engine, client, request, entry, events.HDEL, removed, hash_count(value) == 0)
    as_sent(engine, client, request)
    return 1


def install(Engine engine not None) -> None:
    put(engine, "hget", hget)
    put(engine, "hmget", hmget)
    put(engine, "hexists", hexists)
    put(engine, "hlen", hlen)
    put(engine, "hgetall", hgetall)
    put(engine, "hkeys", hkeys)
    put(engine, "hvals", hvals)
    put(engine, "hset", hset)
    put(engine, "hmset", hmset)
    put(engine, "hsetnx", hsetnx)
    put(engine, "hincrby", hincrby)
    put(engine, "hdel", hdel)
