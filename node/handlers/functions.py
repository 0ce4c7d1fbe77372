"""FUNCTION and FCALL: libraries of functions (`node/scripting/functions`).

What changes libraries is a write: replicas and logs get the command as it came.
"""

from __future__ import annotations

from typing import Any

from node import errors
from node.errors import ReplyError, one_line
from node.handlers.arguments import parse_int
from node.handlers.registry import command
from node.handlers.scripting import split_keys
from node.keyspace.glob import matches
from node.replies import OK, SetReply
from node.scripting.execution import FLAGS

BAD_NUMKEYS = ReplyError("ERR Bad number of keys provided")
NO_CODE = ReplyError("ERR Function code is missing")
NO_PATTERN = ReplyError("ERR library name argument was not given")
BAD_POLICY = ReplyError("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
BAD_FLUSH = ReplyError("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")


def _call(ctx: Any, args: list[bytes], *, read_only: bool) -> Any:
    function = ctx.worker.functions.get(args[0])
    try:
        numkeys = parse_int(args[1])
    except ReplyError:
        raise BAD_NUMKEYS from None
    keys, rest = split_keys(numkeys, args[2:])
    return ctx.worker.execution.judge(function, ctx, [ctx.spelled(), *args], keys, rest, read_only=read_only)


@command("fcall")
def fcall(ctx: Any, args: list[bytes]) -> Any:
    return _call(ctx, args, read_only=False)


@command("fcall_ro")
def fcall_ro(ctx: Any, args: list[bytes]) -> Any:
    return _call(ctx, args, read_only=True)


@command("function|load")
def function_load(ctx: Any, args: list[bytes]) -> bytes:
    """[REPLACE] code → the library's name."""
    for option in args[:-1]:
        if option.upper() != b"REPLACE":
            raise ReplyError(f"ERR Unknown option given: {one_line(option)}")
    name = ctx.worker.functions.load(args[-1], replace=len(args) > 1, limited=not ctx.is_privileged)
    ctx.engine.dirty += 1
    return name


@command("function|delete")
def function_delete(ctx: Any, args: list[bytes]) -> str:
    ctx.worker.functions.delete(args[0])
    ctx.engine.dirty += 1
    return OK


@command("function|flush")
def function_flush(ctx: Any, args: list[bytes]) -> str:
    """ASYNC and SYNC are the same here."""
    if len(args) > 1:
        raise errors.bad_subcommand_arguments("function", "FLUSH")
    if args and args[0].upper() not in (b"SYNC", b"ASYNC"):
        raise BAD_FLUSH
    ctx.worker.functions.flush()
    ctx.engine.dirty += 1
    return OK


@command("function|dump")
def function_dump(ctx: Any, args: list[bytes]) -> bytes:
    return ctx.worker.functions.dump()


@command("function|restore")
def function_restore(ctx: Any, args: list[bytes]) -> str:
    """payload [FLUSH|APPEND|REPLACE]"""
    if len(args) > 2:
        raise errors.bad_subcommand_arguments("function", "RESTORE")
    policy = args[1].lower() if len(args) > 1 else b"append"
    if policy not in (b"flush", b"append", b"replace"):
        raise BAD_POLICY
    ctx.worker.functions.restore(args[0], policy, limited=not ctx.is_privileged)
    ctx.engine.dirty += 1
    return OK


@command("function|list")
def function_list(ctx: Any, args: list[bytes]) -> list[dict[bytes, Any]]:
    """[LIBRARYNAME pattern] [WITHCODE]"""
    pattern, with_code = None, False
    rest = iter(args)
    for arg in rest:
        word = arg.lower()
        if word == b"withcode" and not with_code:
            with_code = True
        elif word == b"libraryname" and pattern is None:
            pattern = next(rest, None)
            if pattern is None:
                raise NO_PATTERN
        else:
            raise ReplyError(f"ERR Unknown argument {one_line(arg)}")
    return [
        _described(library, with_code)
        for library in ctx.worker.functions
        if pattern is None or matches(pattern, library.name, ignore_case=True)
    ]


def _described(library: Any, with_code: bool) -> dict[bytes, Any]:
    functions = [
        {
            b"name": name,
            b"description": function.description,
            b"flags": SetReply([flag for flag in FLAGS if flag in function.flags]),
        }
        for name, function in library.functions.items()
    ]
    found: dict[bytes, Any] = {b"library_name": library.name, b"engine": b"LUA", b"functions": functions}
    if with_code:
        found[b"library_code"] = library.code
    return found


@command("function|stats")
def function_stats(ctx: Any, args: list[bytes]) -> dict[bytes, Any]:
    running = ctx.worker.execution.running
    if running is not None and running.kind == "SCRIPT":
        raise errors.BUSY_SCRIPT
    functions = ctx.worker.functions
    counts = {b"libraries_count": functions.library_count, b"functions_count": functions.function_count}
    script = None
    if running is not None:
        script = {
            b"name": running.name.encode(),
            b"command": running.argv,
            b"duration_ms": running.milliseconds,
        }
    return {b"running_script": script, b"engines": {b"LUA": counts}}


@command("function|kill")
def function_kill(ctx: Any, args: list[bytes]) -> str:
    ctx.worker.execution.kill("FUNCTION")
    return OK


@command("function|help")
def function_help(ctx: Any, args: list[bytes]) -> list[str]:
    return [
        "FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "LOAD [REPLACE] <FUNCTION CODE>",
        "    Load a library of functions.",
        "DELETE <LIBRARY NAME>",
        "    Forget a library.",
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    Tell what libraries there are: name, engine, functions, and the code if wanted.",
        "STATS",
        "    Tell which function is running, with which command and how long, and what engines there are.",
        "KILL",
        "    Stop the running function.",
        "FLUSH [ASYNC|SYNC]",
        "    Forget all libraries.",
        "DUMP",
        "    Return all libraries as one payload for FUNCTION RESTORE.",
        "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
        "    Take the libraries of a payload: instead of those there are, beside them (APPEND, the default,",
        "    fails where a name is taken), or in place of those of the same name.",
        "HELP",
        "    Print this help.",
    ]
