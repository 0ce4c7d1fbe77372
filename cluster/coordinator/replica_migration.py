"""A spare replica moves to a primary that has none left.

A primary is orphaned if it has slots and no working replica, but had one once (or took over from one
that had): flag MIGRATE_TO. Of all replicas of the primaries that have the most working replicas, the
one with the smallest id moves, if the cluster is ok, its primary keeps at least `migration_barrier`
working replicas, and the orphan has been one for 5 s, in which its natural replicas may have turned up
after a failover.

With `synchronous-replicas` it may have the only other copy of what was acknowledged. So it leaves its primary
first, and moves when enough of the others have as much as it has.
"""

from __future__ import annotations

from cluster.coordinator.effects import LeavePrimary
from cluster.coordinator.roles import become_replica_of
from cluster.coordinator.state import State
from cluster.topology import flags as flag
from cluster.topology.node import Node

MIGRATION_DELAY = 5000
PAUSE_FACTOR = 10
"""Whom the others did not catch up with within a node timeout tries again after so many."""


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
    if state.now - orphan.orphaned_since > MIGRATION_DELAY and _can_be_spared(state, sound):
        state.log("notice", f"Migrating to orphaned master {orphan.id}")
        become_replica_of(state, orphan)


def _can_be_spared(state: State, sound: list[Node]) -> bool:
    """Whether enough of the `sound` replicas have all that we ever acknowledged."""
    wanted, timeout = state.settings.synchronous_replicas, state.settings.node_timeout
    others = [replica for replica in sound if replica is not state.myself]
    if not wanted or len(others) < wanted:
        return not wanted
    away = state.now - state.left_at
    if away > timeout * PAUSE_FACTOR:
        state.left_at = state.now
        state.emit(LeavePrimary(timeout))
        return False
    as_far = sum(replica.repl_offset >= state.facts.replication_offset() for replica in others)
    return away <= timeout and as_far >= wanted


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
