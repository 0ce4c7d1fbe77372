"""Set commands. What SPOP drew at random is left to replicas and the AOF as an SREM of the same members."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import randrange
from typing import Any

from node import errors
from node.datatypes import Set
from node.errors import ReplyError
from node.handlers.arguments import INT64_MAX, Options, parse_int_between, parse_non_negative
from node.handlers.collection_scan import scan_collection
from node.handlers.numkeys import TOO_MANY_KEYS, split_numkeys
from node.handlers.random_members import parse_count, positions
from node.handlers.registry import command
from node.keyspace import events
from node.keyspace.events import Event
from node.replies import SetReply

_NEGATIVE_LIMIT = ReplyError("ERR LIMIT can't be negative")


def _for_reading(ctx: Any, key: bytes) -> Set | None:
    return ctx.db.lookup_as(key, Set)  # type: ignore[no-any-return]


def _for_writing(ctx: Any, key: bytes) -> Set | None:
    return ctx.db.lookup_write_as(key, Set)  # type: ignore[no-any-return]


def _add(ctx: Any, key: bytes, members: Iterable[bytes]) -> int:
    """Returns how many are new. The set is made if there is none."""
    value = _for_writing(ctx, key)
    if value is None:
        value = Set()
        ctx.db.set(key, value)
    added = sum(map(value.add, members))
    if added:
        ctx.changed(key, events.SADD, added)
    return added


def _remove(ctx: Any, key: bytes, value: Set, members: Iterable[bytes], event: Event) -> int:
    """Returns how many were members."""
    removed = sum(map(value.remove, members))
    if removed:
        ctx.changed(key, event, removed)
        ctx.clear_if_empty(key, value)
    return removed


# --------------------------------------------------------------------------------------- members


@command("sadd")
def sadd(ctx: Any, args: list[bytes]) -> int:
    return _add(ctx, args[0], args[1:])


@command("srem")
def srem(ctx: Any, args: list[bytes]) -> int:
    value = _for_writing(ctx, args[0])
    return 0 if value is None else _remove(ctx, args[0], value, args[1:], events.SREM)


@command("smove")
def smove(ctx: Any, args: list[bytes]) -> int:
    source, target, member = args
    value = _for_writing(ctx, source)
    if value is None:
        return 0
    _for_writing(ctx, target)  # of another type: an error, before anything moves
    if source == target or member not in value:
        return int(member in value)
    _remove(ctx, source, value, [member], events.SREM)
    _add(ctx, target, [member])
    return 1


@command("sismember")
def sismember(ctx: Any, args: list[bytes]) -> int:
    value = _for_reading(ctx, args[0])
    return int(value is not None and args[1] in value)


@command("smismember")
def smismember(ctx: Any, args: list[bytes]) -> list[int]:
    value = _for_reading(ctx, args[0]) or Set()
    return [int(member in value) for member in args[1:]]


@command("scard")
def scard(ctx: Any, args: list[bytes]) -> int:
    value = _for_reading(ctx, args[0])
    return 0 if value is None else len(value)


@command("smembers")
def smembers(ctx: Any, args: list[bytes]) -> SetReply:
    return SetReply(list(_for_reading(ctx, args[0]) or ()))


@command("sscan")
def sscan(ctx: Any, args: list[bytes]) -> list[Any]:
    return scan_collection(ctx, args, Set, bytes, lambda members, values: members)


# --------------------------------------------------------------------------------------- at random


@command("srandmember")
def srandmember(ctx: Any, args: list[bytes]) -> Any:
    if len(args) == 1:
        value = _for_reading(ctx, args[0])
        return None if value is None else value.at(randrange(len(value)))
    if len(args) > 2:
        raise errors.SYNTAX
    count = parse_count(args[1], in_pairs=False)
    value = _for_reading(ctx, args[0])
    return [] if value is None else [value.at(position) for position in positions(len(value), count)]


@command("spop")
def spop(ctx: Any, args: list[bytes]) -> Any:
    if len(args) > 2:
        raise errors.SYNTAX
    count = parse_non_negative(args[1]) if len(args) == 2 else None
    key = args[0]
    value = _for_writing(ctx, key)
    if value is None or count == 0:
        return None if count is None else SetReply(())
    drawn = [value.at(position) for position in positions(len(value), 1 if count is None else count)]
    if len(drawn) == len(value):
        ctx.propagate([b"DEL", key])
    else:
        ctx.propagate([b"SREM", key, *drawn])
    _remove(ctx, key, value, drawn, events.SPOP)
    return drawn[0] if count is None else SetReply(drawn)


# --------------------------------------------------------------------------------------- many sets

Combine = Callable[[list[Set | None]], list[bytes]]


def _inter(sets: list[Set | None], limit: int = 0) -> list[bytes]:
    """The members of all sets, up to `limit` of them; the smallest set is walked and the others asked."""
    if any(each is None for each in sets):
        return []
    smallest, *others = sorted((each for each in sets if each is not None), key=len)
    found = []
    for member in smallest:
        if all(member in other for other in others):
            found.append(member)
            if len(found) == limit:
                break
    return found


def _union(sets: list[Set | None]) -> list[bytes]:
    return list({member: None for each in sets for member in each or ()})


def _diff(sets: list[Set | None]) -> list[bytes]:
    first, *others = sets
    present = [other for other in others if other is not None]
    return [member for member in first or () if not any(member in other for other in present)]


def _read(ctx: Any, keys: list[bytes], combine: Combine) -> SetReply:
    return SetReply(combine([_for_reading(ctx, key) for key in keys]))


def _store(ctx: Any, args: list[bytes], combine: Combine, event: Event) -> int:
    """Store what the sets at args[1:] give at args[0], whatever that held; nothing if that is empty."""
    target = args[0]
    members = combine([_for_reading(ctx, key) for key in args[1:]])
    if members:
        ctx.db.set(target, Set(members))
        ctx.changed(target, event)
    elif ctx.db.delete(target):
        ctx.changed(target, events.DEL)
    return len(members)


@command("sinter")
def sinter(ctx: Any, args: list[bytes]) -> SetReply:
    return _read(ctx, args, _inter)


@command("sunion")
def sunion(ctx: Any, args: list[bytes]) -> SetReply:
    return _read(ctx, args, _union)


@command("sdiff")
def sdiff(ctx: Any, args: list[bytes]) -> SetReply:
    return _read(ctx, args, _diff)


@command("sinterstore")
def sinterstore(ctx: Any, args: list[bytes]) -> int:
    return _store(ctx, args, _inter, events.SINTERSTORE)


@command("sunionstore")
def sunionstore(ctx: Any, args: list[bytes]) -> int:
    return _store(ctx, args, _union, events.SUNIONSTORE)


@command("sdiffstore")
def sdiffstore(ctx: Any, args: list[bytes]) -> int:
    return _store(ctx, args, _diff, events.SDIFFSTORE)


@command("sintercard")
def sintercard(ctx: Any, args: list[bytes]) -> int:
    keys, rest = split_numkeys(args, TOO_MANY_KEYS)
    limit = 0
    options = Options(rest)
    for word in options:
        if word != b"LIMIT":
            raise errors.SYNTAX
        limit = parse_int_between(options.value(), 0, INT64_MAX, _NEGATIVE_LIMIT)
    return len(_inter([_for_reading(ctx, key) for key in keys], limit))
