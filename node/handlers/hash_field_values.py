"""HGETDEL, HGETEX and HSETEX: values of hash fields together with what becomes of the fields.

    HGETDEL key FIELDS count field [field ...]
    HGETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] FIELDS count field [field ...]
    HSETEX key [FNX | FXX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]
           FIELDS count field value [field value ...]

Replicas hear the plain commands that have the same effect: HDEL, HPEXPIREAT, HPERSIST, and HSETEX with a
moment in Unix milliseconds.
"""

from __future__ import annotations

from typing import Any, Final

from node import errors
from node.core.hash import Hash
from node.errors import ReplyError
from node.handlers.arguments import EXPIRE_UNITS, parse_int_between
from node.handlers.hash_expiry import (
    DELETED,
    DONE,
    NO_EXPIRY,
    parse_fields,
    parse_moment,
    persist,
    set_or_delete,
)
from node.handlers.hash_lookup import created, drop_expired, for_writing
from node.handlers.registry import command
from node.keyspace import events

_AS_IT_IS: Final = -2
"""In the place of a moment: leave the expiry alone."""
_INT_MAX: Final = (1 << 31) - 1

_BAD_COUNT = ReplyError("ERR invalid number of fields")
_NO_MOMENT = ReplyError("ERR missing expire time")
_TWO_CONDITIONS = ReplyError("ERR Only one of FXX or FNX arguments can be specified")
_TWO_EXPIRIES = ReplyError("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified")


@command("hgetdel")
def hgetdel(ctx: Any, args: list[bytes]) -> list[bytes | None]:
    key = args[0]
    value = for_writing(ctx, key)
    fields = parse_fields(args[1:])
    if value is None:
        return [None] * len(fields)
    told = drop_expired(ctx, key, value, fields)
    found: list[bytes | None] = []
    deleted = 0
    for field in fields:
        found.append(value.get(field))
        if found[-1] is not None:
            deleted += value.delete(field)
    if deleted:
        ctx.changed(key, events.HDEL, deleted)
        told.append([b"HDEL", key, *fields])
    if told:
        ctx.propagate(*told)
        ctx.clear_if_empty(key, value)
    return found


# ------------------------------------------------------------------------------------------ HGETEX


@command("hgetex")
def hgetex(ctx: Any, args: list[bytes]) -> list[bytes | None]:
    key = args[0]
    value = for_writing(ctx, key)
    option = args[1].upper()
    moment = _AS_IT_IS
    rest = args[1:]
    if option in EXPIRE_UNITS:
        moment = parse_moment(args[2], EXPIRE_UNITS[option], ctx.now, "hgetex")
        rest = args[3:]
        if len(rest) < 2:
            raise errors.wrong_arity("hgetex")
    elif option == b"PERSIST":
        moment, rest = NO_EXPIRY, args[2:]
    fields = parse_fields(rest)
    if value is None:
        return [None] * len(fields)
    return _get_and_expire(ctx, key, value, fields, moment)


def _get_and_expire(
    ctx: Any, key: bytes, value: Hash, fields: list[bytes], moment: int
) -> list[bytes | None]:
    """`moment`: Unix ms, NO_EXPIRY to end the expiry, or _AS_IT_IS."""
    if moment != _AS_IT_IS:
        ctx.db.allow_field_expiry(key, value)
    found: list[bytes | None] = []
    told: list[list[bytes]] = []
    updated = deleted = 0
    for field in fields:
        told += drop_expired(ctx, key, value, [field])
        found.append(value.get(field))
        if found[-1] is None or moment == _AS_IT_IS:
            continue
        if moment == NO_EXPIRY:
            updated += persist(value, field) == DONE
            continue
        outcome = set_or_delete(ctx, value, field, moment)
        updated += outcome == DONE
        if outcome == DELETED:
            deleted += 1
            told.append([b"HDEL", key, field])
    if updated:
        count = b"%d" % len(fields)
        persisted = moment == NO_EXPIRY
        name = [b"HPERSIST", key] if persisted else [b"HPEXPIREAT", key, b"%d" % moment]
        told.append([*name, b"FIELDS", count, *fields])
        ctx.db.await_fields(key, value)
        ctx.changed(key, events.HPERSIST if persisted else events.HEXPIRE, updated + deleted)
    elif deleted:
        ctx.changed(key, events.HDEL, deleted)
    if told:
        ctx.propagate(*told)
        ctx.clear_if_empty(key, value)
    return found


# ------------------------------------------------------------------------------------------ HSETEX


