"""The codec of the cluster bus: messages to bytes and back, without a socket.

`encode` turns a message of `coordinator/messages.py` into the bytes of protocol version 1; a `Decoder`
takes what a link delivered, in pieces of any size, and gives the messages that are complete. That a
message is not complete yet is nothing special: it gives none. Bytes that cannot be a message raise a
`WireError`, after which the link is of no further use, because nobody knows where the next message
begins.

What is well framed but not for us is stepped over and counted: other protocol versions, types of a newer
server, Valkey's light messages but for published ones. Extensions of unknown type are kept as opaque bytes.

The layout is in `layout.py`. What arrives here comes from the network without authentication, so texts
that will stand in nodes.conf and in replies are held to the characters they may have.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from struct import error as struct_error
from typing import NamedTuple

from cluster import slots as slot_sets
from cluster.bus import layout
from cluster.coordinator import messages as m
from cluster.topology.node import Outside

MAX_MESSAGE = 64 * 1024 * 1024
"""Bytes of the longest message that is accepted or sent. Only PUBLISH can come near; a heartbeat is ~2.5
kB.
"""

MAX_PUBLISHED = MAX_MESSAGE - layout.HEADER.size - layout.PUBLISH.size
"""Bytes of channel and message together that still fit into one."""

MAX_ZONE = 1024
"""Bytes that are kept of the name of a zone, which may be any text."""

REMEMBERED = 2048
"""Node ids and addresses of which the text is kept: all of a cluster as large as they get."""

_NO_ID = bytes(layout.ID_BYTES)
_ID = re.compile(rb"[0-9a-f]{40}", re.ASCII)
_ADDRESS = re.compile(rb"[0-9A-Za-z.:%_-]*", re.ASCII)
"""An IP address, or the host name some put in its place."""
_HOSTNAME = re.compile(rb"[0-9A-Za-z.-]{0,255}", re.ASCII)
_NODENAME = re.compile(rb"[!-+\--~]{0,255}", re.ASCII)
"""Any visible character but the comma that separates it in nodes.conf."""


class WireError(Exception):
    """The bytes on a link are no message of the bus. The link must be closed."""


class BadSignature(WireError):
    """A message does not begin with `RCmb`: whoever connected does not speak the bus."""


class BadLength(WireError):
    """A total length that no message can have, or that is not what the parts of the message add up to."""


class BadField(WireError):
    """A text or node id with bytes it may not contain."""


# --- writing


def encode(message: m.Message) -> bytes:
    """The message as it stands on the wire.

    Raises BadLength for one longer than MAX_MESSAGE, which the other side would refuse. EXT_DATA is
    added to the message flags where there are extensions: without it the receiver would take them for
    damage.
    """
    header = message.header
    count = extensions = 0
    flags = header.message_flags
    if isinstance(message, m.Ping | m.Pong | m.Meet):
        count = len(message.gossip)
        extensions = len(message.extensions)
        if extensions:
            flags |= m.EXT_DATA
    body = _encode_body(message)
    total = layout.HEADER.size + len(body)
    if total > MAX_MESSAGE:
        raise BadLength(f"message of {total} bytes; at most {MAX_MESSAGE} are allowed")
    head = layout.HEADER.pack(
        layout.SIGNATURE,
        total,
        layout.VERSION,
        header.port,
        message.type,
        count,
        header.current_epoch,
        header.config_epoch,
        header.offset,
        _id_bytes(header.sender),
        slot_sets.to_bytes(header.slots),
        _id_bytes(header.replica_of),
        _ip_bytes(header.ip),
        extensions,
        b"",
        header.other_port,
        header.bus_port,
        header.flags & 0xFFFF,
        0 if header.cluster_ok else 1,
        flags.to_bytes(3, "little"),
    )
    return head + body


def _encode_body(message: m.Message) -> bytes:
    match message:
        case m.Ping() | m.Pong() | m.Meet():
            parts = [_encode_gossip(entry) for entry in message.gossip]
            parts += [_encode_extension(extension) for extension in message.extensions]
            return b"".join(parts)
        case m.Fail():
            return _id_bytes(message.id)
        case m.Publish() | m.PublishShard():
            lengths = layout.PUBLISH.pack(len(message.channel), len(message.message))
            return lengths + message.channel + message.message
        case m.Update():
            slots = slot_sets.to_bytes(message.slots)
            return layout.UPDATE.pack(message.config_epoch, _id_bytes(message.id), slots)
        case m.Module():
            start = layout.MODULE.pack(message.module_id, len(message.payload), message.module_type)
            return start + message.payload
    return b""


def _encode_gossip(entry: m.Gossip) -> bytes:
    return layout.GOSSIP.pack(
        _id_bytes(entry.id),
        entry.ping_sent & 0xFFFFFFFF,
        entry.pong_received & 0xFFFFFFFF,
        _ip_bytes(entry.ip),
        entry.port,
        entry.bus_port,
        entry.flags & 0xFFFF,
        entry.other_port,
        0,
    )


def _encode_extension(extension: m.Extension) -> bytes:
    match extension:
        case m.Hostname():
            kind, data = m.ExtensionType.HOSTNAME, extension.name.encode() + b"\0"
        case m.HumanNodename():
            kind, data = m.ExtensionType.HUMAN_NODENAME, extension.name.encode() + b"\0"
        case m.ForgottenNode():
            kind = m.ExtensionType.FORGOTTEN_NODE
            data = layout.FORGOTTEN.pack(_id_bytes(extension.id), extension.ttl)
        case m.ShardId():
            kind, data = m.ExtensionType.SHARD_ID, _id_bytes(extension.id)
        case m.AvailabilityZone():
            kind = m.ExtensionType.AVAILABILITY_ZONE
            data = extension.name.encode("utf-8", "surrogateescape") + b"\0"
        case m.Vouched():
            kind, data = m.ExtensionType.VOUCHED, layout.VOUCHED.pack(_id_bytes(extension.id), extension.ms)
        case Outside():
            kind = m.ExtensionType.OUTSIDE
            data = layout.OUTSIDE.pack(extension.port, extension.tls_port) + extension.host.encode() + b"\0"
        case m.UnknownExtension():
            return _extension_bytes(extension.type, extension.data)
    return _extension_bytes(kind, data)


def _extension_bytes(kind: int, data: bytes) -> bytes:
    padding = -len(data) % 8
    length = layout.EXTENSION.size + len(data) + padding
    return layout.EXTENSION.pack(length, kind, 0) + data + bytes(padding)


def _id_bytes(node_id: str | None) -> bytes:
    return _NO_ID if node_id is None else node_id.encode("ascii")


def _ip_bytes(ip: str) -> bytes:
    """At most 45 bytes: the last of the field stays zero, as C strings end with one."""
    return ip.encode("ascii", "replace")[: layout.IP_BYTES - 1]


# --- reading


class Decoder:
    """Gives the messages in a stream of bytes. One per link.

    `ignored` counts messages that were well framed but of another version, type or header form.
    """

    def __init__(
        self, max_message: int = MAX_MESSAGE, admits: Callable[[bytes], bool] = lambda raw: True
    ) -> None:
        """`admits` is asked of each whole message, before it is looked at, whether to take it."""
        self.ignored = 0
        self._admits = admits
        self._max_message = max_message
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Bytes held of a message that is not complete."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[m.Message | m.LightPublish]:
        """The messages that `data` completes, oldest first; an empty list if none. Raises WireError.

        Memory is taken for bytes that arrived, never for a length that was only announced.
        """
        buffer = self._buffer
        buffer += data
        messages: list[m.Message | m.LightPublish] = []
        at = 0
        while (length := self._length_at(at)) and len(buffer) - at >= length:
            raw = bytes(buffer[at : at + length])
            at += length
            if not self._admits(raw):
                continue
            message = self._decode(memoryview(raw))
            if message is None:
                self.ignored += 1
            else:
                messages.append(message)
        if at:
            del buffer[:at]
        return messages

    def _length_at(self, at: int) -> int:
        """Length of the message that begins at `at`; 0 while too little of it is here to tell."""
        if len(self._buffer) - at < layout.START.size:
            return 0
        signature, length = layout.START.unpack_from(self._buffer, at)
        if signature != layout.SIGNATURE:
            raise BadSignature(f"message begins with {signature!r}")
        if not layout.LIGHT_HEADER_BYTES <= length <= self._max_message:
            raise BadLength(f"message of {length} bytes announced")
        return int(length)

    @staticmethod
    def _decode(raw: memoryview) -> m.Message | m.LightPublish | None:
        version, kind = layout.TYPE.unpack_from(raw, layout.TYPE_OFFSET)
        if version == layout.VERSION and kind in _LIGHT_PUBLISH:
            return _read_light(raw[layout.LIGHT_HEADER.size :], sharded=_LIGHT_PUBLISH[kind])
        if version != layout.VERSION or kind not in _BODIES:
            return None
        if len(raw) < layout.HEADER.size:
            raise BadLength(f"message of type {kind} in {len(raw)} bytes")
        read_body = _BODIES[kind]
        try:
            return read_body(_read_head(raw), raw[layout.HEADER.size :])
        except struct_error as short:
            raise BadLength(f"message of type {kind} ends early: {short}") from short


class _Head(NamedTuple):
    header: m.Header
    gossip_count: int
    extension_count: int


def _read_head(raw: memoryview) -> _Head:
    (
        _signature, _total, _version, port, _type, gossip_count, current_epoch, config_epoch, offset, sender,
        slots, replica_of, ip, extension_count, _unused, other_port, bus_port, flags, state, mflags,
    ) = layout.HEADER.unpack_from(raw)  # fmt: skip
    header = m.Header(
        sender=_read_id(sender),
        current_epoch=current_epoch,
        config_epoch=config_epoch,
        offset=offset,
        slots=slot_sets.from_bytes(slots),
        replica_of=None if replica_of == _NO_ID else _read_id(replica_of),
        ip=_read_address(ip),
        port=port,
        other_port=other_port,
        bus_port=bus_port,
        flags=flags,
        cluster_ok=state == 0,
        message_flags=int.from_bytes(mflags, "little"),
    )
    return _Head(header, gossip_count, extension_count if mflags[0] & m.EXT_DATA else 0)


def _heartbeat(kind: type[m.Ping] | type[m.Pong] | type[m.Meet]) -> Callable[[_Head, memoryview], m.Message]:
    def read(head: _Head, body: memoryview) -> m.Message:
        end = head.gossip_count * layout.GOSSIP.size
        if len(body) < end:
            raise BadLength(f"{head.gossip_count} gossip entries in {len(body)} bytes")
        gossip = tuple([_read_gossip(*fields) for fields in layout.GOSSIP.iter_unpack(body[:end])])
        extensions = _read_extensions(head.extension_count, body[end:])
        return kind(head.header, gossip, extensions)

    return read


def _read_gossip(
    node_id: bytes,
    ping_sent: int,
    pong_received: int,
    ip: bytes,
    port: int,
    bus_port: int,
    flags: int,
    other_port: int,
    _unused: int,
) -> m.Gossip:
    return m.Gossip(
        _read_id(node_id), ping_sent, pong_received, _read_address(ip), port, bus_port, flags, other_port
    )


def _read_extensions(count: int, raw: memoryview) -> tuple[m.Extension, ...]:
    extensions = []
    at = 0
    for _ in range(count):
        length, kind, _unused = layout.EXTENSION.unpack_from(raw, at)
        if length < layout.EXTENSION.size or length % 8 or at + length > len(raw):
            raise BadLength(f"extension of {length} bytes where {len(raw) - at} are left")
        extensions.append(_read_extension(kind, bytes(raw[at + layout.EXTENSION.size : at + length])))
        at += length
    _expect(len(raw), at, "extensions")
    return tuple(extensions)


def _read_extension(kind: int, data: bytes) -> m.Extension:
    match kind:
        case m.ExtensionType.HOSTNAME:
            return m.Hostname(_read_text(data, _HOSTNAME, "host name"))
        case m.ExtensionType.HUMAN_NODENAME:
            return m.HumanNodename(_read_text(data, _NODENAME, "human node name"))
        case m.ExtensionType.FORGOTTEN_NODE:
            node_id, ttl = layout.FORGOTTEN.unpack_from(data)
            return m.ForgottenNode(_read_id(node_id), ttl)
        case m.ExtensionType.SHARD_ID:
            return m.ShardId(_read_id(data[: layout.ID_BYTES]))
        case m.ExtensionType.AVAILABILITY_ZONE:
            zone = data.partition(b"\0")[0][:MAX_ZONE]
            return m.AvailabilityZone(zone.decode("utf-8", "surrogateescape"))
        case m.ExtensionType.VOUCHED:
            node_id, ms = layout.VOUCHED.unpack_from(data)
            return m.Vouched(_read_id(node_id), ms)
        case m.ExtensionType.OUTSIDE:
            ports = layout.OUTSIDE.unpack_from(data)
            return Outside(_read_address(data[layout.OUTSIDE.size :]), *ports)
    return m.UnknownExtension(kind, data)


def _read_fail(head: _Head, body: memoryview) -> m.Message:
    _expect(len(body), layout.FAIL.size, "FAIL")
    return m.Fail(head.header, _read_id(bytes(body)))


_LIGHT_PUBLISH = {
    m.MessageType.PUBLISH | layout.LIGHT: False,
    m.MessageType.PUBLISHSHARD | layout.LIGHT: True,
}
"""Types of the light messages that are read: is it for a shard?"""


def _read_light(body: memoryview, *, sharded: bool) -> m.LightPublish:
    try:
        channel_length, message_length = layout.PUBLISH.unpack_from(body)
    except struct_error as short:
        raise BadLength(f"light message ends early: {short}") from short
    _expect(len(body), layout.PUBLISH.size + channel_length + message_length, "light PUBLISH")
    end = layout.PUBLISH.size + channel_length
    return m.LightPublish(bytes(body[layout.PUBLISH.size : end]), bytes(body[end:]), sharded)


def _publish(kind: type[m.Publish] | type[m.PublishShard]) -> Callable[[_Head, memoryview], m.Message]:
    def read(head: _Head, body: memoryview) -> m.Message:
        channel_length, message_length = layout.PUBLISH.unpack_from(body)
        _expect(len(body), layout.PUBLISH.size + channel_length + message_length, "PUBLISH")
        end = layout.PUBLISH.size + channel_length
        return kind(head.header, bytes(body[layout.PUBLISH.size : end]), bytes(body[end:]))

    return read


def _read_update(head: _Head, body: memoryview) -> m.Message:
    _expect(len(body), layout.UPDATE.size, "UPDATE")
    config_epoch, node_id, slots = layout.UPDATE.unpack(body)
    return m.Update(head.header, config_epoch, _read_id(node_id), slot_sets.from_bytes(slots))


def _read_module(head: _Head, body: memoryview) -> m.Message:
    module_id, length, module_type = layout.MODULE.unpack_from(body)
    _expect(len(body), layout.MODULE.size + length, "MODULE")
    return m.Module(head.header, module_id, module_type, bytes(body[layout.MODULE.size :]))


_BareMessage = type[m.FailoverAuthRequest] | type[m.FailoverAuthAck] | type[m.MFStart]


def _bare(kind: _BareMessage) -> Callable[[_Head, memoryview], m.Message]:
    """A message that is all header."""

    def read(head: _Head, body: memoryview) -> m.Message:
        _expect(len(body), 0, kind.type.name)
        return kind(head.header)

    return read


_BODIES: dict[int, Callable[[_Head, memoryview], m.Message]] = {
    m.MessageType.PING: _heartbeat(m.Ping),
    m.MessageType.PONG: _heartbeat(m.Pong),
    m.MessageType.MEET: _heartbeat(m.Meet),
    m.MessageType.FAIL: _read_fail,
    m.MessageType.PUBLISH: _publish(m.Publish),
    m.MessageType.PUBLISHSHARD: _publish(m.PublishShard),
    m.MessageType.FAILOVER_AUTH_REQUEST: _bare(m.FailoverAuthRequest),
    m.MessageType.FAILOVER_AUTH_ACK: _bare(m.FailoverAuthAck),
    m.MessageType.UPDATE: _read_update,
    m.MessageType.MFSTART: _bare(m.MFStart),
    m.MessageType.MODULE: _read_module,
}


def _expect(given: int, wanted: int, what: str) -> None:
    if given != wanted:
        raise BadLength(f"{what}: {given} bytes of body, its parts have {wanted}")


# Heartbeats name the same nodes and addresses over and over; one text of each is kept and found again.


@lru_cache(maxsize=REMEMBERED)
def _read_id(raw: bytes) -> str:
    if not _ID.fullmatch(raw):
        raise BadField(f"node id {raw!r}")
    return raw.decode("ascii")


@lru_cache(maxsize=REMEMBERED)
def _read_address(raw: bytes) -> str:
    return _read_text(raw, _ADDRESS, "address")


def _read_text(raw: bytes, allowed: re.Pattern[bytes], what: str) -> str:
    """A text that ends at the first zero byte, or with its field."""
    text = raw.partition(b"\0")[0]
    if not allowed.fullmatch(text):
        raise BadField(f"{what} {text!r}")
    return text.decode("ascii")
