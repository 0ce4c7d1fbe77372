"""MULTI, EXEC, DISCARD, WATCH, UNWATCH.

Queueing itself is the session's (`node/session/session.py`), since it concerns every command. EXEC has the
queue executed by `core/hot_transactions`, which does without all this where nobody watches keys and nothing
stands in the way; its writes leave one trail, wrapped in MULTI and EXEC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node import errors
from node.core.hot_transactions import execute_queue
from node.handlers.registry import command
from node.replies import NULL_ARRAY, OK

if TYPE_CHECKING:
    from node.session.session import Session


@command("multi")
def multi(ctx: Session, args: list[bytes]) -> str:
    if ctx.in_transaction:
        raise errors.NESTED_MULTI
    ctx.begin_transaction()
    return OK


@command("discard")
def discard(ctx: Session, args: list[bytes]) -> str:
    if not ctx.in_transaction:
        raise errors.DISCARD_WITHOUT_MULTI
    ctx.leave_transaction()
    return OK


@command("exec")
def exec_(ctx: Session, args: list[bytes]) -> Any:
    if not ctx.in_transaction:
        raise errors.EXEC_WITHOUT_MULTI
    broken = ctx.queue_broken
    lost_race = ctx.watch_broken or ctx.worker.watches.expired_since(ctx)
    ctx.worker.watches.remove_all(ctx)
    if broken or lost_race:
        ctx.leave_transaction()
        if broken:
            raise errors.EXECABORT
        return NULL_ARRAY
    try:
        return execute_queue(ctx)
    finally:
        ctx.leave_transaction()


@command("watch")
def watch(ctx: Session, args: list[bytes]) -> str:
    if ctx.in_transaction:
        raise errors.WATCH_INSIDE_MULTI
    if not ctx.watch_broken:
        for key in args:
            ctx.worker.watches.add(ctx, key)
    return OK


@command("unwatch")
def unwatch(ctx: Session, args: list[bytes]) -> str:
    ctx.worker.watches.remove_all(ctx)
    return OK
