"""What an operator does with nodes: CLUSTER MEET, FORGET, REPLICATE, FAILOVER, RESET, and the epochs.

Each function either raises `ReplyError`, in Redis' words and before anything has changed, or does what
was asked.
"""

from __future__ import annotations

import ipaddress

from cluster.coordinator.effects import EmptyDatabase
from cluster.coordinator.elections import replace_primary
from cluster.coordinator.epochs import bump_without_consensus
from cluster.coordinator.manual_failover import request_manual_failover, reset_manual_failover
from cluster.coordinator.membership import forget, is_forgotten, remove_node, start_handshake
from cluster.coordinator.roles import become_primary, become_replica_of
from cluster.coordinator.state import State
from cluster.slots import ALL_SLOTS
from cluster.topology import flags as flag
from cluster.topology.node import Node
from node.errors import SYNTAX, ReplyError


def _known(state: State, node_id: str) -> Node:
    node = state.topology.nodes.get(node_id)
    if node is None:
        raise ReplyError(f"ERR Unknown node {node_id}")
    return node


def meet(state: State, ip: str, port: int, bus_port: int) -> None:
    """Introduce this node to the one at ip:port. `ip` is an address, not a name."""
    try:
        address = str(ipaddress.ip_address(ip))
    except ValueError:
        address = ""
    if not address or not 0 < port <= 65535 or not 0 < bus_port <= 65535:
        raise ReplyError(f"ERR Invalid node address specified: {ip}:{port}")
    ports = (0, port) if state.settings.tls_cluster else (port, 0)
    start_handshake(state, address, ports, bus_port, flag.MEET)


def forget_node(state: State, node_id: str) -> None:
    """Remove a node and do not take it back from gossip for a minute."""
    if node_id not in state.topology.nodes and is_forgotten(state, node_id):
        return  # Another node told us already.
    node = _known(state, node_id)
    if node is state.myself:
        raise ReplyError("ERR I tried hard but I can't forget myself...")
    if state.myself.is_replica and node is state.myself.primary:
        raise ReplyError("ERR Can't forget my master!")
    forget(state, node)


def replicate(state: State, node_id: str) -> None:
    """Become a replica of that primary; a primary must be empty and without slots for it."""
    node = _known(state, node_id)
    if node is state.myself:
        raise ReplyError("ERR Can't replicate myself")
    if node.is_replica:
        raise ReplyError("ERR I can only replicate a master, not a replica.")
    if state.myself.is_primary and (state.myself.slots or not state.facts.is_empty()):
        raise ReplyError("ERR To set a master the node must be empty and without assigned slots.")
    become_replica_of(state, node)


def replicate_no_one(state: State) -> None:
    """Leave the primary and its shard: from now on an empty primary in a shard of its own. Valkey's."""
    myself = state.myself
    if myself.is_primary:
        return
    state.log("notice", "Stop replication and turning myself into empty primary.")
    state.topology.set_primary(myself, None)
    become_primary(state)
    state.emit(EmptyDatabase())
    state.topology.set_shard_id(myself, state.new_id())
    reset_manual_failover(state)
    state.save_later(sync=True)
    state.todo.update_state = True


def failover(state: State, mode: str, asked_by: str = "user") -> None:
    """Take the primary's place: "default" as agreed with it, "force" without it, "takeover" without votes."""
    if mode not in ("default", "force", "takeover"):
        raise SYNTAX
    if state.myself.is_primary:
        raise ReplyError("ERR You should send CLUSTER FAILOVER to a replica")
    primary = state.myself.primary
    if primary is None:
        raise ReplyError("ERR I'm a replica but my master is unknown to me")
    if mode == "default" and (primary.failed or primary.link is None):
        raise ReplyError("ERR Master is down or failed, please use CLUSTER FAILOVER FORCE")
    if mode == "takeover":
        state.log("notice", "Taking over the master (user request).")
        bump_without_consensus(state)
        replace_primary(state)
    else:
        request_manual_failover(state, primary, force=mode == "force", asked_by=asked_by)


def set_config_epoch(state: State, epoch: int) -> None:
    """Give a fresh node, which knows nobody yet, its config epoch."""
    topology = state.topology
    if epoch < 0:
        raise ReplyError(f"ERR Invalid config epoch specified: {epoch}")
    if len(topology.nodes) > 1:
        raise ReplyError(
            "ERR The user can assign a config epoch only when the node does not know any other node."
        )
    if state.myself.config_epoch:
        raise ReplyError("ERR Node config epoch is already non-zero")
    state.myself.config_epoch = epoch
    topology.current_epoch = max(topology.current_epoch, epoch)
    state.log("notice", f"configEpoch set to {epoch} via CLUSTER SET-CONFIG-EPOCH")
    state.save_later()
    state.todo.update_state = True


def reset(state: State, hard: bool) -> None:
    """Forget the cluster: all nodes, all slots; `hard`: also the epochs and this node's id."""
    topology, myself = state.topology, state.myself
    if myself.is_primary and not state.facts.is_empty():
        raise ReplyError("ERR CLUSTER RESET can't be called with master nodes containing keys")
    if not myself.is_primary:
        topology.set_primary(myself, None)
        become_primary(state)
        state.emit(EmptyDatabase())
    topology.close_slots()
    reset_manual_failover(state)
    topology.release_slots(ALL_SLOTS)
    for node in list(topology.nodes.values()):
        if node is not myself:
            remove_node(state, node)
    state.forgotten.clear()
    if hard:
        topology.current_epoch = topology.last_vote_epoch = myself.config_epoch = 0
        state.log("notice", "configEpoch set to 0 via CLUSTER RESET HARD")
        topology.rename_node(myself, state.new_id())
        myself.shard_id = state.new_id()
        state.log("notice", f"Node hard reset, now I'm {myself.id}")
    topology.touch_all()
    state.save_later(sync=True)
    state.todo.update_state = True
