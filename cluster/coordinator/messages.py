"""What members say to each other: the messages of the Redis Cluster bus, protocol version 1, as values.

These classes hold the meaning; `cluster/bus` turns them into bytes and back. Every message has the same
header, which by itself tells the receiver almost everything about the sender: who it is, whom it
follows, which slots it claims and under which configuration epoch. Source: `clusterMsg` and its parts
in cluster_legacy.h of Redis 7.2 and Valkey; field names there are given in brackets where ours differ.

Conventions: node ids are 40 lower-case hex characters (`str`); "no node" is `None` (40 zero bytes on
the wire); IP addresses are text, "" where the wire has only zeros; a set of slots is an integer bitmap
(`cluster/slots.py`); flags are the bits of `cluster/topology/flags.py`; times in gossip are Unix
seconds, everything else in ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, NamedTuple

from cluster.topology.node import Outside


class MessageType(IntEnum):
    """The header's `type`."""

    PING = 0
    PONG = 1
    MEET = 2
    FAIL = 3
    PUBLISH = 4
    FAILOVER_AUTH_REQUEST = 5
    FAILOVER_AUTH_ACK = 6
    UPDATE = 7
    MFSTART = 8
    MODULE = 9
    PUBLISHSHARD = 10


class ExtensionType(IntEnum):
    """Types of ping extensions on which Redis and Valkey agree, and more; 4 to 7 differ and stay opaque."""

    HOSTNAME = 0
    HUMAN_NODENAME = 1
    FORGOTTEN_NODE = 2
    SHARD_ID = 3
    AVAILABILITY_ZONE = 8
    """Valkey's, from 9.1 on; only sent to members of Valkey's kind and to ours."""
    VOUCHED = 0x5348
    """Our own, far from theirs, and only sent to those who set SHOAL: others would log that they do not know
    it."""
    OUTSIDE = 0x5349
    """Likewise."""


PAUSED = 1
"""Message flag: the sending primary has paused its clients for a manual failover; `offset` is final."""
FORCE_ACK = 2
"""Message flag: vote even though the primary seems to be up."""
EXT_DATA = 4
"""Message flag: the sender reads extensions; those present are counted in `extensions`."""
SHOAL = 1 << 16
"""Message flag of our own, which others ignore: the sender is a shoal worker."""
WITNESSED = 1 << 17
"""Message flag of our own: on a Fail, that the node's process is known to have ended."""
OUSTED = 1 << 18
"""Message flag of our own: on an answer, that the sender has voted for a replica to take the receiver's
place, or holds the receiver for failed."""
ABDICATES = 1 << 19
"""Message flag of our own: the sender is a primary that was started again, and wants to be replaced."""
INCOMPLETE = 1 << 20
"""Message flag of our own: the sender is a replica that may lack data it has acknowledged."""


@dataclass(frozen=True, slots=True)
class Header:
    """The sender, in its own words."""

    sender: str
    current_epoch: int
    config_epoch: int
    """Of the sender; a replica sends its primary's."""
    offset: int
    """Replication offset: produced by a primary, processed by a replica."""
    slots: int
    """Claimed by the sender [myslots]; a replica sends its primary's."""
    replica_of: str | None
    """[slaveof / replicaof]"""
    ip: str
    """Announced address [myip]; "" lets the receiver use the address the link came from."""
    port: int
    """Client port: the TLS one if the cluster bus uses TLS, else the plain one."""
    other_port: int
    """The other of both client ports, 0 if there is none [pport]."""
    bus_port: int
    """[cport]"""
    flags: int
    cluster_ok: bool
    """The cluster's state as the sender sees it [state: 0 ok, 1 fail]."""
    message_flags: int = 0
    """PAUSED | FORCE_ACK | EXT_DATA [mflags[0]], and those of our own, SHOAL to INCOMPLETE [mflags[2],
    which others leave 0]."""


class Gossip(NamedTuple):
    """What the sender knows about a third node [clusterMsgDataGossip]. A large cluster's heartbeats carry a
    hundred of these: fields stand in the order of the wire."""

    id: str
    ping_sent: int
    """When the sender pinged it and got no answer yet, in seconds; 0 if no ping is outstanding."""
    pong_received: int
    """Last answer the sender got from it, in seconds."""
    ip: str
    port: int
    bus_port: int
    flags: int
    other_port: int


@dataclass(frozen=True, slots=True)
class Hostname:
    """The sender's announced host name; "" takes an earlier one back."""

    name: str


@dataclass(frozen=True, slots=True)
class HumanNodename:
    """The sender's name for logs."""

    name: str


