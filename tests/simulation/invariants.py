"""What may never be false, looked at after everything that any member does; and what must become true.

- A member's epochs only grow while it runs, and its last vote's epoch even across restarts.
- Nobody votes twice in one epoch.
- No two members that serve a slot have won it under the same epoch (unless an operator hands out epochs
  without a vote, which a scenario then says).
- Once all is healed: every slot has one owner, all agree on it, on roles and on epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cluster.slots import ALL_SLOTS

if TYPE_CHECKING:
    from tests.simulation.simulated_member import SimulatedMember


class Invariants:
    def __init__(self) -> None:
        self.votes: dict[tuple[str, int], str] = {}
        self.served: dict[str, tuple[int, int]] = {}
        """Slots that a member serves, and the epoch under which it does."""
        self.unvoted_epochs = False
        """An operator gives out epochs without votes: until all has converged, two may be equal."""

    def vote(self, voter: SimulatedMember, epoch: int, candidate: str) -> None:
        key = (voter.name, epoch)
        assert key not in self.votes, f"{voter} voted twice in epoch {epoch}"
        self.votes[key] = candidate

    def check(self, member: SimulatedMember) -> None:
        """Called after each turn of `member`."""
        topology = member.coordinator.topology
        if member.coordinator.myself.id != member.last_id:  # CLUSTER RESET HARD: a new node.
            member.last_id, member.last_epoch, member.last_vote = member.coordinator.myself.id, 0, 0
        assert topology.current_epoch >= member.last_epoch, f"{member}: current epoch went back"
        assert topology.last_vote_epoch >= member.last_vote, f"{member}: epoch of the last vote went back"
        member.last_epoch, member.last_vote = topology.current_epoch, topology.last_vote_epoch
        me = member.coordinator.myself
        assert not (me.is_replica and me.slots), f"{member} is a replica with slots"
        assert me.is_replica != me.is_primary
        serves = (me.slots if me.is_primary and member.coordinator.ok else 0, me.config_epoch)
        if serves != self.served.get(member.name):
            self.served[member.name] = serves
            self._check_rivals(member, *serves)

    def _check_rivals(self, member: SimulatedMember, slots: int, epoch: int) -> None:
        if self.unvoted_epochs:
            return
        for name, (others, other_epoch) in self.served.items():
            if name != member.name and epoch == other_epoch:
                assert not slots & others, f"{member} and {name} serve the same slots in epoch {epoch}"


def disagreement(members: Sequence[SimulatedMember]) -> str:
    """Why the members do not agree yet; "" if all is well everywhere."""
    views = {}
    owned = 0
    for member in members:
        coordinator = member.coordinator
        if not coordinator.ok:
            return f"{member}: cluster state is fail"
        me = coordinator.myself
        if me.slots & owned:
            return f"{member} owns slots of another"
        owned |= me.slots
        view = []
        for node in sorted(coordinator.topology.nodes.values(), key=lambda node: node.id):
            if node.failed or node.timed_out or node.in_handshake:
                return f"{member} sees {node}"
            epoch = node.config_epoch if node.is_primary else 0
            primary = node.primary.id if node.primary else ""
            view.append((node.id, node.is_primary, primary, node.slots, epoch, node.shard_id))
        views[member.name] = view
    if owned != ALL_SLOTS:
        return f"{(ALL_SLOTS & ~owned).bit_count()} slots have no owner"
    first_name, first = next(iter(views.items()))
    for name, view in views.items():
        if view != first:
            return f"{first_name} and {name} differ: {_difference(first, view)}"
    epochs = [epoch for _, is_primary, _, slots, epoch, _ in first if is_primary and slots]
    if len(set(epochs)) != len(epochs):
        return f"config epochs collide: {epochs}"
    for member in members:
        told = member.routes == member.coordinator.topology.slots
        assert told, f"{member}'s worker was not told of all changes to slots"
    return ""


def _difference(first: list[tuple], second: list[tuple]) -> str:
    for a, b in zip(first, second, strict=False):
        if a != b:
            return " against ".join(
                f"{id[:8]} primary={p} of={of[:8]} slots={s.bit_count()} epoch={e} shard={shard[:8]}"
                for id, p, of, s, e, shard in (a, b)
            )
    return f"{len(first)} and {len(second)} nodes"
