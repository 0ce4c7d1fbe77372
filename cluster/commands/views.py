"""CLUSTER NODES, SLOTS, SHARDS, INFO, LINKS, REPLICAS, MYID, MYSHARDID: the cluster as this node sees it.

The shapes of SLOTS, SHARDS and LINKS are those of Redis 7.2's replies, with the zones of Valkey 9.1 where
members have said theirs; texts are verbatim strings in RESP3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster.commands.common import cluster_command, known_node
from cluster.endpoints import Way, preferred_endpoint, redirect_address, way_of
from cluster.slots import ranges
from cluster.topology.node import Node
from node.config.text import to_bytes
from node.errors import ReplyError
from node.replies import Verbatim

if TYPE_CHECKING:
    from cluster.member import Member


@cluster_command("cluster|myid")
def myid(member: Member, ctx: Any, args: list[bytes]) -> bytes:
    return member.coordinator.myself.id.encode()


@cluster_command("cluster|myshardid")
def myshardid(member: Member, ctx: Any, args: list[bytes]) -> bytes:
    return member.coordinator.myself.shard_id.encode()


@cluster_command("cluster|nodes")
def nodes(member: Member, ctx: Any, args: list[bytes]) -> Verbatim:
    tls, outside = way_of(ctx)
    return Verbatim(member.coordinator.nodes_text(tls=tls, outside=outside))


@cluster_command("cluster|replicas", "cluster|slaves")
def replicas(member: Member, ctx: Any, args: list[bytes]) -> list[bytes]:
    node = known_node(member, args[0])
    if not node.is_primary:
        raise ReplyError("ERR The specified node is not a master")
    tls, outside = way_of(ctx)
    lines = [member.coordinator.node_line(each, tls=tls, outside=outside) for each in node.replicas]
    return [line.encode() for line in lines]


@cluster_command("cluster|info")
def info(member: Member, ctx: Any, args: list[bytes]) -> Verbatim:
    fields = member.coordinator.info()
    fields["total_cluster_links_buffer_limit_exceeded"] = member.links.overflowed
    return Verbatim("".join(f"{name}:{value}\r\n" for name, value in fields.items()))


@cluster_command("cluster|links")
def links(member: Member, ctx: Any, args: list[bytes]) -> list[dict[bytes, Any]]:
    """A map for each link whose other end is known: `to` it the one we opened, `from` it the one it
    opened.
    """
    ends: dict[int, tuple[bytes, Node]] = {}
    for node in member.coordinator.topology.members:
        if node.link is not None:
            ends[node.link] = (b"to", node)
        if node.inbound_link is not None:
            ends[node.inbound_link] = (b"from", node)
    return [
        {
            b"direction": ends[state.id][0],
            b"node": ends[state.id][1].id.encode(),
            b"create-time": state.created_at,
            b"events": b"rw" if state.waiting else b"r",
            b"send-buffer-allocated": state.waiting,
            b"send-buffer-used": state.waiting,
        }
        for state in member.links.states()
        if state.id in ends
    ]


# --- SLOTS


@cluster_command("cluster|slots")
def slots(member: Member, ctx: Any, args: list[bytes]) -> list[list[Any]]:
    """[first, last, primary, replica...] per run of slots; a node is [endpoint, port, id, other
    addresses].
    """
    kind, way = ctx.config.cluster_preferred_endpoint_type, way_of(ctx)
    rows = []
    for node in member.coordinator.topology.members:
        if node.is_primary and node.slots:
            able = [replica for replica in node.replicas if _has_data(member, replica)]
            described = [_slots_node(each, kind, way) for each in (node, *able)]
            rows += [[first, last, *described] for first, last in ranges(node.slots)]
    return sorted(rows, key=lambda row: row[0])


def _slots_node(node: Node, kind: str, way: Way) -> list[Any]:
    endpoint, port = preferred_endpoint(node, kind, way)
    other = {}
    if kind != "ip" and not way.outside:
        other[b"ip"] = node.ip.encode()
    if kind != "hostname" and node.hostname:
        other[b"hostname"] = node.hostname.encode()
    if node.availability_zone:
        other[b"availability-zone"] = to_bytes(node.availability_zone)
    return [
        None if endpoint is None else endpoint.encode(),
        port,
        node.id.encode(),
        other,
    ]


def _has_data(member: Member, replica: Node) -> bool:
    """A replica that never synchronized has nothing to read."""
    return not replica.failed and _offset(member, replica) > 0


def _offset(member: Member, node: Node) -> int:
    return member.replication_offset if node.is_myself else node.repl_offset


# --- SHARDS


@cluster_command("cluster|shards")
def shards(member: Member, ctx: Any, args: list[bytes]) -> list[dict[bytes, Any]]:
    """{slots: [first, last, ...], nodes: [primary, replica, ...]} per shard, in order of appearance."""
    by_shard: dict[str, list[Node]] = {}
    for node in member.coordinator.topology.members:
        if not node.in_handshake:
            by_shard.setdefault(node.shard_id, []).append(node)
    kind, way = ctx.config.cluster_preferred_endpoint_type, way_of(ctx)
    return [
        {
            b"slots": [edge for node in shard for run in ranges(node.slots) for edge in run],
            b"nodes": [
                _shards_node(member, node, kind, way)
                for node in sorted(shard, key=lambda node: node.is_replica)
            ],
        }
        for shard in by_shard.values()
    ]


def _shards_node(member: Member, node: Node, kind: str, way: Way) -> dict[bytes, Any]:
    ip, ports = node.ip, (node.tcp_port, node.tls_port)
    if way.outside and node.outside is not None:
        ip, ports = node.outside.host, (node.outside.port, node.outside.tls_port)
    fields: dict[bytes, Any] = {b"id": node.id.encode()}
    fields |= {name: port for name, port in zip((b"port", b"tls-port"), ports, strict=True) if port}
    fields[b"ip"] = ip.encode()
    fields[b"endpoint"] = redirect_address(node, kind, way)[0].encode()
    if node.hostname:
        fields[b"hostname"] = node.hostname.encode()
    fields[b"role"] = b"replica" if node.is_replica else b"master"
    fields[b"replication-offset"] = _offset(member, node)
    fields[b"health"] = _health(member, node)
    if node.availability_zone:
        fields[b"availability-zone"] = to_bytes(node.availability_zone)
    return fields


def _health(member: Member, node: Node) -> bytes:
    if node.failed:
        return b"fail"
    if node.is_replica and _offset(member, node) == 0:
        return b"loading"
    return b"online"
