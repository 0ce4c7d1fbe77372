"""The cluster's brain as seen from outside: messages, time and commands in, effects out.

One coordinator lives in each worker. It has no leader above it and touches nothing: `step` takes a message
of the bus, `tick` the time, the command methods what an operator asked; all return the list of
effects (`effects.py`) that the shell then performs. The decisions themselves are in the files beside this one, by
concept; this one only leads to them.

Call `tick` every `Settings.tick_period` ms. `now` is Unix time in ms everywhere and may jump: only
differences count. Commands raise `ReplyError` with Redis' words and then have changed nothing.
"""
from __future__ import annotations

from dataclasses import dataclass

from cluster.coordinator.effects import Effect, LinkId
from cluster.coordinator.messages import Message
from cluster.coordinator.surroundings import LocalFacts, RandomSource, Settings


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """Where a message came from."""

    id: LinkId
    """Positive: a link the coordinator asked for (`Connect`). Negative: one that the shell accepted."""
    remote_ip: str
    """The peer's address as the socket shows it."""
    local_ip: str
    """Our own address on this link: how a new node learns its IP from a MEET."""


class Coordinator:
    """
    topology: cluster/topology Topology: nodes (dict id → Node), myself, slots (list of 16384 Node | None), migrating, importing
    (dict slot → Node), current_epoch, last_vote_epoch.
    """

    def __init__(self, settings: Settings, facts: LocalFacts, random: RandomSource, now: int, config_text: str | None = None) -> None:
        """`config_text`: the saved nodes.conf, None for a new node (gets a random id). Raises ConfigError (topology.nodes_conf)."""

    # --- inputs
    def start(self, now: int) -> list[Effect]: ...                      # first effects: SaveConfig for a new node, BecomeReplicaOf if config says so
    def step(self, message: Message, link: LinkInfo, now: int) -> list[Effect]: ...
    def tick(self, now: int) -> list[Effect]: ...
    def link_up(self, link: LinkId, now: int) -> list[Effect]: ...      # a Connect succeeded
    def link_down(self, link: LinkId, now: int) -> list[Effect]: ...    # a link (either kind) failed or closed; unknown ids are ignored
    def bytes_received(self, link: LinkId, now: int) -> None: ...       # any data on a link: alive even while a large message is on its way
    def shutdown(self, now: int) -> list[Effect]: ...                   # SaveConfig

    # --- commands (names of CLUSTER subcommands)
    def meet(self, ip: str, port: int, bus_port: int, now: int) -> list[Effect]: ...
    def add_slots(self, slots: list[int], now: int) -> list[Effect]: ...        # order and duplicates as given: errors name the slot
    def del_slots(self, slots: list[int], now: int) -> list[Effect]: ...
    def flush_slots(self, now: int) -> list[Effect]: ...
    def set_slot_migrating(self, slot: int, node_id: str, now: int) -> list[Effect]: ...
    def set_slot_importing(self, slot: int, node_id: str, now: int) -> list[Effect]: ...
    def set_slot_stable(self, slot: int, now: int) -> list[Effect]: ...
    def set_slot_node(self, slot: int, node_id: str, now: int) -> list[Effect]: ...
    def replicate(self, node_id: str, now: int) -> list[Effect]: ...
    def forget(self, node_id: str, now: int) -> list[Effect]: ...
    def reset(self, hard: bool, now: int) -> list[Effect]: ...
    def set_config_epoch(self, epoch: int, now: int) -> list[Effect]: ...
    def bump_epoch(self, now: int) -> tuple[str, list[Effect]]: ...             # "BUMPED 7" or "STILL 7"
    def failover(self, mode: str, now: int) -> list[Effect]: ...                # "default" | "force" | "takeover"
    def save_config(self, now: int) -> list[Effect]: ...
    def settings_changed(self, now: int) -> list[Effect]: ...                   # announce-*, no-failover … were modified
    def publish(self, channel: bytes, message: bytes, sharded: bool) -> list[Effect]: ...

    # --- views for replies
    # ok: bool (cluster_state), size: int, counters: messages sent/received per type, topology: nodes, slots, migrating, importing
    # failure_report_count(node_id, now) -> int
    # nodes_text(now) -> str  (CLUSTER NODES), replica_lines(node_id) -> list[str], info(now) -> dict[str, int | str] (CLUSTER INFO's fields in order)
