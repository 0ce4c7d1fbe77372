"""XREAD and XREADGROUP: what is new in streams, for one reader or for the consumers of a group.

Both read many streams at once and leave out those that have nothing. `_parse` settles what is asked for (`$`
is the last id of this moment), `_serve` carries it out. For a group, `>` asks for entries that no consumer
has got, which become pending; any other id asks for the consumer's own pending entries.

Replicas do not read: they are told which entry became whose (XCLAIM with a moment and the group's last id),
or how far the group has come where nothing becomes pending (XGROUP SETID).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from node import errors
from node.datatypes import Stream, stream_id
from node.datatypes.consumer_group import Consumer, Group
from node.errors import ReplyError, one_line
from node.handlers.arguments import INT64_MAX, Options, parse_int
from node.handlers.registry import command
from node.handlers.stream_arguments import parse_id
from node.handlers.stream_claims import claim_words, find_or_add_consumer, set_id_words
from node.replies import NO_REPLY, NULL_ARRAY, PairsReply

NEW: Final = stream_id.MAX
"""Stands for `>`."""


_NO_GROUP: Final = ReplyError("ERR Missing GROUP option for XREADGROUP")
_GROUPS_ONLY: Final = ReplyError(
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
)
_BAD_TIMEOUT: Final = ReplyError("ERR timeout is not an integer or out of range")
_TIMEOUT_TOO_LONG: Final = ReplyError("ERR timeout is out of range")
_NEGATIVE_TIMEOUT: Final = ReplyError("ERR timeout is negative")


@dataclass(slots=True)
class Read:
    """What is asked for."""

    keys: list[bytes] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    """For each key: entries with higher ids are wanted; NEW for what is new to the group."""
    count: int | None = None
    """Entries per stream."""
    group: bytes | None = None
    consumer: bytes = b""
    no_ack: bool = False
    block: int | None = None
    """How many milliseconds to wait where there is nothing, 0 for ever; None not to wait."""


@command("xread")
def xread(ctx: Any, args: list[bytes]) -> Any:
    return _read(ctx, "xread", args)


@command("xreadgroup")
def xreadgroup(ctx: Any, args: list[bytes]) -> Any:
    return _read(ctx, "xreadgroup", args)


def _read(ctx: Any, name: str, args: list[bytes]) -> Any:
    read = _parse(ctx, name, args)
    told: list[list[bytes]] = []
    found = _serve(ctx, read, told)
    if read.group is not None:
        ctx.propagate(*told)
    if found:
        return PairsReply(found) if ctx.resp >= 3 else [list(pair) for pair in found]
    if read.block is None or not ctx.worker.blocking.may_wait(ctx):
        return NULL_ARRAY
    again = _fixed(args, read)
    in_group = read.group is not None
    ctx.worker.blocking.wait(ctx, name, again, read.keys, "stream", read.block, needs_key=in_group)
    return NO_REPLY


def _fixed(args: list[bytes], read: Read) -> list[bytes]:
    """The command to execute again when something comes: `$` means the moment at which it was first sent."""
    ids = [b">" if after == NEW else stream_id.text(after) for after in read.after]
    return [*args[: len(args) - len(ids)], *ids]


# ------------------------------------------------------------------------------------------- parsing


def _parse(ctx: Any, name: str, args: list[bytes]) -> Read:
    read = Read()
    options = Options(args)
    for word in options:
        if word == b"BLOCK" and options.left:
            read.block = _timeout(ctx, options.value())
        elif word == b"COUNT" and options.left:
            read.count = max(0, options.integer()) or None
        elif word == b"STREAMS" and options.left:
            _parse_streams(ctx, name, read, options.rest())
            return read
        elif word == b"GROUP" and options.left >= 2:
            _only_in_groups(name, "GROUP")
            read.group, read.consumer = options.value(), options.value()
        elif word == b"NOACK":
            _only_in_groups(name, "NOACK")
            read.no_ack = True
        else:
            break
    raise errors.SYNTAX


def _only_in_groups(name: str, option: str) -> None:
    if name == "xread":
        raise ReplyError(
            f"ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
        )


def _timeout(ctx: Any, raw: bytes) -> int:
    value = parse_int(raw, _BAD_TIMEOUT)
    if value < 0:
        raise _NEGATIVE_TIMEOUT
    if value > INT64_MAX - ctx.now:
        raise _TIMEOUT_TOO_LONG
    return value


def _parse_streams(ctx: Any, name: str, read: Read, args: list[bytes]) -> None:
    if len(args) % 2:
        symbol = "'$'" if name == "xread" else "'>'"
        wanted = "an ID, '+', or" if name == "xread" else "an ID or"
        raise ReplyError(
            f"ERR Unbalanced '{name}' list of streams: for each stream key {wanted} {symbol} must be "
            "specified."
        )
    if name == "xreadgroup" and read.group is None:
        raise _NO_GROUP
    half = len(args) // 2
    read.keys = args[:half]
    for key, raw in zip(read.keys, args[half:], strict=True):
        stream = ctx.db.lookup_as(key, Stream)
        if read.group is None:
            read.after.append(_reader_position(stream, raw))
        else:
            read.after.append(_group_position(key, stream, read.group, raw))


def _reader_position(stream: Stream | None, raw: bytes) -> int:
    if raw == b">":
        raise _GROUPS_ONLY
    if raw == b"$":
        return stream_id.MIN if stream is None else stream.last_id
    if raw == b"+":  # the last entry there is
        if stream is None or not len(stream):
            return stream_id.MIN if stream is None else stream.last_id
        return max(stream_id.MIN, stream.last_entry_id - 1)
    return parse_id(raw)


def _group_position(key: bytes, stream: Stream | None, group: bytes, raw: bytes) -> int:
    if stream is None or group not in stream.groups:
        raise ReplyError(
            f"NOGROUP No such key '{one_line(key)}' or consumer group '{one_line(group)}' in XREADGROUP "
            "with GROUP option"
        )
    if raw in (b"$", b"+"):
        symbol = raw.decode()
        raise ReplyError(
            f"ERR The {symbol} ID is meaningless in the context of XREADGROUP: you want to read the history "
            "of this consumer by specifying a proper ID, or use the > ID to get new messages. The "
            f"{symbol} ID would just return an empty result set."
        )
    return NEW if raw == b">" else parse_id(raw)


# ------------------------------------------------------------------------------------------- serving


def _serve(ctx: Any, read: Read, told: list[list[bytes]]) -> list[tuple[bytes, Any]]:
    """(key, entries) of the streams that have something. `told`: what replicas are to do."""
    found: list[tuple[bytes, Any]] = []
    for key, after in zip(read.keys, read.after, strict=True):
        stream = ctx.db.lookup(key)  # a second look after parsing, which Redis counts as well
        if stream is None:
            continue
        if read.group is None:
            if len(stream) and stream.last_entry_id > after:
                found.append((key, stream.replies(after + 1, count=read.count)))
            continue
        delivery = _Delivery(ctx, read, key, stream, told)
        entries = delivery.new() if after == NEW else delivery.history(after)
        if entries is not None:
            found.append((key, entries))
    return found


class _Delivery:
    """Entries of one stream on their way to a consumer of a group."""

    def __init__(self, ctx: Any, read: Read, key: bytes, stream: Stream, told: list[list[bytes]]) -> None:
        assert read.group is not None
        self._ctx = ctx
        self._read = read
        self._key = key
        self._stream = stream
        self._told = told
        self._group_name = read.group
        self._group: Group = stream.groups[read.group]
        self._consumer: Consumer
        self._consumer, is_new = find_or_add_consumer(ctx, key, self._group, read.consumer)
        if is_new and read.no_ack:
            told.append([b"XGROUP", b"CREATECONSUMER", key, read.group, read.consumer])

    def new(self) -> list[list[Any]] | None:
        """What no consumer has got yet; None if that is nothing."""
        group, stream = self._group, self._stream
        if not len(stream) or stream.last_entry_id <= group.last_id:
            return None
        replies = []
        for entry_id, pairs in stream.entries(group.last_id + 1, count=self._read.count):
            stream.deliver(group, entry_id)
            replies.append([stream_id.text(entry_id), pairs])
            if not self._read.no_ack:
                group.assign(entry_id, self._consumer, self._ctx.now, 1)
                self._consumer.active_at = self._ctx.now
                self._told.append(claim_words(self._key, self._group_name, group, entry_id))
        if replies:
            self._told.append(set_id_words(self._key, self._group_name, group))
        self._ctx.engine.dirty += 1
        self._ctx.db.changed(self._key)
        return replies

    def history(self, after: int) -> list[list[Any]]:
        """What this consumer has got and not acknowledged; entries that are gone come without fields."""
        replies: list[list[Any]] = []
        if after == stream_id.MAX:
            return replies
        pending = self._group.pending_between(after + 1, stream_id.MAX, self._consumer)
        for entry_id, each in islice(pending, self._read.count):
            pairs = self._stream.get(entry_id)
            if pairs is not None:
                each.delivered_at = self._ctx.now
                each.deliveries += 1
            replies.append([stream_id.text(entry_id), NULL_ARRAY if pairs is None else pairs])
        return replies
