"""Only a replica with every acknowledged write may take over: the rule behind `synchronous-replicas`.

With N, each acknowledged write is in at least N of the R replicas of its shard. So of any R - N + 1 replicas
at least one has it, and a candidate must know that many, itself included, to have no more than it has. It
asks with its request for votes, which goes to everybody. A replica of the same primary answers it as a voter
does, which only shoal candidates heed, and before that leaves the primary: what it acknowledges after that
is nothing, so its offset in the answer is final. Whoever finds another with more gives up; that one will
stand.

Whose copy is not complete (copies.py) neither stands nor answers, unless the primary itself gives way for not
having everything (abdication.py): then it answers that it has nothing to wait for. An order to fail over that
was agreed with the primary needs no fence, as its writes are paused and its offset is known. TAKEOVER asks
nobody.

Members of the shard that are dead count among the R, the primary before this one, too: they may have come
back behind our back, and have the only other copy. One that will not come back has to be forgotten (CLUSTER
FORGET). Redis and Valkey replicas do not answer: a shard with such fails over by itself only with N = R.
"""

from __future__ import annotations

from cluster.coordinator.announce import build_header
from cluster.coordinator.copies import is_complete
from cluster.coordinator.effects import LeavePrimary
from cluster.coordinator.messages import INCOMPLETE, FailoverAuthAck, Header
from cluster.coordinator.state import State
from cluster.coordinator.voting import vote_timeout
from cluster.topology.node import Node

FENCE_FACTOR = 2
"""Of the time that votes count: a candidate that asked has won or given up long before the fence falls."""

MORE_ELSEWHERE = "Another replica has more data."
UNKNOWN_ELSEWHERE = "Waiting for replicas that may have more data."


def obstacle(state: State, primary: Node) -> str:
    """Why a candidate with enough votes may not take over yet; "" if it may."""
    wanted = state.settings.synchronous_replicas
    if not wanted or state.manual.primary_offset is not None:
        return ""
    fences = state.election.fences
    others = [node.id for node in _others(state, primary)]
    if any(fences.get(id, 0) > state.facts.replication_offset() for id in others):
        return MORE_ELSEWHERE
    replicas, known = len(others) + 1, 1 + sum(id in fences for id in others)
    return "" if known + wanted > replicas else UNKNOWN_ELSEWHERE


def _others(state: State, primary: Node) -> list[Node]:
    """The other members of the shard, without its primary. Any may have a copy, whatever we know of it."""
    shard = state.topology.shard_members(primary)
    return [node for node in shard if node is not primary and node is not state.myself]


def take_fence(state: State, sender: Node, header: Header) -> None:
    """On the candidate: a replica has left our primary, and tells how far it is."""
    election, primary = state.election, state.myself.primary
    if not election.requested or header.current_epoch != election.epoch:
        return
    incomplete = bool(header.message_flags & INCOMPLETE)
    if not incomplete or (primary is not None and primary.abdicates):
        election.fences[sender.id] = 0 if incomplete else header.offset
        state.todo.failover = True


def give_fence(state: State, candidate: Node, request: Header) -> None:
    """On another replica of the same primary: leave it, and say how far we are."""
    primary = state.myself.primary
    if (
        not state.settings.synchronous_replicas
        or primary is None
        or state.is_interrupted  # the worker cannot leave it now
        or candidate.primary is not primary
        or request.current_epoch < state.topology.current_epoch
        or not (is_complete(state) or primary.abdicates)
    ):
        return
    state.log("notice", f"Leaving our master, whose place {candidate.named()} wants to take.")
    state.emit(LeavePrimary(vote_timeout(state, primary) * FENCE_FACTOR))
    state.send(FailoverAuthAck(build_header(state)), candidate.link)
