"""Commands that wait for a list or sorted set to take from.

Each is its sibling that does not wait (BLPOP is LPOP of the first key that is there, BLMOVE is LMOVE, BZMPOP
is ZMPOP), tried at once; where it finds nothing, the client is blocked and the command executed again when
one of its keys has come (`node/session/blocking.py`). It is replicated as its sibling. Where nobody may wait,
inside a transaction, it replies null at once.

A timeout is in seconds, with decimals, 0 for ever. When it has passed, the reply is a null array, whatever
the command.
"""

from __future__ import annotations

import math
from typing import Any

from node.datatypes import List, SortedSet
from node.errors import ReplyError
from node.handlers import lists, long_double, sorted_sets
from node.handlers.arguments import INT64_MAX
from node.handlers.registry import command
from node.replies import NO_REPLY, NULL_ARRAY

_NOT_A_TIMEOUT = ReplyError("ERR timeout is not a float or out of range")
_TIMEOUT_OUT_OF_RANGE = ReplyError("ERR timeout is out of range")
_NEGATIVE_TIMEOUT = ReplyError("ERR timeout is negative")


def parse_timeout(raw: bytes, now: int) -> int:
    """The milliseconds, rounded up, of a timeout in seconds; 0 for ever. `now` is the Unix time in ms."""
    seconds = long_double.parse(raw, _NOT_A_TIMEOUT)
    if seconds == math.inf or seconds * 1000 > INT64_MAX:
        raise _TIMEOUT_OUT_OF_RANGE
    milliseconds = -1 if seconds == -math.inf else math.ceil(seconds * 1000)
    if milliseconds < 0:
        raise _NEGATIVE_TIMEOUT
    if milliseconds > INT64_MAX - now:
        raise _TIMEOUT_OUT_OF_RANGE
    return milliseconds


def _wait(
    ctx: Any, name: str, args: list[bytes], keys: list[bytes], kind: type, ms: int, otherwise: Any
) -> Any:
    """Block the client, or reply `otherwise` where it may not be."""
    blocking = ctx.worker.blocking
    if not blocking.may_wait(ctx):
        return otherwise
    blocking.wait(ctx, name, args, keys, kind.type_name, ms)  # type: ignore[attr-defined]
    return NO_REPLY


# --------------------------------------------------------------------------------------------- lists


@command("blpop")
def blpop(ctx: Any, args: list[bytes]) -> Any:
    return _pop_list(ctx, "blpop", args, left=True)


@command("brpop")
def brpop(ctx: Any, args: list[bytes]) -> Any:
    return _pop_list(ctx, "brpop", args, left=False)


def _pop_list(ctx: Any, name: str, args: list[bytes], *, left: bool) -> Any:
    keys, timeout = args[:-1], parse_timeout(args[-1], ctx.now)
    for key in keys:
        value = lists.for_writing(ctx, key)
        if value is not None:
            item = lists.take(ctx, key, value, left=left)
            ctx.propagate([b"LPOP" if left else b"RPOP", key])
            return [key, item]
    return _wait(ctx, name, args, keys, List, timeout, NULL_ARRAY)


@command("blmpop")
def blmpop(ctx: Any, args: list[bytes]) -> Any:
    keys, left, count = lists.parse_lmpop(args[1:])
    timeout = parse_timeout(args[0], ctx.now)
    reply = lists.pop_first(ctx, keys, left, count)
    if reply is NULL_ARRAY:
        return _wait(ctx, "blmpop", args, keys, List, timeout, NULL_ARRAY)
    return reply


@command("blmove")
def blmove(ctx: Any, args: list[bytes]) -> Any:
    from_left, to_left = lists.is_left(args[2]), lists.is_left(args[3])
    timeout = parse_timeout(args[4], ctx.now)
    item = lists.move(ctx, args[0], args[1], from_left=from_left, to_left=to_left)
    if item is None:
        return _wait(ctx, "blmove", args, args[:1], List, timeout, None)
    ctx.propagate([b"LMOVE", *args[:4]])
    return item


@command("brpoplpush")
def brpoplpush(ctx: Any, args: list[bytes]) -> Any:
    timeout = parse_timeout(args[2], ctx.now)
    item = lists.move(ctx, args[0], args[1], from_left=False, to_left=True)
    if item is None:
        return _wait(ctx, "brpoplpush", args, args[:1], List, timeout, None)
    ctx.propagate([b"RPOPLPUSH", *args[:2]])
    return item


# --------------------------------------------------------------------------------------- sorted sets


@command("bzpopmin")
def bzpopmin(ctx: Any, args: list[bytes]) -> Any:
    return _pop_sorted_set(ctx, "bzpopmin", args, lowest=True)


@command("bzpopmax")
def bzpopmax(ctx: Any, args: list[bytes]) -> Any:
    return _pop_sorted_set(ctx, "bzpopmax", args, lowest=False)


def _pop_sorted_set(ctx: Any, name: str, args: list[bytes], *, lowest: bool) -> Any:
    keys, timeout = args[:-1], parse_timeout(args[-1], ctx.now)
    for key in keys:
        value = sorted_sets.for_writing(ctx, key)
        if value is not None:
            ((member, score),) = sorted_sets.pop(ctx, key, value, 1, lowest=lowest)
            ctx.propagate([b"ZPOPMIN" if lowest else b"ZPOPMAX", key])
            return [key, member, score]
    return _wait(ctx, name, args, keys, SortedSet, timeout, NULL_ARRAY)


@command("bzmpop")
def bzmpop(ctx: Any, args: list[bytes]) -> Any:
    keys, lowest, count = sorted_sets.parse_zmpop(args[1:])
    timeout = parse_timeout(args[0], ctx.now)
    reply = sorted_sets.pop_first(ctx, keys, lowest, count)
    if reply is NULL_ARRAY:
        return _wait(ctx, "bzmpop", args, keys, SortedSet, timeout, NULL_ARRAY)
    return reply
