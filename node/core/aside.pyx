"""Serving others in the middle of a request: what the engine was about is put aside, and taken up again."""

from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from node.core.engine cimport SHARED_SIZE, Engine, Request
from node.core.reply_writer cimport ReplyWriter
from node.core.request_reader cimport Limits, Spans, spans_free

cdef extern from "<Python.h>":
    int PyBUF_WRITE


cdef class Aside:
    """What the engine was about when it stepped aside."""
    cdef Request batch[64]
    cdef Spans spans
    cdef Limits limits
    cdef ReplyWriter reply
    cdef char* shared
    cdef object shared_view
    cdef object before_replies
    cdef object after_command
    cdef int64_t now


def step_aside(Engine engine not None) -> None:
    """Make place for other requests in the middle of one, until `step_back`."""
    cdef Aside aside = Aside()
    cdef char* shared = <char*>malloc(SHARED_SIZE)
    if shared == NULL:
        raise MemoryError
    memcpy(aside.batch, engine.batch, sizeof(engine.batch))
    aside.spans, aside.limits = engine.spans, engine.limits
    memset(&engine.spans, 0, sizeof(engine.spans))
    aside.reply, engine.reply = engine.reply, ReplyWriter()
    aside.shared, engine.shared = engine.shared, shared
    aside.shared_view = engine.shared_view
    engine.shared_view = PyMemoryView_FromMemory(shared, SHARED_SIZE, PyBUF_WRITE)
    aside.before_replies, engine.before_replies = engine.before_replies, None
    aside.after_command, engine.after_command = engine.after_command, None
    aside.now = engine.now
    engine.aside = aside


def step_back(Engine engine not None) -> None:
    """Go on with what was put aside, as if no time had passed."""
    cdef Aside aside = engine.aside
    engine.aside = None
    memcpy(engine.batch, aside.batch, sizeof(engine.batch))
    spans_free(&engine.spans)
    engine.spans, engine.limits = aside.spans, aside.limits
    engine.reply = aside.reply
    free(engine.shared)
    engine.shared, engine.shared_view = aside.shared, aside.shared_view
    engine.before_replies, engine.after_command = aside.before_replies, aside.after_command
    engine.now = aside.now
