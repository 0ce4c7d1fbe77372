"""Is the cluster ok? Each node judges for itself, and refuses requests when it is not.

It is ok if a majority of the primaries with slots is reachable, and, where full coverage is required,
every slot has an owner that is not FAIL. A primary that was in a minority may have been replaced
without knowing; so once it sees the majority again it waits (the node timeout, within 0.5 to 5 s) for
somebody to tell it, before it serves again. After a start it waits 2 s for the same reason, unless it has won
its slots since.

Where a primary's death was witnessed its replica takes over in a moment. For that moment its slots count as
covered, lest the clients of all other slots be refused, too.
"""

from __future__ import annotations

from cluster.coordinator.effects import ClusterStateChanged
from cluster.coordinator.state import State
from cluster.slots import ALL_SLOTS
from cluster.topology import flags as flag

WRITABLE_DELAY = 2000
MIN_REJOIN_DELAY = 500
MAX_REJOIN_DELAY = 5000
SUCCESSION_GRACE = 1000
SILENT = flag.PFAIL | flag.FAIL


def judge(state: State) -> None:
    """Work out the number of voters and whether the cluster is ok; announce a change."""
    if not state.judged_first_at:
        state.judged_first_at = state.now
    state.size, reachable, covered = _count(state)
    am_primary = state.myself.is_primary
    if am_primary and not state.ok and state.now - state.judged_first_at < WRITABLE_DELAY:
        return
    ok = covered == ALL_SLOTS or not state.settings.require_full_coverage
    ok = ok and state.comeback is None
    if reachable < state.quorum:
        ok = False
        state.minority_at = state.now
    if ok == state.ok:
        return
    rejoin_delay = min(max(state.settings.node_timeout, MIN_REJOIN_DELAY), MAX_REJOIN_DELAY)
    if ok and am_primary and state.now - state.minority_at < rejoin_delay:
        return
    state.ok = ok
    state.log("notice" if ok else "warning", f"Cluster state changed: {'ok' if ok else 'fail'}")
    state.emit(ClusterStateChanged(ok))


def _count(state: State) -> tuple[int, int, int]:
    """Primaries with slots, how many of them are reachable, and the slots that count as covered: whose owner
    is not FAIL, or died before a witness just now. In one pass: while a large cluster forms, each member is
    cause to judge again."""
    primaries = reachable = 0
    covered = state.topology.owned
    for node in state.topology.owners():
        flags = node.flags
        if flags & flag.PRIMARY:
            primaries += 1
            reachable += not flags & SILENT
        if flags & flag.FAIL:
            if node.witnessed and state.now - node.fail_time < SUCCESSION_GRACE:
                state.judge_again_at = node.fail_time + SUCCESSION_GRACE
            else:
                covered ^= node.slots
    return primaries, reachable, covered
