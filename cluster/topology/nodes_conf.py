"""nodes.conf and CLUSTER NODES: one line per node.

    <id> <ip>:<port>@<bus port>[,<hostname>[,<name>=<value>]*] <flags> <primary|-> <ping sent> <pong received>
    <config epoch> <connected|disconnected> <slots>… [<slot>->-<id>]… [<slot>-<-<id>]…

The file is the answer of CLUSTER NODES with two additions: the auxiliary fields after the host name
(which stays as an empty field when there is none), and a last line

    vars currentEpoch <n> lastVoteEpoch <n>

Auxiliary fields are `tls-port` (or `tcp-port` where the cluster uses TLS), `nodename` and `shard-id`,
in this order; on reading any order is accepted, and all may be missing as in files before Redis 7.2.
The bracketed states of slots in motion appear on the line of `myself` only. Nodes in handshake are not
saved. Source: the format of Redis 7.2+ (clusterLoadConfig, clusterGenNodeDescription), so that files
move between the servers.
"""

from __future__ import annotations

from collections.abc import Callable

from cluster.slots import from_range, parse_range, parse_slot
from cluster.topology import flags as flag
from cluster.topology.node import Node, is_node_id
from cluster.topology.topology import Topology

AUXILIARY = frozenset({"shard-id", "nodename", "tcp-port", "tls-port"}) | {
    "availability-zone", "client-ipv4", "client-ipv6", "client-tcp-port", "client-tls-port",
}  # fmt: skip
"""Fields after an address. Those of the second line are Valkey's, and mean nothing to us."""


