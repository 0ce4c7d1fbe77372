"""SLOWLOG: the commands that took longest lately. What is kept, and how it is cut: node/metrics/slow_log."""

from __future__ import annotations

from typing import Any

from node.errors import ReplyError
from node.handlers.arguments import INT64_MAX, parse_int_between
from node.handlers.registry import command
from node.replies import OK

BAD_COUNT = ReplyError("ERR count should be greater than or equal to -1")

HELP = [
    "SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GET [<count>]",
    "    The newest entries (10 unless told, -1 for all): number, Unix time, microseconds, command,",
    "    address and name of the client.",
    "LEN",
    "    How many entries there are.",
    "RESET",
    "    Forget them.",
    "HELP",
    "    Print this help.",
]


@command("slowlog|get")
def get(ctx: Any, args: list[bytes]) -> list[list[Any]]:
    if len(args) > 1:
        raise ReplyError("ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.")
    count = parse_int_between(args[0], -1, INT64_MAX, BAD_COUNT) if args else 10
    return ctx.worker.slowness.log.rows(count)


@command("slowlog|len")
def len_(ctx: Any, args: list[bytes]) -> int:
    return len(ctx.worker.slowness.log)


@command("slowlog|reset")
def reset(ctx: Any, args: list[bytes]) -> str:
    ctx.worker.slowness.log.clear()
    return OK


@command("slowlog|help")
def help_(ctx: Any, args: list[bytes]) -> list[str]:
    return HELP
