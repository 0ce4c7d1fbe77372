"""May this primary tell clients of its data now, or may another have its place already?

A primary that stood still, frozen by its host or busy for long, does not know what happened meanwhile. By
its own clock it notices that it was not running, and before it tells anybody anything it asks the other
primaries: a majority must answer pings that left after it woke. So does one that was started again, as what
it remembers may have changed hands. With `synchronous-replicas` not even a
cut-off primary may go on: then it needs, all the time, answers of a majority to pings of the last LEASE of
the node timeout.

What makes this safe is on the other side (voting.py). A primary does not vote against one it has answered
within the node timeout (for who is synchronous), except by order, or when the death was witnessed. Once it
has voted, or holds a primary for failed that a replica may follow, or knows who has its slots, it says so in
its answers (OUSTED), and those do not count.

Redis and Valkey know no OUSTED and owe no silence. They tell who has our slots in a message right behind
their answer. So where there were elections since we last were sure, as the answer's epoch shows, it takes a
second answer of the same primary. What is left is the moment between their vote and its winner's first word.

The shell holds back what clients are told while the lease is not there (core/outbox.pyx), and notices by
itself when its time is over. Replies wait then: for the answer of a majority, an instant, or for the news
that it is over.
"""

from __future__ import annotations

from cluster.coordinator.effects import Lapse, Lease
from cluster.coordinator.heartbeat import send_heartbeat
from cluster.coordinator.messages import OUSTED, Header, Ping
from cluster.coordinator.state import State
from cluster.coordinator.tenancy import Tenancy
from cluster.topology.node import Node

LEASE = 0.9
"""Of the node timeout: what is left is for clocks that run differently."""
RENEWAL = 0.25
"""Of the node timeout: whose last answer is older than that is asked again."""
STANDSTILL = 0.25
"""Of the node timeout: who was not running for longer asks. The others' patience may have begun before,
since they were last heard up to half a timeout earlier."""
MIN_STANDSTILL_TICKS = 3


def note_answer(state: State, node: Node, header: Header) -> None:
    """`node` answered a ping."""
    tenancy = state.tenancy
    asked_at = tenancy.answered(node)
    if asked_at is None or header.message_flags & OUSTED:
        return
    if header.current_epoch > tenancy.epoch and node.id not in tenancy.bearers:
        tenancy.bearers.add(node.id)
        _ask(state, node)
        return
    tenancy.heard[node.id] = asked_at
    if tenancy.lapsed_at is not None:
        settle_lease(state)


def lapse(state: State) -> None:
    """It is in doubt from now on: ask."""
    if state.tenancy.lapsed_at is not None or not _is_tenant(state):
        return
    state.tenancy.lapsed_at = state.now
    state.log("verbose", "I may have been replaced meanwhile: asking the other masters.")
    state.emit(Lapse())
    settle_lease(state)


def settle_lease(state: State) -> None:
    """Bring what the shell may go by up to date. Called at every tick, and when something has changed."""
    tenancy, settings = state.tenancy, state.settings
    if not _is_tenant(state) or not (_is_in_doubt(tenancy) or state.myself.heirs):
        if tenancy.is_limited or tenancy.lapsed_at is not None:
            state.emit(Lease(None))
        tenancy.lapsed_at, tenancy.is_limited = None, False
        tenancy.epoch = state.topology.current_epoch
        return
    if tenancy.is_of_old:
        tenancy.is_of_old = False
        lapse(state)
        return
    renewed = tenancy.lapsed_at is not None
    if tenancy.lapsed_at is not None:
        handing_over = state.manual.replica is not None
        if handing_over:
            tenancy.lapsed_at = state.now  # whom the others let go on now, they may vote against next
        if handing_over or _heard_of_majority(state) < tenancy.lapsed_at:
            _ask_all(state, heard_before=state.now + 1)
            return
        tenancy.lapsed_at = None
    lasts = max(int(settings.node_timeout * STANDSTILL), MIN_STANDSTILL_TICKS * settings.tick_period)
    if settings.synchronous_replicas:
        _ask_all(state, heard_before=state.now - int(settings.node_timeout * RENEWAL))
        until = _heard_of_majority(state) + int(settings.node_timeout * LEASE)
        lasts = min(lasts, until - state.now)
        if lasts <= 0 or state.manual.paused:
            lapse(state)
            return
    tenancy.is_limited = True
    tenancy.epoch = state.topology.current_epoch
    tenancy.bearers.clear()
    state.emit(Lease(state.now + lasts, renewed))


def _is_in_doubt(tenancy: Tenancy) -> bool:
    return tenancy.lapsed_at is not None or tenancy.is_of_old


def _is_tenant(state: State) -> bool:
    """Whether there is anything to lose, and the cluster is there to ask."""
    return state.myself.is_primary and bool(state.myself.slots) and state.ok


def _voters(state: State) -> list[Node]:
    return [node for node in state.topology.owners() if node.is_primary and node is not state.myself]


def _heard_of_majority(state: State) -> int:
    """The latest time after which a majority of the primaries, with us, has heard us."""
    needed = state.quorum - 1
    if needed <= 0:
        return state.now
    heard = sorted((state.tenancy.heard.get(node.id, 0) for node in _voters(state)), reverse=True)
    return heard[needed - 1] if needed <= len(heard) else 0


def _ask_all(state: State, heard_before: int) -> None:
    for node in _voters(state):
        if state.tenancy.heard.get(node.id, 0) < heard_before:
            _ask(state, node)


def _ask(state: State, node: Node) -> None:
    asked_at = state.tenancy.asked_at(node)
    if node.link is not None and asked_at is None:
        send_heartbeat(state, Ping, node.link)
    elif asked_at is not None and state.now - asked_at > state.settings.node_timeout // 2:
        state.drop_link(node)  # the answer may come over a new one
