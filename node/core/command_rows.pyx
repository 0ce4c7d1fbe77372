"""The rows of the command table as the engine goes by them: what may be served how, and what stands in its way.

*Gates* are what may stand in the way of requests: bits of a client, or of the worker. A row's mask says which of them
concern its command.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc

from node.core.engine cimport DIRECT, Engine, Row

# Gates of a client
GATE_AUTH = 1 << 0            # not authenticated yet
GATE_TRANSACTION = 1 << 1     # between MULTI and EXEC
GATE_ASKING = 1 << 2          # the next command may use an importing slot
GATE_REPLY = 1 << 3           # CLIENT REPLY OFF or SKIP
GATE_SUBSCRIBED = 1 << 4      # RESP2 subscriber: few commands are allowed
GATE_NO_TOUCH = 1 << 5        # CLIENT NO-TOUCH
GATE_TRACKING = 1 << 6        # CLIENT TRACKING: its reads are remembered; or it is told what others track
GATE_RESTRICTED = 1 << 7      # its user may not do everything
# Gates of the worker
GATE_LOADING = 1 << 8
GATE_PAUSED_WRITES = 1 << 9
GATE_PAUSED_ALL = 1 << 10
GATE_READ_ONLY = 1 << 11      # a replica
GATE_OUT_OF_MEMORY = 1 << 12
GATE_FEW_REPLICAS = 1 << 13   # min-replicas-to-write not met
GATE_DISK_ERROR = 1 << 14     # stop-writes-on-bgsave-error
GATE_STALE = 1 << 15          # replica-serve-stale-data no, and the link is down
GATE_TIMED = 1 << 16          # the slow log wants each command's own time: none is compiled
GATE_MONITORED = 1 << 17      # MONITOR: every command is shown
GATE_BUSY = 1 << 18           # served from inside a script that runs long: few commands are allowed
GATE_PARTICULAR = 1 << 19     # a client's own, as the first eight: CLIENT CAPA redirect, CLIENT IMPORT-SOURCE

NOT_QUEUED = frozenset(("exec", "discard", "multi", "watch", "quit", "reset"))
"""Commands that act at once even between MULTI and EXEC."""

cdef uint32_t MASK_ALL = (
    0xFF | GATE_LOADING | GATE_PAUSED_ALL | GATE_STALE | GATE_TIMED | GATE_MONITORED | GATE_BUSY
    | GATE_PARTICULAR
)
cdef uint32_t MASK_WRITE = GATE_PAUSED_WRITES | GATE_READ_ONLY | GATE_FEW_REPLICAS | GATE_DISK_ERROR
cdef uint32_t MASK_DENYOOM = GATE_OUT_OF_MEMORY


def load_rows(Engine engine not None, commands, bint looks_at_keys) -> None:
    """Fill the engine's rows from (name, Command, handler).

    The name is what clients call it by, "" for subcommands, which the session resolves. `looks_at_keys`:
    several keys are the session's business, unless they are plainly in one slot and in memory.
    """
    commands = list(commands)
    engine.looks_at_keys = looks_at_keys
    cdef Row* row
    cdef int i
    engine.rows = <Row*>calloc(len(commands), sizeof(Row))
    if engine.rows == NULL:
        raise MemoryError
    engine.row_count = len(commands)
    for i, (called, command, handler) in enumerate(commands):
        engine.commands.append(command)
        engine.handlers.append(handler)
        engine.row_of[command.name] = i
        row = &engine.rows[i]
        row.arity = command.arity
        row.is_write = "write" in command.flags
        row.tells_data = row.is_write or command.may_replicate or "readonly" in command.flags
        row.mask = MASK_ALL
        if "loading" in command.flags:
            row.mask &= ~<uint32_t>GATE_LOADING
        if "stale" in command.flags:
            row.mask &= ~<uint32_t>GATE_STALE
        if "allow_busy" in command.flags:
            row.mask &= ~<uint32_t>GATE_BUSY
        if row.is_write:
            row.mask |= MASK_WRITE
        elif command.may_replicate:
            row.mask |= GATE_PAUSED_WRITES
        if command.name == "ping":
            row.mask |= GATE_DISK_ERROR     # who asks how it goes is told, as by Redis
        if "denyoom" in command.flags:
            row.mask |= MASK_DENYOOM
        name = called.upper().encode()
        if not 0 < len(name) <= LONGEST_NAME:
            continue
        movable = "movablekeys" in command.flags
        one_key = not movable and command.first_key == command.last_key
        row.has_keys = not movable and not one_key and row.tells_data
        if one_key or row.has_keys:
            row.first_key, row.last_key, row.key_step = command.first_key, command.last_key, command.step
        row.key_index = command.first_key if one_key else 0
        if not command.subcommands and (one_key or row.has_keys or not looks_at_keys):
            row.way = DIRECT
        row.in_scripts = row.way == DIRECT and not command.may_replicate and "noscript" not in command.flags
        row.is_queued = (
            row.way == DIRECT and command.name not in NOT_QUEUED and "no_multi" not in command.flags
        )
        row.ends_transactions = command.name in ("exec", "discard")
        row.name_length = len(name)
        for j in range(len(name)):
            row.name[j] = name[j]
        add_to_index(engine, i)


cdef int add_to_index(Engine engine, int number) noexcept :
    cdef Row* row = &engine.rows[number]
    cdef uint32_t i = name_hash(row.name, row.name_length) & (INDEX_SIZE - 1)
    while engine.index[i]:
        i = (i + 1) & (INDEX_SIZE - 1)
    engine.index[i] = number + 1
    return 0
