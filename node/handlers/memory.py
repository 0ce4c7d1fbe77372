"""MEMORY: where the memory goes, and asking for it back."""

from __future__ import annotations

from typing import Any

from node.core.memory import allocator_report
from node.handlers.registry import command
from node.metrics import memory_report
from node.replies import OK, PairsReply


@command("memory|stats")
def stats(ctx: Any, args: list[bytes]) -> PairsReply:
    return PairsReply(memory_report.stats(ctx.worker))


@command("memory|purge")
def purge(ctx: Any, args: list[bytes]) -> str:
    ctx.worker.memory.trim()
    return OK


@command("memory|malloc-stats")
def malloc_stats(ctx: Any, args: list[bytes]) -> bytes:
    """What the C library tells of its allocator: XML."""
    return allocator_report()
