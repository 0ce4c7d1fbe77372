"""A synchronous primary that was started again gives way to a replica that has everything.

It comes back with what it had on its disk, which may be less than it acknowledged; its replicas have the
rest, and would throw it away to copy what it has. So before it serves anybody, or lets anybody copy from it,
it hears from each of its replicas whether its copy is complete (copies.py). If one has a complete copy it
abdicates: it says so with every message (ABDICATES), which tells members of our kind what a witnessed death
would, and sends a Fail about itself, which Redis and Valkey believe, too. The replicas elect a successor as
ever. If none has, because they have been started again as well, nobody has more, and it goes on.

A replica that cannot be heard may have the only complete copy. Until it is back, or forgotten (CLUSTER
FORGET), its primary does not serve: as with elections, which count the dead, too. Redis and Valkey replicas
do not say what they have. They get the time to take over, and then are passed over.

A primary that kept everything (a log that is synced before each reply) has nothing to ask.
"""

from __future__ import annotations

from cluster.coordinator.announce import build_header
from cluster.coordinator.failure_detector import note_abdication
from cluster.coordinator.messages import ABDICATES, INCOMPLETE, WITNESSED, Fail, Header
from cluster.coordinator.state import Comeback, State
from cluster.topology.node import Node

REPEAT = 1000
"""How often those are told who read no flag of ours."""
PATIENCE_FACTOR = 4
"""In node timeouts: how long a Redis or Valkey replica may take to replace us."""
ECHO_FACTOR = 2
"""In node timeouts: how long somebody may still hear that we gave way. We do not go on before."""
RELOG_PERIOD = 10_000


def come_back(state: State) -> None:
    """This node was started again, with the nodes.conf it had."""
    if _heirs(state) and not state.facts.kept_every_write():
        state.comeback = Comeback(state.now)


def note_comeback(state: State, sender: Node, header: Header) -> None:
    """What the flags of a message say: to a primary that came back, and of one."""
    if state.comeback is not None and sender.primary is state.myself:
        state.comeback.complete[sender.id] = not header.message_flags & INCOMPLETE
    abdicates = bool(header.message_flags & ABDICATES)
    if abdicates and not sender.abdicates:
        note_abdication(state, sender)
    sender.abdicates = abdicates


def decide_comeback(state: State) -> None:
    """Serve, give way, or wait for who was not heard. Called at every tick."""
    comeback = state.comeback
    if comeback is None:
        return
    copies = [(heir, _has_complete_copy(state, comeback, heir)) for heir in _heirs(state)]
    better = [heir for heir, complete in copies if complete]
    unknown = [heir for heir, complete in copies if complete is None]
    if better:
        _give_way(state, comeback, better)
        return
    comeback.gives_way = False
    if unknown:
        _log(state, comeback, f"{_names(unknown)} may have data that I lack. Start or CLUSTER FORGET it.")
    elif state.now - comeback.told_at > state.settings.node_timeout * ECHO_FACTOR or not copies:
        state.comeback = None
        state.todo.update_state = True
        state.log("notice", "I was started again, and no replica has more data: going on.")


def _give_way(state: State, comeback: Comeback, better: list[Node]) -> None:
    comeback.gives_way = True
    if state.now - comeback.told_at >= REPEAT:
        comeback.told_at = state.now
        state.broadcast(Fail(build_header(state, WITNESSED), state.myself.id))
    _log(state, comeback, f"{_names(better)} may have data that I lack, and takes my place.")


def _log(state: State, comeback: Comeback, what: str) -> None:
    if state.now - comeback.logged_at >= RELOG_PERIOD:
        comeback.logged_at = state.now
        state.log("warning", f"I was started again and do not serve: {what}")


def _names(nodes: list[Node]) -> str:
    return ", ".join(node.named() for node in nodes)


def _heirs(state: State) -> list[Node]:
    """Those to whom this matters; none if we are no primary, or not a synchronous one."""
    myself = state.myself
    if not (state.settings.synchronous_replicas and myself.is_primary and myself.slots):
        return []
    return myself.heirs


def _has_complete_copy(state: State, comeback: Comeback, heir: Node) -> bool | None:
    """None: we have not heard."""
    complete = comeback.complete.get(heir.id)
    if complete and not heir.is_shoal:
        return state.now - comeback.began_at < state.settings.node_timeout * PATIENCE_FACTOR
    return complete