class _SetOptions:
    """What stands between HSETEX's key and its fields, and where these begin."""

    def __init__(self, ctx: Any, args: list[bytes]) -> None:
        self.condition = b""
        """FXX or FNX."""
        self.key_condition = b""
        """XX or NX: whether the key must be there, or must not. Valkey's."""
        self.key_condition_at: set[int] = set()
        """Where that is said: replicas need not be told, and those of Redis would not understand."""
        self.expiry = b""
        """KEEPTTL or a word of EXPIRE_UNITS."""
        self.moment = 0
        self.moment_at = 0
        """Index of the expiry's number."""
        self.first = 0
        """Index of the first field."""
        at = 1
        while at < len(args):
            word = args[at].upper()
            if word == b"FIELDS":
                self._take_fields(args, at)
                return
            if word == b"KEEPTTL" or word in EXPIRE_UNITS:
                at = self._take_expiry(ctx, args, at, word)
            elif word in (b"FXX", b"FNX"):
                if self.condition:
                    raise _TWO_CONDITIONS
                self.condition = word
            elif word in (b"XX", b"NX"):
                if self.key_condition not in (b"", word):
                    raise errors.SYNTAX
                self.key_condition = word
                self.key_condition_at.add(at)
            else:
                stranger = min({at, *self.key_condition_at})  # Redis knows no condition of the key either
                raise ReplyError(f"ERR unknown argument: {errors.one_line(args[stranger])}")
            at += 1
        raise errors.wrong_arity("hsetex")

    def _take_expiry(self, ctx: Any, args: list[bytes], at: int, word: bytes) -> int:
        """Returns the index of the last argument that belongs to it."""
        if self.expiry:
            raise _TWO_EXPIRIES
        self.expiry = word
        if word == b"KEEPTTL":
            return at
        if at + 1 >= len(args):
            raise _NO_MOMENT
        self.moment_at = at + 1
        self.moment = parse_moment(args[at + 1], EXPIRE_UNITS[word], ctx.now, "hsetex")
        return at + 1

    def _take_fields(self, args: list[bytes], at: int) -> None:
        if at >= len(args) - 3:
            raise errors.wrong_arity("hsetex")
        count = parse_int_between(args[at + 1], 1, _INT_MAX, _BAD_COUNT)
        if len(args) - at - 2 != 2 * count:
            raise errors.wrong_arity("hsetex")
        self.first = at + 2


@command("hsetex")
def hsetex(ctx: Any, args: list[bytes]) -> int:
    key = args[0]
    options = _SetOptions(ctx, args)
    value = for_writing(ctx, key)
    if options.key_condition == (b"XX" if value is None else b"NX"):
        return 0
    if value is None:
        if options.condition == b"FXX":
            return 0
        value = created(ctx, key)
    told: list[list[bytes]] = []
    if options.condition and not _condition_holds(ctx, args, value, options, told):
        if told:
            ctx.propagate(*told)
            ctx.clear_if_empty(key, value)
        return 0
    fields = args[options.first :: 2]
    value.set_all(args, options.first, keep_expiry=options.expiry != b"")
    ctx.changed(key, events.HSET, len(fields))
    rewritten = [b"HSETEX", *args]
    if options.moment_at:
        rewritten[options.moment_at : options.moment_at + 2] = [b"PXAT", b"%d" % options.moment]
        ctx.db.allow_field_expiry(key, value)
        outcomes = [set_or_delete(ctx, value, field, options.moment) for field in fields]
        ctx.db.await_fields(key, value)
        deleted = [field for field, outcome in zip(fields, outcomes, strict=True) if outcome == DELETED]
        if deleted:
            told += [[b"HDEL", key, field] for field in deleted]
            rewritten = []
        ctx.changed(key, events.HDEL if deleted else events.HEXPIRE, 0)
    rewritten = [word for at, word in enumerate(rewritten, -1) if at not in options.key_condition_at]
    ctx.propagate(*told, *([rewritten] if rewritten else []))
    ctx.clear_if_empty(key, value)
    return 1


def _condition_holds(
    ctx: Any, args: list[bytes], value: Hash, options: _SetOptions, told: list[list[bytes]]
) -> bool:
    """FXX: all fields are there. FNX: none is. Expired ones that are met are deleted, and are in `told`."""
    wanted = options.condition == b"FXX"
    for field in args[options.first :: 2]:
        told += drop_expired(ctx, args[0], value, [field])
        if (field in value) != wanted:
            return False
    return True
