"""Commands on keys, whatever they hold. Expiry, OBJECT, SORT and DUMP have files of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from node import errors
from node.cluster_port import SLOT_COUNT
from node.errors import ReplyError
from node.handlers.arguments import INT_MAX, INT_MIN, Options, parse_cursor, parse_int_between
from node.handlers.key_scan import KeyScan
from node.handlers.registry import command
from node.keyspace import events
from node.keyspace.events import Event
from node.keyspace.glob import Glob, fixed_slot
from node.replies import OK

_MOVE_IN_CLUSTER = ReplyError("ERR MOVE is not allowed in cluster mode")

LAST_CURSOR = (SLOT_COUNT << 32) - 1
"""Cursors are a slot and 32 bits of hash, see `Database.scan`; what lies beyond was made up by a client."""


@command("del")
def del_(ctx: Any, args: list[bytes]) -> int:
    return _delete(ctx, args, lazily=ctx.db.leaves_deleted)


@command("unlink")
def unlink(ctx: Any, args: list[bytes]) -> int:
    return _delete(ctx, args, lazily=True)


def _delete(ctx: Any, keys: list[bytes], lazily: bool) -> int:
    deleted = 0
    for key in keys:
        if ctx.db.delete(key, lazily):
            ctx.changed(key, events.DEL)
            deleted += 1
    return deleted


@command("exists")
def exists(ctx: Any, args: list[bytes]) -> int:
    return sum(ctx.db.find_quietly(key) for key in args)


@command("touch")
def touch(ctx: Any, args: list[bytes]) -> int:
    return sum(ctx.db.touch(key) for key in args)


@command("type")
def type_(ctx: Any, args: list[bytes]) -> str:
    return ctx.db.type_name(args[0]) if ctx.db.find_quietly(args[0]) else "none"


@command("randomkey")
def randomkey(ctx: Any, args: list[bytes]) -> bytes | None:
    return ctx.db.random_key()


# ------------------------------------------------------------------------------------------ many keys


@command("keys")
def keys(ctx: Any, args: list[bytes]) -> list[bytes]:
    glob = Glob(args[0])
    slot = fixed_slot(args[0])
    found: Iterable[bytes] = ctx.db.keys() if slot is None else ctx.db.keys_in_slot(slot, len(ctx.db))
    return list(found) if glob.matches_all else [key for key in found if glob.matches(key)]


@command("scan")
def scan(ctx: Any, args: list[bytes]) -> list[Any]:
    """[next cursor, keys]. COUNT is how many keys are looked at, before MATCH and TYPE choose among them."""
    cursor = parse_cursor(args[0])
    wanted = KeyScan()
    options = Options(args, start=1)
    for word in options:
        wanted.take(word, options)
    if cursor > LAST_CURSOR:
        return [b"0", []]
    following, found = ctx.db.scan(cursor, wanted.count)
    return [b"%d" % following, wanted.chosen(ctx.db, found)]


# ------------------------------------------------------------------------------- renaming and copying


@command("rename")
def rename(ctx: Any, args: list[bytes]) -> str:
    _rename(ctx, *args)
    return OK


@command("renamenx")
def renamenx(ctx: Any, args: list[bytes]) -> int:
    source, target = args
    if ctx.db.exists(source) and ctx.db.exists(target):
        return 0
    _rename(ctx, source, target)
    return 1


def _rename(ctx: Any, source: bytes, target: bytes) -> None:
    if not ctx.db.exists(source):
        raise errors.NO_SUCH_KEY
    if source != target:
        ctx.db.rename(source, target)
        ctx.changed(source, events.RENAME_FROM)
        ctx.changed(target, events.RENAME_TO, 0)


@command("copy")
def copy(ctx: Any, args: list[bytes]) -> int:
    source, target = args[:2]
    target_db, replace = ctx.db, False
    options = Options(args, start=2)
    for word in options:
        if word == b"REPLACE":
            replace = True
        elif word == b"DB" and options.left:
            target_db = _database(ctx, options.value())
        else:
            raise errors.SYNTAX
    if source == target and target_db is ctx.db:
        raise errors.SAME_OBJECT
    value = ctx.db.lookup(source)
    if value is None or (target_db.exists(target) and not replace):
        return 0
    duplicate = value if isinstance(value, bytes) else value.copy()
    _place(target_db, target, duplicate, ctx.db, source)
    _changed_in(ctx, target_db, target, events.COPY_TO)
    return 1


@command("move")
def move(ctx: Any, args: list[bytes]) -> int:
    key = args[0]
    if ctx.config.cluster_enabled and len(ctx.databases) == 1:
        raise _MOVE_IN_CLUSTER
    target_db = _database(ctx, args[1])
    if target_db is ctx.db:
        raise errors.SAME_OBJECT
    value = ctx.db.lookup_write(key)
    if value is None or target_db.exists(key):
        return 0
    _place(target_db, key, value, ctx.db, key)
    ctx.db.delete(key)
    ctx.changed(key, events.MOVE_FROM)
    _changed_in(ctx, target_db, key, events.MOVE_TO, 0)
    return 1


def _place(target_db: Any, target: bytes, value: Any, source_db: Any, source: bytes) -> None:
    """Store what is at `source`, with its expiry; a string that was edited stays raw."""
    expire_at = max(0, source_db.expiry(source))
    if isinstance(value, bytes) and value and source_db.encoding(source) == "raw":
        target_db.delete(target)
        target_db.setrange(target, 0, value)
        if expire_at:
            target_db.set_expiry(target, expire_at)
    else:
        target_db.set(target, value, expire_at)


def _database(ctx: Any, raw: bytes) -> Any:
    """The database of a number. A cluster has only number 0, unless `cluster-databases` says otherwise."""
    index = parse_int_between(raw, INT_MIN, INT_MAX)
    if not 0 <= index < len(ctx.databases):
        raise errors.DB_INDEX_OUT_OF_RANGE
    return ctx.databases[index]


def _changed_in(ctx: Any, database: Any, key: bytes, event: Event, dirty: int = 1) -> None:
    """`ctx.changed` for a key of another database than the client's."""
    home, ctx.db = ctx.db, database
    try:
        ctx.changed(key, event, dirty)
    finally:
        ctx.db = home
