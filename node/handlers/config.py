"""CONFIG: settings read, changed and written back while the worker runs. The values live in `node/config`."""

from __future__ import annotations

from typing import Any

from node import errors
from node.config.text import to_bytes, to_text
from node.core.statistics import reset_stats
from node.errors import ReplyError, one_line
from node.handlers.registry import command
from node.replies import OK
from node.session.description import is_local

HELP = [
    "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GET <pattern> [<pattern> ...]",
    "    The directives whose names match a glob pattern, with their values.",
    "SET <directive> <value> [<directive> <value> ...]",
    "    Change directives: all of them, or none.",
    "RESETSTAT",
    "    Set the counters that INFO shows back to zero.",
    "REWRITE",
    "    Bring the configuration file up to date.",
    "HELP",
    "    Print this help.",
]


@command("config|get")
def get(ctx: Any, args: list[bytes]) -> dict[bytes, bytes]:
    found = ctx.config.get(*(to_text(pattern) for pattern in args))
    return {to_bytes(name): to_bytes(value) for name, value in found.items()}


@command("config|set")
def set_(ctx: Any, args: list[bytes]) -> str:
    if len(args) % 2:
        raise errors.SYNTAX
    words = [to_text(word) for word in args]
    ctx.config.set(zip(words[::2], words[1::2], strict=True), local=is_local(ctx))
    return OK


@command("config|rewrite")
def rewrite(ctx: Any, args: list[bytes]) -> str:
    try:
        ctx.config.rewrite()
    except OSError as error:
        ctx.worker.log.warning(f"CONFIG REWRITE failed: {error.strerror}")
        raise ReplyError(f"ERR Rewriting config file: {one_line(str(error.strerror))}") from None
    ctx.worker.log.notice("CONFIG REWRITE executed with success.")
    return OK


@command("config|resetstat")
def resetstat(ctx: Any, args: list[bytes]) -> str:
    worker = ctx.worker
    reset_stats(worker.engine)
    worker.error_counts.clear()
    worker.rejected_connections = 0
    worker.field_expiry.expired = 0
    worker.memory.forget_peak()
    worker.eviction.forget()
    worker.graveyard.freed = 0
    worker.client_eviction.evicted = 0
    worker.scripts.evicted = 0
    worker.activity.reset()
    worker.replication.primary.reset_stats()
    worker.output_limits.disconnections = 0
    for db, cycle in zip(worker.databases, worker.expiry, strict=True):
        db.reset_stats()
        cycle.reset_stats()
    return OK


@command("config|help")
def help_(ctx: Any, args: list[bytes]) -> list[str]:
    return HELP
