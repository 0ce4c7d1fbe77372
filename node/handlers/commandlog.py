"""COMMANDLOG: the commands that cost most lately, by time, by size, or by the size of their reply.

Its log of slow commands is that of SLOWLOG. What is kept, and how it is cut: node/metrics/slow_log; what is
large: node/metrics/large_commands.
"""

from __future__ import annotations

from typing import Any

from node.errors import ReplyError
from node.handlers.arguments import INT64_MAX, parse_int_between
from node.handlers.registry import command
from node.handlers.slowlog import BAD_COUNT
from node.metrics.slow_log import SlowLog
from node.replies import OK

_BAD_TYPE = ReplyError("ERR type should be one of the following: slow, large-request, large-reply")

HELP = [
    "COMMANDLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GET <count> <type>",
    "    The newest <count> entries of a log (-1 for all): number, Unix time, microseconds (type slow) or",
    "    bytes (types large-request and large-reply), command, address and name of the client.",
    "LEN <type>",
    "    How many entries there are.",
    "RESET <type>",
    "    Forget them.",
    "HELP",
    "    Print this help.",
]


def _log(ctx: Any, kind: bytes) -> SlowLog:
    worker = ctx.worker
    match kind.lower():
        case b"slow":
            return worker.slowness.log
        case b"large-request":
            return worker.large_commands.requests
        case b"large-reply":
            return worker.large_commands.replies
    raise _BAD_TYPE


@command("commandlog|get")
def get(ctx: Any, args: list[bytes]) -> list[list[Any]]:
    count = parse_int_between(args[0], -1, INT64_MAX, BAD_COUNT)
    return _log(ctx, args[1]).rows(count)


@command("commandlog|len")
def len_(ctx: Any, args: list[bytes]) -> int:
    return len(_log(ctx, args[0]))


@command("commandlog|reset")
def reset(ctx: Any, args: list[bytes]) -> str:
    _log(ctx, args[0]).clear()
    return OK


@command("commandlog|help")
def help_(ctx: Any, args: list[bytes]) -> list[str]:
    return HELP
