"""Who belongs to the cluster: meeting, handshake, addresses, forgetting.

Nobody enters by being talked about alone: CLUSTER MEET (or the message MEET it causes) introduces one
node to another, and from then on gossip of *known* nodes introduces both to everybody else. A node of
which only the address is known is "in handshake": it has an invented id until its first answer tells
the real one, and is dropped if that takes longer than the node timeout (1 s at least). If the answer
comes from a node known already, the handshake only served to learn its new address.

A node learns its own IP from the socket on which a MEET (or, while it has none, a ping) arrives, unless
one is configured; others learn its address from its pings' header and socket. A node that was forgotten
is not taken back from gossip for a minute (`cluster-blacklist-ttl`), the time to tell all others to forget
it; nodes that read extensions pass this on. Who is introduced again meanwhile may stay where that was done,
and the others take it back after that time.
"""

from __future__ import annotations

from cluster.coordinator.effects import BecomeReplicaOf
from cluster.coordinator.manual_failover import reset_manual_failover
from cluster.coordinator.messages import ForgottenNode, Gossip, Header
from cluster.coordinator.state import Copy, State
from cluster.slots import ALL_SLOTS
from cluster.topology import flags as flag
from cluster.topology.node import Node

GOSSIPED_FLAGS = flag.PRIMARY | flag.REPLICA | flag.PFAIL | flag.FAIL | flag.NOFAILOVER | flag.MIGRATE_TO
"""What is believed of a node first heard of in gossip."""


def client_ports(state: State, said: Header | Gossip) -> tuple[int, int]:
    """(plain port, TLS port) of a header or gossip entry, which puts the one the cluster uses first."""
    if state.settings.tls_cluster:
        return said.other_port, said.port
    return said.port, said.other_port


def _set_address(node: Node, ip: str, ports: tuple[int, int], bus_port: int) -> None:
    node.ip = ip
    node.tcp_port, node.tls_port = ports
    node.bus_port = bus_port
    node.told = None
    node.flags &= ~flag.NOADDR


def start_handshake(state: State, ip: str, ports: tuple[int, int], bus_port: int, flags: int) -> None:
    """Get to know whoever is at this address, unless that is under way. The next tick opens the link."""
    for node in state.topology.members:
        if node.in_handshake and (node.ip, node.bus_port) == (ip, bus_port):
            return
    node = Node(state.new_id(), flag.HANDSHAKE | flags, state.new_id(), state.now)
    _set_address(node, ip, ports, bus_port)
    state.topology.add_node(node)


def take_meet(state: State, header: Header, remote_ip: str) -> None:
    """An unknown node wants to be added: make its acquaintance the other way round, too."""
    ip = header.ip or remote_ip
    if ip and header.bus_port > 0:
        start_handshake(state, ip, client_ports(state, header), header.bus_port, 0)


def finish_handshake(state: State, node: Node, known: Node | None, header: Header) -> Node | None:
    """The first answer on a handshake's link.

    Returns the node if it is new; None if it turned out to be `known`, whose address is updated.
    """
    if known is not None:
        state.log(
            "verbose", f"Handshake: we already know node {known.named()}, updating the address if needed."
        )
        if known is not state.myself:
            update_address(state, known, header, node.ip)
        remove_node(state, node)
        return None
    state.topology.rename_node(node, header.sender)
    state.forgotten.pop(node.id, None)
    state.log("debug", f"Handshake with node {node.id} completed.")
    node.flags &= ~flag.HANDSHAKE
    node.flags |= header.flags & (flag.PRIMARY | flag.REPLICA)
    state.save_later()
    return node


def lose_address(state: State, node: Node) -> None:
    """Another node than `node` answers at its address: we no longer know where it is."""
    state.log("debug", f"PONG contains mismatching sender ID. About node {node.id}")
    _set_address(node, "", (0, 0), 0)
    node.flags |= flag.NOADDR
    node.ping_sent = node.ping_sent or state.now  # If it does not come forward it is held for dead in time.
    state.drop_link(node)
    state.save_later()


