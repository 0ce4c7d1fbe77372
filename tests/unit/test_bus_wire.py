"""The codec of the cluster bus, against packets that real servers sent to each other.

`bus_packets.txt` holds one line per packet: who sent it, a name, and the packet (zlib, base64). They
were captured between the members of one mixed cluster of redis-server 8.2.3 and valkey-server 9.1.2, on
its way through MEET, replication, PUBLISH, manual failover, a crash, a failover and CLUSTER FORGET.
"""

from __future__ import annotations

import base64
import itertools
import zlib
from dataclasses import replace
from pathlib import Path
from struct import pack, pack_into

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import slots
from cluster.bus import layout, wire
from cluster.bus.published import encode_each
from cluster.coordinator import messages as m
from cluster.topology import flags
from cluster.topology.node import Outside

PACKETS = {
    f"{program}-{name}": zlib.decompress(base64.b64decode(packet))
    for program, name, packet in (
        line.split() for line in (Path(__file__).parent / "bus_packets.txt").read_text().splitlines()
    )
}
READABLE = {name: packet for name, packet in PACKETS.items() if "light" not in name}

HEADER = m.Header(
    sender="a" * 40,
    current_epoch=7,
    config_epoch=5,
    offset=123456789,
    slots=slots.parse_ranges("0-5460 16383"),
    replica_of=None,
    ip="127.0.0.1",
    port=7001,
    other_port=0,
    bus_port=17001,
    flags=flags.PRIMARY,
    cluster_ok=True,
)
GOSSIP = m.Gossip("b" * 40, 0, 1700000000, "::1", 7002, 17002, flags.REPLICA, 0)
EXTENSIONS = (
    m.Hostname("node-1.example"),
    m.HumanNodename("left"),
    m.ForgottenNode("c" * 40, 60),
    m.Vouched("d" * 40, 1500),
    Outside("db.example", 7001, 0),
    m.ShardId("d" * 40),
    m.AvailabilityZone("rack 7, é"),
    m.UnknownExtension(77, b"12345678"),
)
ALL_MESSAGES: tuple[m.Message, ...] = (
    m.Ping(HEADER, (GOSSIP, GOSSIP)),
    m.Pong(replace(HEADER, message_flags=m.EXT_DATA), (GOSSIP,), EXTENSIONS),
    m.Meet(HEADER),
    m.Fail(HEADER, "e" * 40),
    m.Publish(HEADER, b"news", b"\x00\xff" * 10),
    m.PublishShard(HEADER, b"", b""),
    m.FailoverAuthRequest(replace(HEADER, replica_of="f" * 40, message_flags=m.FORCE_ACK)),
    m.FailoverAuthAck(HEADER),
    m.Update(HEADER, 9, "1" * 40, slots.ALL_SLOTS),
    m.MFStart(replace(HEADER, cluster_ok=False)),
    m.Module(HEADER, 2**63, 200, b"payload"),
)


def decode_one(raw: bytes) -> m.Message:
    (message,) = wire.Decoder().feed(raw)
    return message


@pytest.mark.parametrize("name", READABLE)
def test_packets_of_real_servers_survive_reading_and_writing(name: str) -> None:
    """Bit for bit, but for the last two bytes of the message flags, where Valkey keeps notes of its own."""
    packet = bytearray(READABLE[name])
    packet[2254:2256] = b"\0\0"
    assert wire.encode(decode_one(bytes(packet))) == packet


def test_a_real_heartbeat_says_what_its_sender_said() -> None:
    message = decode_one(PACKETS["valkey-ping-gossip-forgotten"])
    assert isinstance(message, m.Ping)
    assert message.header.ip == "127.0.0.1"
    assert message.header.bus_port == message.header.port + 5000
    assert message.header.message_flags & m.EXT_DATA
    assert f"node-{message.header.port}.example" == message.extensions[0].name  # type: ignore[union-attr]
    assert f"name-{message.header.port}" == message.extensions[1].name  # type: ignore[union-attr]
    kinds = [type(extension) for extension in message.extensions]
    assert kinds == [m.Hostname, m.HumanNodename, m.ForgottenNode, m.ShardId]
    assert all(entry.bus_port == entry.port + 5000 for entry in message.gossip)


