"""Streams in RDB: their nodes as they are in memory, then their groups.

    stream    = length(nodes) node* length(entries) id(last) [id(first) id(max deleted) length(entries added)]
                length(groups) group*
    node      = string(key of the node) string(listpack)
    group     = string(name) id(last delivered) [length(entries read)]
                length(pending) pending* length(consumers) consumer*
    pending   = key int64(delivered at) length(deliveries)
    consumer  = string(name) int64(seen at) [int64(active at)] length(pending) key*
    id        = length(milliseconds) length(sequence)
    key       = 16 bytes: an id, big-endian

Moments are Unix milliseconds, little-endian. The second version of the type has what is in brackets but the
moment when a consumer was active, which the third has. Unknown numbers are -1, as unsigned of 64 bits.
Source: rdb.c of Redis.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from node.core.rdb_output import RdbOutput
from node.core.rdb_source import Source
from node.core.stream_node import Node
from node.datatypes import Stream, stream_id
from node.datatypes.consumer_group import Consumer, Group
from node.persistence.rdb.format import Malformed

KEY_LENGTH: Final = 16
UNKNOWN: Final = (1 << 64) - 1

_MOMENT = struct.Struct("<q")

# ------------------------------------------------------------------------------------------- writing


def save_stream(stream: Stream, out: RdbOutput, version: int = 3) -> None:
    """Write the second or the third version of the type."""
    out.length(len(stream.nodes))
    for node in stream.nodes:
        out.string(_key(node.master))
        out.string(node.listpack())
    out.length(len(stream))
    for entry_id in (stream.last_id, stream.first_id, stream.max_deleted):
        _save_id(entry_id, out)
    out.length(stream.entries_added)
    out.length(len(stream.groups))
    for name in sorted(stream.groups):
        group = stream.groups[name]
        out.string(name)
        _save_id(group.last_id, out)
        out.length(UNKNOWN if group.entries_read is None else group.entries_read)
        _save_group(group, out, version)


def _save_id(entry_id: int, out: RdbOutput) -> None:
    for half in stream_id.split(entry_id):
        out.length(half)


def _save_group(group: Group, out: RdbOutput, version: int) -> None:
    out.length(len(group.pending))
    for entry_id in group.pending_ids:
        pending = group.pending[entry_id]
        out.raw(_key(entry_id) + _MOMENT.pack(pending.delivered_at))
        out.length(pending.deliveries)
    out.length(len(group.consumers))
    for consumer in group.sorted_consumers():
        out.string(consumer.name)
        out.raw(_MOMENT.pack(consumer.seen_at))
        if version >= 3:
            out.raw(_MOMENT.pack(consumer.active_at))
        out.length(len(consumer.pending))
        for entry_id in consumer.pending:
            out.raw(_key(entry_id))


def _key(entry_id: int) -> bytes:
    return entry_id.to_bytes(KEY_LENGTH, "big")


# ------------------------------------------------------------------------------------------- reading


def load_stream(version: int) -> Callable[[Source], Stream]:
    """The reader of one of the three versions of the type."""

    def load(source: Source) -> Stream:
        stream = Stream()
        for _ in range(source.load_length()):
            _load_node(source, stream)
        if source.load_length() != len(stream):
            raise Malformed("stream with a wrong number of entries")
        stream.last_id = _load_id(source)
        if version >= 2:
            _load_id(source)  # the first entry's, which the nodes tell
            stream.max_deleted = _load_id(source)
            stream.entries_added = source.load_length()
        else:
            stream.entries_added = len(stream)
        if stream.nodes and stream.nodes[-1].last_id > stream.last_id:
            raise Malformed("stream entry above the stream's last id")
        for _ in range(source.load_length()):
            _load_group(source, stream, version)
        return stream

    return load


def _load_node(source: Source, stream: Stream) -> None:
    key = source.load_string()
    if len(key) != KEY_LENGTH:
        raise Malformed("stream node whose key is no id")
    node = Node.from_listpack(int.from_bytes(key, "big"), source.load_string())
    try:
        stream.load_node(node)
    except ValueError as error:
        raise Malformed(str(error)) from None


def _load_group(source: Source, stream: Stream, version: int) -> None:
    name = source.load_string()
    last_id = _load_id(source)
    read = source.load_length() if version >= 2 else stream.estimate_read(last_id)
    group = stream.add_group(name, last_id, None)
    if group is None:
        raise Malformed("stream with a group twice")
    group.entries_read = None if read == UNKNOWN else read
    pending: dict[int, tuple[int, int]] = {}
    for _ in range(source.load_length()):
        entry_id = _load_key(source)
        pending[entry_id] = (_load_moment(source), source.load_length())
    for _ in range(source.load_length()):
        _load_consumer(source, group, pending, version)
    if pending:
        raise Malformed("pending stream entry that no consumer has")


def _load_consumer(source: Source, group: Group, pending: dict[int, tuple[int, int]], version: int) -> None:
    """Takes what is the consumer's out of `pending`."""
    name = source.load_string()
    seen_at = _load_moment(source)
    consumer = Consumer(name, seen_at, _load_moment(source) if version >= 3 else seen_at)
    if name in group.consumers:
        raise Malformed("stream group with a consumer twice")
    group.consumers[name] = consumer
    for _ in range(source.load_length()):
        entry_id = _load_key(source)
        if entry_id not in pending:
            raise Malformed("stream consumer with an entry that is not pending, or is another's")
        delivered_at, deliveries = pending.pop(entry_id)
        group.assign(entry_id, consumer, delivered_at, deliveries)


def _load_id(source: Source) -> int:
    milliseconds = source.load_length()
    return stream_id.make(milliseconds, source.load_length())


def _load_key(source: Source) -> int:
    return int.from_bytes(source.take(KEY_LENGTH), "big")


def _load_moment(source: Source) -> int:
    return _MOMENT.unpack(source.take(_MOMENT.size))[0]  # type: ignore[no-any-return]
