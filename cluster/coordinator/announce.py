"""How this node presents itself: the header of its messages, its extensions, and what follows from settings.

A primary speaks for itself. A replica puts its primary's slots and config epoch into its header; as it is
flagged as a replica everybody knows that these are not its own, but a primary that came back from
the dead, and whose place another took, can learn so from any replica.
"""

from __future__ import annotations

from enum import Enum

from cluster.coordinator.copies import is_complete
from cluster.coordinator.messages import (
    ABDICATES,
    EXT_DATA,
    INCOMPLETE,
    PAUSED,
    SHOAL,
    AvailabilityZone,
    Extension,
    ForgottenNode,
    Header,
    Hostname,
    HumanNodename,
    ShardId,
)
from cluster.coordinator.state import State
from cluster.topology import flags as flag
from cluster.topology.node import Node

WIRE_FLAGS = 0xFFFF & ~(flag.EXTENSIONS | flag.LIGHT)
"""That we read extensions is said by a message flag; that we can tell who sends light ones over a
link, in answers over that link."""


def build_header(state: State, message_flags: int = 0, flags: int = 0) -> Header:
    """The header of a message that leaves now; `message_flags` and `flags`, of the node, in addition to those
    every message has."""
    myself, settings = state.myself, state.settings
    speaks_for = myself.primary if myself.is_replica and myself.primary else myself
    if state.manual.paused:
        message_flags |= PAUSED
    if state.comeback is not None and state.comeback.gives_way:
        message_flags |= ABDICATES
    if myself.is_replica and not is_complete(state):
        message_flags |= INCOMPLETE
    port, other_port = settings.port, settings.tls_port
    if settings.tls_cluster:
        port, other_port = other_port, port
    return Header(
        sender=myself.id,
        current_epoch=state.topology.current_epoch,
        config_epoch=speaks_for.config_epoch,
        offset=state.facts.replication_offset(),
        slots=speaks_for.slots,
        replica_of=myself.primary.id if myself.primary else None,
        ip=settings.announce_ip,
        port=port,
        other_port=other_port,
        bus_port=settings.bus_port,
        flags=myself.flags & WIRE_FLAGS | flags,
        cluster_ok=state.ok,
        message_flags=message_flags | EXT_DATA | SHOAL,
    )


class Reader(Enum):
    """Which extensions a member knows; of others it may log every one that it gets."""

    OLD = "none"
    REDIS = "those of Redis"
    VALKEY = "and the zone"
    SHOAL = "and our own"


def reader_of(node: Node) -> Reader:
    if not node.flags & flag.EXTENSIONS:
        return Reader.OLD
    if node.is_shoal:
        return Reader.SHOAL
    return Reader.VALKEY if node.is_valkey else Reader.REDIS


def build_extensions(state: State, reader: Reader) -> tuple[Extension, ...]:
    """What heartbeats carry for those who read it: names, shard, whom to forget, the zone, and for shoal
    members what nobody else would understand."""
    if reader is Reader.OLD:
        return ()
    myself = state.myself
    extensions: list[Extension] = []
    if myself.hostname:
        extensions.append(Hostname(myself.hostname))
    if myself.human_nodename:
        extensions.append(HumanNodename(myself.human_nodename))
    for id, until in state.forgotten.items():
        if until > state.now:
            extensions.append(ForgottenNode(id, (until - state.now) // 1000))
    extensions.append(ShardId(myself.shard_id))
    if reader is not Reader.REDIS and myself.availability_zone:
        extensions.append(AvailabilityZone(myself.availability_zone))
    if reader is Reader.SHOAL and myself.outside is not None:
        extensions.append(myself.outside)
    return tuple(extensions)


def apply_settings(state: State) -> None:
    """Bring what this node says of itself in line with the settings; they may change at any time."""
    myself, settings = state.myself, state.settings
    before = (myself.ip, myself.hostname, myself.human_nodename, myself.flags)
    ports = (myself.tcp_port, myself.tls_port, myself.bus_port)
    if settings.announce_ip:
        myself.ip = settings.announce_ip
    elif state.announced_ip:
        myself.ip = ""  # What it really is the next ping will tell.
    state.announced_ip = settings.announce_ip
    myself.hostname = settings.announce_hostname
    myself.human_nodename = settings.announce_human_nodename
    myself.tcp_port, myself.tls_port = settings.port, settings.tls_port
    myself.bus_port = settings.bus_port
    myself.availability_zone = settings.availability_zone
    myself.outside = settings.announce_outside
    if settings.replica_no_failover:
        myself.flags |= flag.NOFAILOVER
    else:
        myself.flags &= ~flag.NOFAILOVER
    myself.flags |= flag.EXTENSIONS
    for node in state.topology.members:
        node.told = None  # Which port stands first depends on settings.
    after = (myself.ip, myself.hostname, myself.human_nodename, myself.flags)
    if before != after or ports != (myself.tcp_port, myself.tls_port, myself.bus_port):
        state.save_later()
