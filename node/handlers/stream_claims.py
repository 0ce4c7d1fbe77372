"""XCLAIM and XAUTOCLAIM: consumers take over what others were given and did not acknowledge.

An entry that is pending but no longer in the stream is not claimed: it stops being pending. Every entry that
changed hands, or vanished, is told to replicas as an XCLAIM with its moment and count, which has the same
effect there.
"""

from __future__ import annotations

from typing import Any, Final

from node import errors
from node.datatypes import Stream, stream_id
from node.datatypes.consumer_group import Consumer, Group, Pending
from node.errors import ReplyError, one_line
from node.handlers.arguments import INT64_MAX, Options, parse_int, parse_int_between
from node.handlers.registry import command
from node.handlers.stream_arguments import find_group, parse_id, parse_start
from node.keyspace import events

_COUNT: Final = ReplyError("ERR COUNT must be > 0")
DEFAULT_COUNT: Final = 100
ATTEMPTS_PER_ENTRY: Final = 10
"""XAUTOCLAIM looks at so many pending entries for each that it may return."""


def _invalid(what: str, name: str) -> ReplyError:
    return ReplyError(f"ERR Invalid {what} argument for {name}")


# ------------------------------------------------------------------------------------ shared with reads


def find_or_add_consumer(ctx: Any, key: bytes, group: Group, name: bytes) -> tuple[Consumer, bool]:
    """The consumer, which is seen now, and whether it is new."""
    consumer = group.consumers.get(name)
    if consumer is not None:
        consumer.seen_at = ctx.now
        return consumer, False
    ctx.changed(key, events.XGROUP_CREATECONSUMER)
    return group.add_consumer(name, ctx.now), True


def claim_words(key: bytes, name: bytes, group: Group, entry_id: int) -> list[bytes]:
    """The XCLAIM that gives a pending entry to who has it: its moment, its count, the group's last id."""
    pending = group.pending[entry_id]
    return [
        *(b"XCLAIM", key, name, pending.consumer.name, b"0", stream_id.text(entry_id)),
        *(b"TIME", b"%d" % pending.delivered_at, b"RETRYCOUNT", b"%d" % pending.deliveries),
        *(b"FORCE", b"JUSTID", b"LASTID", stream_id.text(group.last_id)),
    ]


def set_id_words(key: bytes, name: bytes, group: Group) -> list[bytes]:
    """The XGROUP SETID that tells how far a group has come."""
    read = b"%d" % (-1 if group.entries_read is None else group.entries_read)
    return [b"XGROUP", b"SETID", key, name, stream_id.text(group.last_id), b"ENTRIESREAD", read]


# ------------------------------------------------------------------------------------------- claiming


class _Claim:
    """One claiming command: takes entries over, and collects what replicas are told."""

    def __init__(self, ctx: Any, stream: Stream, group: Group, key: bytes, name: bytes) -> None:
        self.ctx = ctx
        self.stream = stream
        self.group = group
        self.key = key
        self.name = name
        """Of the group."""
        self.told: list[list[bytes]] = []
        self.idle = 0
        """Entries that were delivered less than this ago stay where they are. Milliseconds."""
        self.delivered_at = ctx.now
        self.deliveries: int | None = None
        """The count that entries get; None to count on."""
        self.just_id = False
        """Reply ids alone, and do not count this as a delivery."""

    def tell(self, entry_id: int) -> None:
        self.told.append(claim_words(self.key, self.name, self.group, entry_id))
        self.ctx.engine.dirty += 1
        self.ctx.db.changed(self.key)

    def drop(self, entry_id: int) -> None:
        """A pending entry that the stream no longer has."""
        self.tell(entry_id)
        self.group.acknowledge(entry_id)

    def is_idle(self, pending: Pending) -> bool:
        return self.ctx.now - pending.delivered_at >= self.idle

    def take(self, entry_id: int, consumer: Consumer) -> Any:
        """Give an entry of the stream to `consumer`; returns what is replied for it."""
        pending = self.group.pending.get(entry_id)
        count = self.deliveries
        if count is None:
            count = (1 if pending is None else pending.deliveries) + (not self.just_id)
        self.group.assign(entry_id, consumer, self.delivered_at, count)
        consumer.active_at = self.ctx.now
        self.tell(entry_id)
        if self.just_id:
            return stream_id.text(entry_id)
        return [stream_id.text(entry_id), self.stream.get(entry_id)]


