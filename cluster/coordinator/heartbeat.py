"""Heartbeats: who is pinged when, and what they carry about third nodes.

Every node keeps one link to every other and reopens it when it breaks. Each second the one of five
random nodes that was silent longest is pinged; and whoever has been silent for half the node timeout is
pinged anyway, so that all are heard of in time. A ping without answer for half the timeout, with no
other data coming either, is first blamed on the link, which is replaced once.

A heartbeat carries gossip about a tenth of the nodes, at least three, picked at random, and about every
node the sender holds for PFAIL: so within twice the node timeout a majority's reports on a dead node
have most likely reached everybody. Nodes in handshake are not gossiped about, nor, unless they are PFAIL,
those without address or that are disconnected and own nothing.

Whom a heartbeat tells about is a run of neighbours, from a random one on, in the order in which the nodes
became known here, which is another on every node: as good as single picks, and cheaper. What is told to all
at once is one message for all.
"""

from __future__ import annotations

from itertools import chain, islice

from cluster.coordinator.announce import WIRE_FLAGS, Reader, build_extensions, build_header, reader_of
from cluster.coordinator.effects import LinkId
from cluster.coordinator.messages import Gossip, Meet, Ping, Pong
from cluster.coordinator.state import State
from cluster.topology import flags as flag
from cluster.topology.node import Node

RANDOM_PING_CHOICES = 5
MIN_GOSSIP = 3
MIN_HANDSHAKE_TIMEOUT = 1000


def send_heartbeat(
    state: State, kind: type[Ping | Pong | Meet], link: LinkId, message_flags: int = 0
) -> None:
    """Send a Ping, Pong or Meet with gossip over `link`.

    A ping over our own link starts the wait for its answer, if none is waited for yet: neither a new link nor
    another ping is a new grace for who did not answer the first. One sent over an accepted link does not.
    """
    receiver = state.links.get(link)
    if kind is not Pong and receiver is not None and link > 0:
        receiver.ping_sent = receiver.ping_sent or state.now
        state.tenancy.asks(receiver, state.now)
    extensions = build_extensions(state, Reader.OLD if receiver is None else reader_of(receiver))
    knows_sender = link < 0 and receiver is not None
    header = build_header(state, message_flags, flag.LIGHT if knows_sender else 0)
    state.send(kind(header, choose_gossip(state), extensions), link)


def broadcast_pong(state: State, receivers: list[Node] | None = None) -> None:
    """Tell everybody (or `receivers`) about this node now, without waiting for the next ping."""
    header, gossip = build_header(state), choose_gossip(state)
    nodes = state.peers() if receivers is None else receivers
    for reader in Reader:
        links = [node.link for node in nodes if reader_of(node) is reader]
        state.send(Pong(header, gossip, build_extensions(state, reader)), *links)


def choose_gossip(state: State) -> tuple[Gossip, ...]:
    """Entries about random third nodes, and about all that are PFAIL."""
    tls = state.settings.tls_cluster
    return tuple([_describe(node, tls) for node in (*_some_nodes(state), *state.suspects)])


def _some_nodes(state: State) -> list[Node]:
    """A tenth of the nodes. One more than needed, as the receiver may be among them."""
    nodes = state.topology.members
    wanted = max(len(nodes) // 10, MIN_GOSSIP) + 1
    start = state.random.randrange(len(nodes))
    unfit = flag.MYSELF | flag.PFAIL | flag.HANDSHAKE | flag.NOADDR
    chosen: list[Node] = []
    for node in chain(islice(nodes, start, None), islice(nodes, start)):
        if not node.flags & unfit and (node.link is not None or node.slots):
            chosen.append(node)
            if len(chosen) == wanted:
                break
    return chosen


def _describe(node: Node, tls: bool) -> Gossip:
    """The entry about `node`. In a large cluster the same is told several times before it changes, so the
    last one is kept; whoever changes an address or the ports in use drops it."""
    told: Gossip | None = node.told
    if (
        told is not None
        and told[2] == node.pong_received // 1000
        and told[1] == node.ping_sent // 1000
        and told[6] == node.flags & WIRE_FLAGS
    ):
        return told
    told = node.told = Gossip(
        node.id,
        node.ping_sent // 1000,
        node.pong_received // 1000,
        node.ip,
        node.client_port(tls),
        node.bus_port,
        node.flags & WIRE_FLAGS,
        node.client_port(not tls),
    )
    return told


def link_established(state: State, node: Node) -> None:
    """Our link to `node` is up: ping at once, lest its silence be held against it."""
    state.tenancy.link_up(node)
    if node.link is None:
        return
    send_heartbeat(state, Meet if node.flags & flag.MEET else Ping, node.link)
    # If the other never answers the MEET, nothing more is sent to it; once it did, plain pings are right.
    node.flags &= ~flag.MEET


def handshake_timeout(state: State) -> int:
    return max(state.settings.node_timeout, MIN_HANDSHAKE_TIMEOUT)


def keep_links(state: State) -> list[Node]:
    """Open the links that are missing. Returns the nodes whose handshake took too long: to be removed."""
    expired = []
    handshake, without = flag.HANDSHAKE, flag.MYSELF | flag.NOADDR
    for node in state.topology.members:
        if (node.link is not None and not node.flags & handshake) or node.flags & without:
            continue
        if node.in_handshake and state.now - node.met_at > handshake_timeout(state):
            expired.append(node)
        elif node.link is None:
            state.open_link(node)
    return expired


def ping_someone(state: State) -> None:
    """Ping the most silent of five random nodes. Called once a second."""
    nodes = state.topology.members
    oldest: Node | None = None
    for _ in range(RANDOM_PING_CHOICES):
        node = nodes[state.random.randrange(len(nodes))]
        if node.link is None or node.ping_sent or node.flags & (flag.MYSELF | flag.HANDSHAKE):
            continue
        if oldest is None or node.pong_received < oldest.pong_received:
            oldest = node
    if oldest is not None and oldest.link is not None:
        send_heartbeat(state, Ping, oldest.link)


def needing_attention(state: State) -> list[Node]:
    """The peers that a tick may have to do something about: of all others a pong was heard lately, and no
    other is due."""
    recent = state.now - state.settings.node_timeout // 2
    awaited = state.manual.replica
    strange = flag.MYSELF | flag.HANDSHAKE
    return [
        node
        for node in state.topology.members
        if (node.ping_sent or node.pong_received < recent or node is awaited) and not node.flags & strange
    ]


def ping_if_due(state: State, node: Node) -> bool:
    """Ping `node` if it has been silent too long, or waits for us in a manual failover."""
    if node.link is None:
        return False
    half = state.settings.node_timeout // 2
    silent = node.ping_sent == 0 and state.now - node.pong_received > half
    awaited = bool(state.manual.ends_at) and state.myself.is_primary and state.manual.replica is node
    if silent or awaited:
        send_heartbeat(state, Ping, node.link)
        return True
    return False


def renew_silent_link(state: State, node: Node) -> None:
    """Drop a link over which an answer is overdue by half the timeout, if nothing else comes or helps."""
    timeout, now = state.settings.node_timeout, state.now
    if (
        node.link is not None
        and node.ping_sent
        and now - node.link_created_at > timeout
        and now - node.ping_sent > timeout // 2
        and (node.timed_out or node.failed or now - node.data_received > timeout // 2)
    ):
        state.drop_link(node)
