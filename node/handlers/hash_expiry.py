"""Commands about the expiry of hash fields: HEXPIRE, HTTL and HPERSIST with their kin.

    HEXPIRE key moment [NX|XX|GT|LT] FIELDS count field [field ...]
    HTTL, HPERSIST key FIELDS count field [field ...]

They reply one number for each field. A field's expiry is a moment in Unix milliseconds. A moment that has
passed deletes the field, on a primary; a replica believes whatever its primary says. Replicas hear moments
only (HPEXPIREAT), and only of the fields that the command changed; of those it deleted, HDEL one by one.
"""

from __future__ import annotations

from typing import Any, Final

from node import errors
from node.core.hash import Hash
from node.errors import ReplyError
from node.handlers.arguments import INT64_MAX, ExpireUnit, parse_int, parse_int_between
from node.handlers.hash_lookup import for_reading, for_writing
from node.handlers.registry import command
from node.keyspace import events

LATEST: Final = (1 << 46) - 1
"""Unix ms: Redis takes no later moment for a field."""

NO_FIELD: Final = -2
NO_EXPIRY: Final = -1
CONDITION_NOT_MET: Final = 0
DONE: Final = 1
DELETED: Final = 2
"""The numbers that stand for what became of a field."""

_CONDITIONS: Final = (b"NX", b"XX", b"GT", b"LT")

_NO_FIELDS_WORD = ReplyError("ERR Mandatory argument FIELDS is missing or not at the right position")
_BAD_COUNT = ReplyError("ERR Number of fields must be a positive integer")
_BAD_EXPIRE_COUNT = ReplyError("ERR Parameter `numFields` should be greater than 0")
_WRONG_COUNT = ReplyError("ERR The `numfields` parameter must match the number of arguments")
_NEGATIVE = ReplyError("ERR invalid expire time, must be >= 0")


def parse_moment(raw: bytes, unit: ExpireUnit, now: int, name: str) -> int:
    """The Unix time in milliseconds that `raw` means. `name` is the command's, for the error."""
    number = parse_int(raw)
    if number < 0:
        raise _NEGATIVE
    base = now if unit.relative else 0
    if number > LATEST // unit.milliseconds or number * unit.milliseconds > LATEST - base:
        raise errors.invalid_expire(name)
    return number * unit.milliseconds + base


def parse_fields(args: list[bytes], bad_count: ReplyError = _BAD_COUNT) -> list[bytes]:
    """The fields of `FIELDS count field [field ...]`, which is all of `args`."""
    if not args or args[0].upper() != b"FIELDS":
        raise _NO_FIELDS_WORD
    if len(args) < 2:
        raise _WRONG_COUNT
    count = parse_int_between(args[1], 1, INT64_MAX, bad_count)
    if count != len(args) - 2:
        raise _WRONG_COUNT
    return args[2:]


def set_or_delete(ctx: Any, value: Hash, field: bytes, moment: int, condition: bytes = b"") -> int:
    """Give a field its expiry, or delete it if the moment has passed, but not from a replica nor while a log
    is read back. Returns one of the numbers above.
    """
    before = value.stored_expiry(field)
    if before == NO_FIELD:
        return NO_FIELD
    if not _holds(condition, before, moment):
        return CONDITION_NOT_MET
    if moment <= ctx.now and not (ctx.db.hides_expired or ctx.db.shows_expired):
        value.delete(field)
        ctx.worker.field_expiry.expired += 1
        return DELETED
    value.set_expiry(field, max(moment, 1))
    return DONE


def _holds(condition: bytes, before: int, moment: int) -> bool:
    """`before` is NO_EXPIRY or the moment so far. Fields without expiry are later than any moment to LT, and
    nothing is later than they to GT."""
    if before == NO_EXPIRY:
        return condition not in (b"XX", b"GT")
    match condition:
        case b"NX":
            return False
        case b"GT":
            return before < moment
        case b"LT":
            return before > moment
    return True


# ------------------------------------------------------------------------------------------ HEXPIRE


