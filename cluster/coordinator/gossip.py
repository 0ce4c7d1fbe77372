"""What heartbeats tell about third nodes, and in extensions about the sender.

Gossip is believed only from known nodes, and what it can do is bounded: it adds nodes (not lately
forgotten ones), counts as a failure report if the teller is a primary, freshens the time of the last
pong of a node that nobody complains about (which saves pinging it), and gives a new address for a node
that we cannot reach.
"""

from __future__ import annotations

from cluster.coordinator.failure_detector import failure_report_count, take_report, take_vouching
from cluster.coordinator.membership import learn_address, learn_node, take_forgotten
from cluster.coordinator.messages import (
    AvailabilityZone,
    Extension,
    ForgottenNode,
    Gossip,
    Hostname,
    HumanNodename,
    ShardId,
    Vouched,
)
from cluster.coordinator.state import State
from cluster.topology import flags as flag
from cluster.topology.node import Node, Outside, is_node_id

FAILING = flag.PFAIL | flag.FAIL
CLOCK_TOLERANCE = 500
"""A gossiped pong may be this far in our future, in ms."""


def take_gossip(state: State, sender: Node, entries: tuple[Gossip, ...]) -> None:
    """Process the gossip section of a heartbeat; of strangers, none is taken if the id of one is malformed.

    In a large cluster nearly all entries are about nodes that are well, and say nothing new: this loop is
    where its members spend most of their time.
    """
    nodes, myself, latest = state.topology.nodes, state.myself, state.now + CLOCK_TOLERANCE
    strangers: list[Gossip] = []
    for entry in entries:
        id, _, pong_received, _, _, _, flags, _ = entry
        node = nodes.get(id)
        if node is None:
            strangers.append(entry)
        elif (flags | node.flags) & FAILING or node.fail_reports:
            _take_opinion(state, sender, node, entry)
        elif (
            node.pong_received < pong_received * 1000 <= latest and not node.ping_sent and node is not myself
        ):
            node.pong_received = pong_received * 1000
    if strangers:
        _take_strangers(state, sender, strangers)


def _take_opinion(state: State, sender: Node, node: Node, entry: Gossip) -> None:
    """Somebody thinks, or thought, that `node` does not answer."""
    if node is state.myself:
        return
    if sender.is_primary:
        take_report(state, sender, node, bool(entry.flags & FAILING))
    failure_report_count(state, node)  # drops reports that are too old
    learn_address(state, node, entry)
    if not (node.ping_sent or entry.flags & FAILING or node.fail_reports):
        pong = entry.pong_received * 1000
        if node.pong_received < pong <= state.now + CLOCK_TOLERANCE:
            node.pong_received = pong


def _take_strangers(state: State, sender: Node, strangers: list[Gossip]) -> None:
    if not all(is_node_id(entry.id) for entry in strangers):
        state.log("warning", f"Node {sender.named()} gossiped nodes with invalid IDs.")
        return
    for entry in strangers:
        learn_node(state, entry)
    take_gossip(state, sender, tuple(entry for entry in strangers if entry.id in state.topology.nodes))


def take_extensions(state: State, sender: Node, extensions: tuple[Extension, ...]) -> None:
    """Process a heartbeat's extensions. One that is absent takes back what it said before."""
    hostname = human_nodename = zone = ""
    shard_id = sender.owner.shard_id
    outside = None
    for extension in extensions:
        match extension:
            case Hostname(name):
                hostname = name
            case HumanNodename(name):
                human_nodename = name
            case ShardId(id) if is_node_id(id):
                shard_id = id
            case AvailabilityZone(name):
                zone = name
            case ForgottenNode():
                take_forgotten(state, extension)
            case Outside():
                outside = extension
            case Vouched():
                take_vouching(state, extension)
            case _:
                pass  # Other servers' own: Redis' and Valkey's types from 4 to 7 mean different things.
    sender.outside, sender.availability_zone = outside, zone
    if (sender.hostname, sender.human_nodename) != (hostname, human_nodename):
        sender.hostname, sender.human_nodename = hostname, human_nodename
        state.save_later()
    if sender.shard_id != shard_id:
        state.topology.set_shard_id(sender, shard_id)
        state.save_later()
