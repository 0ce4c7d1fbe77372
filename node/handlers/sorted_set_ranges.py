"""Sorted-set commands about ranges: by rank, by score, by member.

ZRANGE can say all of it; its older siblings are the same with some options fixed. Every range is turned into
ranks at once (`SortedSet.ranks_by_score`, `ranks_by_lex`), so that reading, counting, storing and removing
differ only in what they do with these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from node import errors
from node.datatypes import SortedSet
from node.datatypes.bounds import LexBound, ScoreBound
from node.errors import ReplyError
from node.handlers.arguments import Options, parse_int, parse_lenient_float
from node.handlers.ranges import clip
from node.handlers.registry import command
from node.handlers.sorted_sets import Pairs, for_reading, for_writing, with_scores
from node.keyspace import events
from node.keyspace.events import Event

_NOT_A_SCORE = ReplyError("ERR min or max is not a float")
_NOT_A_MEMBER = ReplyError("ERR min or max not valid string range item")
_LIMIT_BY_RANK = ReplyError(
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
)
_SCORES_BY_LEX = ReplyError("ERR syntax error, WITHSCORES not supported in combination with BYLEX")

Select = Callable[[SortedSet], tuple[int, int]]
"""Gives the ranks start..stop-1 that a range takes in."""


# ----------------------------------------------------------------------------------- kinds of ranges


def _by_rank(first: bytes, last: bytes) -> Select:
    start, stop = parse_int(first), parse_int(last)
    return lambda value: clip(start, stop, len(value))


def _by_score(low: bytes, high: bytes) -> Select:
    lower, upper = _score_bound(low), _score_bound(high)
    return lambda value: value.ranks_by_score(lower, upper)


def _score_bound(raw: bytes) -> ScoreBound:
    exclusive = raw.startswith(b"(")
    return ScoreBound(parse_lenient_float(raw[1:] if exclusive else raw, _NOT_A_SCORE), exclusive)


def _by_lex(low: bytes, high: bytes) -> Select:
    lower, upper = _lex_bound(low), _lex_bound(high)
    return lambda value: value.ranks_by_lex(lower, upper)


def _lex_bound(raw: bytes) -> LexBound:
    match raw[:1]:
        case b"[":
            return LexBound(raw[1:])
        case b"(":
            return LexBound(raw[1:], exclusive=True)
        case b"-" | b"+" if len(raw) == 1:
            return LexBound(infinite=1 if raw == b"+" else -1)
    raise _NOT_A_MEMBER


_KINDS = {"rank": _by_rank, "score": _by_score, "lex": _by_lex}


# --------------------------------------------------------------------------------- reading and storing


@dataclass(slots=True)
class RangeOptions:
    """What follows the two ends; `kind` and `reverse` are None while a command leaves them to its options."""

    kind: str | None = None
    reverse: bool | None = None
    offset: int = 0
    limit: int = -1
    """Negative: no limit."""
    scores: bool = False


def _parse_options(args: list[bytes], found: RangeOptions, *, store: bool = False) -> RangeOptions:
    options = Options(args)
    for word in options:
        if word == b"WITHSCORES" and not store:
            found.scores = True
        elif word == b"LIMIT" and options.left >= 2:
            found.offset, found.limit = options.integer(), options.integer()
        elif word == b"REV" and found.reverse is None:
            found.reverse = True
        elif word in (b"BYSCORE", b"BYLEX") and found.kind is None:
            found.kind = word[2:].lower().decode()
        else:
            raise errors.SYNTAX
    found.kind = found.kind or "rank"
    if found.limit != -1 and found.kind == "rank":
        raise _LIMIT_BY_RANK
    if found.scores and found.kind == "lex":
        raise _SCORES_BY_LEX
    return found


def _selection(args: list[bytes], options: RangeOptions) -> Select:
    """What finds the ranks that args[0]..args[1] mean, LIMIT applied."""
    first, last = args[0], args[1]
    if options.reverse and options.kind != "rank":
        first, last = last, first
    select = _KINDS[options.kind or "rank"](first, last)

    def limited(value: SortedSet) -> tuple[int, int]:
        start, stop = select(value)
        if options.kind != "rank":
            return _limited(start, stop, options)
        return (len(value) - stop, len(value) - start) if options.reverse else (start, stop)

    return limited


def _limited(start: int, stop: int, options: RangeOptions) -> tuple[int, int]:
    """LIMIT applied to ranks start..stop-1, from the end that comes first."""
    size = stop - start
    if options.offset < 0 or options.offset >= size:
        return start, start
    size -= options.offset
    if options.limit >= 0:
        size = min(size, options.limit)
    if options.reverse:
        return stop - options.offset - size, stop - options.offset
    return start + options.offset, start + options.offset + size


def _range(ctx: Any, args: list[bytes], defaults: RangeOptions) -> list[Any]:
    options = _parse_options(args[3:], defaults)
    select = _selection(args[1:3], options)
    value = for_reading(ctx, args[0])
    if value is None:
        return []
    found: list[Any] = value.range(*select(value)) if options.scores else value.members(*select(value))
    if options.reverse:
        found.reverse()
    return with_scores(ctx, found) if options.scores else found


@command("zrange")
def zrange(ctx: Any, args: list[bytes]) -> list[Any]:
    if _is_plain(args):
        return _plain_range(ctx, args, reverse=False)
    return _range(ctx, args, RangeOptions())


@command("zrevrange")
def zrevrange(ctx: Any, args: list[bytes]) -> list[Any]:
    if _is_plain(args):
        return _plain_range(ctx, args, reverse=True)
    return _range(ctx, args, RangeOptions("rank", True))


def _is_plain(args: list[bytes]) -> bool:
    """By rank, without options but WITHSCORES: what nearly every call is, and cheaper done as such."""
    return len(args) == 3 or (len(args) == 4 and args[3].upper() == b"WITHSCORES")


def _plain_range(ctx: Any, args: list[bytes], *, reverse: bool) -> list[Any]:
    first, last = parse_int(args[1]), parse_int(args[2])
    value = for_reading(ctx, args[0])
    if value is None:
        return []
    length = len(value)
    start, stop = clip(first, last, length)
    if reverse:
        start, stop = length - stop, length - start
    if len(args) == 3:
        members = value.members(start, stop)
        return members[::-1] if reverse else members
    if ctx.resp == 2 and not reverse:
        return value.flat_range(start, stop)
    pairs = value.range(start, stop)
    return with_scores(ctx, pairs[::-1] if reverse else pairs)


@command("zrangebyscore")
def zrangebyscore(ctx: Any, args: list[bytes]) -> list[Any]:
    return _range(ctx, args, RangeOptions("score", False))


@command("zrevrangebyscore")
def zrevrangebyscore(ctx: Any, args: list[bytes]) -> list[Any]:
    return _range(ctx, args, RangeOptions("score", True))


@command("zrangebylex")
def zrangebylex(ctx: Any, args: list[bytes]) -> list[Any]:
    return _range(ctx, args, RangeOptions("lex", False))


@command("zrevrangebylex")
def zrevrangebylex(ctx: Any, args: list[bytes]) -> list[Any]:
    return _range(ctx, args, RangeOptions("lex", True))


@command("zrangestore")
def zrangestore(ctx: Any, args: list[bytes]) -> int:
    target, source = args[:2]
    options = _parse_options(args[4:], RangeOptions(), store=True)
    select = _selection(args[2:4], options)
    value = for_reading(ctx, source)
    pairs = [] if value is None else value.range(*select(value))
    if pairs:
        ctx.db.set(target, _stored(pairs, options))
        ctx.changed(target, events.ZRANGESTORE)
    else:
        ctx.discard(target)
    return len(pairs)


def _stored(pairs: Pairs, options: RangeOptions) -> SortedSet:
    """One after the other, in the order of the range, their number being known beforehand only of ranks:
    until it has to be a large one it is a small one, which loses the sign of -0."""
    made = SortedSet.sized(len(pairs) if options.kind == "rank" else 0, 0)
    for member, score in reversed(pairs) if options.reverse else pairs:
        made.set(member, score)
    return made


# ------------------------------------------------------------------------------ counting and removing


@command("zcount")
def zcount(ctx: Any, args: list[bytes]) -> int:
    return _count(ctx, args[0], _by_score(args[1], args[2]))


@command("zlexcount")
def zlexcount(ctx: Any, args: list[bytes]) -> int:
    return _count(ctx, args[0], _by_lex(args[1], args[2]))


def _count(ctx: Any, key: bytes, select: Select) -> int:
    value = for_reading(ctx, key)
    if value is None:
        return 0
    start, stop = select(value)
    return stop - start


@command("zremrangebyrank")
def zremrangebyrank(ctx: Any, args: list[bytes]) -> int:
    return _remove(ctx, args[0], _by_rank(args[1], args[2]), events.ZREMBYRANK)


@command("zremrangebyscore")
def zremrangebyscore(ctx: Any, args: list[bytes]) -> int:
    return _remove(ctx, args[0], _by_score(args[1], args[2]), events.ZREMBYSCORE)


@command("zremrangebylex")
def zremrangebylex(ctx: Any, args: list[bytes]) -> int:
    return _remove(ctx, args[0], _by_lex(args[1], args[2]), events.ZREMBYLEX)


def _remove(ctx: Any, key: bytes, select: Select, event: Event) -> int:
    value = for_writing(ctx, key)
    if value is None:
        return 0
    start, stop = select(value)
    removed = stop - start
    if removed:
        value.delete_range(start, stop)
        ctx.changed(key, event, removed)
        ctx.clear_if_empty(key, value)
    return removed