def test_an_extension_only_one_server_knows_is_kept_opaque() -> None:
    """Number 4 is a shared secret to Redis 8 and a client's IPv4 address to Valkey: believing either is
    wrong.
    """
    message = decode_one(PACKETS["redis-ping-gossip"])
    assert isinstance(message, m.Ping)
    unknown = [extension for extension in message.extensions if isinstance(extension, m.UnknownExtension)]
    assert [extension.type for extension in unknown] == [4]


@pytest.mark.parametrize(("sharded", "kind"), [(False, m.Publish), (True, m.PublishShard)])
def test_what_is_published_in_one_go_arrives_one_by_one(
    sharded: bool, kind: type[m.Publish] | type[m.PublishShard]
) -> None:
    messages = ((b"news", b"one"), (b"", b""), (b"other", b"\r\n" * 3000))
    each = encode_each(m.Published(HEADER, messages, sharded))
    assert each == [wire.encode(kind(HEADER, *message)) for message in messages]
    assert encode_each(m.Meet(HEADER)) == [wire.encode(m.Meet(HEADER))]


def test_real_publish_carries_channel_and_message() -> None:
    for name in ("redis-publish", "valkey-publish"):
        message = decode_one(PACKETS[name])
        assert isinstance(message, m.Publish)
        assert message.channel == b"news"
        assert message.message.startswith(b"hello from")


@pytest.mark.parametrize("message", ALL_MESSAGES, ids=lambda message: message.type.name)
def test_every_kind_of_message_survives_whole_and_byte_by_byte(message: m.Message) -> None:
    raw = wire.encode(message)
    decoder = wire.Decoder()
    assert decoder.feed(raw) == [message]
    for at in range(len(raw) - 1):
        assert decoder.feed(raw[at : at + 1]) == []
    assert decoder.feed(raw[-1:]) == [message]
    assert decoder.pending == 0


def test_a_stream_cut_anywhere_gives_the_same_messages() -> None:
    stream = b"".join(map(wire.encode, ALL_MESSAGES))
    for size in (1, 7, 2255, 2256, 2257, 5000, len(stream)):
        decoder = wire.Decoder()
        got = [
            message for at in range(0, len(stream), size) for message in decoder.feed(stream[at : at + size])
        ]
        assert got == list(ALL_MESSAGES)


def test_trailing_bytes_wait_for_their_message() -> None:
    first, second = wire.encode(ALL_MESSAGES[0]), wire.encode(ALL_MESSAGES[3])
    decoder = wire.Decoder()
    assert decoder.feed(first + second[:100]) == [ALL_MESSAGES[0]]
    assert decoder.pending == 100
    assert decoder.feed(second[100:]) == [ALL_MESSAGES[3]]


@given(cut=st.lists(st.integers(0, 30000), max_size=8))
@settings(max_examples=50, deadline=None)
def test_cuts_never_matter(cut: list[int]) -> None:
    stream = b"".join(map(wire.encode, ALL_MESSAGES))
    edges = [0, *sorted(min(at, len(stream)) for at in cut), len(stream)]
    decoder = wire.Decoder()
    got = [message for a, b in itertools.pairwise(edges) for message in decoder.feed(stream[a:b])]
    assert got == list(ALL_MESSAGES)


def test_extensions_announce_themselves() -> None:
    message = decode_one(wire.encode(m.Ping(HEADER, (), (m.ShardId("d" * 40),))))
    assert message.header.message_flags & m.EXT_DATA


def test_light_messages_carry_what_is_published() -> None:
    real = PACKETS["valkey-light-publish"]
    (heard,) = wire.Decoder().feed(real)
    assert isinstance(heard, m.LightPublish) and not heard.sharded
    one = (heard.channel, heard.message)
    assert encode_each(m.Published(HEADER, (one,), False, light=True)) == [real]
    several = encode_each(m.Published(HEADER, (one, (b"", b"")), True, light=True))
    heard_so = [m.LightPublish(*one, True), m.LightPublish(b"", b"", True)]
    assert wire.Decoder().feed(b"".join(several)) == heard_so
    with pytest.raises(wire.BadLength):
        wire.Decoder().feed(pack(">4sIHHHHII", b"RCmb", 24, 1, 0, 4 | layout.LIGHT, 0, 2**32 - 1, 1))


