"""Commands about the worker as a whole: its size, its clock, emptying it, ending it."""

from __future__ import annotations

import time
from typing import Any

from node import errors
from node.ending import WORDS, Wish
from node.errors import ReplyError
from node.handlers.arguments import INT_MAX, INT_MIN, parse_int_between
from node.handlers.registry import command
from node.log import SHUTDOWN_REQUESTED
from node.replies import NO_REPLY, OK

_SWAPDB_IN_CLUSTER = ReplyError("ERR SWAPDB is not allowed in cluster mode")
_BAD_FIRST_INDEX = ReplyError("ERR invalid first DB index")
_BAD_SECOND_INDEX = ReplyError("ERR invalid second DB index")
_FAILOVER_ALONE = ReplyError("ERR SHUTDOWN FAILOVER is only supported in cluster mode.")
_NO_SHUTDOWN = ReplyError("ERR No shutdown in progress.")


@command("dbsize")
def dbsize(ctx: Any, args: list[bytes]) -> int:
    return len(ctx.db)


@command("time")
def time_(ctx: Any, args: list[bytes]) -> list[bytes]:
    """Seconds and the microseconds within them."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return [b"%d" % seconds, b"%d" % (nanoseconds // 1000)]


@command("flushall")
def flushall(ctx: Any, args: list[bytes]) -> Any:
    reply = _flush(ctx, ctx.engine.databases, flushes_lazily(ctx, args))
    ctx.worker.snapshots.emptied()
    ctx.propagate([b"FLUSHALL", *args])
    return reply


@command("flushdb")
def flushdb(ctx: Any, args: list[bytes]) -> Any:
    reply = _flush(ctx, [ctx.db], flushes_lazily(ctx, args))
    ctx.propagate([b"FLUSHDB", *args])
    return reply


@command("swapdb")
def swapdb(ctx: Any, args: list[bytes]) -> str:
    """Clients stay with the number they selected, and so see the other's keys."""
    if ctx.config.cluster_enabled:
        raise _SWAPDB_IN_CLUSTER
    one = parse_int_between(args[0], INT_MIN, INT_MAX, _BAD_FIRST_INDEX)
    two = parse_int_between(args[1], INT_MIN, INT_MAX, _BAD_SECOND_INDEX)
    databases = ctx.engine.databases
    if not (0 <= one < len(databases) and 0 <= two < len(databases)):
        raise errors.DB_INDEX_OUT_OF_RANGE
    ctx.engine.dirty += 1
    if one != two:
        ctx.worker.watches.touch_swapped(one, two)
        databases[one].swap_with(databases[two])
        ctx.worker.blocking.database_changed(one)
        ctx.worker.blocking.database_changed(two)
    return OK


def flushes_lazily(ctx: Any, args: list[bytes]) -> bool:
    """ASYNC, SYNC, or as the settings have it."""
    if not args:
        return bool(ctx.config.lazyfree_lazy_user_flush)
    option = args[0].upper()
    if len(args) > 1 or option not in (b"ASYNC", b"SYNC"):
        raise errors.SYNTAX
    return option == b"ASYNC"


def _flush(ctx: Any, databases: list[Any], lazily: bool) -> Any:
    """Each key is a change. The command is replicated even if there was none: a replica may hold something
    all the same."""
    ctx.worker.databases_emptied(databases)
    ctx.worker.cluster.data_flushed()
    ctx.engine.dirty += sum(map(len, databases))
    if not lazily and not ctx.replicated:  # to our primary nobody replies
        return NO_REPLY if ctx.worker.graveyard.empty_for(ctx, databases) else OK
    for db in databases:
        ctx.worker.graveyard.empty(db, True)
    return OK


@command("shutdown")
def shutdown(ctx: Any, args: list[bytes]) -> Any:
    """SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [SAFE] [FAILOVER] | ABORT. There is no reply: the connection
    closes."""
    words = {arg.decode("latin-1").lower() for arg in args}
    if words == {"abort"}:
        if not ctx.worker.ending.abort():
            raise _NO_SHUTDOWN
        return OK
    if words - WORDS or {"save", "nosave"} <= words:
        raise errors.SYNTAX
    wish = Wish.of(words)
    if wish.failover and not ctx.worker.cluster.enabled:
        raise _FAILOVER_ALONE
    if wish.save is not False and ctx.worker.execution.running is not None:
        raise ctx.worker.execution.refusal  # what a script has half done is not to be saved
    ctx.worker.log.notice(SHUTDOWN_REQUESTED)
    ctx.worker.ending.request(wish, ctx)
    return NO_REPLY
