"""Streams without groups: adding, ranges, removing, trimming.

Trimming "about" a threshold depends on how entries are packed here, so what replicas are told is the exact
threshold that was reached; an id that was made here is told as it came out.
"""

from __future__ import annotations

from typing import Any, Final

from node import errors
from node.datatypes import Stream, stream_id
from node.errors import ReplyError
from node.handlers.arguments import Options
from node.handlers.registry import command
from node.handlers.stream_arguments import (
    INVALID_ID,
    TrimOptions,
    parse_end,
    parse_id,
    parse_start,
)
from node.keyspace import events
from node.replies import NULL_ARRAY, OK

_ID_ZERO: Final = ReplyError("ERR The ID specified in XADD must be greater than 0-0")
_ID_NOT_ABOVE: Final = ReplyError(
    "ERR The ID specified in XADD is equal or smaller than the target stream top item"
)
_EXHAUSTED: Final = ReplyError("ERR The stream has exhausted the last possible ID, unable to add more items")
_TOO_LARGE: Final = ReplyError("ERR Elements are too large to be stored")
_NO_STRATEGY: Final = ReplyError("ERR syntax error, XTRIM must be called with a trimming strategy")
_NEGATIVE_ADDED: Final = ReplyError("ERR entries_added must be positive")
_BELOW_GIVEN_DELETED: Final = ReplyError(
    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
)
_BELOW_DELETED: Final = ReplyError(
    "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
)
_BELOW_TOP: Final = ReplyError("ERR The ID specified in XSETID is smaller than the target stream top item")
_ADDED_BELOW_LENGTH: Final = ReplyError(
    "ERR The entries_added specified in XSETID is smaller than the target stream length"
)


# ------------------------------------------------------------------------------------------- adding


@command("xadd")
def xadd(ctx: Any, args: list[bytes]) -> Any:
    key = args[0]
    if args[1] == b"*" and not len(args) % 2:
        return _add_now(ctx, key, args[2:])
    options = TrimOptions()
    make_stream = True
    at = 1
    while at < len(args) and args[at] != b"*":
        following = options.take(args, at)
        if following is not None:
            at = following
        elif args[at].upper() == b"NOMKSTREAM":
            make_stream = False
            at += 1
        else:
            break
    wanted = _WantedId(args[at]) if at < len(args) else None
    trimming = options.finish(ctx.obeyed)
    pairs = args[at + 1 :]
    if wanted is None or not pairs or len(pairs) % 2:
        raise errors.wrong_arity("xadd")
    if wanted.is_complete and wanted.entry_id == stream_id.MIN:
        raise _ID_ZERO
    stream = ctx.db.lookup_write_as(key, Stream)
    if stream is None and not make_stream:
        return None
    entry_id = wanted.choose(Stream() if stream is None else stream, ctx.now)
    stream = _append(ctx, key, stream, entry_id, pairs)
    told = [b"XADD", *args]
    if not wanted.is_complete:
        told[at + 1] = stream_id.text(entry_id)
    if trimming is not None:
        if trimming.apply(stream):
            ctx.changed(key, events.XTRIM, 0)
        trimming.at += 1  # `told` begins with the command's name
        trimming.make_exact(told, stream)
    ctx.propagate(told)
    return stream_id.text(entry_id)


def _add_now(ctx: Any, key: bytes, pairs: list[bytes]) -> bytes:
    """XADD in its usual form: an id of our own, and no options."""
    stream = ctx.db.lookup_write_as(key, Stream)
    entry_id = stream_id.make(ctx.now, 0) if stream is None else stream.next_id(ctx.now)
    if entry_id is None:
        raise _EXHAUSTED
    _append(ctx, key, stream, entry_id, pairs)
    text = stream_id.text(entry_id)
    ctx.propagate([b"XADD", key, text, *pairs])
    return text


def _append(ctx: Any, key: bytes, stream: Stream | None, entry_id: int, pairs: list[bytes]) -> Stream:
    """Add the entry, to a new stream if there is none."""
    value = Stream() if stream is None else stream
    try:
        value.append(entry_id, pairs)
    except OverflowError:
        raise _TOO_LARGE from None
    if stream is None:
        ctx.db.set(key, value)
    ctx.changed(key, events.XADD)
    return value