@command("xclaim")
def xclaim(ctx: Any, args: list[bytes]) -> list[Any]:
    key, name = args[0], args[1]
    stream, group = find_group(ctx, key, name)
    claim = _Claim(ctx, stream, group, key, name)
    claim.idle = parse_int(args[3], _invalid("min-idle-time", "XCLAIM"))
    ids: list[int] = []
    for raw in args[4:]:
        entry_id = stream_id.parse(raw)
        if entry_id is None:
            break
        ids.append(entry_id)
    force, last_id = _claim_options(claim, args[4 + len(ids) :])
    moved = last_id > group.last_id
    if moved:
        group.last_id = last_id
    consumer, _ = find_or_add_consumer(ctx, key, group, args[2])
    replies = []
    for entry_id in ids:
        pending = group.pending.get(entry_id)
        if entry_id not in stream:
            if pending is not None:
                claim.drop(entry_id)
        elif (pending is None and force) or (pending is not None and claim.is_idle(pending)):
            replies.append(claim.take(entry_id, consumer))
    if moved and not claim.told:
        claim.told.append(set_id_words(key, name, group))
        ctx.engine.dirty += 1
        ctx.db.changed(key)
    ctx.propagate(*claim.told)
    return replies


def _claim_options(claim: _Claim, args: list[bytes]) -> tuple[bool, int]:
    """Read what follows the ids into `claim`; returns FORCE and LASTID."""
    now, moment = claim.ctx.now, None
    force, last_id = False, stream_id.MIN
    options = Options(args)
    for word in options:
        if word == b"FORCE":
            force = True
        elif word == b"JUSTID":
            claim.just_id = True
        elif word == b"IDLE" and options.left:
            moment = now - options.integer(_invalid("IDLE option", "XCLAIM"))
        elif word == b"TIME" and options.left:
            moment = options.integer(_invalid("TIME option", "XCLAIM"))
        elif word == b"RETRYCOUNT" and options.left:
            count = options.integer(_invalid("RETRYCOUNT option", "XCLAIM"))
            claim.deliveries = count if count >= 0 else None
        elif word == b"LASTID" and options.left:
            last_id = parse_id(options.value())
        else:
            sent = args[len(args) - options.left - 1]
            raise ReplyError(f"ERR Unrecognized XCLAIM option '{one_line(sent)}'")
    if moment is not None and 0 <= moment <= now:
        claim.delivered_at = moment
    return force, last_id


@command("xautoclaim")
def xautoclaim(ctx: Any, args: list[bytes]) -> list[Any]:
    key, name = args[0], args[1]
    ctx.db.find_quietly(key)  # counted as a hit or a miss, whatever is wrong with the arguments
    idle = parse_int(args[3], _invalid("min-idle-time", "XAUTOCLAIM"))
    cursor: int | None = parse_start(args[4])
    count, just_id = DEFAULT_COUNT, False
    options = Options(args, start=5)
    for word in options:
        if word == b"COUNT" and options.left:
            count = parse_int_between(options.value(), 1, INT64_MAX // 16, _COUNT)
        elif word == b"JUSTID":
            just_id = True
        else:
            raise errors.SYNTAX
    stream, group = find_group(ctx, key, name, counted=False)
    claim = _Claim(ctx, stream, group, key, name)
    claim.idle, claim.just_id = idle, just_id
    consumer, _ = find_or_add_consumer(ctx, key, group, args[2])
    replies: list[Any] = []
    vanished: list[bytes] = []
    attempts = count * ATTEMPTS_PER_ENTRY
    cursor = group.pending_ids.at_or_after(cursor or 0)
    while cursor is not None and attempts and len(replies) + len(vanished) < count:
        attempts -= 1
        if cursor not in stream:
            claim.drop(cursor)
            vanished.append(stream_id.text(cursor))
        elif claim.is_idle(group.pending[cursor]):
            replies.append(claim.take(cursor, consumer))
        cursor = group.pending_ids.at_or_after(cursor + 1)
    ctx.propagate(*claim.told)
    return [stream_id.text(cursor or 0), replies, vanished]
