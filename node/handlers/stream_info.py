"""XINFO: what a stream, its groups and their consumers look like from inside."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from node import errors
from node.datatypes import Stream, stream_id
from node.datatypes.consumer_group import NEVER, Consumer, Group
from node.errors import ReplyError
from node.handlers.arguments import parse_int
from node.handlers.registry import command
from node.handlers.stream_arguments import bad_subcommand, no_such_group
from node.replies import PairsReply

DEFAULT_COUNT: Final = 10
"""Entries, and pending entries, that FULL shows."""

HELP: Final = [
    "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CONSUMERS <key> <groupname>",
    "    Show consumers of <groupname>.",
    "GROUPS <key>",
    "    Show the stream consumer groups.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Show information about the stream.",
    "HELP",
    "    Print this help.",
]


@command("xinfo|help")
def xinfo_help(ctx: Any, args: list[bytes]) -> list[str]:
    return HELP


@command("xinfo|stream")
def xinfo_stream(ctx: Any, args: list[bytes]) -> PairsReply:
    stream = _existing_stream(ctx, args[0])
    count = _full_count(args[1:]) if len(args) > 1 else None
    pairs: list[tuple[bytes, Any]] = [
        (b"length", len(stream)),
        (b"radix-tree-keys", len(stream.nodes)),
        (b"radix-tree-nodes", stream.tree_nodes),
        (b"last-generated-id", stream_id.text(stream.last_id)),
        (b"max-deleted-entry-id", stream_id.text(stream.max_deleted)),
        (b"entries-added", stream.entries_added),
        (b"recorded-first-entry-id", stream_id.text(stream.first_id)),
    ]
    if count is None:
        pairs += (
            (b"groups", len(stream.groups)),
            (b"first-entry", _edge(stream, reverse=False)),
            (b"last-entry", _edge(stream, reverse=True)),
        )
        return PairsReply(pairs)
    most = count or None
    groups = [_full_group(stream, name, most) for name in sorted(stream.groups)]
    pairs += ((b"entries", stream.replies(count=most)), (b"groups", groups))
    return PairsReply(pairs)


@command("xinfo|groups")
def xinfo_groups(ctx: Any, args: list[bytes]) -> list[PairsReply]:
    stream = _existing_stream(ctx, args[0])
    replies = []
    for name in sorted(stream.groups):
        group = stream.groups[name]
        replies.append(
            PairsReply(
                [
                    (b"name", name),
                    (b"consumers", len(group.consumers)),
                    (b"pending", len(group.pending)),
                    (b"last-delivered-id", stream_id.text(group.last_id)),
                    (b"entries-read", group.entries_read),
                    (b"lag", stream.lag(group)),
                ]
            )
        )
    return replies


@command("xinfo|consumers")
def xinfo_consumers(ctx: Any, args: list[bytes]) -> list[PairsReply]:
    stream = _existing_stream(ctx, args[0])
    group = stream.groups.get(args[1])
    if group is None:
        raise no_such_group(args[0], args[1])
    return [
        PairsReply(
            [
                (b"name", consumer.name),
                (b"pending", len(consumer.pending)),
                (b"idle", max(0, ctx.now - consumer.seen_at)),
                (b"inactive", NEVER if consumer.active_at == NEVER else max(0, ctx.now - consumer.active_at)),
            ]
        )
        for consumer in group.sorted_consumers()
    ]


def _existing_stream(ctx: Any, key: bytes) -> Stream:
    stream: Stream | None = ctx.db.lookup_as(key, Stream)
    if stream is None:
        raise errors.NO_SUCH_KEY
    return stream


def _full_count(args: list[bytes]) -> int:
    """`FULL [COUNT count]`: how much to show, 0 for all."""
    wrong: ReplyError = bad_subcommand("XINFO", "stream")
    if args[0].upper() != b"FULL" or len(args) not in (1, 3):
        raise wrong
    if len(args) == 1:
        return DEFAULT_COUNT
    if args[1].upper() != b"COUNT":
        raise wrong
    count = parse_int(args[2])
    return DEFAULT_COUNT if count < 0 else count


def _edge(stream: Stream, reverse: bool) -> Any:
    """The first or last entry, None where there is none."""
    return next(iter(stream.replies(reverse=reverse, count=1)), None)


def _full_group(stream: Stream, name: bytes, most: int | None) -> PairsReply:
    group = stream.groups[name]
    pending = [
        [stream_id.text(entry_id), each.consumer.name, each.delivered_at, each.deliveries]
        for entry_id, each in islice(group.pending_between(stream_id.MIN, stream_id.MAX), most)
    ]
    return PairsReply(
        [
            (b"name", name),
            (b"last-delivered-id", stream_id.text(group.last_id)),
            (b"entries-read", group.entries_read),
            (b"lag", stream.lag(group)),
            (b"pel-count", len(group.pending)),
            (b"pending", pending),
            (b"consumers", [_full_consumer(group, each, most) for each in group.sorted_consumers()]),
        ]
    )


def _full_consumer(group: Group, consumer: Consumer, most: int | None) -> PairsReply:
    pending = [
        [stream_id.text(entry_id), each.delivered_at, each.deliveries]
        for entry_id, each in islice(group.pending_between(stream_id.MIN, stream_id.MAX, consumer), most)
    ]
    return PairsReply(
        [
            (b"name", consumer.name),
            (b"seen-time", consumer.seen_at),
            (b"active-time", consumer.active_at),
            (b"pel-count", len(consumer.pending)),
            (b"pending", pending),
        ]
    )
