"""String commands. The simple forms of the hottest ones also exist compiled, in the core; these are complete.

What a command leaves for replicas and the AOF must mean the same later and elsewhere: relative expiries are
propagated as absolute ones, and INCRBYFLOAT as the digits that came out of it. A key's new expiry is an
event of its own (`expire`), behind the event of the value's change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from node import errors
from node.core.bits import string_view
from node.errors import ReplyError
from node.handlers import long_double
from node.handlers.arguments import (
    EXPIRE_UNITS,
    INT64_MAX,
    INT64_MIN,
    INT_MAX,
    ExpireUnit,
    Options,
    parse_expiry,
    parse_int,
    parse_int_between,
)
from node.handlers.expiry import expire_or_delete
from node.handlers.registry import command
from node.keyspace import events
from node.replies import OK

KEEP_TTL = -1
"""As `expire_at` of `Database.set`: the key keeps the expiry it has."""

_NEGATIVE_OFFSET = ReplyError("ERR offset is out of range")
_BAD_NUMKEYS = ReplyError("ERR invalid numkeys value or out of range")
_DECREMENT_OVERFLOW = ReplyError("ERR decrement would overflow")


# ------------------------------------------------------------------------------------- SET and its kin


@dataclass(slots=True)
class SetOptions:
    """What follows the value in SET."""

    condition: bytes = b""
    """NX: only if there is no such key. XX: only if there is one. IFEQ: only if its value is `expected`."""
    expected: bytes = b""
    get: bool = False
    keep_ttl: bool = False
    expiry_option: bytes = b""
    expiry_text: bytes = b""


def parse_set_options(args: list[bytes], start: int = 2) -> SetOptions:
    """From `start` on. One may be repeated, the last one counting, but not be joined by its alternatives."""
    found = SetOptions()
    options = Options(args, start)
    for word in options:
        if word in (b"NX", b"XX") and found.condition in (b"", word):
            found.condition = word
        elif word == b"IFEQ" and not found.condition:
            found.condition, found.expected = word, options.value()
        elif word == b"GET":
            found.get = True
        elif word == b"KEEPTTL" and not found.expiry_option:
            found.keep_ttl = True
        elif word in EXPIRE_UNITS and found.expiry_option in (b"", word) and not found.keep_ttl:
            found.expiry_option, found.expiry_text = word, options.value()
        else:
            raise errors.SYNTAX
    return found


@command("set")
def set_(ctx: Any, args: list[bytes]) -> Any:
    key, value = args[0], args[1]
    if len(args) == 2:
        ctx.db.set(key, value)
        ctx.changed(key, events.SET)
        return OK
    options = parse_set_options(args)
    expire_at = KEEP_TTL if options.keep_ttl else 0
    if options.expiry_option:
        unit = EXPIRE_UNITS[options.expiry_option]
        expire_at = parse_expiry(options.expiry_text, unit, ctx.now, "set")
    compares = options.condition == b"IFEQ"
    old = None
    if options.get:
        old = ctx.db.lookup_as(key, bytes)
    elif compares:
        old = ctx.db.lookup_write_as(key, bytes)  # a comparison is no reading: neither hit nor miss
    if compares:
        if old != options.expected:
            return old if options.get else None
    elif options.condition and ctx.db.exists(key) != (options.condition == b"XX"):
        return old
    ctx.db.set(key, value, expire_at)
    ctx.changed(key, events.SET)
    if options.expiry_option:
        ctx.changed(key, events.EXPIRE, 0)
    if compares or options.expiry_option not in (b"", b"PXAT"):
        ctx.propagate([b"SET", key, value, *_lifetime(expire_at)])
    elif options.get and not options.expiry_option:
        ctx.propagate([b"SET", key, value, *(arg for arg in args[2:] if arg.upper() != b"GET")])
    return old if options.get else OK


def _lifetime(expire_at: int) -> list[bytes]:
    """The options of SET that give a key this expiry, as `Database.set` takes it."""
    if expire_at == KEEP_TTL:
        return [b"KEEPTTL"]
    return [b"PXAT", b"%d" % expire_at] if expire_at else []


@command("setnx")
def setnx(ctx: Any, args: list[bytes]) -> int:
    if ctx.db.exists(args[0]):
        return 0
    ctx.db.set(args[0], args[1])
    ctx.changed(args[0], events.SET)
    return 1


@command("setex")
def setex(ctx: Any, args: list[bytes]) -> str:
    return _set_expiring(ctx, args, EXPIRE_UNITS[b"EX"], "setex")


@command("psetex")
def psetex(ctx: Any, args: list[bytes]) -> str:
    return _set_expiring(ctx, args, EXPIRE_UNITS[b"PX"], "psetex")


def _set_expiring(ctx: Any, args: list[bytes], unit: ExpireUnit, name: str) -> str:
    key, amount, value = args
    expire_at = parse_expiry(amount, unit, ctx.now, name)
    ctx.db.set(key, value, expire_at)
    ctx.changed(key, events.SET)
    ctx.changed(key, events.EXPIRE, 0)
    ctx.propagate([b"SET", key, value, b"PXAT", b"%d" % expire_at])
    return OK


@command("getset")
def getset(ctx: Any, args: list[bytes]) -> bytes | None:
    key, value = args
    old = ctx.db.lookup_as(key, bytes)
    ctx.db.set(key, value)
    ctx.changed(key, events.SET)
    ctx.propagate([b"SET", key, value])
    return old


@command("mset")
def mset(ctx: Any, args: list[bytes]) -> str:
    _require_pairs(args, "mset")
    _set_pairs(ctx, args)
    return OK


@command("msetnx")
def msetnx(ctx: Any, args: list[bytes]) -> int:
    _require_pairs(args, "msetnx")
    if any(ctx.db.exists(key) for key in args[::2]):
        return 0
    _set_pairs(ctx, args)
    return 1


@command("msetex")
def msetex(ctx: Any, args: list[bytes]) -> int:
    """Valkey's. Replicas are told in words that every server knows: MSET, or a SET for each key."""
    count = parse_int_between(args[0], 1, INT_MAX, _BAD_NUMKEYS)
    end = 1 + 2 * count
    if end > len(args):
        raise errors.SYNTAX
    keys, values = args[1:end:2], args[2:end:2]
    options = parse_set_options(args, end)
    if options.get or options.condition == b"IFEQ":
        raise errors.SYNTAX
    expire_at = KEEP_TTL if options.keep_ttl else 0
    if options.expiry_option:
        unit = EXPIRE_UNITS[options.expiry_option]
        expire_at = parse_expiry(options.expiry_text, unit, ctx.now, "msetex")
    if options.condition and any(ctx.db.exists(key) != (options.condition == b"XX") for key in keys):
        return 0
    for key, value in zip(keys, values, strict=True):
        ctx.db.set(key, value, expire_at)
        ctx.changed(key, events.SET)
        if options.expiry_option:
            ctx.changed(key, events.EXPIRE, 0)
    if expire_at:
        lifetime = _lifetime(expire_at)
        ctx.propagate(*([b"SET", key, value, *lifetime] for key, value in zip(keys, values, strict=True)))
    else:
        ctx.propagate([b"MSET", *args[1:end]])
    return 1


