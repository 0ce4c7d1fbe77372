"""What an operator does with slots: CLUSTER ADDSLOTS, DELSLOTS, FLUSHSLOTS, SETSLOT.

A slot moves in four steps that redis-cli and `cluster/migration` drive: the target is told IMPORTING,
the source MIGRATING, the keys follow one by one, and both (then all primaries) are told NODE <target>.
With the last step the target takes a new config epoch without a vote, so that its claim beats the
source's everywhere.

As in Valkey, a primary has its replicas take each step before itself, through the stream of writes: a slot
in motion then stays so when one of them takes its place. A replica takes what its primary has checked, and
leaves epochs and roles to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from cluster.coordinator.epochs import bump_without_consensus
from cluster.coordinator.roles import become_replica_of
from cluster.coordinator.state import State
from cluster.slots import from_iterable
from cluster.topology.node import Node
from node.errors import ReplyError


def add_slots(state: State, slots: Sequence[int]) -> None:
    """Take slots that nobody owns."""
    _check_each(state, slots, taken=True)
    _end_import(state, slots)
    state.topology.assign_slots(state.myself, from_iterable(slots))
    _changed(state)


def delete_slots(state: State, slots: Sequence[int]) -> None:
    """Hold slots, whoever owns them, for owned by nobody."""
    _check_each(state, slots, taken=False)
    _end_import(state, slots)
    state.topology.release_slots(from_iterable(slots))
    _changed(state)


def _check_each(state: State, slots: Sequence[int], *, taken: bool) -> None:
    seen = set()
    for slot in slots:
        owned = state.topology.slots[slot] is not None
        if taken and owned:
            raise ReplyError(f"ERR Slot {slot} is already busy")
        if not taken and not owned:
            raise ReplyError(f"ERR Slot {slot} is already unassigned")
        if slot in seen:
            raise ReplyError(f"ERR Slot {slot} specified multiple times")
        seen.add(slot)


def _end_import(state: State, slots: Sequence[int]) -> None:
    for slot in slots:
        if state.topology.importing.pop(slot, None) is not None:
            state.topology.touched |= 1 << slot


def _changed(state: State) -> None:
    state.save_later()
    state.todo.update_state = True


def flush_slots(state: State) -> None:
    """Give up all slots of this node; it must be empty."""
    if not state.facts.is_empty():
        raise ReplyError("ERR DB must be empty to perform CLUSTER FLUSHSLOTS.")
    state.topology.release_slots(state.myself.slots)
    _changed(state)


def take_slots(state: State, slots: int) -> None:
    """Slots, with all their keys, were handed over by their owner: claim them under the greatest epoch."""
    bump_without_consensus(state)
    state.topology.assign_slots(state.myself, slots)
    state.save_later(sync=True)
    state.todo.update_state = True
    state.todo.broadcast_pong = True


# --- SETSLOT


def _partner(state: State, node_id: str) -> Node:
    node = state.topology.nodes.get(node_id)
    if node is None:
        raise ReplyError(f"ERR I don't know about node {node_id}")
    if node.is_replica:
        raise ReplyError("ERR Target node is not a master")
    return node


def check_set_slot(state: State, action: str, slot: int, node_id: str) -> None:
    """Raises ReplyError if `set_slot_<action>` is impossible; `node_id` is empty for "stable"."""
    myself, owner = state.myself, state.topology.slots[slot]
    if not myself.is_primary:
        raise ReplyError("ERR Please use SETSLOT only with masters.")
    match action:
        case "migrating":
            if owner is not myself:
                raise ReplyError(f"ERR I'm not the owner of hash slot {slot}")
            _partner(state, node_id)
        case "importing":
            if owner is myself:
                raise ReplyError(f"ERR I'm already the owner of hash slot {slot}")
            _partner(state, node_id)
        case "node":
            node = _new_owner(state, node_id)
            if owner is myself and node is not myself and state.facts.keys_in_slot(slot):
                raise ReplyError(
                    f"ERR Can't assign hashslot {slot} to a different node "
                    "while I still hold keys for this hash slot."
                )


def _new_owner(state: State, node_id: str) -> Node:
    node = state.topology.nodes.get(node_id)
    if node is None:
        raise ReplyError(f"ERR Unknown node {node_id}")
    if node.is_replica:
        raise ReplyError("ERR Target node is not a master")
    return node


def set_slot(state: State, action: str, slot: int, node_id: str) -> None:
    """What has been checked: "migrating", "importing", "node", or "stable", without a node."""
    match action:
        case "migrating":
            _set_migrating(state, slot, node_id)
        case "importing":
            _set_importing(state, slot, node_id)
        case "node":
            _set_node(state, slot, node_id)
        case "stable":
            _set_stable(state, slot)


def _set_migrating(state: State, slot: int, node_id: str) -> None:
    """Keys of this slot are leaving for `node_id`: answer ASK for those that are gone."""
    state.topology.migrating[slot] = _partner(state, node_id)
    state.topology.touched |= 1 << slot
    _changed(state)


def _set_importing(state: State, slot: int, node_id: str) -> None:
    """Keys of this slot are arriving from `node_id`: serve it to clients that say ASKING."""
    state.topology.importing[slot] = _partner(state, node_id)
    state.topology.touched |= 1 << slot
    _changed(state)


def _set_stable(state: State, slot: int) -> None:
    """The slot is not in motion any more."""
    state.topology.importing.pop(slot, None)
    state.topology.migrating.pop(slot, None)
    state.topology.touched |= 1 << slot
    _changed(state)


def _set_node(state: State, slot: int, node_id: str) -> None:
    """The slot belongs to `node_id` from now on."""
    topology, myself = state.topology, state.myself
    node = _new_owner(state, node_id)
    was_mine = topology.slots[slot] is myself
    if not state.facts.keys_in_slot(slot):
        topology.migrating.pop(slot, None)
    topology.touched |= 1 << slot
    topology.assign_slots(node, 1 << slot)
    _changed(state)
    if was_mine and node is not myself and not myself.slots and state.settings.allow_replica_migration:
        state.log(
            "notice", f"Configuration change detected. Reconfiguring myself as a replica of {node.named()}"
        )
        become_replica_of(state, node)
    elif node is myself.primary:
        topology.importing.pop(slot, None)
    elif node is myself and slot in topology.importing:
        if bump_without_consensus(state):
            state.log("notice", f"configEpoch updated after importing slot {slot}")
        del topology.importing[slot]
        state.todo.broadcast_pong = True
