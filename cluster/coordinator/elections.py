"""A replica takes its failed primary's place, by vote.

The replica waits 500 ms (so that FAIL reaches all), a random 0 to 500 ms (so that replicas do not
collide), and a second for each replica of the same primary that has more data: the best one asks first.
It then enters a new epoch and asks every node. A majority of the primaries with slots decides
(`voting.py`); the winner takes the epoch as its config epoch and the slots, and tells everybody. Where
replication is synchronous, it must also be sure to have every acknowledged write (`fences.py`).

Where a witness saw the primary's process end (`witness.py`), nothing needs to spread first, as the replica
passes the news on before it asks, over the same links. It asks as soon as it has read what the primary sent
before its end; if there are other replicas it waits for a moment, to learn how much they have, and for each
that goes before. Of equals the one with the smaller id does.

Votes count for max(2 × node timeout, 2 s), and the next try may begin after twice that; after a witnessed
death they count until the next try, 2 s later. But where many primaries died at once, their replicas may
ask for the same epoch, in which each voter votes once, and then none gets a majority. As requests go to
everybody each candidate learns of it, and asks again in a new epoch: after a moment first, then less and
less often.

A replica whose data is too old (it was cut off for longer than validity factor × node timeout, and some)
does not stand at all, except by order, or if its primary gives way to it (`abdication.py`).
"""

from __future__ import annotations

from cluster.coordinator import fences
from cluster.coordinator.announce import build_header
from cluster.coordinator.copies import is_complete
from cluster.coordinator.effects import Wake
from cluster.coordinator.heartbeat import broadcast_pong
from cluster.coordinator.manual_failover import reset_manual_failover
from cluster.coordinator.messages import FORCE_ACK, FailoverAuthRequest, Header
from cluster.coordinator.roles import become_primary
from cluster.coordinator.state import Election, State
from cluster.coordinator.voting import vote_timeout
from cluster.coordinator.witness import tell_of_death
from cluster.topology.node import Node

FIXED_DELAY = 500
RANDOM_DELAY = 500
DELAY_PER_RANK = 1000
WITNESSED_DELAY = 50
WITNESSED_DELAY_PER_RANK = 100
LAST_WORDS = 500
"""How long the stream of a primary whose end was witnessed may take to end, too."""
RIVAL_DELAY = 200
RANDOM_RIVAL_DELAY = 300
"""Before a candidate asks again as another one has asked, too: the votes under way may still suffice. Doubled
with each time, as there may be no majority to win."""
RELOG_PERIOD = 10_000
QUIET_PERIOD = 5000
"""Obstacles are not logged until the primary has failed for this long beyond the node timeout."""

DATA_AGE = (
    "Disconnected from master for longer than allowed. "
    "Please check the 'cluster-replica-validity-factor' configuration option."
)
INCOMPLETE_COPY = "My copy of the data is not complete."
WAITING_DELAY = "Waiting the delay before I can start a new failover."
EXPIRED = "Failover attempt expired."
WAITING_VOTES = "Waiting for votes, but majority still not reached."


def run_election(state: State) -> None:
    """Take the next step towards replacing our primary, if there is cause. Called at every tick."""
    election, primary, now = state.election, state.myself.primary, state.now
    by_order = bool(state.manual.ends_at) and state.manual.can_start
    if (
        not state.myself.is_replica
        or state.is_interrupted
        or primary is None
        or not primary.slots
        or not (by_order or (primary.failed and not state.settings.replica_no_failover))
    ):
        election.obstacle = ""
        return
    if not (by_order or primary.abdicates) and _data_too_old(state):
        _log_obstacle(state, primary, DATA_AGE)
        return
    if not by_order and not is_complete(state):
        _log_obstacle(state, primary, INCOMPLETE_COPY)
        return
    still_reads = primary.witnessed and state.facts.primary_link_up()
    if still_reads and not by_order and now - primary.fail_time < LAST_WORDS:
        return
    patience = vote_timeout(state, primary)
    age = now - election.starts_at
    if age > patience * (1 if primary.witnessed else 2):
        _schedule(state, primary, by_order)
        return
    if not election.requested and not state.manual.ends_at:
        _update_rank(state, primary)
    if now < election.starts_at:
        _log_obstacle(state, primary, WAITING_DELAY)
    elif age > patience:
        _log_obstacle(state, primary, EXPIRED)
    elif not election.requested:
        _request_votes(state)
    elif len(election.voters) < state.quorum and 0 < election.asks_again_at <= now:
        election.voters.clear()
        election.fences.clear()
        election.repetitions += 1
        _request_votes(state)
    elif len(election.voters) < state.quorum:
        _log_obstacle(state, primary, WAITING_VOTES)
    elif obstacle := fences.obstacle(state, primary):
        _log_obstacle(state, primary, obstacle)
    else:
        _win(state)


def _data_too_old(state: State) -> bool:
    settings = state.settings
    if not settings.replica_validity_factor:
        return False
    age = state.now - state.facts.primary_last_seen()
    if age > settings.node_timeout:
        age -= settings.node_timeout  # That long it takes to find the primary FAIL.
    allowed = (
        settings.repl_ping_replica_period * 1000 + settings.node_timeout * settings.replica_validity_factor
    )
    return age > allowed