class ConfigError(Exception):
    """The saved configuration cannot be used. `line` is the offending line, 1-based; 0 for the whole file."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.line = line
        self.reason = reason


# --- writing


def format_node(
    node: Node, topology: Topology, *, tls: bool = False, outside: bool = False, for_file: bool = False
) -> str:
    """One line without the newline. `tls`: show the TLS port as the node's port. `outside`: show where
    clients from outside find it."""
    ip, port = (outside and node.outside_address(tls)) or (node.ip, node.client_port(tls))
    address = f"{ip}:{port}@{node.bus_port}"
    if node.hostname or for_file:
        address += f",{node.hostname}"
    if for_file:
        other = ("tcp-port", node.tcp_port) if tls else ("tls-port", node.tls_port)
        address += f",{other[0]}={other[1]}"
        if node.human_nodename:
            address += f",nodename={node.human_nodename}"
        address += f",shard-id={node.shard_id}"
    primary = node.primary.id if node.primary else "-"
    epoch = node.primary.config_epoch if node.is_replica and node.primary else node.config_epoch
    link = "connected" if node.link is not None or node is topology.myself else "disconnected"
    line = (
        f"{node.id} {address} {flag.format_flags(node.flags)} {primary} "
        f"{node.ping_sent} {node.pong_received} {epoch} {link}"
    )
    if node.slots:
        line += " " + node.slot_ranges
    if node is topology.myself:
        line += _format_open_slots(topology)
    return line


def _format_open_slots(topology: Topology) -> str:
    states = [(slot, f" [{slot}->-{node.id}]") for slot, node in topology.migrating.items()]
    states += [
        (slot, f" [{slot}-<-{node.id}]")
        for slot, node in topology.importing.items()
        if slot not in topology.migrating
    ]
    return "".join(text for _, text in sorted(states))


def format_nodes(topology: Topology, *, tls: bool = False, outside: bool = False) -> str:
    """The answer of CLUSTER NODES: a line per node, each ended by a newline."""
    return "".join(format_node(node, topology, tls=tls, outside=outside) + "\n" for node in topology.members)


def format_config(topology: Topology, *, tls: bool = False) -> str:
    """The text of nodes.conf."""
    lines = [
        format_node(node, topology, tls=tls, for_file=True)
        for node in topology.members
        if not node.in_handshake
    ]
    lines.append(f"vars currentEpoch {topology.current_epoch} lastVoteEpoch {topology.last_vote_epoch}")
    return "\n".join(lines) + "\n"


# --- reading


def parse_config(text: str, now: int, new_id: Callable[[], str], *, tls: bool = False) -> Topology:
    """The topology saved in `text`. `new_id` makes shard ids for nodes that have none. Raises ConfigError.

    Lines may refer to nodes of later lines. Ping and pong times are not kept: where one was set, it is `now`.
    """
    lines = [
        (number, line.split())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("vars ")
    ]
    topology = _create_nodes(lines, new_id)
    for number, words in lines:
        try:
            _read_node(words, topology, now, tls)
        except (ValueError, KeyError) as error:
            raise ConfigError(number, str(error)) from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("vars "):
            _read_vars(number, line.split()[1:], topology)
    myself = topology.myself
    if not myself.flags & (flag.PRIMARY | flag.REPLICA):
        raise ConfigError(0, "this node is neither primary nor replica")
    if myself.is_replica and myself.primary is None:
        raise ConfigError(0, "this node is a replica of nobody")
    for node in topology.nodes.values():
        if node.primary is not None:
            node.shard_id = node.primary.shard_id
    topology.current_epoch = topology.greatest_epoch
    topology.touched = 0
    return topology


def _create_nodes(lines: list[tuple[int, list[str]]], new_id: Callable[[], str]) -> Topology:
    nodes: dict[str, Node] = {}
    myself: Node | None = None
    for number, words in lines:
        if len(words) < 8:
            raise ConfigError(number, f"{len(words)} fields where at least 8 are needed")
        if not is_node_id(words[0]):
            raise ConfigError(number, f"not a node id: {words[0]!r}")
        if words[0] in nodes:
            raise ConfigError(number, f"node {words[0]} appears twice")
        node = nodes[words[0]] = Node(words[0], 0, new_id())
        if "myself" in words[2].split(","):
            if myself is not None:
                raise ConfigError(number, "a second node is marked as myself")
            myself = node
    if myself is None:
        raise ConfigError(0, "no node is marked as myself")
    topology = Topology(myself)
    for node in nodes.values():
        if node is not myself:
            topology.add_node(node)
    return topology


def _read_node(words: list[str], topology: Topology, now: int, tls: bool) -> None:
    node = topology.nodes[words[0]]
    _read_address(node, words[1], tls)
    node.flags |= flag.parse_flags(words[2])
    if node.failed:
        node.fail_time = now
    if words[3] != "-":
        topology.set_primary(node, _known(topology, words[3]))
    node.ping_sent = now if int(words[4]) else 0
    node.pong_received = now if int(words[5]) else 0
    node.config_epoch = 0 if node.is_replica and node.primary else int(words[6])
    owned = 0
    for word in words[8:]:
        if word.startswith("["):
            _read_open_slot(word, topology)
        else:
            owned |= from_range(*parse_range(word))
    if any(other.slots & owned for other in topology.nodes.values()):
        raise ValueError("a slot has two owners")
    topology.assign_slots(node, owned)


def _known(topology: Topology, id: str) -> Node:
    if id not in topology.nodes:
        raise ValueError(f"node {id!r} is referred to but has no line")
    return topology.nodes[id]


def _read_address(node: Node, text: str, tls: bool) -> None:
    address, *more = text.split(",")
    node.hostname = more[0] if more else ""
    aux = {}
    for field in more[1:]:
        name, equals, value = field.partition("=")
        if not equals or name not in AUXILIARY:
            raise ValueError(f"unknown field {field!r} after the address")
        aux[name] = value
    if "shard-id" in aux:
        if not is_node_id(aux["shard-id"]):
            raise ValueError(f"not a shard id: {aux['shard-id']!r}")
        node.shard_id = aux["shard-id"]
    node.human_nodename = aux.get("nodename", "")
    ip, colon, ports = address.rpartition(":")
    if not colon:
        raise ValueError(f"no port in address {address!r}")
    port_text, at, bus_text = ports.partition("@")
    port = _port(port_text)
    node.ip = ip
    # The port of the address is the one the cluster uses; the other has a field of its own.
    node.tcp_port = _port(aux.get("tcp-port", "0")) if tls else port
    node.tls_port = port if tls else _port(aux.get("tls-port", "0"))
    node.bus_port = _port(bus_text) if at else port + 10000


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError(f"not a port: {text!r}")
    return int(text)


def _read_open_slot(word: str, topology: Topology) -> None:
    """`[93->-<id>]` is leaving for, `[93-<-<id>]` is arriving from that node."""
    slot_text, _, rest = word.strip("[]").partition("-")
    slot = parse_slot(slot_text)
    other = _known(topology, rest[2:])
    if rest.startswith(">-"):
        topology.migrating[slot] = other
    elif rest.startswith("<-"):
        topology.importing[slot] = other
    else:
        raise ValueError(f"not a slot in motion: {word!r}")


def _read_vars(number: int, words: list[str], topology: Topology) -> None:
    """Pairs of name and value; unknown names are skipped."""
    if len(words) % 2:
        raise ConfigError(number, "vars without a value")
    for name, value in zip(words[::2], words[1::2], strict=True):
        if name.lower() in ("currentepoch", "lastvoteepoch") and not value.isdecimal():
            raise ConfigError(number, f"not an epoch: {value!r}")
        if name.lower() == "currentepoch":
            topology.current_epoch = max(topology.current_epoch, int(value))
        elif name.lower() == "lastvoteepoch":
            topology.last_vote_epoch = int(value)