def _require_pairs(args: list[bytes], name: str) -> None:
    if len(args) % 2:
        raise errors.wrong_arity(name)


def _set_pairs(ctx: Any, args: list[bytes]) -> None:
    for key, value in zip(args[::2], args[1::2], strict=True):
        ctx.db.set(key, value)
        ctx.changed(key, events.SET)


# ------------------------------------------------------------------------------------- GET and its kin


@command("get")
def get(ctx: Any, args: list[bytes]) -> bytes | None:
    return ctx.db.lookup_as(args[0], bytes)


@command("mget")
def mget(ctx: Any, args: list[bytes]) -> list[bytes | None]:
    """Keys of another type read as absent."""
    values = (ctx.db.lookup(key) for key in args)
    return [value if isinstance(value, bytes) else None for value in values]


@command("getdel")
def getdel(ctx: Any, args: list[bytes]) -> bytes | None:
    key = args[0]
    value = ctx.db.lookup_as(key, bytes)
    if value is not None:
        ctx.db.delete(key)
        ctx.changed(key, events.DEL)
        ctx.propagate([b"DEL", key])
    return value


@command("delifeq")
def delifeq(ctx: Any, args: list[bytes]) -> int:
    """Valkey's: delete a key if this is its value."""
    key, expected = args
    if ctx.db.lookup_write_as(key, bytes) != expected:
        return 0
    ctx.db.delete(key)
    ctx.changed(key, events.DEL)
    ctx.propagate([b"DEL", key])
    return 1


