"""Suspicion and agreement: from an unanswered ping to FAIL, and back.

PFAIL is one node's opinion: no answer to a ping, nor any other data, for the node timeout. Opinions
travel in gossip; a primary's counts as a failure report, valid for twice the timeout. A node that holds
another for PFAIL itself and has reports of a majority of the voting primaries (its own counted, if it
is one) sets FAIL and tells everybody, who believe it at once: otherwise replicas would learn too late
that they may stand for election.

A process that died is not only silent: its address refuses connections, too. Of such a suspect voters tell
each other at once, and whoever notices last finds the reports of the others waiting; heartbeats would take
up to half the node timeout more, which is a good part of what clients feel of a failover. Mere silence may be
the network's fault, and there haste makes false alarms: it is left to the heartbeats.

PFAIL ends with any pong. FAIL ends with a pong of a replica or of a primary without slots; of a primary
with slots only if it still has them after twice the timeout: nobody took its place, so it may go on.

Silence is a bad witness: it comes late, and lies about those who are only busy. A better one may stand
beside (`witness.py`). A death that was witnessed needs no agreement. It ends with the next pong, because all
links to the dead are dropped: whoever answers on a new one is a new process, and nobody took its place. For
whom a witness vouches, silence counts for nothing, though not for longer than `witness_limit` at a stretch.
"""

from __future__ import annotations

from cluster.coordinator.announce import build_header
from cluster.coordinator.heartbeat import broadcast_pong
from cluster.coordinator.messages import WITNESSED, Fail, Vouched
from cluster.coordinator.state import Election, State
from cluster.topology import flags as flag
from cluster.topology.node import Node

REPORT_VALIDITY_FACTOR = 2
UNDO_FACTOR = 2


def failure_report_count(state: State, node: Node) -> int:
    """Valid reports of other primaries on `node`; older ones are dropped here."""
    if not node.fail_reports:
        return 0
    oldest = state.now - state.settings.node_timeout * REPORT_VALIDITY_FACTOR
    for reporter in [id for id, time in node.fail_reports.items() if time < oldest]:
        del node.fail_reports[reporter]
    return len(node.fail_reports)


def take_report(state: State, reporter: Node, node: Node, failing: bool) -> None:
    """The primary `reporter` gossips that `node` does, or does not, answer."""
    if failing:
        if reporter.id not in node.fail_reports:
            state.log("verbose", f"Node {reporter.named()} reported node {node.named()} as not reachable.")
        node.fail_reports[reporter.id] = state.now
        mark_failing_if_agreed(state, node)
    elif reporter.id in node.fail_reports:
        del node.fail_reports[reporter.id]
        state.log("verbose", f"Node {reporter.named()} reported node {node.named()} is back online.")


def mark_failing_if_agreed(state: State, node: Node) -> None:
    """Turn PFAIL into FAIL, here and everywhere, if a majority of the primaries agrees."""
    if not node.timed_out or node.failed:
        return
    reports = failure_report_count(state, node) + (1 if state.myself.is_primary else 0)
    if reports < state.quorum:
        return
    state.log("notice", f"Marking node {node.named()} as failing (quorum reached).")
    _set_failed(state, node)
    state.broadcast(Fail(build_header(state), node.id))


def take_fail_message(state: State, sender: Node, message: Fail) -> None:
    """Another node saw the majority, or was told by a witness: believe it."""
    node = state.topology.nodes.get(message.id)
    if node is None or node.flags & flag.MYSELF:
        return
    witnessed = bool(message.header.message_flags & WITNESSED)
    if node.failed and (node.witnessed or not witnessed):
        return
    state.log("notice", f"FAIL message received from {sender.named()} about {node.named()}")
    if witnessed:
        note_death(state, node)
    else:
        _set_failed(state, node)


