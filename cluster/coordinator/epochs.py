"""Epochs: the cluster's logical clock, and the tickets that decide who owns a slot.

`current_epoch` only grows and follows the greatest seen anywhere. An election runs in a new current epoch,
and the winner makes it its config epoch; of two claims to a slot the one with the greater config epoch
counts. Config epochs should be unique, but two events hand them out without a vote (the end of a slot's
import, and FAILOVER TAKEOVER), so they can collide; then the node with the smaller id takes a new one.
"""

from __future__ import annotations

from cluster.coordinator.messages import Header
from cluster.coordinator.state import State
from cluster.topology.node import Node


def learn_epochs(state: State, sender: Node, header: Header) -> None:
    """Follow the greatest current epoch; note the sender's config epoch if it is newer."""
    state.topology.current_epoch = max(state.topology.current_epoch, header.current_epoch)
    if header.config_epoch > sender.config_epoch:
        sender.config_epoch = header.config_epoch
        state.save_later(sync=True, soon=not sender.slots)


def bump_without_consensus(state: State) -> bool:
    """Give this node the greatest config epoch, by its own authority. False if it has it already."""
    topology, myself = state.topology, state.myself
    greatest = topology.greatest_epoch
    if myself.config_epoch and myself.config_epoch == greatest:
        return False
    topology.current_epoch = greatest + 1
    _adopt(state)
    state.log("notice", f"New configEpoch set to {myself.config_epoch}")
    return True


def bump_past_a_secret(state: State) -> None:
    """As `bump_without_consensus`, where a node that is gone may have done so last and told nobody."""
    state.topology.current_epoch = state.topology.greatest_epoch + 2
    _adopt(state)
    state.log("notice", f"New configEpoch set to {state.myself.config_epoch}")


def resolve_collision(state: State, sender: Node, config_epoch: int) -> None:
    """Two primaries with one config epoch: the one with the smaller id moves on."""
    myself = state.myself
    if not (myself.is_primary and sender.is_primary) or config_epoch != myself.config_epoch:
        return
    if sender.config_epoch != config_epoch or sender.id <= myself.id:
        return
    state.topology.current_epoch += 1
    _adopt(state)
    state.log(
        "verbose",
        f"WARNING: configEpoch collision with node {sender.named()}. "
        f"configEpoch set to {myself.config_epoch}",
    )


def _adopt(state: State) -> None:
    state.myself.config_epoch = state.topology.current_epoch
    state.save_later(sync=True)
    state.todo.broadcast_pong = True