@command("getex")
def getex(ctx: Any, args: list[bytes]) -> bytes | None:
    key = args[0]
    option = amount = b""
    options = Options(args, start=1)
    for word in options:
        if option not in (b"", word):
            raise errors.SYNTAX
        if word in EXPIRE_UNITS:
            amount = options.value()
        elif word != b"PERSIST":
            raise errors.SYNTAX
        option = word
    value = ctx.db.lookup_as(key, bytes)
    if value is None:
        return None
    if option == b"PERSIST":
        if ctx.db.persist(key):
            ctx.changed(key, events.PERSIST)
            ctx.propagate([b"PERSIST", key])
    elif option:
        expire_or_delete(ctx, key, parse_expiry(amount, EXPIRE_UNITS[option], ctx.now, "getex"))
    return value


# ------------------------------------------------------------------------------------- parts of strings


@command("strlen")
def strlen(ctx: Any, args: list[bytes]) -> int:
    return ctx.db.strlen(args[0])


@command("append")
def append(ctx: Any, args: list[bytes]) -> int:
    key, value = args
    check_length(ctx, ctx.db.strlen(key, counted=False) + len(value))
    length = ctx.db.append(key, value)
    ctx.changed(key, events.APPEND)
    return length


@command("setrange")
def setrange(ctx: Any, args: list[bytes]) -> int:
    key, value = args[0], args[2]
    offset = parse_int(args[1])
    if offset < 0:
        raise _NEGATIVE_OFFSET
    length = ctx.db.strlen(key, counted=False)
    if not value:
        return length
    check_length(ctx, offset + len(value))
    length = ctx.db.setrange(key, offset, value)
    ctx.changed(key, events.SETRANGE)
    return length


def check_length(ctx: Any, length: int) -> None:
    """Refuse to make a string longer than a client could send one."""
    if length > ctx.config.proto_max_bulk_len:
        raise errors.STRING_TOO_LONG


@command("getrange", "substr")
def getrange(ctx: Any, args: list[bytes]) -> bytes:
    start, end = parse_int(args[1]), parse_int(args[2])
    data = string_view(ctx.db, args[0])
    if data is None or (start > end and start < 0 and end < 0):
        return b""
    return bytes(data[from_the_end(start, len(data)) : from_the_end(end, len(data)) + 1])


def from_the_end(index: int, length: int) -> int:
    """An index as clients write it, where -1 is the last one. Never negative."""
    return max(0, length + index) if index < 0 else index


# --------------------------------------------------------------------------------------------- counters


@command("incr")
def incr(ctx: Any, args: list[bytes]) -> int:
    return _add(ctx, args[0], 1)


@command("decr")
def decr(ctx: Any, args: list[bytes]) -> int:
    return _add(ctx, args[0], -1)


@command("incrby")
def incrby(ctx: Any, args: list[bytes]) -> int:
    return _add(ctx, args[0], parse_int(args[1]))


@command("decrby")
def decrby(ctx: Any, args: list[bytes]) -> int:
    amount = parse_int(args[1])
    if amount == INT64_MIN:
        raise _DECREMENT_OVERFLOW
    return _add(ctx, args[0], -amount)


def _add(ctx: Any, key: bytes, amount: int) -> int:
    old = ctx.db.lookup_write_as(key, bytes)
    total = amount + (0 if old is None else parse_int(old))
    if not INT64_MIN <= total <= INT64_MAX:
        raise errors.INCREMENT_OVERFLOW
    ctx.db.set(key, b"%d" % total, KEEP_TTL)
    ctx.changed(key, events.INCRBY)
    return total


@command("incrbyfloat")
def incrbyfloat(ctx: Any, args: list[bytes]) -> bytes:
    key = args[0]
    old = ctx.db.lookup_write_as(key, bytes)
    value = long_double.parse(b"0" if old is None else old)
    digits = long_double.format_human(long_double.add(value, long_double.parse(args[1])))
    ctx.db.set(key, digits, KEEP_TTL)
    ctx.changed(key, events.INCRBYFLOAT)
    ctx.propagate([b"SET", key, digits, b"KEEPTTL"])
    return digits
