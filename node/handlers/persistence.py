"""SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF: files on demand."""

from __future__ import annotations

from typing import Any

from node import errors
from node.handlers.registry import command
from node.replies import OK


@command("save")
def save(ctx: Any, args: list[bytes]) -> str:
    ctx.worker.snapshots.save()
    return OK


@command("bgsave")
def bgsave(ctx: Any, args: list[bytes]) -> str:
    """BGSAVE [SCHEDULE | CANCEL], the latter Valkey's."""
    snapshots = ctx.worker.snapshots
    match [arg.upper() for arg in args]:
        case [] | [b"SCHEDULE"]:
            return str(snapshots.background_save(schedule=bool(args)))
        case [b"CANCEL"]:
            return str(snapshots.cancel())
    raise errors.SYNTAX


@command("lastsave")
def lastsave(ctx: Any, args: list[bytes]) -> int:
    return int(ctx.worker.snapshots.last_save)


@command("bgrewriteaof")
def bgrewriteaof(ctx: Any, args: list[bytes]) -> str:
    return str(ctx.worker.append_only.rewrite.request())
