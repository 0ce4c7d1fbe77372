"""What INFO and ROLE tell about replication. Field names and words are Redis'."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from node.replication.peers import Peer
    from node.replication.roles import Replication

STATES = {"waiting": "wait_bgsave", "receiving": "send_bulk", "parked": "send_bulk", "online": "online"}
"""What INFO calls the states of a peer."""


def info(replication: Replication, config: Any, now: int) -> dict[str, Any]:
    """The Replication section. `now`: Unix ms."""
    fields: dict[str, Any] = {"role": replication.role}
    if replication.primary_address is not None:
        fields |= _primary_fields(replication, now)
        fields |= {
            "slave_priority": config.replica_priority,
            "slave_read_only": int(config.replica_read_only),
            "replica_announced": int(config.replica_announced),
        }
    primary = replication.primary
    replicas = primary.replicas()
    fields["connected_slaves"] = len(replicas)
    if config.min_replicas_to_write and config.min_replicas_max_lag:
        fields["min_slaves_good_slaves"] = primary.good_replicas(now)
    for number, peer in enumerate(replicas):
        fields[f"slave{number}"] = _replica_line(peer, now)
    backlog = primary.backlog
    history = replication.history
    return fields | {
        "master_failover_state": replication.failover.state,
        "master_replid": history.id,
        "master_replid2": history.second_id,
        "master_repl_offset": replication.offset,
        "second_repl_offset": history.second_offset,
        "repl_backlog_active": int(backlog is not None),
        "repl_backlog_size": config.repl_backlog_size,
        "repl_backlog_first_byte_offset": backlog.first if backlog else 0,
        "repl_backlog_histlen": backlog.length if backlog else 0,
    }


def _primary_fields(replication: Replication, now: int) -> dict[str, Any]:
    assert replication.primary_address is not None
    host, port = replication.primary_address
    link = replication.link
    up = replication.primary_link_up
    syncing = link is not None and link.state == "sync"
    fields: dict[str, Any] = {
        "master_host": host,
        "master_port": port,
        "master_link_status": "up" if up else "down",
        "master_last_io_seconds_ago": int(time.monotonic() - link.last_io) if link and up else -1,
        "master_sync_in_progress": int(syncing),
        "slave_read_repl_offset": replication.offset,
        "slave_repl_offset": replication.offset,
    }
    if link is not None and syncing:
        total = link.snapshot_size or 0
        fields |= {
            "master_sync_total_bytes": total,
            "master_sync_read_bytes": link.snapshot_received,
            "master_sync_left_bytes": total - link.snapshot_received,
            "master_sync_perc": f"{100 * link.snapshot_received / total if total else 0:.2f}",
            "master_sync_last_io_seconds_ago": int(time.monotonic() - link.last_io),
        }
    if not up:
        since = replication.down_since if replication.primary_last_seen else 0
        fields["master_link_down_since_seconds"] = (now - since) // 1000 if since else -1
    return fields


def _replica_line(peer: Peer, now: int) -> str:
    return (
        f"ip={peer.ip},port={peer.port},state={STATES[peer.state]},"
        f"offset={peer.ack_offset},lag={peer.lag(now) if peer.state == 'online' else 0}"
    )


def role(replication: Replication) -> list[Any]:
    """ROLE's reply."""
    if replication.primary_address is not None:
        host, port = replication.primary_address
        link = replication.link
        state = link.state if link is not None else "connect"
        offset = replication.offset if state == "connected" else -1
        return [b"slave", host.encode(), port, state.encode(), offset]
    replicas = [
        [peer.ip.encode(), b"%d" % peer.port, b"%d" % peer.ack_offset]
        for peer in replication.primary.online()
    ]
    return [b"master", replication.offset, replicas]


def stats(replication: Replication) -> dict[str, Any]:
    """The fields of INFO's Stats section that count bytes and synchronizations."""
    primary = replication.primary
    return {
        **primary.traffic.info(),
        "sync_full": primary.full_syncs,
        "sync_partial_ok": primary.partial_ok,
        "sync_partial_err": primary.partial_refused,
    }
