"""MULTI, EXEC, DISCARD, WATCH, UNWATCH.

Queueing itself is the session's (`node/session/session.py`), since it concerns every command. EXEC runs
the queue through the same path as any command, and its writes leave one trail, wrapped in MULTI and EXEC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node import errors
from node.core.engine import GATE_RESTRICTED, GATE_TRANSACTION
from node.handlers.registry import command
from node.replies import NULL_ARRAY, OK

if TYPE_CHECKING:
    from node.commands.model import Command
    from node.session.session import Session


@command("multi")
def multi(ctx: Session, args: list[bytes]) -> str:
    if ctx.queue is not None:
        raise errors.NESTED_MULTI
    ctx.queue = []
    ctx.gate |= GATE_TRANSACTION
    return OK


@command("discard")
def discard(ctx: Session, args: list[bytes]) -> str:
    if ctx.queue is None:
        raise errors.DISCARD_WITHOUT_MULTI
    ctx.leave_transaction()
    return OK


@command("exec")
def exec_(ctx: Session, args: list[bytes]) -> Any:
    if ctx.queue is None:
        raise errors.EXEC_WITHOUT_MULTI
    queue = ctx.queue
    broken = ctx.queue_broken
    lost_race = ctx.watch_broken or ctx.worker.watches.expired_since(ctx)
    ctx.worker.watches.remove_all(ctx)
    if broken or lost_race:
        ctx.leave_transaction()
        if broken:
            raise errors.EXECABORT
        return NULL_ARRAY
    trail = ctx.engine.trail
    nested = trail.in_transaction
    if not nested:
        trail.begin()
    try:
        replies = [_execute(ctx, row, argv) for row, argv in queue]
    finally:
        if not nested:
            trail.end()
        ctx.leave_transaction()
    return replies


def _execute(ctx: Session, row: Command, argv: list[bytes]) -> Any:
    """One queued command. Its user's rights may have changed since it was queued."""
    if ctx.gate & GATE_RESTRICTED:
        refusal = ctx.worker.access.lost_since_queued(ctx, row, argv)
        if refusal is not None:
            ctx.worker.count_error(refusal.text)
            return refusal
    return ctx.run(row, argv, argv[2:] if "|" in row.name else argv[1:])


@command("watch")
def watch(ctx: Session, args: list[bytes]) -> str:
    if ctx.queue is not None:
        raise errors.WATCH_INSIDE_MULTI
    if not ctx.watch_broken:
        for key in args:
            ctx.worker.watches.add(ctx, key)
    return OK


@command("unwatch")
def unwatch(ctx: Session, args: list[bytes]) -> str:
    ctx.worker.watches.remove_all(ctx)
    return OK
