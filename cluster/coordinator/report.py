"""CLUSTER INFO: the cluster in numbers, as this node sees it."""

from __future__ import annotations

from cluster.coordinator.messages import MessageType
from cluster.coordinator.state import State

_NAMES = {
    MessageType.PING: "ping",
    MessageType.PONG: "pong",
    MessageType.MEET: "meet",
    MessageType.FAIL: "fail",
    MessageType.PUBLISH: "publish",
    MessageType.FAILOVER_AUTH_REQUEST: "auth-req",
    MessageType.FAILOVER_AUTH_ACK: "auth-ack",
    MessageType.UPDATE: "update",
    MessageType.MFSTART: "mfstart",
    MessageType.MODULE: "module",
    MessageType.PUBLISHSHARD: "publishshard",
}


def cluster_info(state: State) -> dict[str, int | str]:
    """The fields of CLUSTER INFO in Redis' order; the shell adds what it counts itself."""
    topology, myself = state.topology, state.myself
    assigned = failed = timed_out = 0
    for node in topology.owners():
        count = node.slot_count
        assigned += count
        if node.failed:
            failed += count
        elif node.timed_out:
            timed_out += count
    speaks_for = myself.primary if myself.is_replica and myself.primary else myself
    fields: dict[str, int | str] = {
        "cluster_state": "ok" if state.ok else "fail",
        "cluster_slots_assigned": assigned,
        "cluster_slots_ok": assigned - failed - timed_out,
        "cluster_slots_pfail": timed_out,
        "cluster_slots_fail": failed,
        "cluster_known_nodes": len(topology.nodes),
        "cluster_size": state.size,
        "cluster_current_epoch": topology.current_epoch,
        "cluster_my_epoch": speaks_for.config_epoch,
    }
    for direction, counts in (("sent", state.sent), ("received", state.received)):
        for kind, name in _NAMES.items():
            if counts[kind]:
                fields[f"cluster_stats_messages_{name}_{direction}"] = counts[kind]
        fields[f"cluster_stats_messages_{direction}"] = sum(counts)
    return fields
