"""What may never be false, looked at after everything that any member does; and what must become true.

- Nobody votes twice in one epoch, whatever it forgot in a crash.
- The epoch of a node's last vote, and its own claim to slots, only grow, over all its lives. The current
  epoch only grows while it runs, and on disk; so does, while it runs, what it knows of anybody's claim.
- No two nodes ever serve a slot under the same epoch, neither at a time nor one after the other (unless an
  operator hands out epochs without a vote, which a scenario then says).
- Where replication is synchronous: who has been replaced tells its clients nothing from then on.
- Once all is healed: every slot has one owner, all agree on it, on roles and on epochs.

A node is known by its id: whoever comes back without its disk is another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cluster.slots import ALL_SLOTS

if TYPE_CHECKING:
    from cluster.coordinator.coordinator import Coordinator
    from cluster.topology.node import Node
    from tests.simulation.simulated_member import SimulatedMember


@dataclass
class Past:
    """What is remembered of a node."""

    life: int = 0
    current_epoch: int = 0
    synced_epoch: int = 0
    vote_epoch: int = 0
    config_epoch: int = 0
    """Of its claim, while it had slots."""
    serving: tuple[int, int] = (0, 0)
    """(slots, epoch)"""
    heard: dict[str, tuple[Node, int]] = field(default_factory=dict)
    """Sender → its config epoch, and the record it was in: a node that was forgotten starts anew."""


class Invariants:
    def __init__(self) -> None:
        self.pasts: dict[str, Past] = {}
        self.votes: dict[tuple[str, int], str] = {}
        self.claims: dict[int, dict[str, int]] = defaultdict(dict)
        """Epoch → node → all slots it ever served under it."""
        self.unvoted_epochs = False
        """An operator gives out epochs without votes: until all has converged, two may be equal."""
        self.leased = False
        """Replication is synchronous: who has been replaced must not tell clients anything any more."""
        self.newest: dict[int, int] = {}
        """Slots → the greatest epoch in which anybody served just these."""

    def vote(self, voter: SimulatedMember, epoch: int, candidate: str) -> None:
        key = (voter.coordinator.myself.id, epoch)
        assert key not in self.votes, f"{voter} voted twice in epoch {epoch}"
        self.votes[key] = candidate

    def saved(self, member: SimulatedMember, *, synced: bool) -> None:
        """`member` has just written its configuration."""
        past, epoch = self._past_of(member), member.coordinator.topology.current_epoch
        assert epoch >= past.synced_epoch, f"{member}: current epoch on disk went back"
        if synced:
            past.synced_epoch = epoch

    def _past_of(self, member: SimulatedMember) -> Past:
        return self.pasts.setdefault(member.coordinator.myself.id, Past())

    def check(self, member: SimulatedMember, sender: str = "") -> None:
        """Called after each turn of `member`; `sender`: whose message it has just read."""
        topology, past = member.coordinator.topology, self._past_of(member)
        if past.life != member.life:
            past.life, past.current_epoch = member.life, topology.current_epoch
            past.heard.clear()
        assert topology.current_epoch >= past.current_epoch, f"{member}: current epoch went back"
        assert topology.last_vote_epoch >= past.vote_epoch, f"{member}: epoch of the last vote went back"
        past.current_epoch, past.vote_epoch = topology.current_epoch, topology.last_vote_epoch
        me = topology.myself
        assert not (me.is_replica and me.slots), f"{member} is a replica with slots"
        assert me.is_replica != me.is_primary
        if me.slots:
            assert me.config_epoch >= past.config_epoch, f"{member}: its config epoch went back"
            past.config_epoch = me.config_epoch
        node = topology.nodes.get(sender)
        if node is not None:
            known, epoch = past.heard.get(sender, (node, 0))
            assert known is not node or node.config_epoch >= epoch, f"{member} sees {node} go back"
            past.heard[sender] = (node, node.config_epoch)
        serving = (me.slots if member.coordinator.ok else 0, me.config_epoch)
        if serving != past.serving:
            past.serving = serving
            self._claim(member, *serving)
        if self.leased and me.slots and member.may_tell_clients:
            self.told(member)

    def told(self, member: SimulatedMember) -> None:
        """`member` answers a client."""
        me = member.coordinator.myself
        if member.coordinator.ok:
            assert self.newest.get(me.slots, 0) <= me.config_epoch, (
                f"{member} goes on after its successor began"
            )

    def _claim(self, member: SimulatedMember, slots: int, epoch: int) -> None:
        if self.unvoted_epochs or not slots:
            return
        claims, id = self.claims[epoch], member.coordinator.myself.id
        self.newest[slots] = max(epoch, self.newest.get(slots, 0))
        if self.leased:
            for rival in member.world.living:
                if rival.coordinator.myself.slots == slots and rival.may_tell_clients:
                    self.told(rival)
        claims[id] = claims.get(id, 0) | slots
        for other, others_slots in claims.items():
            assert other == id or not slots & others_slots, (
                f"{member} serves slots in epoch {epoch} that {other} served in it"
            )


Row = tuple[bool, str, int, int, str]


def _row(node: Node) -> Row:
    """What all must agree on about a node: whether a primary, of whom a replica, slots, epoch, shard."""
    return (
        node.is_primary,
        node.primary.id if node.primary else "",
        node.slots,
        node.config_epoch if node.is_primary else 0,
        node.shard_id,
    )


class Agreement:
    """Asks whether all members agree yet: often, so it looks first at those who did not when last asked."""

    def __init__(self) -> None:
        self._odd: list[SimulatedMember] = []

    def obstacle(self, members: Sequence[SimulatedMember]) -> str:
        """Why the members do not agree yet; "" if all is well everywhere."""
        odd = [member for member in self._odd if member.alive]
        members = odd + [member for member in members if member not in odd]
        first = members[0].coordinator.topology
        reference = {id: _row(node) for id, node in first.nodes.items()}
        for member in members:
            problem = self._own_problem(member) or self._difference(member, reference)
            if problem:
                self._odd = [members[0]] if member is members[0] else [members[0], member]
                return f"{member}, beside {members[0]}: {problem}"
        return self._common_problem(members)

    @staticmethod
    def _own_problem(member: SimulatedMember) -> str:
        if not member.coordinator.ok:
            return "cluster state is fail"
        for node in member.coordinator.topology.nodes.values():
            if node.failed or node.timed_out or node.in_handshake:
                return f"sees {node}"
        return ""

    @staticmethod
    def _difference(member: SimulatedMember, reference: dict[str, Row]) -> str:
        nodes = member.coordinator.topology.nodes
        if len(nodes) != len(reference):
            return f"{len(nodes)} and {len(reference)} nodes"
        for id, node in nodes.items():
            row = _row(node)
            if row != reference.get(id):
                return " against ".join(map(_show, (row, reference.get(id))))
        return ""

    @staticmethod
    def _common_problem(members: Sequence[SimulatedMember]) -> str:
        """What they agree on must also be right."""
        coordinator: Coordinator = members[0].coordinator
        owners = coordinator.topology.owners()
        covered = 0
        for owner in owners:
            assert not covered & owner.slots
            covered |= owner.slots
        if covered != ALL_SLOTS:
            return f"{(ALL_SLOTS & ~covered).bit_count()} slots have no owner"
        epochs = [owner.config_epoch for owner in owners]
        if len(set(epochs)) != len(epochs):
            return f"config epochs collide: {epochs}"
        for member in members:
            if member.put_off is not None:
                return f"{member} is in the middle of a long command"
            told = member.routes == member.coordinator.topology.slots
            assert told, f"{member}'s worker was not told of all changes to slots"
        return ""


def _show(row: Row | None) -> str:
    if row is None:
        return "unknown"
    is_primary, of, slots, epoch, shard = row
    return f"primary={is_primary} of={of[:8]} slots={slots.bit_count()} epoch={epoch} shard={shard[:8]}"
