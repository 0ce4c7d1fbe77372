"""The compiled handler of PUBLISH. Its rules: compiled.pxd."""

from cpython.bytes cimport PyBytes_FromStringAndSize

from node.core.compiled cimport argument, put
from node.core.engine cimport Client, Engine, Request
from node.core.fanout cimport Fanout, Receiver
from node.core.reply_writer cimport ReplyWriter

from node.errors import ReplyError


cdef inline bytes word(Engine engine, Request* request, size_t number):
    cdef size_t length
    cdef const char* text = argument(engine, request, number, &length)
    return PyBytes_FromStringAndSize(text, length)


cdef bytes frame_of(ReplyWriter writer, int resp, bytes channel, bytes message):
    writer.length = 0
    writer.line_of_int(c"*" if resp == 2 else c">", 3)
    writer.bulk(b"message", 7)
    writer.bulk(<const char*>channel, len(channel))
    writer.bulk(<const char*>message, len(message))
    return PyBytes_FromStringAndSize(writer.data, writer.length)


cdef ReplyWriter frames = ReplyWriter()


cdef int publish(Engine engine, Client client, Request* request) except -1:
    """Where nobody listens to patterns, and the publisher is none of the listeners."""
    cdef Fanout fanout = engine.fanout
    cdef Client session
    cdef bytes frame
    cdef bytes in_resp2 = None
    cdef bytes in_resp3 = None
    if fanout is None or fanout.patterns:
        return 0
    channel = word(engine, request, 1)
    cdef dict listeners = fanout.channels.get(channel)
    if listeners is not None and client in listeners:
        return 0
    message = word(engine, request, 2)
    if fanout.to_members is not None:
        try:
            fanout.to_members(channel, message, False)
        except ReplyError:
            return 0
    elif engine.trail.enabled and not (client.replicated or engine.trail.follows):
        engine.trail.add(client.db.index, [b"PUBLISH", channel, message])
    engine.reply.line_of_int(c":", 0 if listeners is None else len(listeners))
    if listeners is None:
        return 1
    for session in listeners:
        if session.link is None:
            continue
        if session.resp == 2:
            if in_resp2 is None:
                in_resp2 = frame_of(frames, 2, channel, message)
            frame = in_resp2
        else:
            if in_resp3 is None:
                in_resp3 = frame_of(frames, 3, channel, message)
            frame = in_resp3
        (<Receiver?>session.link).deliver(frame)
    frames.length = 0
    frames.shrink()
    return 1


def install(Engine engine not None) -> None:
    put(engine, "publish", publish)
