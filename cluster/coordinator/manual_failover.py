"""A failover on demand, that loses nothing.

    replica: CLUSTER FAILOVER → MFSTART to the primary
    primary: pauses its clients' writes; once the worker has done that, marks its messages PAUSED, and
             pings the replica all the time
    replica: reads the final offset from a PAUSED message; when its own offset has reached it, asks for
             votes with FORCE_ACK (voters then do not mind that the primary lives), wins, takes the slots
    primary: sees the claim, turns into a replica, and lets its clients go: they are redirected

Given up, on both sides, after `manual_failover_timeout`; the pause ends at twice that, should even the
giving up be missed. FORCE skips the talk with the primary, TAKEOVER the votes, too.
"""

from __future__ import annotations

from cluster.coordinator.announce import build_header
from cluster.coordinator.effects import PauseWrites, ResumeWrites
from cluster.coordinator.heartbeat import send_heartbeat
from cluster.coordinator.lease import settle_lease
from cluster.coordinator.messages import PAUSED, Header, MFStart, Ping
from cluster.coordinator.state import Election, ManualFailover, State
from cluster.topology.node import Node

PAUSE_FACTOR = 2


def reset_manual_failover(state: State) -> None:
    """End any manual failover, done or not. A primary lets its clients go."""
    if state.manual.replica is not None:
        state.emit(ResumeWrites())
    state.manual = ManualFailover()


def request_manual_failover(state: State, primary: Node, *, force: bool, asked_by: str) -> None:
    """On the replica: begin. With `force`, the primary is not asked. `asked_by`: for the log."""
    reset_manual_failover(state)
    state.election = Election()
    state.manual.ends_at = state.now + state.settings.manual_failover_timeout
    if force:
        state.log("notice", f"Forced failover {asked_by} request accepted.")
        state.manual.can_start = True
        state.todo.failover = True
    else:
        state.log("notice", "Manual failover user request accepted.")
        state.send(MFStart(build_header(state)), primary.link)


def take_mfstart(state: State, sender: Node) -> None:
    """On the primary: a replica of ours wants to take over."""
    if sender.primary is not state.myself:
        return
    reset_manual_failover(state)
    timeout = state.settings.manual_failover_timeout
    state.manual.ends_at = state.now + timeout
    state.manual.replica = sender
    state.emit(PauseWrites(state.now + timeout * PAUSE_FACTOR))
    state.log("notice", f"Manual failover requested by replica {sender.named()}.")


def tell_final_offset(state: State) -> None:
    """On the primary: the worker writes no more. Pausing may itself have added to the stream."""
    replica = state.manual.replica
    if replica is None:
        return
    state.manual.paused = True
    settle_lease(state)  # with synchronous replicas not even reads are answered from here on
    if replica.link is not None:
        send_heartbeat(state, Ping, replica.link)


def take_paused_offset(state: State, sender: Node, header: Header) -> None:
    """On the replica: the paused primary tells how far its stream goes."""
    manual = state.manual
    if not (manual.ends_at and header.message_flags & PAUSED and sender is state.myself.primary):
        return
    if manual.primary_offset is None:
        state.log("notice", f"Received replication offset for paused master manual failover: {header.offset}")
    manual.primary_offset = header.offset
    state.todo.manual_failover = True


def advance_manual_failover(state: State) -> None:
    """On the replica: let the election start once the whole stream has been processed."""
    manual = state.manual
    if not manual.ends_at or manual.can_start or manual.primary_offset is None:
        return
    if state.facts.replication_offset() == manual.primary_offset:
        manual.can_start = True
        state.todo.failover = True
        state.log("notice", "All master replication stream processed, manual failover can start.")


def expire_manual_failover(state: State) -> None:
    if state.manual.ends_at and state.manual.ends_at < state.now:
        state.log("warning", "Manual failover timed out.")
        reset_manual_failover(state)