def _expire(ctx: Any, args: list[bytes], unit: ExpireUnit, name: str) -> list[int]:
    key = args[0]
    value = for_writing(ctx, key)
    moment = parse_moment(args[1], unit, ctx.now, name)
    condition = args[2].upper()
    words = args[2:3] if condition in _CONDITIONS else []
    fields = parse_fields(args[2 + len(words) :], _BAD_EXPIRE_COUNT)
    if value is None:
        return [NO_FIELD] * len(fields)
    ctx.db.allow_field_expiry(key, value)
    condition = condition if words else b""
    outcomes = [set_or_delete(ctx, value, field, moment, condition) for field in fields]
    updated = [field for field, outcome in zip(fields, outcomes, strict=True) if outcome == DONE]
    deleted = [field for field, outcome in zip(fields, outcomes, strict=True) if outcome == DELETED]
    if not updated and not deleted:
        return outcomes
    told = [[b"HDEL", key, field] for field in deleted]
    if updated:
        count = b"%d" % len(updated)
        told.append([b"HPEXPIREAT", key, b"%d" % moment, *words, b"FIELDS", count, *updated])
    ctx.propagate(*told)
    ctx.db.await_fields(key, value)
    ctx.changed(key, events.HDEL if deleted else events.HEXPIRE, len(updated) + len(deleted))
    ctx.clear_if_empty(key, value)
    return outcomes


@command("hexpire")
def hexpire(ctx: Any, args: list[bytes]) -> list[int]:
    return _expire(ctx, args, ExpireUnit(1000, relative=True), "hexpire")


@command("hpexpire")
def hpexpire(ctx: Any, args: list[bytes]) -> list[int]:
    return _expire(ctx, args, ExpireUnit(1, relative=True), "hpexpire")


@command("hexpireat")
def hexpireat(ctx: Any, args: list[bytes]) -> list[int]:
    return _expire(ctx, args, ExpireUnit(1000, relative=False), "hexpireat")


@command("hpexpireat")
def hpexpireat(ctx: Any, args: list[bytes]) -> list[int]:
    return _expire(ctx, args, ExpireUnit(1, relative=False), "hpexpireat")


# ------------------------------------------------------------------------------------------ HTTL


def _moments(ctx: Any, args: list[bytes]) -> list[int]:
    """The moments of the fields asked for; NO_EXPIRY and NO_FIELD for others."""
    value = for_reading(ctx, args[0])
    fields = parse_fields(args[1:])
    return [NO_FIELD if value is None else value.expiry(field) for field in fields]


def _in_seconds(milliseconds: int) -> int:
    return (milliseconds + 999) // 1000


@command("httl")
def httl(ctx: Any, args: list[bytes]) -> list[int]:
    return [at if at < 0 else _in_seconds(at - ctx.now) for at in _moments(ctx, args)]


@command("hpttl")
def hpttl(ctx: Any, args: list[bytes]) -> list[int]:
    return [at if at < 0 else at - ctx.now for at in _moments(ctx, args)]


@command("hexpiretime")
def hexpiretime(ctx: Any, args: list[bytes]) -> list[int]:
    return [at if at < 0 else _in_seconds(at) for at in _moments(ctx, args)]


@command("hpexpiretime")
def hpexpiretime(ctx: Any, args: list[bytes]) -> list[int]:
    return _moments(ctx, args)


# ------------------------------------------------------------------------------------------ HPERSIST


@command("hpersist")
def hpersist(ctx: Any, args: list[bytes]) -> list[int]:
    key = args[0]
    value = for_writing(ctx, key)
    fields = parse_fields(args[1:])
    outcomes = [NO_FIELD if value is None else persist(value, field) for field in fields]
    if DONE in outcomes:
        ctx.changed(key, events.HPERSIST)
    return outcomes


def persist(value: Hash, field: bytes) -> int:
    """End a field's expiry. Returns one of the numbers above."""
    before = value.expiry(field)
    if before < 0:
        return before
    value.set_expiry(field, 0)
    return DONE
