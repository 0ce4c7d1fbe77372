"""Streams in RDB and DUMP payloads: what is written is read back, the older versions are read, nonsense is
refused."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from node.datatypes import Stream, stream_id
from node.datatypes.consumer_group import NEVER
from node.errors import BAD_DATA_FORMAT, ReplyError
from node.persistence.rdb import dump_payload, load_payload
from node.persistence.rdb import format as rdb
from node.persistence.rdb.writer import dump_value
from tests.unit.rdb_bytes import encode_length, encode_string
from tests.unit.test_rdb_payload import sealed


def facts(stream: Stream) -> dict[str, Any]:
    """All there is to a stream, as something that compares."""
    return {
        "entries": list(stream.entries()),
        "nodes": [(node.master, node.live, node.deleted) for node in stream.nodes],
        "counts": (len(stream), stream.last_id, stream.max_deleted, stream.entries_added),
        "groups": {
            name: (
                group.last_id,
                group.entries_read,
                [
                    (entry_id, each.consumer.name, each.delivered_at, each.deliveries)
                    for entry_id, each in group.pending_between(0, stream_id.MAX)
                ],
                {
                    each.name: (each.seen_at, each.active_at, list(each.pending))
                    for each in group.sorted_consumers()
                },
            )
            for name, group in stream.groups.items()
        },
    }


def a_stream(entries: int = 5) -> Stream:
    """With gaps, and two groups of which one has things pending."""
    stream = Stream()
    for number in range(1, entries + 1):
        stream.append(stream_id.make(number, number % 2), [b"a", b"%d" % number, b"b", b"-"])
    stream.append(stream_id.make(entries + 1, 0), [b"other", b"x" * 30])
    stream.delete(stream_id.make(2, 0))
    first = stream.add_group(b"first", stream_id.make(3, 1), 3)
    assert first is not None and stream.add_group(b"second", 0, None) is not None
    alice = first.add_consumer(b"alice", 1000)
    alice.active_at = 900
    first.add_consumer(b"idle", 2000)
    first.assign(stream_id.make(1, 1), alice, 900, 1)
    first.assign(stream_id.make(2, 0), alice, 950, 7)
    return stream


@pytest.mark.parametrize("stream", [Stream(), a_stream(), a_stream(1000)], ids=["empty", "small", "large"])
def test_round_trip(stream: Stream) -> None:
    assert facts(load_payload(dump_payload(stream))) == facts(stream)


def body(
    version: int = 3,
    *,
    node: bytes | None = None,
    key: bytes = bytes(15) + b"\1",
    length: int = 1,
    last: bytes = b"\0\1",
    groups: bytes = b"\0",
) -> bytes:
    """A stream with the entry 0-1, laid out as one of the three versions."""
    if node is None:
        sample = Stream()
        sample.append(1, [b"a", b"b"])
        node = sample.nodes[0].listpack()
    head = b"\1" + encode_string(key) + encode_string(node, compress=False) + encode_length(length) + last
    return head + (b"\0\1" + b"\0\0" + b"\1" if version >= 2 else b"") + groups


def group(version: int = 3, name: bytes = b"g", pending: bytes = b"\1", owned: bytes = b"\1") -> bytes:
    """One group, with the entry 0-1 pending for one consumer; `pending` and `owned` are the counts."""
    entry = (1).to_bytes(16, "big")
    moment = struct.pack("<q", 5)
    parts = [encode_string(name), b"\0\1", b"\1" if version >= 2 else b""]
    parts += [pending, (entry + moment + b"\2") * pending[0], b"\1", encode_string(b"c"), moment]
    parts += [struct.pack("<q", 4) if version >= 3 else b"", owned, entry * owned[0]]
    return b"".join(parts)


CODES = {1: rdb.STREAM_LISTPACKS, 2: rdb.STREAM_LISTPACKS_2, 3: rdb.STREAM_LISTPACKS_3}


@pytest.mark.parametrize("version", CODES)
def test_all_versions_are_read(version: int) -> None:
    raw = body(version, groups=b"\1" + group(version))
    stream = load_payload(sealed(bytes((CODES[version],)) + raw))
    found = facts(stream)
    assert found["entries"] == [(1, [b"a", b"b"])] and found["counts"] == (1, 1, 0, 1)
    active_at = {1: 5, 2: 5, 3: 4}[version]
    assert found["groups"] == {b"g": (1, 1, [(1, b"c", 5, 2)], {b"c": (5, active_at, [1])})}
    assert dump_value(stream)[0] == rdb.STREAM_LISTPACKS_3


def test_a_consumer_that_got_nothing_is_told_apart() -> None:
    stream = a_stream()
    assert stream.groups[b"first"].consumers[b"idle"].active_at == NEVER
    assert load_payload(dump_payload(stream)).groups[b"first"].consumers[b"idle"].active_at == NEVER


@pytest.mark.parametrize(
    "raw",
    [
        body(key=b"short"),
        body(node=b"no listpack"),
        body(length=2),
        body(last=b"\0\0"),
        body(groups=b"\2" + group() + group()),
        body(groups=b"\1" + group(owned=b"\0")),
        body(groups=b"\1" + group(pending=b"\0")),
        body(groups=b"\1" + group(owned=b"\2")),
        b"\2" + body()[1:22] + body()[1:],
    ],
    ids=["key", "node", "length", "last id", "group twice", "nobody's", "unknown", "owned twice", "order"],
)
def test_nonsense_is_refused(raw: bytes) -> None:
    with pytest.raises(ReplyError) as caught:
        load_payload(sealed(b"\x15" + raw))
    assert caught.value is BAD_DATA_FORMAT


def test_every_truncation_is_refused() -> None:
    raw = dump_value(a_stream())[1]
    for length in range(len(raw)):
        with pytest.raises(ReplyError):
            load_payload(sealed(b"\x15" + raw[:length]))
