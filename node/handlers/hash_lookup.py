"""How a hash command comes to its hash, and what becomes of expired fields on the way.

An expired field is not there for whoever looks. On a primary, a command that names it also deletes it:
replicas are told HDEL, listeners `hexpired`. A replica only hides it, and shows it to the commands of its
primary.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from node.core.hash import Hash
from node.keyspace import events


def for_reading(ctx: Any, key: bytes) -> Hash | None:
    """The hash at `key`, which shows what is there now."""
    value: Hash | None = ctx.db.lookup_as(key, Hash)
    if value is not None and value.timed:
        look(ctx.db, value)
    return value


def for_writing(ctx: Any, key: bytes) -> Hash | None:
    """As `for_reading`, for a command that is about to modify it."""
    value: Hash | None = ctx.db.lookup_write_as(key, Hash)
    if value is not None and value.timed:
        look(ctx.db, value)
    return value


def look(db: Any, value: Hash) -> None:
    """Let `value`, of which fields may expire, show what is there now."""
    value.horizon = 0 if db.shows_expired else db.now


def created(ctx: Any, key: bytes) -> Hash:
    """The hash at `key`, which is made, still empty, if there is none."""
    value = for_writing(ctx, key)
    if value is None:
        value = Hash()
        ctx.db.set(key, value)
    return value


def drop_expired(ctx: Any, key: bytes, value: Hash, fields: Iterable[bytes]) -> list[list[bytes]]:
    """Delete those of `fields` that have expired, and return what replicas must be told. The hash may be
    empty then, which is the caller's business."""
    told: list[list[bytes]] = []
    if not value.timed or ctx.db.hides_expired:
        return told
    for field in fields:
        if value.hides(field):
            value.delete(field)
            told.append([b"HDEL", key, field])
    if told:
        ctx.worker.field_expiry.expired += len(told)
        ctx.changed(key, events.HEXPIRED, 0)
    return told


def read_fields(ctx: Any, key: bytes, fields: list[bytes]) -> Hash | None:
    """`for_reading`, with those of `fields` deleted that have expired. The hash may have gone with its last
    field; then this is what is left of it."""
    value = for_reading(ctx, key)
    if value is not None and value.timed and (told := drop_expired(ctx, key, value, fields)):
        ctx.propagate(*told)
        ctx.clear_if_empty(key, value)
    return value
