"""Commands on how long keys live.

A key's expiry is a moment, in Unix milliseconds. Commands that name a moment that has passed delete the key
at once, and whatever is propagated names moments or deletions, never durations: replicas and logs are not
left to compare clocks.
"""

from __future__ import annotations

from typing import Any

from node.errors import ReplyError, one_line
from node.handlers.arguments import INT64_MIN, ExpireUnit, parse_expiry
from node.handlers.registry import command
from node.keyspace import events

_NX_WITH_OTHERS = ReplyError("ERR NX and XX, GT or LT options at the same time are not compatible")
_GT_WITH_LT = ReplyError("ERR GT and LT options at the same time are not compatible")

NO_EXPIRY = -1
"""What `Database.expiry` says of a key that lives on."""


def expire_or_delete(ctx: Any, key: bytes, expire_at: int, *conditions: bytes) -> None:
    """Give an existing key its expiry; where that has passed already, delete it.

    A replica, which applies what its primary decided, only notes the time. `conditions` are the options of
    the EXPIRE that was sent; they are passed on.
    """
    if expire_at <= ctx.now and not ctx.db.hides_expired:
        ctx.db.delete(key, ctx.config.lazyfree_lazy_expire)
        ctx.changed(key, events.DEL)
        ctx.propagate([b"UNLINK" if ctx.config.lazyfree_lazy_expire else b"DEL", key])
        return
    ctx.db.set_expiry(key, max(expire_at, 1))
    ctx.changed(key, events.EXPIRE)
    ctx.propagate([b"PEXPIREAT", key, b"%d" % expire_at, *conditions])


@command("expire")
def expire(ctx: Any, args: list[bytes]) -> int:
    return _expire(ctx, args, ExpireUnit(1000, relative=True), "expire")


@command("pexpire")
def pexpire(ctx: Any, args: list[bytes]) -> int:
    return _expire(ctx, args, ExpireUnit(1, relative=True), "pexpire")


@command("expireat")
def expireat(ctx: Any, args: list[bytes]) -> int:
    return _expire(ctx, args, ExpireUnit(1000, relative=False), "expireat")


@command("pexpireat")
def pexpireat(ctx: Any, args: list[bytes]) -> int:
    return _expire(ctx, args, ExpireUnit(1, relative=False), "pexpireat")


def _expire(ctx: Any, args: list[bytes], unit: ExpireUnit, name: str) -> int:
    key, amount, *options = args
    conditions = _parse_conditions(options)
    expire_at = parse_expiry(amount, unit, ctx.now, name, minimum=INT64_MIN)
    if ctx.db.lookup_write(key) is None:
        return 0
    if not _conditions_hold(conditions, ctx.db.expiry(key), expire_at):
        return 0
    expire_or_delete(ctx, key, expire_at, *options)
    return 1


def _parse_conditions(options: list[bytes]) -> set[bytes]:
    """NX, XX, GT, LT: XX may be joined by GT or LT."""
    conditions = set()
    for option in options:
        if option.upper() not in (b"NX", b"XX", b"GT", b"LT"):
            raise ReplyError(f"ERR Unsupported option {one_line(option)}")
        conditions.add(option.upper())
    if b"NX" in conditions and len(conditions) > 1:
        raise _NX_WITH_OTHERS
    if {b"GT", b"LT"} <= conditions:
        raise _GT_WITH_LT
    return conditions


def _conditions_hold(conditions: set[bytes], current: int, wanted: int) -> bool:
    """NX: there is no expiry yet. XX: there is one. GT, LT: it is later, earlier than the current; no expiry
    counts as infinitely late."""
    if current == NO_EXPIRY:
        return not conditions & {b"XX", b"GT"}
    if b"NX" in conditions:
        return False
    return not (b"GT" in conditions and wanted <= current) and not (b"LT" in conditions and wanted >= current)


@command("persist")
def persist(ctx: Any, args: list[bytes]) -> int:
    if not ctx.db.persist(args[0]):
        return 0
    ctx.changed(args[0], events.PERSIST)
    return 1


# What the four questions answer: a number of the unit asked for, -1 for no expiry, -2 for no key.


@command("ttl")
def ttl(ctx: Any, args: list[bytes]) -> int:
    return _left(ctx, args[0], 1000)


@command("pttl")
def pttl(ctx: Any, args: list[bytes]) -> int:
    return _left(ctx, args[0], 1)


@command("expiretime")
def expiretime(ctx: Any, args: list[bytes]) -> int:
    moment = _moment(ctx, args[0])
    return moment if moment < 0 else _seconds(moment)


@command("pexpiretime")
def pexpiretime(ctx: Any, args: list[bytes]) -> int:
    return _moment(ctx, args[0])


def _moment(ctx: Any, key: bytes) -> int:
    """`expiry`, counted as a read of the key."""
    return ctx.db.expiry(key) if ctx.db.find_quietly(key) else -2


def _left(ctx: Any, key: bytes, unit: int) -> int:
    moment = _moment(ctx, key)
    if moment < 0:
        return moment
    left = max(0, moment - ctx.now)
    return left if unit == 1 else _seconds(left)


def _seconds(milliseconds: int) -> int:
    """To the nearest second, as Redis does: a fresh TTL of 100 seconds reads as 100."""
    return (milliseconds + 500) // 1000
