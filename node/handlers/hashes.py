"""Hash commands.

Numbers in fields follow the rules of numbers in strings; HINCRBYFLOAT leaves its result, not itself, to
replicas and the AOF. What fields that expire are to these commands is in hash_lookup.py; commands about
their expiry are in hash_expiry.py and hash_field_values.py.
"""

from __future__ import annotations

from typing import Any

from node import errors
from node.core.hash import Hash
from node.errors import ReplyError
from node.handlers import long_double
from node.handlers.arguments import INT64_MAX, INT64_MIN, parse_int
from node.handlers.collection_scan import scan_collection
from node.handlers.hash_lookup import created, drop_expired, for_reading, for_writing, read_fields
from node.handlers.random_members import check_draws, parse_count
from node.handlers.registry import command
from node.keyspace import events
from node.replies import OK, PairsReply

_NOT_AN_INTEGER = ReplyError("ERR hash value is not an integer")
_NOT_A_FLOAT = ReplyError("ERR hash value is not a float")
_NAN_OR_INFINITY = ReplyError("ERR value is NaN or Infinity")


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
    added = created(ctx, key).set_all(args, 1)
    ctx.changed(key, events.HSET, len(args) // 2)
    return added


@command("hsetnx")
def hsetnx(ctx: Any, args: list[bytes]) -> int:
    key, field, content = args
    value, told = _reach(ctx, key, field)
    if value is not None and field in value:
        return 0
    (value if value is not None else created(ctx, key)).set(field, content)
    ctx.changed(key, events.HSET)
    if told:
        ctx.propagate(*told, [b"HSETNX", *args])
    return 1


def _reach(ctx: Any, key: bytes, field: bytes) -> tuple[Hash | None, list[list[bytes]]]:
    """The hash at `key`, without `field` if that has expired, and what replicas must be told of it."""
    value = for_writing(ctx, key)
    if value is None or not value.timed:
        return value, []
    told = drop_expired(ctx, key, value, [field])
    return (None if told and ctx.clear_if_empty(key, value) else value), told


@command("hdel")
def hdel(ctx: Any, args: list[bytes]) -> int:
    """An expired field counts as one that was there."""
    key = args[0]
    value = for_writing(ctx, key)
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
    value, told = _reach(ctx, key, field)
    old = value.get(field) if value is not None else None
    number = parse_int(old, _NOT_AN_INTEGER) if old is not None else 0
    number += increment
    if not INT64_MIN <= number <= INT64_MAX:
        raise errors.INCREMENT_OVERFLOW
    (value if value is not None else created(ctx, key)).set(field, b"%d" % number, keep_expiry=True)
    ctx.changed(key, events.HINCRBY)
    if told:
        ctx.propagate(*told, [b"HINCRBY", *args])
    return number


@command("hincrbyfloat")
def hincrbyfloat(ctx: Any, args: list[bytes]) -> bytes:
    """Replicated as HSET, which any replica understands, unless that would end the field's expiry."""
    key, field, raw = args
    increment = long_double.parse(raw)
    if isinstance(increment, float):
        raise _NAN_OR_INFINITY
    value, told = _reach(ctx, key, field)
    old = value.get(field) if value is not None else None
    number = long_double.add(long_double.parse(b"0" if old is None else old, _NOT_A_FLOAT), increment)
    if isinstance(number, float):
        raise errors.NAN_OR_INFINITY
    text = long_double.format_human(number)
    if value is None:
        value = created(ctx, key)
    value.set(field, text, keep_expiry=True)
    ctx.changed(key, events.HINCRBYFLOAT)
    if value.expiry(field) > 0:
        ctx.propagate(*told, [b"HSETEX", key, b"KEEPTTL", b"FIELDS", b"1", field, text])
    else:
        ctx.propagate(*told, [b"HSET", key, field, text])
    return text


# ------------------------------------------------------------------------------------------ reading


@command("hget")
def hget(ctx: Any, args: list[bytes]) -> bytes | None:
    value = read_fields(ctx, args[0], args[1:])
    return None if value is None else value.get(args[1])


@command("hmget")
def hmget(ctx: Any, args: list[bytes]) -> list[bytes | None]:
    fields = args[1:]
    value = read_fields(ctx, args[0], fields)
    return [None if value is None else value.get(field) for field in fields]


@command("hgetall")
def hgetall(ctx: Any, args: list[bytes]) -> PairsReply:
    value = for_reading(ctx, args[0])
    return PairsReply(() if value is None else value.items())


@command("hkeys")
def hkeys(ctx: Any, args: list[bytes]) -> list[bytes]:
    value = for_reading(ctx, args[0])
    return [] if value is None else value.fields()


@command("hvals")
def hvals(ctx: Any, args: list[bytes]) -> list[bytes]:
    value = for_reading(ctx, args[0])
    return [] if value is None else value.values()


@command("hlen")
def hlen(ctx: Any, args: list[bytes]) -> int:
    value = for_reading(ctx, args[0])
    return 0 if value is None else len(value)


@command("hexists")
def hexists(ctx: Any, args: list[bytes]) -> int:
    value = read_fields(ctx, args[0], args[1:])
    return int(value is not None and args[1] in value)


@command("hstrlen")
def hstrlen(ctx: Any, args: list[bytes]) -> int:
    value = read_fields(ctx, args[0], args[1:])
    return 0 if value is None else value.value_length(args[1])


@command("hrandfield")
def hrandfield(ctx: Any, args: list[bytes]) -> Any:
    if len(args) == 1:
        drawn = _draw(ctx, args[0], 1)
        return drawn[0][0] if drawn else None
    if len(args) > 3 or (len(args) == 3 and args[2].upper() != b"WITHVALUES"):
        parse_count(args[1], in_pairs=False)
        raise errors.SYNTAX
    drawn = _draw(ctx, args[0], parse_count(args[1], in_pairs=len(args) == 3))
    if len(args) == 2:
        return [field for field, _ in drawn]
    return drawn if ctx.resp == 3 else [part for pair in drawn for part in pair]


def _draw(ctx: Any, key: bytes, count: int) -> list[tuple[bytes, bytes]]:
    """Expired fields are deleted before, since all are equally likely to be drawn."""
    value = for_reading(ctx, key)
    if value is None:
        return []
    check_draws(count)
    if value.timed and (told := drop_expired(ctx, key, value, value.expired(ctx.now, len(value)))):
        ctx.propagate(*told)
        ctx.clear_if_empty(key, value)
    return value.draw(count)


@command("hscan")
def hscan(ctx: Any, args: list[bytes]) -> list[Any]:
    return scan_collection(ctx, args, Hash, lambda item: item[0], _flat)


def _flat(items: list[tuple[bytes, bytes]], values: bool) -> list[bytes]:
    return [part for pair in items for part in pair] if values else [field for field, _ in items]
