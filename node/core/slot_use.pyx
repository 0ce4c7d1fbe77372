"""What requests cost, put down to slots and keys: time, bytes, reads and writes.

Counted only while somebody asks: for CLUSTER SLOT-STATS (node/core/engine.pxd has `SlotUse`) or for the keys that cost
most (key_traffic.pyx).
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from node.core.engine cimport Client, Engine, Request, Row, SlotUse
from node.core.key_slot cimport SLOT_COUNT
from node.core.key_traffic cimport KeyTraffic
from node.core.keyspace cimport Key, key_from_bytes
from node.core.memory cimport release, take_zeroed
from node.core.timing cimport monotonic_ns


def count_slot_use(Engine engine not None, bint wanted) -> None:
    """Count time and bytes per slot from here on, or not any more."""
    release(engine.slot_use)
    engine.slot_use = NULL
    if wanted:
        engine.slot_use = <SlotUse*>take_zeroed(SLOT_COUNT, sizeof(SlotUse))
        if engine.slot_use == NULL:
            raise MemoryError
    engine.counts_use = wanted or engine.traffic is not None


def watch_traffic(Engine engine not None, KeyTraffic traffic) -> None:
    """Tell `traffic` of all commands with keys from here on, or nobody any more (None)."""
    engine.traffic = traffic
    engine.counts_use = traffic is not None or engine.slot_use != NULL


def slot_use_of(Engine engine not None, int slot) -> tuple[int, int, int, int, int]:
    """(us, bytes received, bytes sent, reads, writes) of a slot's requests since they are counted."""
    if engine.slot_use == NULL:
        return 0, 0, 0, 0, 0
    use = engine.slot_use[slot]
    return use.nanoseconds // 1000, use.bytes_in, use.bytes_out, use.reads, use.writes


def slot_use_by(Engine engine not None, int figure) -> list[int]:
    """Of all slots, that figure of `slot_use_of`."""
    cdef int slot
    cdef list column = [0] * SLOT_COUNT
    if engine.slot_use == NULL:
        return column
    for slot in range(SLOT_COUNT):
        if figure == 0:
            column[slot] = engine.slot_use[slot].nanoseconds // 1000
        elif figure == 1:
            column[slot] = engine.slot_use[slot].bytes_in
        elif figure == 2:
            column[slot] = engine.slot_use[slot].bytes_out
        elif figure == 3:
            column[slot] = engine.slot_use[slot].reads
        else:
            column[slot] = engine.slot_use[slot].writes
    return column


def forget_slot_use(Engine engine not None, int first, int stop) -> None:
    """Begin anew with the slots of range(first, stop)."""
    if engine.slot_use != NULL:
        memset(&engine.slot_use[first], 0, (stop - first) * sizeof(SlotUse))


cdef int serve_counted(Engine engine, Client client, Request* request) except -1:
    """`serve`, with what it costs put down to its keys and their slot, that of the first."""
    cdef Row* row = request.row
    cdef KeyTraffic traffic = engine.traffic
    cdef list keys = None
    cdef Key key
    cdef int slot
    if row != NULL and 0 < row.key_index < <int>request.count:
        slot = request.key.slot
    else:
        keys = client.keys_of(engine.arguments(request, 0)) if row != NULL else None
        if not keys:
            return engine.serve(client, request)
        key_from_bytes(&key, keys[0])
        slot = key.slot
    if traffic is None or not traffic.draws():
        keys = None
    elif keys is None:  # before it is served: its buffer may go
        keys = [PyBytes_FromStringAndSize(request.key.data, request.key.length)]
    cdef size_t written = engine.reply.length
    cdef uint64_t rejected = row.rejected
    cdef size_t streamed = engine.trail.pending.length
    cdef int64_t dirty = engine.dirty
    cdef int64_t began = monotonic_ns()
    engine.serve(client, request)
    cdef int64_t elapsed = monotonic_ns() - began
    streamed = max(engine.trail.pending.length, streamed) - streamed
    cdef size_t received = request.end - request.begin
    cdef size_t sent = max(engine.reply.length, written) - written
    if row.rejected != rejected:
        return 0
    if engine.slot_use != NULL:
        engine.slot_use[slot].nanoseconds += elapsed
        engine.slot_use[slot].bytes_in += received
        engine.slot_use[slot].bytes_out += sent + streamed * engine.followers
        if row.is_write or engine.dirty != dirty:  # as a script or a transaction may
            engine.slot_use[slot].writes += 1
        else:
            engine.slot_use[slot].reads += 1
    if traffic is not None:
        traffic.note(slot, keys, elapsed, received + sent)
    return 0