def note_death(state: State, node: Node) -> None:
    """The process of `node` has ended. Its replicas need not wait for others to learn of it."""
    _set_witnessed(state, node)
    # What still lies in the old links was sent by the dead.
    state.drop_link(node)
    state.drop_inbound(node)


def note_abdication(state: State, node: Node) -> None:
    """The primary `node` is alive, and says itself that another should take its place."""
    state.log("notice", f"{node.named()} was started again and gives way to a replica with more data.")
    _set_witnessed(state, node)


def _set_witnessed(state: State, node: Node) -> None:
    node.witnessed = True
    node.vouched_until = 0
    _set_failed(state, node)
    if node is state.myself.primary and not state.manual.can_start:
        state.election = Election()
        state.todo.failover = True


def _set_failed(state: State, node: Node) -> None:
    node.flags = node.flags & ~flag.PFAIL | flag.FAIL
    node.fail_time = state.now
    state.history["failures_seen"] += 1
    state.save_later()
    state.todo.update_state = True


def suspect_if_silent(state: State, node: Node) -> bool:
    """Set PFAIL if a ping has gone unanswered, and no data came, for the node timeout.

    Returns whether others should hear of it at once: it is new, and the node refuses connections.
    """
    if not node.ping_sent or node.flags & (flag.PFAIL | flag.FAIL) or state.now < node.vouched_until:
        return False
    silence = min(state.now - node.ping_sent, state.now - node.data_received)
    if silence <= state.settings.node_timeout:
        return False
    node.flags |= flag.PFAIL
    state.suspects.append(node)
    state.todo.update_state = True
    state.log("debug", f"*** NODE {node.id} possibly failing")
    refused = node.link_created_at == state.now  # This very tick had to try again to open a link.
    if refused or (state.myself.is_primary and state.size == 1):  # With one voter no report will come.
        mark_failing_if_agreed(state, node)
    return refused


def take_vouching(state: State, vouched: Vouched) -> None:
    """A witness sees `vouched.id` at work: do not hold its silence against it."""
    node = state.topology.nodes.get(vouched.id)
    if node is None or node.flags & (flag.MYSELF | flag.FAIL):
        return
    until = min(state.now + vouched.ms, node.data_received + state.settings.witness_limit)
    if until <= max(state.now, node.vouched_until):
        return
    if node.vouched_until < state.now:
        state.log("notice", f"Node {node.named()} is busy: a witness vouches for it.")
    node.vouched_until = until
    if node.timed_out:
        node.flags &= ~flag.PFAIL
        state.todo.update_state = True


def share_suspicions(state: State) -> None:
    """Tell the other voters whom we suspect (it is in every gossip), if our opinion counts."""
    if not (state.myself.is_primary and state.myself.slots):
        return
    voters = [node for node in state.peers() if node.is_primary and node.slots]
    broadcast_pong(state, [node for node in voters if not node.timed_out and not node.failed])


def pong_received(state: State, node: Node) -> None:
    """`node` answered our ping."""
    node.pong_received = state.now
    node.ping_sent = 0
    restarted, node.witnessed = node.witnessed, node.abdicates
    if node.timed_out:
        node.flags &= ~flag.PFAIL
        state.save_later()
        state.todo.update_state = True
    elif node.failed and not node.abdicates:
        _clear_failure_if_possible(state, node, restarted)


def _clear_failure_if_possible(state: State, node: Node, restarted: bool) -> None:
    if node.is_replica or not node.slots:
        what = "replica" if node.is_replica else "master without slots"
        state.log("notice", f"Clear FAIL state for node {node.named()}:{what} is reachable again.")
    elif restarted or state.now - node.fail_time > state.settings.node_timeout * UNDO_FACTOR:
        state.log(
            "notice",
            f"Clear FAIL state for node {node.named()}: is reachable again and nobody is serving its slots "
            "after some time.",
        )
    else:
        return
    node.flags &= ~flag.FAIL
    state.save_later()
    state.todo.update_state = True
