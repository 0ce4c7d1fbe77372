"""Compiled handlers of sorted-set commands about members and scores, those about ranges aside. Their rules:
compiled.pxd."""

from libc.stdint cimport int64_t, uint64_t

from node.core cimport key_events as events
from node.core.compiled cimport argument, as_sent, count_read, number_in, put, shrank, wrote
from node.core.engine cimport Client, Engine, Request
from node.core.ordered_index cimport BELOW_ENTRY, Probe
from node.core.sorted_set_reply cimport is_sorted_set, score_in, sorted_set_in, write_entries
from node.core.slot_table cimport Entry
from node.core.sorted_set cimport (
    ADDED,
    INCREMENT,
    NOT_A_NUMBER,
    UPDATED,
    Outcome,
    SortedSet,
    zset_count,
    zset_count_before,
    zset_expect,
    zset_put,
    zset_remove,
    zset_remove_range,
    zset_score,
    zset_sized,
)

cdef enum:
    MOST_PAIRS = 128    # of one ZADD; all its scores are judged before any is used


# --- reading -------------------------------------------------------------------------------------------------


cdef inline int write_score(Engine engine, Client client, Request* request, size_t number, Entry* entry) except -1:
    """The score of the member that argument `number` names."""
    cdef double score
    cdef size_t length
    cdef const char* text = argument(engine, request, number, &length)
    if entry == NULL or not zset_score(sorted_set_in(entry), text, length, &score):
        return engine.reply.null(client.resp)
    return engine.reply.encode_float(score, client.resp)


