"""Sorted-set commands about single members; those about ranges are in `sorted_set_ranges.py`.

A score is a Python float, which is the same IEEE double as Redis': equal arithmetic, equal text.
"""

from __future__ import annotations

from random import randrange
from typing import Any

from node import errors
from node.core.double_digits import format_double
from node.core.sorted_set import (
    PUT_INCREMENT,
    PUT_ONLY_GREATER,
    PUT_ONLY_KNOWN,
    PUT_ONLY_LESS,
    PUT_ONLY_NEW,
)
from node.datatypes import SortedSet
from node.errors import ReplyError
from node.handlers.arguments import parse_float, parse_non_negative
from node.handlers.collection_scan import scan_collection
from node.handlers.numkeys import parse_pop_count, split_numkeys
from node.handlers.random_members import parse_count, positions
from node.handlers.registry import command
from node.keyspace import events
from node.replies import NULL_ARRAY

_NX_AND_XX = ReplyError("ERR XX and NX options at the same time are not compatible")
_GT_LT_NX = ReplyError("ERR GT, LT, and/or NX options at the same time are not compatible")
_ONE_PAIR = ReplyError("ERR INCR option supports a single increment-element pair")
_NAN = ReplyError("ERR resulting score is not a number (NaN)")

Pairs = list[tuple[bytes, float]]


def for_writing(ctx: Any, key: bytes) -> SortedSet | None:
    return ctx.db.lookup_write_as(key, SortedSet)  # type: ignore[no-any-return]


def for_reading(ctx: Any, key: bytes) -> SortedSet | None:
    return ctx.db.lookup_as(key, SortedSet)  # type: ignore[no-any-return]


def with_scores(ctx: Any, pairs: Pairs) -> list[Any]:
    """Members with scores: RESP3 an array of pairs, RESP2 a flat one."""
    return pairs if ctx.resp == 3 else [part for pair in pairs for part in pair]


# --------------------------------------------------------------------------------------------- ZADD


_FLAGS = {
    b"NX": PUT_ONLY_NEW,
    b"XX": PUT_ONLY_KNOWN,
    b"GT": PUT_ONLY_GREATER,
    b"LT": PUT_ONLY_LESS,
    b"INCR": PUT_INCREMENT,
    b"CH": 0,
}


