"""Set commands. What SPOP drew at random is left to replicas and the AOF as SREMs of the same members, or as
a DEL where a count took them all.
"""

from __future__ import annotations

from typing import Any

from node import errors
from node.core import set_algebra
from node.datatypes import Set
from node.errors import ReplyError
from node.handlers.arguments import INT64_MAX, Options, parse_int_between, parse_non_negative
from node.handlers.collection_scan import scan_collection
from node.handlers.numkeys import TOO_MANY_KEYS, split_numkeys
from node.handlers.random_members import check_draws, parse_count
from node.handlers.registry import command
from node.handlers.strings import KEEP_TTL
from node.keyspace import events
from node.keyspace.events import Event
from node.replies import SetReply

_NEGATIVE_LIMIT = ReplyError("ERR LIMIT can't be negative")

_REMOVED_AT_ONCE = 1024
"""Members in one SREM that stands for an SPOP."""
_MOVE_FACTOR = 5
"""So many times more taken than left, and SPOP makes a new set of what is left."""


def _for_reading(ctx: Any, key: bytes) -> Set | None:
    return ctx.db.lookup_as(key, Set)  # type: ignore[no-any-return]


def _for_writing(ctx: Any, key: bytes) -> Set | None:
    return ctx.db.lookup_write_as(key, Set)  # type: ignore[no-any-return]


def _add(ctx: Any, key: bytes, members: list[bytes]) -> int:
    """Returns how many are new. The set is made if there is none."""
    value = _for_writing(ctx, key)
    if value is None:
        value = Set.sized(members[0], len(members))
        ctx.db.set(key, value)
    added = value.add_all(members)
    if added:
        ctx.changed(key, events.SADD, added)
    return added


def _remove(ctx: Any, key: bytes, value: Set, members: list[bytes], event: Event) -> int:
    """Returns how many were members."""
    removed = value.remove_all(members)
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
        return None if value is None else value.draw()
    if len(args) > 2:
        raise errors.SYNTAX
    count = parse_count(args[1], in_pairs=False)
    value = _for_reading(ctx, args[0])
    if value is None:
        return []
    check_draws(count)
    return value.sample(count) if count >= 0 else [value.draw() for _ in range(-count)]


@command("spop")
def spop(ctx: Any, args: list[bytes]) -> Any:
    if len(args) > 2:
        raise errors.SYNTAX
    count = parse_non_negative(args[1]) if len(args) == 2 else None
    key = args[0]
    value = _for_writing(ctx, key)
    if value is None or count == 0:
        return None if count is None else SetReply(())
    if count is None:
        drawn = [value.draw()]
        ctx.propagate([b"SREM", key, *drawn])
    else:
        drawn = value.sample(count)
        _propagate_many(ctx, key, drawn, is_all=len(drawn) == len(value))
    left = len(value) - len(drawn)
    if not left and count is not None:
        ctx.db.find_quietly(key)  # Redis reads it once more then, which its statistics show
    if left and left * _MOVE_FACTOR <= len(drawn):
        value = _rest(value, drawn)
        ctx.db.set(key, value, KEEP_TTL)
        ctx.changed(key, events.SPOP, len(drawn))
    else:
        _remove(ctx, key, value, drawn, events.SPOP)
    return drawn[0] if count is None else SetReply(drawn)


def _propagate_many(ctx: Any, key: bytes, drawn: list[bytes], *, is_all: bool) -> None:
    if is_all:
        ctx.propagate([b"DEL", key])
    else:
        parts = range(0, len(drawn), _REMOVED_AT_ONCE)
        ctx.propagate(*([b"SREM", key, *drawn[at : at + _REMOVED_AT_ONCE]] for at in parts))


def _rest(value: Set, drawn: list[bytes]) -> Set:
    """What is left of a set of which SPOP took nearly all: as in Redis a new set, of its own form."""
    gone = frozenset(drawn)
    left = [member for member in value if member not in gone]
    made = Set.sized(left[0] if value.encoding == "intset" else b"", 0)
    made.add_all(left)
    return made


# --------------------------------------------------------------------------------------- many sets

Sets = list[Set | None]


def _inputs(ctx: Any, keys: list[bytes]) -> Sets:
    return [_for_reading(ctx, key) for key in keys]


def _store(ctx: Any, target: bytes, value: Set, event: Event) -> int:
    """Store a result at `target`, whatever that held; nothing if it is empty."""
    if len(value):
        ctx.db.set(target, value)
        ctx.changed(target, event)
    else:
        ctx.discard(target)
    return len(value)


@command("sinter")
def sinter(ctx: Any, args: list[bytes]) -> SetReply:
    return SetReply(set_algebra.inter(_inputs(ctx, args)))


@command("sunion")
def sunion(ctx: Any, args: list[bytes]) -> SetReply:
    return SetReply(list(set_algebra.union(_inputs(ctx, args))))


@command("sdiff")
def sdiff(ctx: Any, args: list[bytes]) -> SetReply:
    return SetReply(list(set_algebra.diff(_inputs(ctx, args))))


@command("sinterstore")
def sinterstore(ctx: Any, args: list[bytes]) -> int:
    return _store(ctx, args[0], set_algebra.inter_set(_inputs(ctx, args[1:])), events.SINTERSTORE)


@command("sunionstore")
def sunionstore(ctx: Any, args: list[bytes]) -> int:
    return _store(ctx, args[0], set_algebra.union(_inputs(ctx, args[1:])), events.SUNIONSTORE)


@command("sdiffstore")
def sdiffstore(ctx: Any, args: list[bytes]) -> int:
    return _store(ctx, args[0], set_algebra.diff(_inputs(ctx, args[1:])), events.SDIFFSTORE)


@command("sintercard")
def sintercard(ctx: Any, args: list[bytes]) -> int:
    keys, rest = split_numkeys(args, TOO_MANY_KEYS)
    limit = 0
    options = Options(rest)
    for word in options:
        if word != b"LIMIT":
            raise errors.SYNTAX
        limit = parse_int_between(options.value(), 0, INT64_MAX, _NEGATIVE_LIMIT)
    return set_algebra.inter_count(_inputs(ctx, keys), limit)
