"""EVAL and its family, and SCRIPT: Lua scripts (`node/scripting`).

A script that is known and that nothing stands in the way of is run without these handlers, by
`core/script_runner`.
"""

from __future__ import annotations

from typing import Any

from node.errors import ReplyError
from node.handlers.arguments import parse_int
from node.handlers.registry import command
from node.replies import OK

DIGITS = frozenset(b"%d" % digit for digit in range(10))
"""Almost every number of keys, which needs no checks."""

NEGATIVE_KEYS = ReplyError("ERR Number of keys can't be negative")
TOO_MANY_KEYS = ReplyError("ERR Number of keys can't be greater than number of args")
NOT_SHOWN = ReplyError("NOSCRIPT No matching script.")
BAD_FLUSH = ReplyError("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
BAD_DEBUG = ReplyError("ERR Use SCRIPT DEBUG YES/SYNC/NO")
NO_DEBUGGER = ReplyError("ERR There is no Lua debugger here")


def split_keys(numkeys: int, rest: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Keys and arguments of EVAL and FCALL. Raises ReplyError."""
    if numkeys > len(rest):
        raise TOO_MANY_KEYS
    if numkeys < 0:
        raise NEGATIVE_KEYS
    return rest[:numkeys], rest[numkeys:]


def _run(ctx: Any, find: Any, args: list[bytes], *, read_only: bool = False) -> Any:
    """Run the script that `find(args[0])` gives, with numkeys, keys and arguments after it."""
    numkeys = args[1]
    keys, rest = split_keys(int(numkeys) if numkeys in DIGITS else parse_int(numkeys), args[2:])
    script = find(args[0])
    return ctx.worker.execution.judge(script, ctx, [ctx.spelled(), *args], keys, rest, read_only=read_only)


@command("eval")
def eval_(ctx: Any, args: list[bytes]) -> Any:
    return _run(ctx, ctx.worker.scripts.for_eval, args)


@command("eval_ro")
def eval_ro(ctx: Any, args: list[bytes]) -> Any:
    return _run(ctx, ctx.worker.scripts.for_eval, args, read_only=True)


@command("evalsha")
def evalsha(ctx: Any, args: list[bytes]) -> Any:
    return _run(ctx, ctx.worker.scripts.get, args)


@command("evalsha_ro")
def evalsha_ro(ctx: Any, args: list[bytes]) -> Any:
    return _run(ctx, ctx.worker.scripts.get, args, read_only=True)


@command("script|load")
def script_load(ctx: Any, args: list[bytes]) -> bytes:
    return ctx.worker.scripts.load(args[0]).digest


@command("script|exists")
def script_exists(ctx: Any, args: list[bytes]) -> list[int]:
    return [int(ctx.worker.scripts.find(sha) is not None) for sha in args]


@command("script|flush")
def script_flush(ctx: Any, args: list[bytes]) -> str:
    """ASYNC and SYNC are the same here."""
    if args and (len(args) > 1 or args[0].upper() not in (b"SYNC", b"ASYNC")):
        raise BAD_FLUSH
    ctx.worker.scripts.flush()
    return OK


@command("script|show")
def script_show(ctx: Any, args: list[bytes]) -> bytes:
    """The source of a script, by its SHA1 (Valkey)."""
    script = ctx.worker.scripts.find(args[0])
    if script is None:
        raise NOT_SHOWN
    return script.source


@command("script|debug")
def script_debug(ctx: Any, args: list[bytes]) -> str:
    """NO is how it always is: there is no debugger, so a session with it is refused."""
    mode = args[0].upper()
    if mode in (b"YES", b"SYNC"):
        raise NO_DEBUGGER
    if mode != b"NO":
        raise BAD_DEBUG
    return OK


@command("script|kill")
def script_kill(ctx: Any, args: list[bytes]) -> str:
    ctx.worker.execution.kill("SCRIPT")
    return OK


@command("script|help")
def script_help(ctx: Any, args: list[bytes]) -> list[str]:
    return [
        "SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DEBUG (YES|SYNC|NO)",
        "    There is no debugger: YES and SYNC are refused.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Tell for each script whether it is known.",
        "FLUSH [ASYNC|SYNC]",
        "    Forget all scripts.",
        "KILL",
        "    Stop the running script.",
        "LOAD <script>",
        "    Keep a script without running it.",
        "SHOW <sha1>",
        "    Return the source of a script.",
        "HELP",
        "    Print this help.",
    ]