@dataclass(frozen=True, slots=True)
class ForgottenNode:
    """The sender was told to forget `id`; do so too, and do not add it again for `ttl` seconds."""

    id: str
    ttl: int


@dataclass(frozen=True, slots=True)
class ShardId:
    """The shard (primary with its replicas) the sender belongs to: 40 hex characters."""

    id: str


@dataclass(frozen=True, slots=True)
class AvailabilityZone:
    """Where the sender says it is; absent where it was not told."""

    name: str


@dataclass(frozen=True, slots=True)
class Vouched:
    """A witness on the host of `id` sees it at work: its silence means nothing for the next `ms`."""

    id: str
    ms: int


@dataclass(frozen=True, slots=True)
class UnknownExtension:
    """An extension of a newer or other server, kept as it came: `data` is what follows its header."""

    type: int
    data: bytes


Extension = (
    Hostname
    | HumanNodename
    | ForgottenNode
    | ShardId
    | AvailabilityZone
    | Vouched
    | Outside
    | UnknownExtension
)


@dataclass(frozen=True, slots=True)
class Ping:
    """Heartbeat that asks for a Pong."""

    type: ClassVar[MessageType] = MessageType.PING
    header: Header
    gossip: tuple[Gossip, ...] = ()
    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class Pong:
    """Answer to Ping and Meet; also sent unasked to spread a change at once."""

    type: ClassVar[MessageType] = MessageType.PONG
    header: Header
    gossip: tuple[Gossip, ...] = ()
    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class Meet:
    """A Ping that makes the receiver add the sender to its nodes."""

    type: ClassVar[MessageType] = MessageType.MEET
    header: Header
    gossip: tuple[Gossip, ...] = ()
    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class Fail:
    """A majority of primaries agreed that `id` does not answer, or (WITNESSED) its process was seen to end:
    mark it at once."""

    type: ClassVar[MessageType] = MessageType.FAIL
    header: Header
    id: str


@dataclass(frozen=True, slots=True)
class Publish:
    """A message for the subscribers of `channel` on every node."""

    type: ClassVar[MessageType] = MessageType.PUBLISH
    header: Header
    channel: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class PublishShard:
    """A message for the sharded subscribers of `channel` on the nodes of the sender's shard."""

    type: ClassVar[MessageType] = MessageType.PUBLISHSHARD
    header: Header
    channel: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class LightPublish:
    """Either of these with a light header: its sender is whoever the link comes from."""

    channel: bytes
    message: bytes
    sharded: bool

    @property
    def type(self) -> MessageType:
        return MessageType.PUBLISHSHARD if self.sharded else MessageType.PUBLISH


@dataclass(frozen=True, slots=True)
class Published:
    """What a node sends of these in one go. They arrive one by one."""

    header: Header
    messages: tuple[tuple[bytes, bytes], ...]
    """(channel, message), in the order in which they were published; at least one."""
    sharded: bool
    light: bool = False
    """With the light header, which says nothing of the sender."""

    @property
    def type(self) -> MessageType:
        return MessageType.PUBLISHSHARD if self.sharded else MessageType.PUBLISH


@dataclass(frozen=True, slots=True)
class FailoverAuthRequest:
    """A replica asks every primary for its vote in the epoch `header.current_epoch`."""

    type: ClassVar[MessageType] = MessageType.FAILOVER_AUTH_REQUEST
    header: Header


@dataclass(frozen=True, slots=True)
class FailoverAuthAck:
    """The vote, for the epoch `header.current_epoch`."""

    type: ClassVar[MessageType] = MessageType.FAILOVER_AUTH_ACK
    header: Header


@dataclass(frozen=True, slots=True)
class Update:
    """The sender corrects a stale claim: `id` owns `slots` under `config_epoch`, which is newer."""

    type: ClassVar[MessageType] = MessageType.UPDATE
    header: Header
    config_epoch: int
    id: str
    slots: int


@dataclass(frozen=True, slots=True)
class MFStart:
    """A replica asks its primary to pause its clients for a manual failover."""

    type: ClassVar[MessageType] = MessageType.MFSTART
    header: Header


@dataclass(frozen=True, slots=True)
class Module:
    """A message between modules. We have none; it is kept opaque."""

    type: ClassVar[MessageType] = MessageType.MODULE
    header: Header
    module_id: int
    module_type: int
    payload: bytes


Heartbeat = Ping | Pong | Meet
Message = (
    Ping
    | Pong
    | Meet
    | Fail
    | Publish
    | PublishShard
    | FailoverAuthRequest
    | FailoverAuthAck
    | Update
    | MFStart
    | Module
)
