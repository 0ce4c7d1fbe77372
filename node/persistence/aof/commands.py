"""Data as the commands that make it: the base of an append-only file without an RDB.

Collections are written some elements at a time, so that reading them back never needs one huge command.
Source: aof.c of Redis 7, rewriteAppendOnlyFileRio.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from node.core.double_digits import format_double
from node.datatypes import Hash, List, Set, SortedSet, Stream, stream_id
from node.datatypes.consumer_group import Group

Command = list[bytes]

ITEMS: Final = 64
"""Elements per command."""


def commands_of(
    databases: Sequence[Any], functions: Iterable[bytes], rooms: Iterable[Any] = ()
) -> Iterator[Command]:
    """What makes the data of all `databases`, and the libraries with these sources, from nothing. `rooms`:
    what is on its way here (`node/keyspace/anteroom`)."""
    for source in functions:
        yield [b"FUNCTION", b"LOAD", source]
    for db in databases:
        yield from _database(db)
    for room in rooms:
        slots = [b"%d" % slot for span in room.ranges for slot in span]
        yield [b"CLUSTER", b"SYNCSLOTS", b"ESTABLISH", b"NAME", room.name, b"SLOTSRANGE", *slots]
        for db in room.databases:
            yield from _database(db)


def _database(db: Any) -> Iterator[Command]:
    if not len(db):
        return
    yield [b"SELECT", b"%d" % db.index]
    for key, value, expire_at in db.entries():
        yield from commands_of_key(key, value, expire_at)


def commands_of_key(key: bytes, value: Any, expire_at: int) -> Iterator[Command]:
    """What makes one key; `expire_at` is Unix ms, 0 for never."""
    yield from _value(key, value)
    if expire_at:
        yield [b"PEXPIREAT", key, b"%d" % expire_at]


def _value(key: bytes, value: Any) -> Iterator[Command]:
    match value:
        case bytes():
            yield [b"SET", key, value]
        case List():
            yield from _in_pieces(b"RPUSH", key, ([item] for item in value))
        case Set():
            yield from _in_pieces(b"SADD", key, ([member] for member in value))
        case SortedSet():
            pairs = ([format_double(score), member] for member, score in value.items())
            yield from _in_pieces(b"ZADD", key, pairs)
        case Hash():
            yield from _hash(key, value)
        case Stream():
            yield from _stream(key, value)


def _in_pieces(name: bytes, key: bytes, elements: Iterable[Command]) -> Iterator[Command]:
    """Commands that take any number of elements, each of one or two arguments."""
    remaining = iter(elements)
    while piece := list(islice(remaining, ITEMS)):
        yield [name, key, *(argument for element in piece for argument in element)]


def _hash(key: bytes, value: Hash) -> Iterator[Command]:
    yield from _in_pieces(b"HMSET", key, ([field, text] for field, text, _ in value.walk()))
    for field, _, expire_at in value.walk() if value.timed else ():
        if expire_at:
            yield [b"HPEXPIREAT", key, b"%d" % expire_at, b"FIELDS", b"1", field]


def _stream(key: bytes, stream: Stream) -> Iterator[Command]:
    for entry_id, pairs in stream.entries():
        yield [b"XADD", key, stream_id.text(entry_id), *pairs]
    last_id = stream_id.text(stream.last_id)
    if not stream.length:  # it is only there through an entry that goes at once
        yield [b"XADD", key, b"MAXLEN", b"0", last_id if stream.last_id else b"0-1", b"x", b"y"]
    yield [
        b"XSETID", key, last_id,
        b"ENTRIESADDED", b"%d" % stream.entries_added,
        b"MAXDELETEDID", stream_id.text(stream.max_deleted),
    ]  # fmt: skip
    for name, group in stream.groups.items():
        yield from _group(key, name, group)


def _group(key: bytes, name: bytes, group: Group) -> Iterator[Command]:
    read = -1 if group.entries_read is None else group.entries_read
    yield [b"XGROUP", b"CREATE", key, name, stream_id.text(group.last_id), b"ENTRIESREAD", b"%d" % read]
    for consumer in group.sorted_consumers():
        yield [b"XGROUP", b"CREATECONSUMER", key, name, consumer.name]
        for entry_id in consumer.pending:
            pending = group.pending[entry_id]
            yield [
                b"XCLAIM", key, name, consumer.name, b"0", stream_id.text(entry_id),
                b"TIME", b"%d" % pending.delivered_at,
                b"RETRYCOUNT", b"%d" % pending.deliveries,
                b"JUSTID", b"FORCE",
            ]  # fmt: skip
