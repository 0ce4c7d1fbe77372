"""What is told of a batch when it has been served: how long its requests took, and which of them were slow or large."""

from libc.stdint cimport int64_t

from node.core.engine cimport Client, Engine, Request, Row
from node.core.timing cimport note

from node.words import UnbalancedQuotes, split_words


cdef int share_out(Engine engine, Client client, int count, int64_t elapsed) except -1:
    """Give the compiled ones of the batch's first `count` requests, which took `elapsed` ns besides the time
    of Python handlers, their share of it; and look at the size of all."""
    cdef int64_t share = elapsed // count
    cdef int i
    cdef Row* row
    cdef int first = 0
    for i in range(count):
        # Equal commands in a row, the usual case, are noted at once.
        row = engine.batch[i].row
        if i + 1 < count and engine.batch[i + 1].row == row and (
            engine.batch[i + 1].compiled == engine.batch[i].compiled
        ):
            continue
        if engine.batch[i].compiled:
            note(&row.timing, share * (i + 1 - first), i + 1 - first, engine.tracks_latency)
        first = i + 1
    if 0 <= engine.slow_us <= share // 1000:
        for i in range(count):
            if engine.batch[i].compiled:
                engine.tell_slow(
                    client, <int>(engine.batch[i].row - engine.rows), engine.shown(&engine.batch[i]), share
                )
    if (
        engine.batch[count - 1].end - engine.batch[0].begin >= engine.large_request
        or engine.reply.length - engine.batch[0].answered >= engine.large_reply
    ):
        tell_large(engine, client, count)
    return 0


cdef int tell_large(Engine engine, Client client, int count) except -1:
    """Tell of those among the batch's first `count` requests that are large, or have a large reply."""
    cdef Request* request
    cdef size_t received, until, sent
    cdef int i
    for i in range(count):
        request = &engine.batch[i]
        received = request.end - request.begin
        until = engine.batch[i + 1].answered if i + 1 < count else engine.reply.length
        sent = until - request.answered if until > request.answered else 0
        if engine.on_large is not None and (received >= engine.large_request or sent >= engine.large_reply):
            if request.is_line:
                try:
                    argv = split_words(engine.arguments(request, 0)[0])
                except UnbalancedQuotes:
                    continue
            else:
                argv = engine.shown(request)
            engine.on_large(client, argv, received, sent)
    return 0
