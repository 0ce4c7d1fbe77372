"""The compiled handler of PUBLISH. Its rules: compiled.pxd; the way of messages: fanout.pyx."""

from cpython.bytes cimport PyBytes_FromStringAndSize

from node.core.compiled cimport argument, put
from node.core.engine cimport Client, Engine, Request
from node.core.fanout cimport Fanout, Receiver


cdef int publish(Engine engine, Client client, Request* request) except -1:
    """Where nobody listens to patterns, and no listener is in the middle of its own requests, as the publisher is."""
    cdef size_t channel_length, length
    cdef const char* channel = argument(engine, request, 1, &channel_length)
    cdef const char* message = argument(engine, request, 2, &length)
    cdef Fanout fanout = engine.fanout
    if fanout is None or fanout.patterns or (fanout.in_cluster and channel_length + length > fanout.longest):
        return 0
    if not fanout.continues(channel, channel_length) and (
        not begin_run(fanout, PyBytes_FromStringAndSize(channel, channel_length))
    ):
        return 0
    if fanout.in_cluster:
        if fanout.tell is not None:
            fanout.tell_members(fanout.run, PyBytes_FromStringAndSize(message, length), False)
    elif engine.trail.enabled and not (client.replicated or engine.trail.follows):
        engine.trail.add(
            client.db.index, [b"PUBLISH", fanout.run, PyBytes_FromStringAndSize(message, length)]
        )
    engine.reply.line_of_int(c":", fanout.run_count)
    fanout.add(message, length)
    return 1


cdef bint begin_run(Fanout fanout, bytes channel) except -1:
    """False: one of the listeners cannot wait."""
    cdef dict listeners = fanout.channels.get(channel)
    cdef Client session
    fanout.begin(channel, 0 if listeners is None else len(listeners))
    for session in listeners or ():
        if session.link is None:
            continue
        if not (<Receiver?>session.link).await_turn():
            fanout.end_run()
            return False
        (fanout.in_resp2 if session.resp == 2 else fanout.in_resp3).receivers.append(session.link)
    return True


def install(Engine engine not None) -> None:
    put(engine, "publish", publish)
