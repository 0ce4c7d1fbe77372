"""Requests by the batch. See batch.pyx."""

from node.core.engine cimport Engine
from node.core.keyspace cimport Keyspace
from node.core.request_reader cimport Limits, Outcome, Progress

cdef int read_batch(
    Engine engine,
    Keyspace db,
    const char* base,
    size_t* position,
    size_t length,
    Progress* progress,
    Limits* limits,
    int most,
    bint lines,
    Outcome* outcome,
) noexcept