def update_address(state: State, node: Node, header: Header, remote_ip: str) -> None:
    """Follow a node to the address it now announces; the link is opened anew."""
    ip = header.ip or remote_ip
    ports = client_ports(state, header)
    if not ip or (ip, *ports, header.bus_port) == (node.ip, node.tcp_port, node.tls_port, node.bus_port):
        return
    _set_address(node, ip, ports, header.bus_port)
    state.drop_link(node)
    state.log("notice", f"Address updated for node {node.named()}, now {ip}:{header.port}")
    state.save_later()
    state.todo.update_state = True
    state.topology.touched |= node.owner.slots or ALL_SLOTS
    if state.myself.primary is node:
        follow_primary(state)


def follow_primary(state: State) -> None:
    """Tell the worker whom to replicate, if the address is known; else a later tick will."""
    primary = state.myself.primary
    if primary is None or not primary.ip or primary.flags & flag.NOADDR:
        state.following = ""
        return
    if state.following != primary.id:
        state.copy = Copy()
    state.following = primary.id
    port = primary.client_port(state.settings.tls_replication)
    state.emit(BecomeReplicaOf(primary.id, primary.ip, port))


def learn_own_ip(state: State, local_ip: str, introduced: bool) -> None:
    """Take the address others use to reach us, from a MEET (`introduced`), or if we have none."""
    myself = state.myself
    if state.settings.announce_ip or not local_ip or local_ip == myself.ip:
        return
    if introduced or not myself.ip:
        myself.ip = local_ip
        state.log("notice", f"IP address for this node updated to {local_ip}")
        state.save_later()


def learn_node(state: State, gossip: Gossip) -> None:
    """Add a node that a known node told about, unless it was forgotten lately."""
    if gossip.flags & (flag.NOADDR | flag.HANDSHAKE) or is_forgotten(state, gossip.id):
        return
    if gossip.id in state.topology.nodes:  # The same message has told of it twice.
        return
    node = Node(gossip.id, gossip.flags & GOSSIPED_FLAGS, state.new_id())
    _set_address(node, gossip.ip, client_ports(state, gossip), gossip.bus_port)
    state.topology.add_node(node)
    state.save_later()


def learn_address(state: State, node: Node, gossip: Gossip) -> None:
    """Somebody reaches, at another address, a node that we do not reach: try that address."""
    failing = flag.PFAIL | flag.FAIL
    if not node.flags & failing or gossip.flags & (failing | flag.NOADDR):
        return
    ports = client_ports(state, gossip)
    if (gossip.ip, *ports, gossip.bus_port) != (node.ip, node.tcp_port, node.tls_port, node.bus_port):
        state.drop_link(node)
        _set_address(node, gossip.ip, ports, gossip.bus_port)
        state.topology.touched |= node.slots
        if state.myself.primary is node:
            follow_primary(state)


# --- forgetting


def is_forgotten(state: State, id: str) -> bool:
    """True while `id` is banned; entries that ran out are dropped."""
    for old in [key for key, until in state.forgotten.items() if until <= state.now]:
        del state.forgotten[old]
    return id in state.forgotten


def forget(state: State, node: Node, seconds: int | None = None) -> None:
    """Remove a node and ban it from coming back through gossip: for `seconds`, or as long as is set."""
    is_forgotten(state, node.id)
    ban = state.settings.blacklist_ttl if seconds is None else seconds
    state.forgotten[node.id] = state.now + ban * 1000
    remove_node(state, node)


def take_forgotten(state: State, told: ForgottenNode) -> None:
    """Another node was told to forget this one; do so too, unless we are it or replicate it, or it was
    introduced again since."""
    node = state.topology.nodes.get(told.id)
    if node is None or node is state.myself or node is state.myself.primary or told.ttl <= 0:
        return
    forgotten_for = state.settings.blacklist_ttl - (told.ttl + 1)  # `ttl` was rounded down.
    if node.met_at <= state.now - forgotten_for * 1000:
        forget(state, node, told.ttl)


def remove_node(state: State, node: Node) -> None:
    """Remove a node with its links and everything that refers to it."""
    state.drop_link(node)
    state.drop_inbound(node)
    if state.manual.replica is node:
        reset_manual_failover(state)
    state.topology.remove_node(node)
    if node in state.suspects:
        state.suspects.remove(node)
    state.todo.update_state = True
    state.save_later()