def _schedule(state: State, primary: Node, by_order: bool) -> None:
    election, now = state.election, state.now
    election.voters.clear()
    election.fences.clear()
    election.requested = False
    election.repetitions = 0
    election.rank = 0 if by_order else replica_rank(state, primary)
    election.starts_at = now
    rivals = [node for node in primary.replicas if node is not state.myself]
    if by_order:
        state.todo.failover = True
    elif primary.witnessed:
        if any(node.may_fail_over and not node.failed for node in rivals):
            election.starts_at += WITNESSED_DELAY + election.rank * WITNESSED_DELAY_PER_RANK
            state.emit(Wake(election.starts_at))
        else:
            state.todo.failover = True
    else:
        election.starts_at += FIXED_DELAY + state.random.randrange(RANDOM_DELAY)
        election.starts_at += election.rank * DELAY_PER_RANK
    state.log(
        "notice",
        f"Start of election delayed for {election.starts_at - now} milliseconds "
        f"(rank #{election.rank}, offset {state.facts.replication_offset()}).",
    )
    # The other replicas may rank themselves behind us once they know our offset.
    broadcast_pong(state, rivals)


def replica_rank(state: State, primary: Node) -> int:
    """How many other replicas of `primary` that may stand have more of its data than we do."""
    # A death that was witnessed leaves no random time to keep equals apart.
    last, offset = state.myself.id if primary.witnessed else "", state.facts.replication_offset()
    return sum(
        1
        for node in primary.replicas
        if node is not state.myself
        and node.may_fail_over
        and (node.repl_offset > offset or (node.repl_offset == offset and node.id < last))
    )


def _update_rank(state: State, primary: Node) -> None:
    election = state.election
    rank = replica_rank(state, primary)
    if rank > election.rank:
        delay = (rank - election.rank) * (WITNESSED_DELAY_PER_RANK if primary.witnessed else DELAY_PER_RANK)
        election.starts_at += delay
        election.rank = rank
        if primary.witnessed:
            state.emit(Wake(election.starts_at))
        state.log("notice", f"Replica rank updated to #{rank}, added {delay} milliseconds of delay.")


def _request_votes(state: State) -> None:
    topology, election = state.topology, state.election
    topology.current_epoch += 1
    election.epoch = topology.current_epoch
    election.requested = True
    election.asks_again_at = 0
    state.history["elections"] += 1
    state.log("notice", f"Starting a failover election for epoch {election.epoch}.")
    primary = state.myself.primary
    if primary is not None and primary.witnessed:
        tell_of_death(state, primary)
    flags = FORCE_ACK if state.manual.ends_at else 0
    state.broadcast(FailoverAuthRequest(build_header(state, flags)))
    state.save_later(sync=True)
    state.todo.update_state = True


def note_rival(state: State, request: Header) -> None:
    """Another candidate asks for votes: in our epoch or a newer one some may go to it instead of us."""
    election = state.election
    if election.requested and not election.asks_again_at and request.current_epoch >= election.epoch:
        delay = RIVAL_DELAY + state.random.randrange(RANDOM_RIVAL_DELAY)
        election.asks_again_at = state.now + (delay << election.repetitions)


def take_vote(state: State, sender: Node, header: Header) -> None:
    """A vote counts from a primary with slots, for the epoch of this election, once."""
    election = state.election
    if sender.is_replica:
        fences.take_fence(state, sender, header)
    elif sender.is_primary and sender.slots and election.requested and header.current_epoch == election.epoch:
        election.voters.add(sender.id)
        state.todo.failover = True


def _win(state: State) -> None:
    myself, epoch = state.myself, state.election.epoch
    state.history["elections_won"] += 1
    state.log("notice", "Failover election won: I'm the new master.")
    if myself.config_epoch < epoch:
        myself.config_epoch = epoch
        state.log("notice", f"configEpoch set to {epoch} after successful failover")
    replace_primary(state)


def replace_primary(state: State) -> None:
    """Become primary with all the slots of our own, and tell everybody. The config epoch must be set."""
    old = state.myself.primary
    if old is None or not state.myself.is_replica:
        return
    state.history["failovers"] += 1
    become_primary(state)
    state.topology.assign_slots(state.myself, old.slots)
    reset_manual_failover(state)
    state.election = Election()
    state.trust_own_slots()
    state.save_later(sync=True)
    state.todo.update_state = True
    state.todo.broadcast_pong = True


def _log_obstacle(state: State, primary: Node, obstacle: str) -> None:
    """Say why nothing happens, but neither at once nor all the time."""
    election = state.election
    if election.obstacle == obstacle and state.now - election.logged_at < RELOG_PERIOD:
        return
    election.obstacle = obstacle
    if primary.failed and state.now - primary.fail_time < state.settings.node_timeout + QUIET_PERIOD:
        return
    election.logged_at = state.now
    state.log("notice", f"Currently unable to failover: {obstacle}")
    if obstacle in (WAITING_VOTES, EXPIRED):
        state.log(
            "notice",
            f"Needed quorum: {state.quorum}. Number of votes received so far: {len(election.voters)}",
        )
