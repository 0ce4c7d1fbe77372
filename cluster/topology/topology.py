"""Who is in the cluster and who owns what: the one structure that all decisions read and change.

Its methods keep the two-sided relations in step: a slot's owner and the owner's bitmap, a replica's
primary and the primary's list. They decide nothing. Whatever they change about the serving of slots is
added to `touched`, from which the coordinator tells the worker.

`unclaimed` are slots whose owner, as we know it, has stopped claiming them while nobody else has come
forward: the owner stays in the table (a redirect more does no harm), but we do not spread that it owns
them.
"""

from __future__ import annotations

from cluster.slots import ALL_SLOTS, NO_SLOTS, SLOT_COUNT, members
from cluster.topology import flags as flag
from cluster.topology.node import Node


class Topology:
    """Nodes by id, owners by slot, epochs. `myself` is always one of the nodes."""

    def __init__(self, myself: Node) -> None:
        myself.flags |= flag.MYSELF
        self.myself = myself
        self.nodes: dict[str, Node] = {myself.id: myself}
        self.slots: list[Node | None] = [None] * SLOT_COUNT
        self.migrating: dict[int, Node] = {}
        """Slots of ours that are on their way to another node."""
        self.importing: dict[int, Node] = {}
        """Slots of other nodes that are on their way to us."""
        self.owned = NO_SLOTS
        """All slots that have an owner."""
        self.unclaimed = NO_SLOTS
        self.current_epoch = 0
        """The cluster's logical clock: the greatest epoch seen anywhere."""
        self.last_vote_epoch = 0
        """The last epoch in which this node voted. On disk before the vote leaves."""
        self.touched = NO_SLOTS
        self._members: tuple[Node, ...] | None = None
        self._owners: tuple[Node, ...] | None = None

    # --- nodes

    @property
    def members(self) -> tuple[Node, ...]:
        """All nodes, in order of arrival; cached, for random picks by index."""
        if self._members is None:
            self._members = tuple(self.nodes.values())
        return self._members

    def add_node(self, node: Node) -> None:
        if node.id in self.nodes:
            raise ValueError(f"node {node.id} is already known")
        self.nodes[node.id] = node
        self._members = None

    def remove_node(self, node: Node) -> None:
        """Forget a node, its slots, and what it reported about others. Not for `myself`."""
        if node is self.myself:
            raise ValueError("a node cannot remove itself")
        self.release_slots(node.slots)
        for states in (self.migrating, self.importing):
            for slot in [slot for slot, other in states.items() if other is node]:
                del states[slot]
                self.touched |= 1 << slot
        for replica in node.replicas:
            replica.primary = None
        node.replicas.clear()
        self.set_primary(node, None)
        for other in self.nodes.values():
            other.fail_reports.pop(node.id, None)
        del self.nodes[node.id]
        self._members = None

    def rename_node(self, node: Node, id: str) -> None:
        """Give a node its real id; its place in the order stays at the end."""
        del self.nodes[node.id]
        node.id = id
        self._members = None
        self.add_node(node)

    def set_primary(self, node: Node, primary: Node | None) -> None:
        """Hang `node` under `primary`, or under nobody. Flags are the caller's, but for MIGRATE_TO.

        A primary that has a replica is a target for replica migration, one that lost the last is not.
        """
        old = node.primary
        if old is not None and node in old.replicas:
            old.replicas.remove(node)
            if not old.replicas:
                old.flags &= ~flag.MIGRATE_TO
        node.primary = primary
        if primary is not None and node not in primary.replicas:
            primary.replicas.append(node)
            primary.flags |= flag.MIGRATE_TO

    def set_shard_id(self, node: Node, shard_id: str) -> None:
        """A primary's shard id is its replicas', too; a replica's is believed only if it is its primary's."""
        if node.primary is None:
            node.shard_id = shard_id
            for replica in node.replicas:
                replica.shard_id = shard_id
        elif node.owner.shard_id == shard_id:
            node.shard_id = shard_id

    def shard_members(self, node: Node) -> list[Node]:
        """All nodes of `node`'s shard, itself included."""
        return [other for other in self.nodes.values() if other.shard_id == node.shard_id]

    def owners(self) -> tuple[Node, ...]:
        """Nodes that own at least one slot; cached, for they are asked for with every message."""
        if self._owners is None:
            self._owners = tuple(node for node in self.nodes.values() if node.slots)
        return self._owners

    @property
    def greatest_epoch(self) -> int:
        return max(self.current_epoch, max(node.config_epoch for node in self.nodes.values()))

    # --- slots

    def assign_slots(self, node: Node, slots: int) -> None:
        """Make `node` the owner of `slots`, taking them from whoever has them."""
        self.release_slots(slots & ~node.slots)
        gained = slots & ~node.slots
        if gained:
            # A primary that gets its first slot may be given a replica, if the cluster has replicas at all.
            if not node.slots and any(
                other.replicas for other in self.nodes.values() if not other.is_replica
            ):
                node.flags |= flag.MIGRATE_TO
            node.slots |= gained
            self.owned |= gained
            self._owners = None
            for slot in members(gained):
                self.slots[slot] = node
            self.touched |= gained
        self.unclaimed &= ~slots

    def release_slots(self, slots: int) -> None:
        """Leave `slots` without owner."""
        left = slots & self.owned
        if not left:
            return
        self.owned ^= left
        for node in self.owners():
            lost = node.slots & left
            if lost:
                node.slots ^= lost
                for slot in members(lost):
                    self.slots[slot] = None
        self._owners = None
        self.touched |= left
        self.unclaimed &= ~slots

    def close_slots(self) -> None:
        """End every migrating and importing state."""
        for slot in (*self.migrating, *self.importing):
            self.touched |= 1 << slot
        self.migrating.clear()
        self.importing.clear()

    def touch_all(self) -> None:
        """Our own role changed: every slot is to be looked at again."""
        self.touched = ALL_SLOTS
