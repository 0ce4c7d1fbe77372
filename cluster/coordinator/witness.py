"""What somebody beside a node knows of it, and the bus does not: that it is dead, or that it is only busy.

The witness is whoever runs the node's process: the supervisor of its host. It tells any member it can reach
(CLUSTER WITNESS), and that one tells the others.

- A death goes out as an ordinary FAIL, which Redis and Valkey believe, too. A message flag of ours makes
  shoal replicas stand for election at once; the voters vote as ever. Where nobody could take the dead one's
  place it is not told: to hold a primary for failed would then only make its return take longer.
- That a node is busy goes out in an extension of heartbeats, and only to shoal members. They believe it for
  the time that the witness says, and it has to say it again.

Nothing rests on a witness telling the truth: whom it calls dead and is alive answers on a new link, and is
not failed any more; if a replica has taken over by then, it has done so by vote, in an epoch of its own.
"""

from __future__ import annotations

from cluster.coordinator.announce import Reader, build_extensions, build_header
from cluster.coordinator.failure_detector import note_death, take_vouching
from cluster.coordinator.messages import WITNESSED, Fail, Pong, Vouched
from cluster.coordinator.state import State
from cluster.topology.node import Node
from node.errors import MUST_BE_POSITIVE, ReplyError


def announce_death(state: State, node_id: str) -> None:
    """CLUSTER WITNESS DEAD: the process of that node has ended. Told again, it changes nothing."""
    node = _witnessed_node(state, node_id)
    if node.failed and node.witnessed:
        return
    if node.slots and not any(not heir.failed for heir in node.heirs):
        state.log("notice", f"The process of {node.named()} has ended, and nobody can take its place.")
        return
    state.log("notice", f"Marking node {node.named()} as failing: its process has ended.")
    note_death(state, node)
    tell_of_death(state, node)


def tell_of_death(state: State, node: Node) -> None:
    state.broadcast(Fail(build_header(state, WITNESSED), node.id))


def announce_busy(state: State, node_id: str, ms: int) -> None:
    """CLUSTER WITNESS BUSY: that node does not answer, but works. Believed for `ms`."""
    node = _witnessed_node(state, node_id)
    if ms < 0:
        raise MUST_BE_POSITIVE
    if not state.settings.witness_limit:
        return
    vouched = Vouched(node.id, ms)
    take_vouching(state, vouched)
    listeners = [peer.link for peer in state.peers() if peer.is_shoal and peer is not node]
    extensions = (*build_extensions(state, Reader.SHOAL), vouched)
    state.send(Pong(build_header(state), (), extensions), *listeners)


def _witnessed_node(state: State, node_id: str) -> Node:
    node = state.topology.nodes.get(node_id)
    if node is None:
        raise ReplyError(f"ERR Unknown node {node_id}")
    if node is state.myself:
        raise ReplyError("ERR I can't be a witness of myself")
    return node