class _WantedId:
    """The id that XADD asks for: `*`, `<ms>-*`, or one that is complete."""

    def __init__(self, raw: bytes) -> None:
        self.is_complete = False
        self.entry_id: int | None = None
        self._milliseconds: int | None = None
        if raw == b"*":
            return
        if raw.endswith(b"-*"):
            self._milliseconds = stream_id.parse_half(raw[:-2])
            if self._milliseconds is None:
                raise INVALID_ID
            return
        self.entry_id = parse_id(raw)
        self.is_complete = True

    def choose(self, stream: Stream, now: int) -> int:
        """The id that the entry gets; raises what stands against it."""
        if stream.last_id == stream_id.MAX:
            raise _EXHAUSTED
        chosen = self.entry_id
        if self._milliseconds is not None:
            chosen = stream.next_id_in(self._milliseconds)
        elif not self.is_complete:
            chosen = stream.next_id(now)
        if chosen is None or chosen <= stream.last_id:
            raise _ID_NOT_ABOVE
        return chosen


@command("xsetid")
def xsetid(ctx: Any, args: list[bytes]) -> str:
    key, last_id = args[0], parse_id(args[1])
    added, deleted = None, stream_id.MIN
    options = Options(args, start=2)
    for word in options:
        if word == b"ENTRIESADDED" and options.left:
            added = options.integer()
            if added < 0:
                raise _NEGATIVE_ADDED
        elif word == b"MAXDELETEDID" and options.left:
            deleted = parse_id(options.value())
            if last_id < deleted:
                raise _BELOW_GIVEN_DELETED
        else:
            raise errors.SYNTAX
    stream = ctx.db.lookup_write_as(key, Stream)
    if stream is None:
        raise errors.NO_SUCH_KEY
    if last_id < stream.max_deleted:
        raise _BELOW_DELETED
    if len(stream):
        if last_id < stream.last_entry_id:
            raise _BELOW_TOP
        if added is not None and added < len(stream):
            raise _ADDED_BELOW_LENGTH
    stream.last_id = last_id
    if added is not None:
        stream.entries_added = added
    if deleted:
        stream.max_deleted = deleted
    ctx.changed(key, events.XSETID)
    return OK


# ------------------------------------------------------------------------------------------- reading


@command("xlen")
def xlen(ctx: Any, args: list[bytes]) -> int:
    stream = ctx.db.lookup_as(args[0], Stream)
    return 0 if stream is None else len(stream)


@command("xrange")
def xrange(ctx: Any, args: list[bytes]) -> Any:
    return _range(ctx, args[0], args[1], args[2], args[3:], reverse=False)


@command("xrevrange")
def xrevrange(ctx: Any, args: list[bytes]) -> Any:
    return _range(ctx, args[0], args[2], args[1], args[3:], reverse=True)


def _range(ctx: Any, key: bytes, low: bytes, high: bytes, rest: list[bytes], reverse: bool) -> Any:
    start, end = parse_start(low), parse_end(high)
    count = None
    options = Options(rest)
    for word in options:
        if word != b"COUNT" or not options.left:
            raise errors.SYNTAX
        count = max(options.integer(), 0)
    stream = ctx.db.lookup_as(key, Stream)
    if stream is None:
        return []
    if count == 0:
        return NULL_ARRAY
    return stream.replies(start, end, reverse, count)


# ------------------------------------------------------------------------------------------- removing


@command("xdel")
def xdel(ctx: Any, args: list[bytes]) -> int:
    key = args[0]
    stream = ctx.db.lookup_write_as(key, Stream)
    if stream is None:
        return 0
    ids = [parse_id(raw) for raw in args[1:]]
    deleted = sum(stream.delete(entry_id) for entry_id in ids)
    if deleted:
        ctx.changed(key, events.XDEL, deleted)
    return deleted


@command("xtrim")
def xtrim(ctx: Any, args: list[bytes]) -> int:
    key = args[0]
    options = TrimOptions()
    at = 1
    while at < len(args):
        following = options.take(args, at)
        if following is None:
            raise errors.SYNTAX
        at = following
    trimming = options.finish(ctx.obeyed)
    if trimming is None:
        raise _NO_STRATEGY
    stream = ctx.db.lookup_write_as(key, Stream)
    if stream is None:
        return 0
    deleted = trimming.apply(stream)
    if deleted:
        ctx.changed(key, events.XTRIM, deleted)
        if not trimming.exact:
            told = [b"XTRIM", *args]
            trimming.at += 1
            trimming.make_exact(told, stream)
            ctx.propagate(told)
    return deleted
