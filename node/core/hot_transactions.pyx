"""MULTI, EXEC and DISCARD. What is queued in between is the engine's to queue (`Engine.queue_up`) or the session's.

EXEC hands each queued command to its compiled handler as it would be if it had just arrived, where its row has one and
no gate concerns it, and to the session otherwise. The replies follow each other in the engine's writer, as one array;
the writes leave one trail. As a compiled handler it leaves transactions to the session of clients that watch keys, of
those whose transaction is to fail, and where it takes a look to tell whether the keys are here.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t

from node.core.compiled cimport put, took
from node.core.engine cimport TIMED, TRANSACTION, Client, Engine, Request
from node.core.keyspace cimport make_key
from node.core.queue cimport SOME_SLOT, Queue, Queued
from node.core.request_reader cimport Spans
from node.core.timing cimport monotonic_ns

from node.replies import Encoded


cdef int multi(Engine engine, Client client, Request* request) except -1:
    if client.queued is not None:
        return 0
    client.begin_transaction()
    return engine.reply.raw(b"+OK\r\n", 5) + 1


cdef int discard(Engine engine, Client client, Request* request) except -1:
    if client.queued is None or client.watched or client.watch_broken:
        return 0
    client.end_transaction()
    return engine.reply.raw(b"+OK\r\n", 5) + 1


cdef int exec_(Engine engine, Client client, Request* request) except -1:
    cdef Queue queue = client.queued
    cdef int64_t began, measured
    if queue is None or client.queue_broken or client.watched or client.watch_broken:
        return 0
    if engine.looks_at_keys and not client.obeyed:
        if queue.slot == SOME_SLOT or client.db.cold is not None or (queue.slot >= 0 and engine.states[queue.slot]):
            return 0
    began, measured = monotonic_ns(), engine.measured
    client.executing = True
    run_queue(engine, client, queue)
    client.executing = False
    client.end_transaction()
    if client.pushes:
        pushes, client.pushes = client.pushes, []
        engine.reply.encode_items(pushes, client.resp)
    took(engine, client, request, began, measured)
    return TIMED


cdef int run_queue(Engine engine, Client client, Queue queue) except -1:
    """Execute what is queued."""
    cdef bint nested = engine.trail.collected is not None
    cdef Spans spans = engine.spans
    cdef Py_ssize_t i
    engine.reply.line_of_int(c"*", queue.count)
    if not nested:
        engine.trail.collected = []
    engine.spans = queue.spans
    try:
        for i in range(queue.count):
            run_one(engine, client, queue, i)
            queue.spans = engine.spans      # a script pushes its own words, which may have moved them all
    finally:
        queue.spans, engine.spans = engine.spans, spans
        if not nested:
            engine.trail.end()
    return 0


cdef int run_one(Engine engine, Client client, Queue queue, Py_ssize_t number) except -1:
    cdef Queued* queued = &queue.commands[number]
    cdef Request request
    request.row = &engine.rows[queued.row]
    if (
        request.row.compiled != NULL
        and request.row.is_queued
        and ((client.gate & ~<unsigned int>TRANSACTION) | engine.gate) & request.row.mask == 0
    ):
        request.base = queue.data
        request.first, request.count = queued.first, queued.count
        request.begin, request.end = queued.begin, queued.end
        request.is_inline = request.is_line = False
        if request.row.first_key:
            make_key(
                &request.key,
                queue.data + queue.spans.items[queued.first + request.row.first_key].start,
                queue.spans.items[queued.first + request.row.first_key].length,
            )
        if engine.serve_within(client, &request):
            return 0
    value = client.execute_queued(engine.commands[queued.row], queue.words_of(number))
    return engine.reply.encode(value, client.resp)


def execute_queue(Client client not None) -> Encoded:
    """Execute what `client` has queued, for the handler of EXEC."""
    cdef Engine engine = client.engine
    cdef size_t begin = engine.reply.length
    run_queue(engine, client, client.queued)
    replies = PyBytes_FromStringAndSize(engine.reply.data + begin, engine.reply.length - begin)
    engine.reply.length = begin
    return Encoded(replies)


def install(Engine engine not None) -> None:
    put(engine, "multi", multi)
    put(engine, "discard", discard)
    put(engine, "exec", exec_)
