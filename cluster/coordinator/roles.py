"""Primary or replica: what nodes say they are, and what this node becomes.

A node's own word on its role is believed. When a primary says that it is now a replica of another node
of its shard, a failover happened there, and its slots go to that node at once; if it went to another
shard, its slots are left without owner until somebody claims them.

A replica of a replica helps nobody, since a replica's data may be claimed by an election it does not
see. So whoever finds its primary turned replica moves up to that one's primary.
"""

from __future__ import annotations

from cluster.coordinator.effects import BecomePrimary
from cluster.coordinator.manual_failover import reset_manual_failover
from cluster.coordinator.membership import follow_primary
from cluster.coordinator.messages import Header
from cluster.coordinator.state import Election, State
from cluster.topology import flags as flag
from cluster.topology.node import Node


def learn_role(state: State, sender: Node, header: Header) -> None:
    """Bring our idea of the sender's role and primary in line with its header."""
    topology = state.topology
    if header.replica_of is None:
        mark_primary(state, sender)
        return
    primary = topology.nodes.get(header.replica_of)
    if primary is sender:
        return
    if not sender.is_replica:
        if _is_out_of_date(state, sender, primary, header):
            return
        _demote(state, sender, primary, header)
    if primary is not None and sender.primary is not primary:
        topology.set_primary(sender, primary)
        topology.set_shard_id(sender, primary.shard_id)
        # Whether it may serve after a start a primary asks those replicas that it remembers (abdication.py).
        state.save_later(sync=primary is state.myself)


def mark_primary(state: State, node: Node) -> None:
    """`node`, so far a replica, acts as a primary."""
    if node.is_primary:
        return
    if node.primary is not None:
        state.topology.set_primary(node, None)
        if node is not state.myself:
            node.flags |= flag.MIGRATE_TO
    node.flags = node.flags & ~flag.REPLICA | flag.PRIMARY
    node.voted_at = 0  # against a claim that it has given up since
    state.save_later()
    state.todo.update_state = True


def _is_out_of_date(state: State, sender: Node, primary: Node | None, header: Header) -> bool:
    """Whether a primary with slots was still a replica when it said so: it sent this before its promotion.

    Its messages come over two connections, and may overtake each other. A primary loses its slots within its
    shard to a greater epoch only, so an older one must be from before it had them.
    """
    if (
        primary is None
        or primary.shard_id != sender.shard_id
        or not sender.slots
        or sender.config_epoch <= header.config_epoch
    ):
        return False
    state.log(
        "notice",
        f"Ignore stale message from {sender.named()} in shard {sender.shard_id}; "
        f"gossip config epoch: {header.config_epoch}, current config epoch: {sender.config_epoch}",
    )
    return True


def _demote(state: State, sender: Node, primary: Node | None, header: Header) -> None:
    topology = state.topology
    slots = sender.slots
    if primary is not None and primary.shard_id == sender.shard_id:
        if primary is not state.myself:
            topology.assign_slots(primary, slots)
            mark_primary(state, primary)
            primary.config_epoch = max(primary.config_epoch, header.config_epoch)
            state.log(
                "notice",
                f"A failover occurred in shard {sender.shard_id}; node {sender.named()} "
                f"lost {slots.bit_count()} slot(s) to node {primary.named()} "
                f"with a config epoch of {primary.config_epoch}",
            )
    else:
        topology.release_slots(slots)
        state.log(
            "notice",
            f"Node {sender.named()} is no longer master of shard {sender.shard_id}; "
            f"removed all {slots.bit_count()} slot(s) it used to own",
        )
        if primary is not None:
            state.log("notice", f"Node {sender.named()} is now part of shard {primary.shard_id}")
    sender.flags = sender.flags & ~(flag.PRIMARY | flag.MIGRATE_TO) | flag.REPLICA
    state.save_later()
    state.todo.update_state = True


def become_replica_of(state: State, primary: Node) -> None:
    """Make this node a replica of `primary`. It must own no slot."""
    myself, topology = state.myself, state.topology
    if myself.is_primary:
        myself.flags = myself.flags & ~(flag.PRIMARY | flag.MIGRATE_TO) | flag.REPLICA
        topology.close_slots()
    topology.set_primary(myself, primary)
    topology.set_shard_id(myself, primary.shard_id)
    follow_primary(state)
    reset_manual_failover(state)
    state.election = (
        Election()
    )  # What was tried against an earlier primary shall not delay the next election.
    topology.touch_all()
    state.save_later(sync=True)
    state.todo.update_state = True
    state.todo.broadcast_pong = True


def become_primary(state: State) -> None:
    """Stop following; what to do about slots is the caller's."""
    mark_primary(state, state.myself)
    state.following = ""
    state.topology.touch_all()
    state.emit(BecomePrimary())


def leave_replica_chain(state: State) -> None:
    """If our primary became a replica, follow its primary instead."""
    primary = state.myself.primary
    if primary is None or primary.primary is None or primary.primary is state.myself:
        return
    grand = primary.primary
    state.log(
        "notice", f"I'm a sub-replica! Reconfiguring myself as a replica of grandmaster {grand.named()}"
    )
    become_replica_of(state, grand)
