"""A spare replica moves to a primary that has none left.

A primary is orphaned if it has slots and no working replica, but had one once (or took over from one
that had): flag MIGRATE_TO. Of all replicas of the primaries that have the most working replicas, the
one with the smallest id moves, if the cluster is ok, its primary keeps at least `migration_barrier`
working replicas, and the orphan has been one for 5 s, in which its natural replicas may have turned up
after a failover.
"""

from __future__ import annotations

from cluster.coordinator.roles import become_replica_of
from cluster.coordinator.state import State
from cluster.topology import flags as flag
from cluster.topology.node import Node

MIGRATION_DELAY = 5000


def working_replicas(primary: Node) -> int:
    return sum(1 for replica in primary.replicas if not replica.failed)


def migrate_if_spare(state: State) -> None:
    """Called once a second on a replica."""
    mine = state.myself.primary
    if not state.myself.is_replica or mine is None or not state.settings.allow_replica_migration:
        return
    orphan = _find_orphan(state)
    if orphan is None or not state.ok:
        return
    sound = [replica for replica in mine.replicas if not (replica.failed or replica.timed_out)]
    if len(sound) <= state.settings.migration_barrier:
        return
    primaries = [node for node in state.topology.members if node.is_primary and not node.failed]
    most = max(working_replicas(node) for node in primaries)
    if most < 2 or working_replicas(mine) != most:
        return
    rivals = [replica for node in primaries if working_replicas(node) == most for replica in node.replicas]
    if min(rivals, key=lambda node: node.id) is not state.myself:
        return
    if state.now - orphan.orphaned_since > MIGRATION_DELAY:
        state.log("notice", f"Migrating to orphaned master {orphan.id}")
        become_replica_of(state, orphan)


def _find_orphan(state: State) -> Node | None:
    """The first orphaned primary; notes for each since when it is one."""
    found = None
    for node in state.topology.members:
        orphaned = (
            node.is_primary
            and bool(node.slots)
            and not node.failed
            and bool(node.flags & flag.MIGRATE_TO)
            and working_replicas(node) == 0
        )
        if not orphaned:
            node.orphaned_since = 0
            continue
        if not node.orphaned_since:
            node.orphaned_since = state.now
        found = found or node
    return found
