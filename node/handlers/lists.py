"""List commands that do not wait."""

from __future__ import annotations

from typing import Any

from node import errors
from node.datatypes import List
from node.errors import ReplyError
from node.handlers.arguments import INT64_MAX, Options, parse_int, parse_int_between, parse_non_negative
from node.handlers.numkeys import parse_pop_count, split_numkeys
from node.handlers.ranges import clip
from node.handlers.registry import command
from node.keyspace import events
from node.replies import NULL_ARRAY, OK

_RANK_ZERO = ReplyError(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
    "or use negative to start from the end of the list"
)
_NEGATIVE_COUNT = ReplyError("ERR COUNT can't be negative")
_NEGATIVE_MAXLEN = ReplyError("ERR MAXLEN can't be negative")


def for_writing(ctx: Any, key: bytes) -> List | None:
    return ctx.db.lookup_write_as(key, List)  # type: ignore[no-any-return]


def _for_reading(ctx: Any, key: bytes) -> List | None:
    return ctx.db.lookup_as(key, List)  # type: ignore[no-any-return]


# --------------------------------------------------------------------------------------- at the ends


@command("lpush")
def lpush(ctx: Any, args: list[bytes]) -> int:
    key = args[0]
    value = for_writing(ctx, key)
    if value is None:
        value = _new(ctx, key)
    value.push_left(args, 1)
    ctx.changed(key, events.LPUSH, len(args) - 1)
    return len(value)


@command("rpush")
def rpush(ctx: Any, args: list[bytes]) -> int:
    key = args[0]
    value = for_writing(ctx, key)
    if value is None:
        value = _new(ctx, key)
    value.push_right(args, 1)
    ctx.changed(key, events.RPUSH, len(args) - 1)
    return len(value)


@command("lpushx")
def lpushx(ctx: Any, args: list[bytes]) -> int:
    return 0 if for_writing(ctx, args[0]) is None else lpush(ctx, args)


@command("rpushx")
def rpushx(ctx: Any, args: list[bytes]) -> int:
    return 0 if for_writing(ctx, args[0]) is None else rpush(ctx, args)


def _new(ctx: Any, key: bytes) -> List:
    value = List()
    ctx.db.set(key, value)
    return value


@command("lpop")
def lpop(ctx: Any, args: list[bytes]) -> Any:
    return _pop_command(ctx, args, "lpop", left=True)


@command("rpop")
def rpop(ctx: Any, args: list[bytes]) -> Any:
    return _pop_command(ctx, args, "rpop", left=False)


def _pop_command(ctx: Any, args: list[bytes], name: str, *, left: bool) -> Any:
    if len(args) > 2:
        raise errors.wrong_arity(name)
    count = parse_non_negative(args[1]) if len(args) == 2 else None
    value = for_writing(ctx, args[0])
    if value is None:
        return None if count is None else NULL_ARRAY
    if count is None:
        return take(ctx, args[0], value, left=left)
    return pop(ctx, args[0], value, count, left=left) if count else []


def take(ctx: Any, key: bytes, value: List, *, left: bool, dirty: int = 1) -> bytes:
    """Pop one element."""
    item = value.take_left() if left else value.take_right()
    ctx.changed(key, events.LPOP if left else events.RPOP, dirty)
    ctx.clear_if_empty(key, value)
    return item


def pop(ctx: Any, key: bytes, value: List, count: int, *, left: bool) -> list[bytes]:
    taken = value.pop_left(count) if left else value.pop_right(count)
    ctx.changed(key, events.LPOP if left else events.RPOP, len(taken))
    ctx.clear_if_empty(key, value)
    return taken


@command("lmove")
def lmove(ctx: Any, args: list[bytes]) -> bytes | None:
    ends = [is_left(word) for word in args[2:]]
    return move(ctx, args[0], args[1], from_left=ends[0], to_left=ends[1])


@command("rpoplpush")
def rpoplpush(ctx: Any, args: list[bytes]) -> bytes | None:
    return move(ctx, args[0], args[1], from_left=False, to_left=True)


def move(ctx: Any, source: bytes, target: bytes, *, from_left: bool, to_left: bool) -> bytes | None:
    value = for_writing(ctx, source)
    if value is None:
        return None
    receiver = for_writing(ctx, target)  # of another type: an error, before anything moves
    if source == target:
        item = value.rotate(from_left, to_left)
        ctx.changed(target, events.LPUSH if to_left else events.RPUSH)
        ctx.changed(source, events.LPOP if from_left else events.RPOP, 0)
        return item
    item = value[0] if from_left else value[-1]
    if receiver is None:
        receiver = _new(ctx, target)
    receiver.receive(item, to_left)
    ctx.changed(target, events.LPUSH if to_left else events.RPUSH)
    return take(ctx, source, value, left=from_left, dirty=0)