@command("zadd")
def zadd(ctx: Any, args: list[bytes]) -> Any:
    flags, start, changes = 0, 1, False
    while start < len(args) and args[start][:1].isalpha():
        word = args[start].upper()
        flag = _FLAGS.get(word)
        if flag is None:
            break
        flags |= flag
        changes |= word == b"CH"
        start += 1
    if start == len(args) or (len(args) - start) % 2:
        raise errors.SYNTAX
    if flags:
        _check(flags, (len(args) - start) // 2)
    added, updated, score = _put(ctx, args[0], args, start, flags)
    if flags & PUT_INCREMENT:
        return score
    return added + updated if changes else added


def _check(flags: int, pairs: int) -> None:
    if flags & PUT_ONLY_NEW and flags & PUT_ONLY_KNOWN:
        raise _NX_AND_XX
    if (flags & (PUT_ONLY_NEW | PUT_ONLY_GREATER | PUT_ONLY_LESS)).bit_count() > 1:
        raise _GT_LT_NX
    if flags & PUT_INCREMENT and pairs > 1:
        raise _ONE_PAIR


@command("zincrby")
def zincrby(ctx: Any, args: list[bytes]) -> float | None:
    if args[1].upper() in _FLAGS:  # it is ZADD INCR by another name, which then lacks the score
        raise errors.SYNTAX
    return _put(ctx, args[0], args, 1, PUT_INCREMENT)[2]


def _put(ctx: Any, key: bytes, args: list[bytes], start: int, flags: int) -> tuple[int, int, float | None]:
    """Add the scores and members that alternate from args[start] on, all scores judged before any is used.

    Returns how many were added, how many got another score, and the last one's score: None if it was refused.
    """
    scores = [parse_float(raw) for raw in args[start::2]]
    value = for_writing(ctx, key)
    if value is None:
        if flags & PUT_ONLY_KNOWN:
            return 0, 0, None
        value = SortedSet.sized(len(scores), len(args[start + 1]))
        ctx.db.set(key, value)
    added, updated, score = value.put_all(scores, args, start + 1, flags)
    if score != score:
        raise _NAN
    if added or updated:
        ctx.changed(key, events.ZINCR if flags & PUT_INCREMENT else events.ZADD, added + updated)
    return added, updated, score


# --------------------------------------------------------------------------------------- one member


@command("zrem")
def zrem(ctx: Any, args: list[bytes]) -> int:
    key = args[0]
    value = for_writing(ctx, key)
    if value is None:
        return 0
    removed = sum(map(value.remove, args[1:]))
    if removed:
        ctx.changed(key, events.ZREM, removed)
        ctx.clear_if_empty(key, value)
    return removed


@command("zcard")
def zcard(ctx: Any, args: list[bytes]) -> int:
    value = for_reading(ctx, args[0])
    return 0 if value is None else len(value)


@command("zscore")
def zscore(ctx: Any, args: list[bytes]) -> float | None:
    value = for_reading(ctx, args[0])
    return None if value is None else value.score(args[1])


@command("zmscore")
def zmscore(ctx: Any, args: list[bytes]) -> list[float | None]:
    value = for_reading(ctx, args[0])
    return [None if value is None else value.score(member) for member in args[1:]]


@command("zrank")
def zrank(ctx: Any, args: list[bytes]) -> Any:
    return _rank(ctx, args, "zrank", reverse=False)


@command("zrevrank")
def zrevrank(ctx: Any, args: list[bytes]) -> Any:
    return _rank(ctx, args, "zrevrank", reverse=True)


def _rank(ctx: Any, args: list[bytes], name: str, *, reverse: bool) -> Any:
    if len(args) > 3:
        raise errors.wrong_arity(name)
    if len(args) == 3 and args[2].upper() != b"WITHSCORE":
        raise errors.SYNTAX
    value = for_reading(ctx, args[0])
    rank = None if value is None else value.rank(args[1])
    if value is None or rank is None:
        return NULL_ARRAY if len(args) == 3 else None
    if reverse:
        rank = len(value) - 1 - rank
    return [rank, value.score(args[1])] if len(args) == 3 else rank


@command("zscan")
def zscan(ctx: Any, args: list[bytes]) -> list[Any]:
    value = ctx.db.peek(args[0])
    packed = type(value) is SortedSet and value.encoding == "listpack"
    return scan_collection(ctx, args, SortedSet, lambda item: item[0], _flat if packed else _flat_17)


def _flat(items: Pairs, scores: bool) -> list[bytes]:
    if not scores:
        return [member for member, _ in items]
    return [part for member, score in items for part in (member, format_double(score))]


def _flat_17(items: Pairs, scores: bool) -> list[bytes]:
    """Of a large sorted set ZSCAN shows scores with 17 digits, and only ZSCAN does."""
    if not scores:
        return _flat(items, scores)
    return [part for member, score in items for part in (member, b"%.17g" % score)]


# --------------------------------------------------------------------------------------- taking some


@command("zrandmember")
def zrandmember(ctx: Any, args: list[bytes]) -> Any:
    if len(args) == 1:
        value = for_reading(ctx, args[0])
        return None if value is None else value.at(randrange(len(value)))[0]
    if len(args) > 3 or (len(args) == 3 and args[2].upper() != b"WITHSCORES"):
        parse_count(args[1], in_pairs=False)
        raise errors.SYNTAX
    count = parse_count(args[1], in_pairs=len(args) == 3)
    value = for_reading(ctx, args[0])
    if value is None:
        return []
    drawn = [value.at(position) for position in positions(len(value), count)]
    return with_scores(ctx, drawn) if len(args) == 3 else [member for member, _ in drawn]


@command("zpopmin")
def zpopmin(ctx: Any, args: list[bytes]) -> list[Any]:
    return _pop_command(ctx, args, lowest=True)


@command("zpopmax")
def zpopmax(ctx: Any, args: list[bytes]) -> list[Any]:
    return _pop_command(ctx, args, lowest=False)


def _pop_command(ctx: Any, args: list[bytes], *, lowest: bool) -> list[Any]:
    if len(args) > 2:
        raise errors.SYNTAX
    count = parse_non_negative(args[1]) if len(args) == 2 else None
    value = for_writing(ctx, args[0])
    if value is None or count == 0:
        return []
    taken = pop(ctx, args[0], value, 1 if count is None else count, lowest=lowest)
    return list(taken[0]) if count is None else with_scores(ctx, taken)


def pop(ctx: Any, key: bytes, value: SortedSet, count: int, *, lowest: bool) -> Pairs:
    length = len(value)
    start, stop = (0, min(count, length)) if lowest else (max(0, length - count), length)
    taken = value.range(start, stop)
    value.delete_range(start, stop)
    if not lowest:
        taken.reverse()
    ctx.changed(key, events.ZPOPMIN if lowest else events.ZPOPMAX, len(taken))
    ctx.clear_if_empty(key, value)
    return taken


@command("zmpop")
def zmpop(ctx: Any, args: list[bytes]) -> Any:
    return pop_first(ctx, *parse_zmpop(args))


def parse_zmpop(args: list[bytes]) -> tuple[list[bytes], bool, int]:
    """(keys, whether to pop the lowest, how many at most)"""
    keys, rest = split_numkeys(args)
    end = rest[0].upper() if rest else b""
    if end not in (b"MIN", b"MAX"):
        raise errors.SYNTAX
    return keys, end == b"MIN", parse_pop_count(rest[1:])


def pop_first(ctx: Any, keys: list[bytes], lowest: bool, count: int) -> Any:
    """ZMPOP's reply: from the first of several sorted sets that is there."""
    for key in keys:
        value = for_writing(ctx, key)
        if value is not None:
            taken = pop(ctx, key, value, count, lowest=lowest)
            ctx.propagate([b"ZPOPMIN" if lowest else b"ZPOPMAX", key, b"%d" % len(taken)])
            return [key, [list(pair) for pair in taken]]
    return NULL_ARRAY
