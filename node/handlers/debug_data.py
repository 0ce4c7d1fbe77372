"""Subcommands of DEBUG that reload, replicate or look into the data.

What a table or a packed value is made of is told in the words of the reference server's tools, as far as
there is such a thing here."""

from __future__ import annotations

import asyncio
from typing import Any

from node import errors
from node.cluster_port import SLOT_COUNT
from node.errors import ReplyError
from node.handlers.arguments import parse_int
from node.persistence.aof.reader import AofError
from node.persistence.rdb.format import RdbError
from node.replies import NO_REPLY, OK, Verbatim

_NOT_LOADED = ReplyError("ERR Error trying to load the RDB dump, check server logs.")
_NOT_LOADED_FROM_LOG = ReplyError("ERR Error trying to load the AOF files, check server logs.")
_NOT_THE_WHOLE = ReplyError("ERR the append-only file has only what the store of the disk tier has not")
_TAKES_TIME = ReplyError("ERR DEBUG LOADAOF takes time: neither transactions nor scripts can wait for it")
_NO_SUCH_DATABASE = ReplyError("ERR Out of range database")
_NO_TABLE = ReplyError("ERR The value stored at the specified key is not represented using an hash table")
_NO_LISTPACK = ReplyError("ERR Not a listpack encoded object.")


def reload(ctx: Any, args: list[bytes]) -> str:
    """RELOAD [NOSAVE] [NOFLUSH] [MERGE]: write the snapshot, and become what it says."""
    options = {arg.upper() for arg in args}
    if options - {b"NOSAVE", b"NOFLUSH", b"MERGE"}:
        raise ReplyError("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    worker = ctx.worker
    if b"NOSAVE" not in options:
        worker.snapshots.save()
    if b"NOFLUSH" not in options:
        worker.replication.empty()
    try:
        worker.snapshots.reload(replaces=b"MERGE" in options)
    except (OSError, RdbError) as error:
        worker.log.warning(f"DEBUG RELOAD: {error}")
        raise _NOT_LOADED from None
    worker.log.warning("DB reloaded by DEBUG RELOAD")
    return OK


def load_aof(ctx: Any, args: list[bytes]) -> Any:
    """LOADAOF: bring the append-only file to the disk, and become what it says."""
    if ctx.in_transaction or ctx.link is None:
        raise _TAKES_TIME
    if ctx.worker.tier is not None:
        raise _NOT_THE_WHOLE
    ctx.suspend()
    asyncio.get_running_loop().create_task(_reload(ctx))
    return NO_REPLY


async def _reload(ctx: Any) -> None:
    try:
        await ctx.worker.durability.reload_log()
    except (AofError, RdbError, OSError) as error:
        ctx.worker.log.warning(f"DEBUG LOADAOF: {error}")
        ctx.resume(_NOT_LOADED_FROM_LOG)
    else:
        ctx.worker.log.warning("Append Only File loaded by DEBUG LOADAOF")
        ctx.resume(OK)


def change_repl_id(ctx: Any, args: list[bytes]) -> str:
    ctx.worker.log.notice("Changing replication IDs after receiving change-repl-id")
    ctx.worker.replication.history.renew()
    return OK


def replicate(ctx: Any, args: list[bytes]) -> str:
    """Let replicas, and the append-only file, have a command that is not executed here."""
    ctx.propagate(list(args))
    return OK


def htstats(ctx: Any, args: list[bytes]) -> Verbatim:
    """There is a table for each slot; they are told together."""
    number = parse_int(args[0])
    if not 0 <= number < len(ctx.engine.databases):
        raise _NO_SUCH_DATABASE
    db = ctx.engine.databases[number]
    shapes = [db.table_shape(slot) for slot in range(SLOT_COUNT) if db.count_in_slot(slot)] if len(db) else []
    used = sum(leaves for leaves, _, _ in shapes)
    row = f" longest row of taken cells: {max((row for _, _, row in shapes), default=0)}\n" if shapes else ""
    return Verbatim(f"[Dictionary HT]\n{_table(len(db), used)}{row}[Expires HT]\n{_table(db.expiring, used)}")


def _table(elements: int, tables: int) -> str:
    if not elements:
        return "No stats available for empty dictionaries\n"
    heading = "Hash table 0 stats (main hash table):"
    return f"{heading}\n tables of slots: {tables}\n number of elements: {elements}\n"


def htstats_key(ctx: Any, args: list[bytes]) -> Verbatim:
    value = _value(ctx, args[0])
    if ctx.db.encoding(args[0]) not in ("hashtable", "skiplist"):
        raise _NO_TABLE
    return Verbatim(f"Hash table 0 stats (main hash table):\n number of elements: {len(value)}\n")


def listpack(ctx: Any, args: list[bytes]) -> str:
    """The bytes go to the log, as they go to the reference server's standard output."""
    value = _value(ctx, args[0])
    if not str(ctx.db.encoding(args[0])).startswith("listpack"):
        raise _NO_LISTPACK
    ctx.worker.log.warning(f"Listpack of {len(value)} elements: {ctx.worker.log.of_user(repr(args[0]))}")
    return "Listpack structure printed on stdout"


def _value(ctx: Any, key: bytes) -> Any:
    value = ctx.db.peek(key)
    if value is None:
        raise errors.NO_SUCH_KEY
    return value
