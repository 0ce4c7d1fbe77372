"""MEMORY: where the memory goes, and asking for it back."""

from __future__ import annotations

from typing import Any

from node import errors
from node.core.key_memory import key_memory
from node.core.memory import allocator_report
from node.handlers.arguments import Options
from node.handlers.registry import command
from node.metrics import memory_doctor, memory_report
from node.replies import OK, PairsReply, Verbatim

DEFAULT_SAMPLES = 5

_HELP = [
    "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "DOCTOR",
    "    Return memory problems reports.",
    "MALLOC-STATS",
    "    Return internal statistics report from the memory allocator.",
    "PURGE",
    "    Attempt to purge dirty pages for reclamation by the allocator.",
    "STATS",
    "    Return information about the memory usage of the server.",
    "USAGE <key> [SAMPLES <count>]",
    "    Return memory in bytes used by <key> and its value. Nested values are",
    "    sampled up to <count> times (default: 5, 0 means sample all).",
    "HELP",
    "    Print this help.",
]


@command("memory|usage")
def usage(ctx: Any, args: list[bytes]) -> int | None:
    """MEMORY USAGE key [SAMPLES count]"""
    samples = DEFAULT_SAMPLES
    options = Options(args, start=1)
    for word in options:
        if word != b"SAMPLES":
            raise errors.SYNTAX
        samples = options.integer()
        if samples < 0:
            raise errors.SYNTAX
    return key_memory(ctx.db, args[0], samples)


@command("memory|doctor")
def doctor(ctx: Any, args: list[bytes]) -> Verbatim:
    return Verbatim(memory_doctor.diagnosis(ctx.worker))


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


@command("memory|help")
def help_(ctx: Any, args: list[bytes]) -> list[str]:
    return list(_HELP)
