"""Hash commands.

Numbers in fields follow the rules of numbers in strings; HINCRBYFLOAT leaves its result, not itself, to
replicas and the AOF.
"""

from __future__ import annotations

from typing import Any

from node import errors
from node.datatypes import Hash
from node.errors import ReplyError
from node.handlers import long_double
from node.handlers.arguments import INT64_MAX, INT64_MIN, parse_int
from node.handlers.collection_scan import scan_collection
from node.handlers.random_members import check_draws, parse_count
from node.handlers.registry import command
from node.keyspace import events
from node.replies import OK, PairsReply

_NOT_AN_INTEGER = ReplyError("ERR hash value is not an integer")
_NOT_A_FLOAT = ReplyError("ERR hash value is not a float")
_NAN_OR_INFINITY = ReplyError("ERR value is NaN or Infinity")


def _for_reading(ctx: Any, key: bytes) -> Hash | None:
    return ctx.db.lookup_as(key, Hash)  # type: ignore[no-any-return]


def _for_writing(ctx: Any, key: bytes) -> Hash:
    """The hash at `key`, which is made, still empty, if there is none."""
    value = ctx.db.lookup_write_as(key, Hash)
    if value is None:
        value = Hash()
        ctx.db.set(key, value)
    return value  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------ writing


@command("hset")
def hset(ctx: Any, args: list[bytes]) -> int:
    return _set_fields(ctx, args, "hset")


@command("hmset")
def hmset(ctx: Any, args: list[bytes]) -> str:
    _set_fields(ctx, args, "hmset")
    return OK


def _set_fields(ctx: Any, args: list[bytes], name: str) -> int:
    """Returns how many fields are new."""
    if len(args) % 2 == 0:
        raise errors.wrong_arity(name)
    key = args[0]
    added = _for_writing(ctx, key).set_all(args, 1)
    ctx.changed(key, events.HSET, len(args) // 2)
    return added


@command("hsetnx")
def hsetnx(ctx: Any, args: list[bytes]) -> int:
    key, field, content = args
    value = ctx.db.lookup_write_as(key, Hash)
    if value is not None and field in value:
        return 0
    _for_writing(ctx, key).set(field, content)
    ctx.changed(key, events.HSET)
    return 1


@command("hdel")
def hdel(ctx: Any, args: list[bytes]) -> int:
    key = args[0]
    value = ctx.db.lookup_write_as(key, Hash)
    if value is None:
        return 0
    removed = sum(value.delete(field) for field in args[1:])
    if removed:
        ctx.changed(key, events.HDEL, removed)
        ctx.clear_if_empty(key, value)
    return removed


@command("hincrby")
def hincrby(ctx: Any, args: list[bytes]) -> int:
    key, field, raw = args
    increment = parse_int(raw)
    value = ctx.db.lookup_write_as(key, Hash)
    old = value.get(field) if value is not None else None
    number = parse_int(old, _NOT_AN_INTEGER) if old is not None else 0
    number += increment
    if not INT64_MIN <= number <= INT64_MAX:
        raise errors.INCREMENT_OVERFLOW
    _for_writing(ctx, key).set(field, b"%d" % number)
    ctx.changed(key, events.HINCRBY)
    return number


@command("hincrbyfloat")
def hincrbyfloat(ctx: Any, args: list[bytes]) -> bytes:
    key, field, raw = args
    increment = long_double.parse(raw)
    if isinstance(increment, float):
        raise _NAN_OR_INFINITY
    value = ctx.db.lookup_write_as(key, Hash)
    old = value.get(field) if value is not None else None
    number = long_double.add(long_double.parse(b"0" if old is None else old, _NOT_A_FLOAT), increment)
    if isinstance(number, float):
        raise errors.NAN_OR_INFINITY
    text = long_double.format_human(number)
    _for_writing(ctx, key).set(field, text)
    ctx.changed(key, events.HINCRBYFLOAT)
    ctx.propagate([b"HSET", key, field, text])
    return text


# ------------------------------------------------------------------------------------------ reading


@command("hget")
def hget(ctx: Any, args: list[bytes]) -> bytes | None:
    value = _for_reading(ctx, args[0])
    return None if value is None else value.get(args[1])


@command("hmget")
def hmget(ctx: Any, args: list[bytes]) -> list[bytes | None]:
    value = _for_reading(ctx, args[0])
    return [None if value is None else value.get(field) for field in args[1:]]


@command("hgetall")
def hgetall(ctx: Any, args: list[bytes]) -> PairsReply:
    value = _for_reading(ctx, args[0])
    return PairsReply(() if value is None else value.items())


@command("hkeys")
def hkeys(ctx: Any, args: list[bytes]) -> list[bytes]:
    value = _for_reading(ctx, args[0])
    return [] if value is None else value.fields()


@command("hvals")
def hvals(ctx: Any, args: list[bytes]) -> list[bytes]:
    value = _for_reading(ctx, args[0])
    return [] if value is None else value.values()


@command("hlen")
def hlen(ctx: Any, args: list[bytes]) -> int:
    value = _for_reading(ctx, args[0])
    return 0 if value is None else len(value)


@command("hexists")
def hexists(ctx: Any, args: list[bytes]) -> int:
    value = _for_reading(ctx, args[0])
    return int(value is not None and args[1] in value)


@command("hstrlen")
def hstrlen(ctx: Any, args: list[bytes]) -> int:
    value = _for_reading(ctx, args[0])
    return 0 if value is None else value.value_length(args[1])


@command("hrandfield")
def hrandfield(ctx: Any, args: list[bytes]) -> Any:
    if len(args) == 1:
        value = _for_reading(ctx, args[0])
        return None if value is None else value.draw(1)[0][0]
    if len(args) > 3 or (len(args) == 3 and args[2].upper() != b"WITHVALUES"):
        parse_count(args[1], in_pairs=False)
        raise errors.SYNTAX
    count = parse_count(args[1], in_pairs=len(args) == 3)
    value = _for_reading(ctx, args[0])
    if value is None:
        return []
    check_draws(count)
    drawn = value.draw(count)
    if len(args) == 2:
        return [field for field, _ in drawn]
    return drawn if ctx.resp == 3 else [part for pair in drawn for part in pair]


@command("hscan")
def hscan(ctx: Any, args: list[bytes]) -> list[Any]:
    return scan_collection(ctx, args, Hash, lambda item: item[0], _flat)


def _flat(items: list[tuple[bytes, bytes]], values: bool) -> list[bytes]:
    return [part for pair in items for part in pair] if values else [field for field, _ in items]
