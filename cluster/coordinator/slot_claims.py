"""Who owns a slot: claims, compared by config epoch.

Each primary claims its slots with every heartbeat. A claim wins a slot that has no owner, or whose
owner claimed it under a smaller config epoch, or has stopped claiming it. Slots that this node imports
are exempt: these change hands when the operator says so (but for a failover of the source, which is
followed). A replica believes its primary that they have: it may have been away when that was said.

A claim that is older than what we know is answered with UPDATE: the newer owner, its epoch and slots.
So a primary that slept through its own succession learns of it from whoever it talks to first.

Whoever loses its last slot to another's claim becomes its replica; for a primary this means it was
failed over, for a replica that its shard has a new head. A primary that only lost some deletes their
keys.
"""

from __future__ import annotations

from cluster.coordinator.announce import build_header
from cluster.coordinator.effects import DeleteKeys
from cluster.coordinator.messages import Header, Update
from cluster.coordinator.roles import become_replica_of, leave_replica_chain, mark_primary
from cluster.coordinator.state import State
from cluster.slots import NO_SLOTS, from_iterable, members
from cluster.topology.node import Node


def take_claims(state: State, sender: Node, header: Header) -> None:
    """Compare the slots in a heartbeat with ours: take over what is newer, correct what is older."""
    speaks_for = sender if sender.is_primary else sender.primary
    if speaks_for is None or speaks_for.slots == header.slots:
        return
    if sender.is_primary:
        apply_claim(state, sender, header.config_epoch, header.slots)
    correct_stale_claims(state, sender, header)


def apply_claim(state: State, claimer: Node, epoch: int, slots: int) -> None:
    """`claimer`, a primary, claims exactly `slots` under `epoch`."""
    topology, myself = state.topology, state.myself
    if claimer is myself:
        state.log("notice", "Discarding UPDATE message about myself.")
        return
    _follow_partners(state, claimer, epoch)
    mine = myself if myself.is_primary else myself.primary
    won = _winnings(state, claimer, epoch, slots)
    lost = won & mine.slots if mine is not None else NO_SLOTS
    changed_hands = bool(won & topology.owned)
    with_keys = from_iterable(slot for slot in members(won & myself.slots) if state.facts.keys_in_slot(slot))
    topology.unclaimed &= ~slots | ~claimer.slots
    topology.unclaimed |= claimer.slots & ~slots
    if won:
        topology.assign_slots(claimer, won)
        for slot in members(won & from_iterable(topology.importing)):
            if claimer is myself.primary:
                del topology.importing[slot]
        for slot in members(lost):
            topology.migrating.pop(slot, None)
        state.save_later(sync=True, soon=not changed_hands)
        state.todo.update_state = True
    if (
        lost
        and mine is not None
        and not mine.slots
        and (state.settings.allow_replica_migration or lost == slots)
    ):
        state.log(
            "notice",
            f"Configuration change detected. Reconfiguring myself as a replica of {claimer.named()}",
        )
        become_replica_of(state, claimer)
    elif myself.primary is not None and myself.primary.primary is not None:
        leave_replica_chain(state)
    elif with_keys:
        state.emit(DeleteKeys(with_keys))


def _winnings(state: State, claimer: Node, epoch: int, slots: int) -> int:
    """The part of a claim that is new and holds against the present owners."""
    topology = state.topology
    contested = slots & ~claimer.slots
    if claimer is not state.myself.primary:
        importing = topology.importing.items()
        contested &= ~from_iterable(slot for slot, source in importing if source is not claimer)
    won = contested
    if not contested & topology.owned:
        return won
    for owner in topology.owners():
        if owner.config_epoch >= epoch:
            won &= ~owner.slots | topology.unclaimed
    return won


def _follow_partners(state: State, claimer: Node, epoch: int) -> None:
    """If the other end of a slot in motion was failed over to `claimer`, go on with the new primary."""
    for states in (state.topology.importing, state.topology.migrating):
        for slot, partner in states.items():
            if (
                partner is not claimer
                and partner.shard_id == claimer.shard_id
                and epoch > partner.config_epoch
            ):
                states[slot] = claimer
                state.topology.touched |= 1 << slot
                state.save_later()


def newer_owners(state: State, claimer: Node, claim: Header) -> list[Node]:
    """Who owns any of the slots that `claimer` claims, with a greater epoch than its own.

    Asked with every heartbeat. Most claim what we hold for theirs already, and that is seen without a look at
    the other owners.
    """
    contested = claim.slots & ~state.topology.unclaimed
    if claimer.owner.config_epoch <= claim.config_epoch:
        contested &= ~claimer.owner.slots
    if not contested:
        return []
    epoch = claim.config_epoch
    return [o for o in state.topology.owners() if o.config_epoch > epoch and o.slots & contested]


def correct_stale_claims(state: State, sender: Node, header: Header) -> None:
    """Tell the sender about every owner that holds slots of its claim under a greater epoch."""
    if sender.link is None:
        return
    for owner in newer_owners(state, sender, header):
        if owner is sender:
            continue
        state.log(
            "verbose",
            f"Node {sender.id} has old slots configuration, sending an UPDATE message about {owner.id}",
        )
        slots = owner.slots & ~state.topology.unclaimed
        state.send(Update(build_header(state), owner.config_epoch, owner.id, slots), sender.link)


def take_update(state: State, update: Update) -> None:
    """Somebody knows of a newer claim than we do."""
    node = state.topology.nodes.get(update.id)
    if node is None or node.config_epoch >= update.config_epoch:
        return
    if node is state.myself and not node.is_primary:
        return  # We gave up what this is about; nobody but an election makes us a primary again.
    mark_primary(state, node)
    node.config_epoch = update.config_epoch
    state.save_later(sync=True)
    apply_claim(state, node, update.config_epoch, update.slots)
