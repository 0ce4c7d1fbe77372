"""Whom a primary gives its vote, and what it owes those that still hold their place.

A primary with slots votes once per epoch, and within two node timeouts for no second replica of one primary;
only if that primary is FAIL for it too (or the failover was ordered), and if no slot in question has a newer
owner. The same replica may ask again: its election met with others (elections.py), or our vote was lost.
The epoch of a vote is on disk before the vote leaves.

Where replication is synchronous a primary goes by the answers to its pings (lease.py), so whoever has
answered it within the node timeout does not vote against it yet: the request is kept until then. What does
not count is an answer that says (OUSTED) that its sender has voted, or holds the asker for failed.
"""

from __future__ import annotations

from cluster.coordinator.announce import build_header
from cluster.coordinator.messages import FORCE_ACK, OUSTED, FailoverAuthAck, Header
from cluster.coordinator.slot_claims import newer_owners
from cluster.coordinator.state import State
from cluster.slots import members
from cluster.topology.node import Node

MIN_VOTE_TIMEOUT = 2000
WITNESSED_VOTE_TIMEOUT = 2000
WITNESSED_VOTE_PAUSE = 1000
VOTE_PAUSE_FACTOR = 2


def vote_timeout(state: State, primary: Node) -> int:
    """How long votes count that were asked for in order to take the place of `primary`."""
    if primary.witnessed:
        return WITNESSED_VOTE_TIMEOUT
    return max(state.settings.node_timeout * 2, MIN_VOTE_TIMEOUT)


def take_vote_request(state: State, node: Node, request: Header) -> None:
    """Vote for `node` if nothing speaks against it."""
    if not state.myself.is_primary or not state.myself.slots:
        return
    objection = _objection(state, node, request)
    if objection:
        state.log("warning", f"Failover auth denied to {node.named()}: {objection}")
        return
    if _owes_silence(state, node.primary, request):
        state.postponed = node, request
        return
    topology = state.topology
    topology.last_vote_epoch = topology.current_epoch
    if node.primary is not None:
        node.primary.voted_at = state.now
        node.primary.voted_for = node.id
    state.history["votes"] += 1
    state.save_later(sync=True)
    state.send(FailoverAuthAck(build_header(state)), node.link)
    state.log("notice", f"Failover auth granted to {node.named()} for epoch {topology.current_epoch}")


def reconsider_vote(state: State) -> None:
    """Called at every tick: the time of a request that came too early may have come."""
    if state.postponed is not None:
        (node, request), state.postponed = state.postponed, None
        if state.topology.nodes.get(node.id) is node:
            take_vote_request(state, node, request)


def _owes_silence(state: State, primary: Node | None, request: Header) -> bool:
    """Whether `primary` may still go by an answer of ours."""
    if not state.settings.synchronous_replicas or primary is None or primary.witnessed:
        return False
    # Before our own start we may have answered, too.
    assured_at = max(primary.assured_at, state.judged_first_at)
    return not request.message_flags & FORCE_ACK and state.now - assured_at <= state.settings.node_timeout


def assure(state: State, asker: Node | None, ping: Header) -> int:
    """Before an answer to `asker`'s ping leaves: the message flag for it."""
    flag = _doubts(state, asker, ping)
    if asker is not None and not flag:
        asker.assured_at = state.now
    return flag


def _doubts(state: State, asker: Node | None, ping: Header) -> int:
    if asker is None or not asker.is_primary:
        return 0
    if newer_owners(state, asker, ping):
        return OUSTED
    if not any(not heir.failed for heir in asker.heirs):
        return 0
    voted_lately = asker.voted_at and state.now - asker.voted_at < vote_timeout(state, asker)
    return OUSTED if asker.failed or voted_lately else 0


def _objection(state: State, node: Node, request: Header) -> str:
    topology, primary = state.topology, node.primary
    if request.current_epoch < topology.current_epoch:
        return f"reqEpoch ({request.current_epoch}) < curEpoch({topology.current_epoch})"
    if topology.last_vote_epoch >= topology.current_epoch:
        return f"already voted for epoch {topology.current_epoch}"
    if node.is_primary:
        return "it is a master node"
    if primary is None:
        return "I don't know its master"
    if not primary.failed and not request.message_flags & FORCE_ACK:
        return "its master is up"
    pause = state.settings.node_timeout * VOTE_PAUSE_FACTOR
    if primary.witnessed:
        pause = min(pause, WITNESSED_VOTE_PAUSE)
    pause -= state.now - primary.voted_at
    if pause > 0 and primary.voted_for != node.id:
        return f"can't vote about this master before {pause} milliseconds"
    for newer in newer_owners(state, node, request):
        slot = next(members(newer.slots & request.slots & ~topology.unclaimed))
        return f"slot {slot} epoch ({newer.config_epoch}) > reqEpoch ({request.config_epoch})"
    return ""
