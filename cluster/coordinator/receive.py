"""The way of a message: who sent it, what its header says, then what it is about.

The order matters. The sender is looked up first, by our link to it or by its id, and most messages of
strangers are dropped. Every message of a known node advances the epochs and its replication offset. A
heartbeat is then read from the general to the particular: handshake, address, liveness, role, slots,
epoch collision, gossip, extensions; slots need the role, and a collision is one only after the slots
are settled.

A first ping carries no extensions, as its receiver may not read them. Where the answer says that it does,
they follow at once, in a pong that nobody asked for: two of five hundred members may not talk to each other
again for a minute, and until then the other could not tell what shard we belong to.
"""

from __future__ import annotations

from cluster.coordinator.abdication import note_comeback
from cluster.coordinator.copies import note_primary_heard
from cluster.coordinator.effects import Deliver, LinkId
from cluster.coordinator.elections import note_rival, take_vote
from cluster.coordinator.epochs import learn_epochs, resolve_collision
from cluster.coordinator.failure_detector import pong_received, take_fail_message
from cluster.coordinator.fences import give_fence
from cluster.coordinator.gossip import take_extensions, take_gossip
from cluster.coordinator.heartbeat import send_heartbeat
from cluster.coordinator.lease import note_answer
from cluster.coordinator.manual_failover import take_mfstart, take_paused_offset
from cluster.coordinator.membership import (
    finish_handshake,
    learn_own_ip,
    lose_address,
    take_meet,
    update_address,
)
from cluster.coordinator.messages import (
    EXT_DATA,
    SHOAL,
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    Header,
    Heartbeat,
    LightPublish,
    Meet,
    Message,
    MFStart,
    Ping,
    Pong,
    Publish,
    PublishShard,
    Update,
)
from cluster.coordinator.roles import learn_role, leave_replica_chain
from cluster.coordinator.slot_claims import take_claims, take_update
from cluster.coordinator.state import State
from cluster.coordinator.voting import assure, take_vote_request
from cluster.topology import flags as flag
from cluster.topology.node import Node, is_node_id


def receive(
    state: State, message: Message | LightPublish, link: LinkId, remote_ip: str, local_ip: str
) -> None:
    """Let `message`, which came over `link`, change the state."""
    state.received[message.type] += 1
    if isinstance(message, LightPublish):
        _take_light(state, message, link)
        return
    header = message.header
    if link > 0 and link not in state.links:
        return
    if header.sender not in state.topology.nodes and not is_node_id(header.sender):
        return
    target = state.links.get(link) if link > 0 else None
    if target is not None and not target.in_handshake and target.id != header.sender:
        lose_address(state, target)
        return
    sender = _known_sender(state, header, link)
    if sender is not None:
        _note_sender(state, sender, header)
    reads_more = sender is not None and _note_reader(sender, header)
    if isinstance(message, Ping | Meet):
        learn_own_ip(state, local_ip, introduced=isinstance(message, Meet))
        if sender is None and isinstance(message, Meet):
            take_meet(state, header, remote_ip)
        send_heartbeat(state, Pong, link, assure(state, sender, header))
    if target is not None and target.in_handshake:
        if not isinstance(message, Ping | Pong | Meet):
            return
        sender = finish_handshake(state, target, sender, header)
        reads_more = sender is not None and _note_reader(sender, header)
    if sender is None or sender is state.myself:
        return
    if reads_more and isinstance(message, Pong) and link > 0:
        send_heartbeat(state, Pong, link)
    if isinstance(message, Ping | Pong | Meet):
        _take_heartbeat(state, sender, message, link, remote_ip)
        if isinstance(message, Pong) and link > 0:
            note_answer(state, sender, header)
    else:
        _take_other(state, sender, message)


def _take_light(state: State, message: LightPublish, link: LinkId) -> None:
    """What this link has brought before told who is at its other end."""
    sender = state.links.get(link)
    if sender is not None and not sender.in_handshake:
        sender.data_received = state.now
        state.emit(Deliver(message.channel, message.message, message.sharded))


def _known_sender(state: State, header: Header, link: LinkId) -> Node | None:
    sender = state.topology.nodes.get(header.sender)
    if sender is None or sender.in_handshake:
        return None
    if link < 0 and sender is not state.myself:
        previous = state.links.get(link)
        if previous is not None and previous is not sender:
            previous.inbound_link = None  # The node at the other end took a new id (CLUSTER RESET HARD).
        state.bind_inbound(sender, link)
    return sender


def _note_sender(state: State, sender: Node, header: Header) -> None:
    """What any message of a known node tells."""
    if sender is state.myself:
        return
    sender.data_received = state.now
    learn_epochs(state, sender, header)
    sender.repl_offset = header.offset
    if sender is state.myself.primary:
        note_primary_heard(state, header)
    note_comeback(state, sender, header)
    take_paused_offset(state, sender, header)


def _note_reader(sender: Node, header: Header) -> bool:
    """Note what the sender reads beyond what everybody does; returns whether we did not know that it reads
    extensions."""
    sender.is_shoal = bool(header.message_flags & SHOAL)
    if not header.message_flags & EXT_DATA or sender.flags & flag.EXTENSIONS:
        return False
    sender.flags |= flag.EXTENSIONS
    return True


def _take_heartbeat(state: State, sender: Node, message: Heartbeat, link: LinkId, remote_ip: str) -> None:
    header = message.header
    sender.flags = sender.flags & ~flag.NOFAILOVER | header.flags & flag.NOFAILOVER
    if link < 0 and isinstance(message, Ping):
        update_address(state, sender, header, remote_ip)
    if link > 0 and isinstance(message, Pong):
        pong_received(state, sender)
        sender.flags |= header.flags & flag.LIGHT
        sender.is_valkey = bool(header.flags & flag.LIGHT) and not sender.is_shoal
    learn_role(state, sender, header)
    take_claims(state, sender, header)
    leave_replica_chain(state)
    resolve_collision(state, sender, header.config_epoch)
    take_gossip(state, sender, message.gossip)
    take_extensions(state, sender, message.extensions)


def _take_other(state: State, sender: Node, message: Message) -> None:
    match message:
        case Fail():
            take_fail_message(state, sender, message)
        case Update():
            take_update(state, message)
        case FailoverAuthRequest():
            note_rival(state, message.header)
            take_vote_request(state, sender, message.header)
            give_fence(state, sender, message.header)
        case FailoverAuthAck():
            take_vote(state, sender, message.header)
        case MFStart():
            take_mfstart(state, sender)
        case Publish() | PublishShard():
            state.emit(Deliver(message.channel, message.message, isinstance(message, PublishShard)))
        case _:
            state.log("debug", f"Ignoring a {message.type.name} message of {sender.named()}")
