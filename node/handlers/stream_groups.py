"""XGROUP, XACK and XPENDING: groups and their consumers, what is acknowledged and what is not."""

from __future__ import annotations

from typing import Any, Final

from node import errors
from node.datatypes import Stream, stream_id
from node.datatypes.consumer_group import Group, Pending
from node.errors import ReplyError
from node.handlers.arguments import parse_int
from node.handlers.registry import command
from node.handlers.stream_arguments import (
    bad_subcommand,
    find_group,
    no_such_group,
    parse_any_id,
    parse_end,
    parse_id,
    parse_start,
)
from node.keyspace import events
from node.replies import NULL_ARRAY, OK

_NO_KEY: Final = ReplyError(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
    "MKSTREAM option to create an empty stream automatically."
)
_BUSY: Final = ReplyError("BUSYGROUP Consumer Group name already exists")
_ENTRIES_READ: Final = ReplyError("ERR value for ENTRIESREAD must be positive or -1")

HELP: Final = [
    "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CREATE <key> <groupname> <id|$> [option]",
    "    Create a new consumer group. Options are:",
    "    * MKSTREAM",
    "      Create the empty stream if it does not exist.",
    "    * ENTRIESREAD entries_read",
    "      Set the group's entries_read counter (internal use).",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Create a new consumer in the specified group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove the specified consumer.",
    "DESTROY <key> <groupname>",
    "    Remove the specified group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the current group ID and entries_read counter.",
    "HELP",
    "    Print this help.",
]


# ------------------------------------------------------------------------------------------- xgroup


@command("xgroup|help")
def xgroup_help(ctx: Any, args: list[bytes]) -> list[str]:
    return HELP


@command("xgroup|create")
def xgroup_create(ctx: Any, args: list[bytes]) -> str:
    key, name, position = args[:3]
    make_stream, entries_read = _group_options("create", args[3:])
    stream = ctx.db.lookup_write_as(key, Stream)
    if stream is None and not make_stream:
        raise _NO_KEY
    _check_count("create", args[3:], 3)
    if position == b"$":
        last_id = stream_id.MIN if stream is None else stream.last_id
    else:
        last_id = parse_id(position)
    if stream is None:
        stream = Stream()
        ctx.db.set(key, stream)
    if stream.add_group(name, last_id, entries_read) is None:
        raise _BUSY
    ctx.changed(key, events.XGROUP_CREATE)
    return OK


@command("xgroup|setid")
def xgroup_setid(ctx: Any, args: list[bytes]) -> str:
    key, name, position = args[:3]
    _, entries_read = _group_options("setid", args[3:])
    stream, group = _existing_group(ctx, key, name)
    _check_count("setid", args[3:], 2)
    group.last_id = stream.last_id if position == b"$" else parse_any_id(position)
    stream.set_entries_read(group, entries_read)
    ctx.changed(key, events.XGROUP_SETID)
    return OK


@command("xgroup|destroy")
def xgroup_destroy(ctx: Any, args: list[bytes]) -> int:
    key, name = args
    stream = ctx.db.lookup_write_as(key, Stream)
    if stream is None:
        raise _NO_KEY
    if stream.groups.pop(name, None) is None:
        return 0
    ctx.changed(key, events.XGROUP_DESTROY)
    return 1


@command("xgroup|createconsumer")
def xgroup_createconsumer(ctx: Any, args: list[bytes]) -> int:
    key, name, consumer = args
    _, group = _existing_group(ctx, key, name)
    if consumer in group.consumers:
        return 0
    group.add_consumer(consumer, ctx.now)
    ctx.changed(key, events.XGROUP_CREATECONSUMER)
    return 1


@command("xgroup|delconsumer")
def xgroup_delconsumer(ctx: Any, args: list[bytes]) -> int:
    key, name, consumer = args
    _, group = _existing_group(ctx, key, name)
    pending = group.remove_consumer(consumer)
    if pending is None:
        return 0
    ctx.changed(key, events.XGROUP_DELCONSUMER)
    return pending


def _group_options(subcommand: str, args: list[bytes]) -> tuple[bool, int | None]:
    """MKSTREAM and ENTRIESREAD, where the subcommand takes them."""
    make_stream, entries_read = False, None
    at = 0
    while at < len(args):
        word = args[at].upper()
        if word == b"MKSTREAM" and subcommand == "create":
            make_stream = True
            at += 1
        elif word == b"ENTRIESREAD" and at + 1 < len(args):
            value = parse_int(args[at + 1])
            if value < -1:
                raise _ENTRIES_READ
            entries_read = None if value == -1 else value
            at += 2
        else:
            raise bad_subcommand("XGROUP", subcommand)
    return make_stream, entries_read


def _check_count(subcommand: str, options: list[bytes], most: int) -> None:
    """Options may be repeated, but not too often; Redis looks at the key first."""
    if len(options) > most:
        raise bad_subcommand("XGROUP", subcommand)


def _existing_group(ctx: Any, key: bytes, name: bytes) -> tuple[Stream, Group]:
    stream = ctx.db.lookup_write_as(key, Stream)
    if stream is None:
        raise _NO_KEY
    group = stream.groups.get(name)
    if group is None:
        raise no_such_group(key, name)
    return stream, group


# ------------------------------------------------------------------------------------------- pending entries


@command("xack")
def xack(ctx: Any, args: list[bytes]) -> int:
    stream = ctx.db.lookup_as(args[0], Stream)
    group = None if stream is None else stream.groups.get(args[1])
    if group is None:
        return 0
    ids = [parse_id(raw) for raw in args[2:]]
    acknowledged = sum(group.acknowledge(entry_id) for entry_id in ids)
    if acknowledged:
        ctx.engine.dirty += acknowledged  # Redis publishes no event, and disturbs no WATCH
        ctx.db.changed(args[0])
    return acknowledged


@command("xpending")
def xpending(ctx: Any, args: list[bytes]) -> Any:
    key, name, rest = args[0], args[1], args[2:]
    if not rest:
        return _summary(find_group(ctx, key, name)[1])
    if not 3 <= len(rest) <= 6:
        raise errors.SYNTAX
    idle = 0
    if rest[0].upper() == b"IDLE":
        idle = parse_int(rest[1])
        if len(rest) < 5:
            raise errors.SYNTAX
        rest = rest[2:]
    count = parse_int(rest[2])
    start, end = parse_start(rest[0]), parse_end(rest[1])
    _, group = find_group(ctx, key, name)
    consumer = None
    if len(rest) > 3:
        consumer = group.consumers.get(rest[3])
        if consumer is None:
            return []
    rows: list[list[Any]] = []
    for entry_id, pending in group.pending_between(start, end, consumer):
        if len(rows) >= count:
            break
        if ctx.now - pending.delivered_at >= idle:
            rows.append(_pending_row(entry_id, pending, ctx.now))
    return rows


def _summary(group: Group) -> list[Any]:
    ids = group.pending_ids
    if not len(ids):
        return [0, None, None, NULL_ARRAY]
    owners = [
        [consumer.name, b"%d" % len(consumer.pending)]
        for consumer in group.sorted_consumers()
        if len(consumer.pending)
    ]
    return [len(ids), stream_id.text(ids.first), stream_id.text(ids.last), owners]


def _pending_row(entry_id: int, pending: Pending, now: int) -> list[Any]:
    idle = max(0, now - pending.delivered_at)
    return [stream_id.text(entry_id), pending.consumer.name, idle, pending.deliveries]
