"""What the engine has counted since it was made, or since CONFIG RESETSTAT."""

from libc.stdint cimport int64_t, uint64_t

from node.core.engine cimport Engine
from node.core.key_slot cimport SLOT_COUNT
from node.core.timing cimport distribution, forget

from node.core.slot_use import forget_slot_use


def command_ns(Engine engine not None) -> int:
    """Time spent in commands."""
    cdef int64_t total = 0
    cdef int i
    for i in range(engine.row_count):
        total += engine.rows[i].timing.nanoseconds
    return total


def commands_processed(Engine engine not None) -> int:
    """How many were called, inside of transactions and scripts too; what was refused does not count."""
    cdef uint64_t total = 0
    cdef int i
    for i in range(engine.row_count):
        total += engine.rows[i].calls
    return total


def command_stats(Engine engine not None) -> dict:
    """name -> (calls, rejected, failed, ns spent) of commands that were called or rejected."""
    return {
        name: (
            engine.rows[i].calls, engine.rows[i].rejected, engine.rows[i].failed, engine.rows[i].timing.nanoseconds
        )
        for name, i in engine.row_of.items()
        if engine.rows[i].calls or engine.rows[i].rejected
    }


def latencies(Engine engine not None) -> dict:
    """name -> [(longest time in ns, calls)], ascending, of commands that were called and tracked."""
    found = {name: distribution(&engine.rows[<int>i].timing) for name, i in engine.row_of.items()}
    return {name: calls for name, calls in found.items() if calls}


def reset_stats(Engine engine not None) -> None:
    cdef int i
    for i in range(engine.row_count):
        engine.rows[i].calls = engine.rows[i].rejected = engine.rows[i].failed = 0
        forget(&engine.rows[i].timing)
    engine.connections_received = 0
    engine.bytes_received = engine.bytes_sent = engine.reads_processed = engine.writes_processed = 0
    engine.query_limit_disconnections = 0
    forget_slot_use(engine, 0, SLOT_COUNT)