cdef int zscore(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    if entry != NULL and not is_sorted_set(entry):
        return 0
    count_read(client.db, &request.key, entry)
    write_score(engine, client, request, 2, entry)
    return 1


cdef int zmscore(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    cdef size_t i
    if entry != NULL and not is_sorted_set(entry):
        return 0
    count_read(client.db, &request.key, entry)
    engine.reply.line_of_int(c"*", request.count - 2)
    for i in range(2, request.count):
        write_score(engine, client, request, i, entry)
    return 1


cdef int zcard(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    if entry != NULL and not is_sorted_set(entry):
        return 0
    count_read(client.db, &request.key, entry)
    engine.reply.line_of_int(c":", 0 if entry == NULL else zset_count(sorted_set_in(entry)))
    return 1


cdef int zrank(Engine engine, Client client, Request* request) except -1:
    return rank(engine, client, request, False)


cdef int zrevrank(Engine engine, Client client, Request* request) except -1:
    return rank(engine, client, request, True)


cdef int rank(Engine engine, Client client, Request* request, bint reverse) except -1:
    cdef Entry* entry
    cdef SortedSet value
    cdef Probe probe
    cdef uint64_t place
    if request.count != 3:
        return 0
    entry = client.db.find(&request.key)
    if entry != NULL and not is_sorted_set(entry):
        return 0
    count_read(client.db, &request.key, entry)
    if entry != NULL:
        value = sorted_set_in(entry)
        probe.kind = BELOW_ENTRY
        probe.text = argument(engine, request, 2, &probe.length)
        if zset_score(value, probe.text, probe.length, &probe.score):
            place = zset_count_before(value, &probe)
            engine.reply.line_of_int(c":", zset_count(value) - 1 - place if reverse else place)
            return 1
    engine.reply.null(client.resp)
    return 1


# --- adding --------------------------------------------------------------------------------------------------


cdef inline bint is_letter(const char* text) noexcept:
    return c"a" <= text[0] | 0x20 <= c"z"


cdef int zadd(Engine engine, Client client, Request* request) except -1:
    """Without options."""
    cdef double[MOST_PAIRS] scores
    cdef Entry* entry
    cdef SortedSet value
    cdef Outcome outcome
    cdef size_t pairs = (request.count - 2) // 2
    cdef size_t length, i
    cdef const char* text
    cdef int64_t added = 0
    cdef int64_t updated = 0
    if request.count % 2 or pairs > MOST_PAIRS or is_letter(argument(engine, request, 2, &length)):
        return 0
    for i in range(pairs):
        if not score_in(engine, request, 2 + 2 * i, &scores[i]):
            return 0
    entry = client.db.find(&request.key)
    if entry == NULL:
        argument(engine, request, 3, &length)
        value = zset_sized(pairs, length)
    elif not is_sorted_set(entry):
        return 0
    else:
        value = sorted_set_in(entry)
        client.db.touch_entry(entry)
    zset_expect(value, pairs)
    for i in range(pairs):
        text = argument(engine, request, 3 + 2 * i, &length)
        outcome = zset_put(value, text, length, &scores[i], 0)
        added += outcome == ADDED
        updated += outcome == UPDATED
    engine.reply.line_of_int(c":", added)
    return put_in_place(engine, client, request, entry, value, events.ZADD, added + updated)


cdef int zincrby(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry
    cdef SortedSet value
    cdef Outcome outcome
    cdef double score
    cdef size_t length
    cdef const char* text = argument(engine, request, 3, &length)
    if not score_in(engine, request, 2, &score):
        return 0
    entry = client.db.find(&request.key)
    if entry == NULL:
        value = zset_sized(1, length)
    elif not is_sorted_set(entry):
        return 0
    else:
        value = sorted_set_in(entry)
    outcome = zset_put(value, text, length, &score, INCREMENT)
    if outcome == NOT_A_NUMBER:
        return 0    # nothing was done, and nothing will be
    if entry != NULL:
        client.db.touch_entry(entry)
    engine.reply.encode_float(score, client.resp)
    return put_in_place(engine, client, request, entry, value, events.ZINCR, outcome == ADDED or outcome == UPDATED)


cdef int put_in_place(
    Engine engine, Client client, Request* request, Entry* entry, SortedSet value, event, int64_t changes
) except -1:
    """So many members of `value` were added or got another score; without an entry it is new. Returns 1."""
    if entry == NULL:
        client.db.lay_out(&request.key, value, 0)
    if changes == 0:
        return 1
    if entry != NULL:
        client.db.soil(&request.key, entry)
    return wrote(engine, client, request, event, changes)


# --- removing ------------------------------------------------------------------------------------------------


cdef int zrem(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry = client.db.find(&request.key)
    cdef size_t length, i
    cdef const char* text
    cdef int64_t removed = 0
    if entry == NULL:
        engine.reply.line_of_int(c":", 0)
        return 1
    if not is_sorted_set(entry):
        return 0
    client.db.touch_entry(entry)
    for i in range(2, request.count):
        text = argument(engine, request, i, &length)
        removed += zset_remove(sorted_set_in(entry), text, length)
    engine.reply.line_of_int(c":", removed)
    if removed:
        shrank(engine, client, request, entry, events.ZREM, removed, zset_count(sorted_set_in(entry)) == 0)
        as_sent(engine, client, request)
    return 1


cdef int zpopmin(Engine engine, Client client, Request* request) except -1:
    """One or several. In RESP3 those of a count come in pairs; one by itself does not."""
    cdef Entry* entry
    cdef SortedSet value
    cdef int64_t count = 1
    if request.count > 3 or (request.count == 3 and (not number_in(engine, request, 2, &count) or count < 0)):
        return 0
    entry = client.db.find(&request.key)
    if entry != NULL and not is_sorted_set(entry):
        return 0
    if entry != NULL:
        client.db.touch_entry(entry)
    if entry == NULL or count == 0:
        engine.reply.line_of_int(c"*", 0)
        return 1
    value = sorted_set_in(entry)
    count = min(count, <int64_t>zset_count(value))
    write_entries(engine.reply, value, 0, count, True, client.resp, client.resp == 3 and request.count == 3)
    zset_remove_range(value, 0, count)
    shrank(engine, client, request, entry, events.ZPOPMIN, count, zset_count(value) == 0)
    as_sent(engine, client, request)
    return 1


def install(Engine engine not None) -> None:
    put(engine, "zscore", zscore)
    put(engine, "zmscore", zmscore)
    put(engine, "zcard", zcard)
    put(engine, "zrank", zrank)
    put(engine, "zrevrank", zrevrank)
    put(engine, "zadd", zadd)
    put(engine, "zincrby", zincrby)
    put(engine, "zrem", zrem)
    put(engine, "zpopmin", zpopmin)
