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
    """BGSAVE [SCHEDULE]"""
    if args and (len(args) > 1 or args[0].upper() != b"SCHEDULE"):
        raise errors.SYNTAX
    return str(ctx.worker.snapshots.background_save(schedule=bool(args)))


@command("lastsave")
def lastsave(ctx: Any, args: list[bytes]) -> int:
    return int(ctx.worker.snapshots.last_save)


@command("bgrewriteaof")
def bgrewriteaof(ctx: Any, args: list[bytes]) -> str:
    return str(ctx.worker.append_only.rewrite.request())
