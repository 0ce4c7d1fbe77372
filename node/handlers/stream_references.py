"""XDELEX and XACKDEL: removing entries with a say in what groups keep of them.

Each id is answered by itself: what became of the entry. XACKDEL first acknowledges it in a group, and leaves
what was not pending there alone. An entry that is gone may still be pending somewhere
(XDEL leaves that alone), and DELREF ends that too. Redis then tells its replicas nothing, which keep what is
pending; here they are told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from node import errors
from node.datatypes import Stream
from node.datatypes.consumer_group import Group
from node.datatypes.stream import References
from node.errors import ReplyError
from node.handlers.arguments import INT64_MAX, parse_int_between
from node.handlers.registry import command
from node.handlers.stream_arguments import REFERENCES, parse_id
from node.keyspace import events

_BAD_COUNT: Final = ReplyError("ERR Number of IDs must be a positive integer")
_COUNT_DIFFERS: Final = ReplyError("ERR The `numids` parameter must match the number of arguments")


NOT_FOUND: Final = -1
GONE: Final = 1
STILL_REFERRED_TO: Final = 2
"""What became of an entry."""


@command("xdelex")
def xdelex(ctx: Any, args: list[bytes]) -> list[int]:
    key = args[0]
    stream = ctx.db.lookup_write_as(key, Stream)
    references, ids = _parse(args[1:])
    if stream is None:
        return [NOT_FOUND] * len(ids)
    return _remove(ctx, key, stream, ids, references, None)


@command("xackdel")
def xackdel(ctx: Any, args: list[bytes]) -> list[int]:
    key, name = args[:2]
    stream = ctx.db.lookup_as(key, Stream)
    references, ids = _parse(args[2:])
    group: Group | None = None if stream is None else stream.groups.get(name)
    if stream is None or group is None:
        return [NOT_FOUND] * len(ids)
    return _remove(ctx, key, stream, ids, references, group.acknowledge)


def _parse(words: list[bytes]) -> tuple[References, list[bytes]]:
    """`[KEEPREF|DELREF|ACKED] IDS numids id ...`, in any order."""
    references: References | None = None
    ids: list[bytes] = []
    at = 0
    while at < len(words):
        word = words[at].upper()
        if word in REFERENCES and references is None:
            references = REFERENCES[word]
            at += 1
        elif word == b"IDS" and at + 1 < len(words):
            count = parse_int_between(words[at + 1], 1, INT64_MAX, _BAD_COUNT)
            at += 2
            if count > len(words) - at:
                raise _COUNT_DIFFERS
            ids = words[at : at + count]
            at += count
        else:
            raise errors.SYNTAX
    if not ids:
        raise errors.SYNTAX
    return references or References.KEEP, ids


def _remove(
    ctx: Any,
    key: bytes,
    stream: Stream,
    ids: list[bytes],
    references: References,
    acknowledge: Callable[[int], bool] | None,
) -> list[int]:
    """Remove the entries that could be acknowledged, where that is asked for; nothing if one id is bad."""
    became = []
    deleted = False
    changes = 0
    for entry_id in [parse_id(raw) for raw in ids]:
        acknowledged = acknowledge is not None and acknowledge(entry_id)
        changed = acknowledged
        if references is References.DROP:
            changed = stream.drop_references(entry_id) > 0 or changed
        if acknowledge is not None and not acknowledged:
            became.append(NOT_FOUND)
        elif references is References.RESPECT and stream.is_referred_to(entry_id):
            became.append(STILL_REFERRED_TO)
        else:
            was_there = stream.delete(entry_id)
            deleted = deleted or was_there
            changed = changed or was_there
            became.append(GONE if was_there or acknowledged else NOT_FOUND)
        changes += changed
    if deleted:
        ctx.changed(key, events.XDEL, changes)
    elif changes:
        ctx.engine.dirty += changes
        ctx.db.changed(key)
    return became