def test_other_versions_types_and_light_messages_are_stepped_over() -> None:
    ping = wire.encode(ALL_MESSAGES[0])
    newer = bytearray(ping)
    pack_into(">H", newer, 8, 2)
    unknown = bytearray(ping)
    pack_into(">H", unknown, 12, 99)
    decoder = wire.Decoder()
    kind = m.MessageType.MODULE | layout.LIGHT
    light = layout.LIGHT_HEADER.pack(layout.SIGNATURE, 16, layout.VERSION, kind)
    assert decoder.feed(bytes(newer) + bytes(unknown) + light + ping) == [ALL_MESSAGES[0]]
    assert decoder.ignored == 3


def damaged(offset: int, value: bytes, message: m.Message = ALL_MESSAGES[1]) -> bytes:
    raw = bytearray(wire.encode(message))
    raw[offset : offset + len(value)] = value
    return bytes(raw)


FIRST_EXTENSION = layout.HEADER.size + layout.GOSSIP.size
DAMAGE = {
    "signature": (damaged(0, b"HTTP"), wire.BadSignature),
    "short total": (damaged(4, (15).to_bytes(4, "big")), wire.BadLength),
    "huge total": (damaged(4, b"\xff\xff\xff\xff"), wire.BadLength),
    "half a header": (damaged(4, (100).to_bytes(4, "big")), wire.BadLength),
    "gossip count": (damaged(14, b"\xff\xff"), wire.BadLength),
    "too few extensions": (damaged(2214, (7).to_bytes(2, "big")), wire.BadLength),
    "too many extensions": (damaged(2214, (9).to_bytes(2, "big")), wire.BadLength),
    "extension length": (damaged(FIRST_EXTENSION, (9).to_bytes(4, "big")), wire.BadLength),
    "extension past the end": (damaged(FIRST_EXTENSION, (1 << 30).to_bytes(4, "big")), wire.BadLength),
    "host name": (damaged(FIRST_EXTENSION + 8, b"a b\n"), wire.BadField),
    "sender": (damaged(40, b"X"), wire.BadField),
    "address": (damaged(2168, b"1 2"), wire.BadField),
    "gossip id": (damaged(layout.HEADER.size, b"\n"), wire.BadField),
    "fail body": (damaged(4, (2256).to_bytes(4, "big"), ALL_MESSAGES[3])[:2256], wire.BadLength),
    "channel length": (damaged(2256, b"\xff" * 4, ALL_MESSAGES[4]), wire.BadLength),
    "module length": (damaged(2256 + 8, b"\xff" * 4, ALL_MESSAGES[10]), wire.BadLength),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_has_a_name(name: str) -> None:
    raw, error = DAMAGE[name]
    with pytest.raises(error):
        wire.Decoder().feed(raw)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_arrives_is_read_or_named(data: st.DataObject) -> None:
    """Real packets with some bytes changed, cut anywhere: messages or a WireError, nothing else."""
    raw = bytearray(READABLE[data.draw(st.sampled_from(sorted(READABLE)))] * 2)
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=6)):
        raw[at] = data.draw(st.integers(0, 255))
    decoder = wire.Decoder(max_message=1 << 20)
    cut = data.draw(st.integers(0, len(raw)))
    try:
        messages = decoder.feed(bytes(raw[:cut])) + decoder.feed(bytes(raw[cut:]))
    except wire.WireError:
        return
    assert len(messages) <= len(raw) // layout.LIGHT_HEADER_BYTES
    assert decoder.pending <= len(raw)


def test_a_long_message_is_refused_by_its_announcement_alone() -> None:
    raw = wire.encode(m.Publish(HEADER, b"c", b"x" * 5000))
    with pytest.raises(wire.BadLength):
        wire.Decoder(max_message=4096).feed(raw[:8])


def test_we_send_nothing_that_would_be_refused() -> None:
    with pytest.raises(wire.BadLength):
        wire.encode(m.Publish(HEADER, b"c", bytes(wire.MAX_MESSAGE)))
