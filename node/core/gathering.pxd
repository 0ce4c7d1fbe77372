"""The keys of commands that may have several."""

from node.core.engine cimport Client, Engine, Request, Row
from node.core.key_slot cimport tagged_head
from node.core.keyspace cimport Key, make_further_key
from node.core.memory cimport resize
from node.core.request_reader cimport Span
from node.core.slot_table cimport likely_cell, likely_entry, prefetch

cdef inline bint gather(Engine engine, Client client, Request* request) except -1:
    """Hash the keys of a command that may have several, and ask for the memory they are in. False: it takes
    the session to tell where they are."""
    cdef Row* row = request.row
    cdef Span* span
    cdef Key* key
    cdef Key* keys
    cdef int last = row.last_key if row.last_key >= 0 else <int>request.count + row.last_key
    cdef size_t head
    cdef int i
    cdef bint judged = engine.looks_at_keys and not client.obeyed
    if row.compiled == NULL and not judged:
        return True
    if last < row.first_key or last >= <int>request.count:
        return False
    engine.key_count = (last - row.first_key) // row.key_step + 1
    if engine.key_count > engine.key_room:
        keys = <Key*>resize(engine.keys, engine.key_count * sizeof(Key))
        if keys == NULL:
            raise MemoryError
        engine.keys, engine.key_room = keys, engine.key_count
    engine.keys[0] = request.key
    if engine.key_count == 1:
        return True
    if judged and client.db.cold is not None:
        return False
    head = tagged_head(request.key.data, request.key.length)
    for i in range(1, engine.key_count):
        key = &engine.keys[i]
        span = &engine.spans.items[request.first + row.first_key + i * row.key_step]
        make_further_key(key, engine.keys, head, request.base + span.start, span.length)
        if judged and key.slot != request.key.slot:
            return False
        prefetch(&client.db.tables[key.slot])
    for i in range(1, engine.key_count):
        prefetch(likely_cell(&client.db.tables[engine.keys[i].slot], engine.keys[i].hash))
    for i in range(1, engine.key_count):
        prefetch(likely_entry(&client.db.tables[engine.keys[i].slot], engine.keys[i].hash))
    return True
