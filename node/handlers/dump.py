"""DUMP and RESTORE: one value as a sealed payload, and back. MIGRATE moves keys with them."""

from __future__ import annotations

from typing import Any

from node import errors
from node.errors import ReplyError
from node.handlers.arguments import Options, parse_int
from node.handlers.registry import command
from node.keyspace import events
from node.persistence.rdb.payload import dump_payload, load_payload
from node.replies import OK

_BAD_IDLETIME = ReplyError("ERR Invalid IDLETIME value, must be >= 0")
_BAD_FREQ = ReplyError("ERR Invalid FREQ value, must be >= 0 and <= 255")
_BAD_TTL = ReplyError("ERR Invalid TTL value, must be >= 0")


@command("dump")
def dump(ctx: Any, args: list[bytes]) -> bytes | None:
    value = ctx.db.lookup(args[0])
    if value is None:
        return None
    return dump_payload(value, ctx.config.rdbcompression)


class _RestoreOptions:
    """What follows RESTORE's payload. IDLETIME and FREQ exclude each other."""

    def __init__(self, args: list[bytes]) -> None:
        self.replace = False
        self.absolute = False
        self.idle: int | None = None
        self.frequency: int | None = None
        options = Options(args, start=3)
        for word in options:
            if word == b"REPLACE":
                self.replace = True
            elif word == b"ABSTTL":
                self.absolute = True
            elif word == b"IDLETIME" and options.left and self.frequency is None:
                self.idle = options.integer()
                if self.idle < 0:
                    raise _BAD_IDLETIME
            elif word == b"FREQ" and options.left and self.idle is None:
                self.frequency = options.integer()
                if not 0 <= self.frequency <= 255:
                    raise _BAD_FREQ
            else:
                raise errors.SYNTAX


@command("restore", "restore-asking")
def restore(ctx: Any, args: list[bytes]) -> str:
    """RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]

    Replicated with an absolute TTL. A value whose absolute TTL has passed is not stored, but what it
    would replace is removed.
    """
    key, ttl_text, payload = args[:3]
    options = _RestoreOptions(args)
    db = ctx.db
    exists = db.exists(key)
    if exists and not options.replace:
        raise errors.BUSYKEY
    ttl = parse_int(ttl_text)
    if ttl < 0:
        raise _BAD_TTL
    value = load_payload(payload)
    expire_at = ttl if options.absolute or not ttl else ttl + ctx.now
    if expire_at and expire_at <= ctx.now and not db.hides_expired:
        if exists:
            db.delete(key)
            ctx.changed(key, events.DEL)
            ctx.propagate([b"DEL", key])
        return OK
    db.set(key, value, expire_at)
    if options.idle is not None:
        db.set_idle(key, options.idle)
    if options.frequency is not None:
        db.set_frequency(key, options.frequency)
    ctx.changed(key, events.RESTORE)
    if ttl and not options.absolute:
        ctx.propagate([b"RESTORE", key, b"%d" % expire_at, payload, *args[3:], b"ABSTTL"])
    return OK