@command("lmpop")
def lmpop(ctx: Any, args: list[bytes]) -> Any:
    return pop_first(ctx, *parse_lmpop(args))


def parse_lmpop(args: list[bytes]) -> tuple[list[bytes], bool, int]:
    """(keys, whether to pop at the left, how many at most)"""
    keys, rest = split_numkeys(args)
    return keys, is_left(rest[0] if rest else b""), parse_pop_count(rest[1:])


def pop_first(ctx: Any, keys: list[bytes], left: bool, count: int) -> Any:
    """LMPOP's reply: from the first of several lists that is there."""
    for key in keys:
        value = for_writing(ctx, key)
        if value is not None:
            taken = pop(ctx, key, value, count, left=left)
            ctx.propagate([b"LPOP" if left else b"RPOP", key, b"%d" % len(taken)])
            return [key, taken]
    return NULL_ARRAY


def is_left(word: bytes) -> bool:
    match word.upper():
        case b"LEFT":
            return True
        case b"RIGHT":
            return False
    raise errors.SYNTAX


# --------------------------------------------------------------------------------------- by position


@command("llen")
def llen(ctx: Any, args: list[bytes]) -> int:
    value = _for_reading(ctx, args[0])
    return 0 if value is None else len(value)


@command("lrange")
def lrange(ctx: Any, args: list[bytes]) -> list[bytes]:
    start, stop = parse_int(args[1]), parse_int(args[2])
    value = _for_reading(ctx, args[0])
    return [] if value is None else value.range(*clip(start, stop, len(value)))


@command("lindex")
def lindex(ctx: Any, args: list[bytes]) -> bytes | None:
    value = _for_reading(ctx, args[0])
    if value is None:
        return None
    index = parse_int(args[1])
    try:
        return value[index]
    except IndexError:
        return None


@command("lset")
def lset(ctx: Any, args: list[bytes]) -> str:
    key = args[0]
    value = for_writing(ctx, key)
    if value is None:
        raise errors.NO_SUCH_KEY
    index = parse_int(args[1])
    try:
        value.replace(index, args[2])
    except IndexError:
        raise errors.INDEX_OUT_OF_RANGE from None
    ctx.changed(key, events.LSET)
    return OK


@command("linsert")
def linsert(ctx: Any, args: list[bytes]) -> int:
    key, where, pivot, item = args
    if where.upper() not in (b"BEFORE", b"AFTER"):
        raise errors.SYNTAX
    value = for_writing(ctx, key)
    if value is None:
        return 0
    if not value.insert(pivot, item, where.upper() == b"AFTER"):
        return -1
    ctx.changed(key, events.LINSERT)
    return len(value)


@command("lrem")
def lrem(ctx: Any, args: list[bytes]) -> int:
    key = args[0]
    count = parse_int_between(args[1], -INT64_MAX, INT64_MAX)
    value = for_writing(ctx, key)
    if value is None:
        return 0
    removed = value.remove(args[2], count)
    if removed:
        ctx.changed(key, events.LREM, removed)
        ctx.clear_if_empty(key, value)
    return removed


@command("ltrim")
def ltrim(ctx: Any, args: list[bytes]) -> str:
    key = args[0]
    start, stop = parse_int(args[1]), parse_int(args[2])
    value = for_writing(ctx, key)
    if value is not None:
        before = len(value)
        value.trim(*clip(start, stop, before))
        ctx.changed(key, events.LTRIM, before - len(value))
        ctx.clear_if_empty(key, value)
    return OK


@command("lpos")
def lpos(ctx: Any, args: list[bytes]) -> Any:
    rank, count, depth = _lpos_options(args)
    value = _for_reading(ctx, args[0])
    places = [] if value is None else value.positions(args[1], rank, 1 if count is None else count, depth)
    if count is None:
        return places[0] if places else None
    return places


def _lpos_options(args: list[bytes]) -> tuple[int, int | None, int]:
    """(rank, count or None if not given, how many elements to look at or 0 for all)."""
    rank, count, depth = 1, None, 0
    options = Options(args, start=2)
    for word in options:
        match word:
            case b"RANK":
                rank = parse_int_between(options.value(), -INT64_MAX, INT64_MAX)
                if not rank:
                    raise _RANK_ZERO
            case b"COUNT":
                count = parse_non_negative(options.value(), _NEGATIVE_COUNT)
            case b"MAXLEN":
                depth = parse_non_negative(options.value(), _NEGATIVE_MAXLEN)
            case _:
                raise errors.SYNTAX
    return rank, count, depth
