"""Compiled handlers of the hottest commands in their simplest form.

Each does what its complete handler in node/handlers does, for the plain form of the command, and
declines (returns 0) every other form. `install` puts them into an engine's rows.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize

from node.core.engine cimport Client, Compiled, Engine, Request, Row
from node.core.request_reader cimport Span
from node.core.slot_table cimport IS_OBJECT, Entry, entry_value, entry_value_length

from node.errors import WRONGTYPE
from node.keyspace import events


cdef inline int wrote(Engine engine, Client client, Request* request, event) except -1:
    """What every compiled write ends with: one change, one trail."""
    if engine.observed:
        client.changed(PyBytes_FromStringAndSize(request.key.data, request.key.length), event)
    else:
        engine.dirty += 1
    if engine.trail.enabled and not client.replicated:
        engine.trail.add_raw(client.db.index, request.base + request.begin, request.end - request.begin)
    return 1


cdef int get_string(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find_for_read(&request.key)
    if entry == NULL:
        engine.reply.null(client.resp)
    elif entry.flags & IS_OBJECT:
        engine.fail(client, WRONGTYPE.text)
    else:
        engine.reply.bulk(entry_value(entry), entry_value_length(entry))
    return 1


cdef int set_string(Engine engine, Client client, Request* request) except -1:
    cdef Span* value
    if request.count != 3:
        return 0
    value = &engine.spans.items[request.first + 2]
    client.db.put_string(&request.key, request.base + value.start, value.length, 0)
    engine.reply.raw(b"+OK\r\n", 5)
    return wrote(engine, client, request, events.SET)


cdef int ping(Engine engine, Client client, Request* request) except -1:
    if request.count != 1:
        return 0
    engine.reply.raw(b"+PONG\r\n", 7)
    return 1


cdef int put(Engine engine, str name, Compiled compiled) except -1:
    cdef Row* row = &engine.rows[<int>engine.row_of[name]]
    row.compiled = compiled
    return 0


def install(Engine engine not None) -> None:
    """Let `engine`, whose rows are loaded, use the compiled handlers."""
    put(engine, "get", get_string)
    put(engine, "set", set_string)
    put(engine, "ping", ping)
