"""Compiled handlers of sorted-set commands about ranges, by rank and by score, ascending. Their rules:
compiled.pxd."""

from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint64_t

from node.core.compiled cimport argument, count_read, is_word, number_in, put
from node.core.engine cimport Client, Engine, Request
from node.core.ordered_index cimport BELOW_SCORE, UP_TO_SCORE, Probe
from node.core.parse_double cimport read_double
from node.core.slot_table cimport Entry
from node.core.sorted_set cimport SortedSet, zset_count, zset_count_before
from node.core.sorted_set_reply cimport is_sorted_set, sorted_set_in, write_entries


cdef int zrange(Engine engine, Client client, Request* request) except -1:
    """By rank, with scores or without."""
    cdef Entry* entry
    cdef int64_t start, last
    cdef int64_t count = 0
    cdef bint scores = request.count == 5
    if request.count > 5 or (scores and not is_word(engine, request, 4, b"withscores", 10)):
        return 0
    if not number_in(engine, request, 2, &start) or not number_in(engine, request, 3, &last):
        return 0
    entry = client.db.find(&request.key)
    if entry != NULL and not is_sorted_set(entry):
        return 0
    count_read(client.db, &request.key, entry)
    if entry != NULL:
        count = zset_count(sorted_set_in(entry))
    start = max(start + count if start < 0 else start, 0)
    last = min(last + count if last < 0 else last, count - 1)
    if start > last:
        engine.reply.line_of_int(c"*", 0)
        return 1
    write_entries(
        engine.reply, sorted_set_in(entry), start, last + 1, scores, client.resp, scores and client.resp == 3
    )
    return 1


cdef bint bound_in(Engine engine, Request* request, size_t number, bint upper, Probe* probe) noexcept:
    """Whether argument `number` is a bound of scores in decimal digits, at which `probe` then aims."""
    cdef size_t length, i
    cdef const char* text = argument(engine, request, number, &length)
    cdef bint exclusive = length > 0 and text[0] == c"("
    if exclusive:
        text += 1
        length -= 1
    for i in range(length):
        if text[i] | 0x20 == c"x":
            return False
    probe.kind = UP_TO_SCORE if upper != exclusive else BELOW_SCORE
    return read_double(text, length, &probe.score)


cdef inline uint64_t ranks_until(SortedSet value, Probe* probe) noexcept:
    """How many are before the probe, which often is infinite."""
    if probe.kind == UP_TO_SCORE and probe.score == INFINITY:
        return zset_count(value)
    if probe.kind == BELOW_SCORE and probe.score == -INFINITY:
        return 0
    return zset_count_before(value, probe)


cdef int zrangebyscore(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry
    cdef SortedSet value
    cdef Probe low, high
    cdef uint64_t start, stop
    cdef int64_t offset = 0
    cdef int64_t limit = -1
    cdef bint scores = False
    cdef size_t i = 4
    if not bound_in(engine, request, 2, False, &low) or not bound_in(engine, request, 3, True, &high):
        return 0
    while i < request.count:
        if is_word(engine, request, i, b"withscores", 10):
            scores = True
            i += 1
        elif i + 2 < request.count and is_word(engine, request, i, b"limit", 5) and (
            number_in(engine, request, i + 1, &offset) and number_in(engine, request, i + 2, &limit)
        ):
            i += 3
        else:
            return 0
    entry = client.db.find(&request.key)
    if entry != NULL and not is_sorted_set(entry):
        return 0
    count_read(client.db, &request.key, entry)
    start = stop = 0
    if entry != NULL:
        value = sorted_set_in(entry)
        start = ranks_until(value, &low)
        stop = ranks_until(value, &high)
    if offset < 0 or start >= stop or <uint64_t>offset >= stop - start:
        engine.reply.line_of_int(c"*", 0)
        return 1
    start += offset
    if limit >= 0:
        stop = min(stop, start + limit)
    write_entries(engine.reply, value, start, stop, scores, client.resp, scores and client.resp == 3)
    return 1


cdef int zcount(Engine engine, Client client, Request* request) except -1:
    cdef Entry* entry
    cdef Probe low, high
    cdef uint64_t start, stop
    if not bound_in(engine, request, 2, False, &low) or not bound_in(engine, request, 3, True, &high):
        return 0
    entry = client.db.find(&request.key)
    if entry != NULL and not is_sorted_set(entry):
        return 0
    count_read(client.db, &request.key, entry)
    start = stop = 0
    if entry != NULL:
        start = ranks_until(sorted_set_in(entry), &low)
        stop = ranks_until(sorted_set_in(entry), &high)
    engine.reply.line_of_int(c":", stop - start if stop > start else 0)
    return 1


def install(Engine engine not None) -> None:
    put(engine, "zrange", zrange)
    put(engine, "zrangebyscore", zrangebyscore)
    put(engine, "zcount", zcount)
