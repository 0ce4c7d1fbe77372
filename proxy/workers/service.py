"""All that serves the clients of one login at the workers: connections of every kind, and what uses them.

Connections to workers are logged in once, and shared; so clients that are different users share nothing but
the process, the map of the cluster, and the register of clients. Usually all are served under one login, the
proxy's own; with `--auth-by-workers` each user has a service (users.py).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.core.routes import SlotMap
from proxy.requests.commands import Commands
from proxy.sessions.dedicated import DedicatedPool
from proxy.sessions.hub import Hub
from proxy.sessions.invalidations import Invalidations
from proxy.sessions.monitors import Monitors
from proxy.sessions.sessions import Sessions
from proxy.sessions.tracking import Tracking
from proxy.workers.failover import FailoverWait
from proxy.workers.replica_reads import ReplicaReads
from proxy.workers.upstreams import UpstreamPool

if TYPE_CHECKING:
    from proxy.config import ProxyConfig
    from proxy.core.connection import Turns
    from proxy.mirror.mirroring import Mirroring
    from proxy.workers.dialogue import Login
    from proxy.workers.replica_links import ReplicaLinks
    from proxy.workers.topology import Topology


class Service:
    """`front` are the commands of the service that all clients
    begin with; None for that one itself."""

    def __init__(
        self,
        config: ProxyConfig,
        turns: Turns,
        topology: Topology,
        login: Login,
        dedicated_limit: int,
        front: Commands | None = None,
    ) -> None:
        self.topology = topology
        self.slots = SlotMap()
        failover = FailoverWait(config.failover_wait, config.resend_writes)
        self.pool = UpstreamPool(turns, login, failover, config.failover_queue)
        self.pool.topology = topology
        self.dedicated = DedicatedPool(turns, login, dedicated_limit, topology)
        self.hub = Hub(turns, login, self.pool, topology)
        self.monitors = Monitors(turns, login, topology)
        self.invalidations = Invalidations(turns, login, topology)
        for told in (self.dedicated, self.hub, self.monitors, self.invalidations):
            self.pool.told_of_nodes.append(told.reconcile)
        self.commands = Commands(self.pool, topology, self.slots, config, front)
        tracking = Tracking(self.commands.clients, self.invalidations, config.tracking_keys)
        self.commands.sessions = Sessions(self.commands, self.dedicated, self.hub, self.monitors, tracking)
        if config.cross_slot != "no":
            from proxy.requests.cross_slot import CrossSlot  # takes memory that others need not give

            self.commands.cross_slot = CrossSlot(
                self.commands, config.cross_slot == "all", config.cross_slot_memory
            )
        if config.hot_reads != "no":
            self._look_for_hot_keys(config)
        topology.keep(self.slots, self.pool)
        if front is not None and front.mirroring is not None:
            self.mirror(front.mirroring)
        self._read_from_replicas(config, turns, front)

    def _read_from_replicas(self, config: ProxyConfig, turns: Turns, front: Commands | None) -> None:
        """All services read from the same, each under its login."""
        self.replica_links: ReplicaLinks | None = None
        if config.read_from == "primary":
            return
        reads = front.replica_reads if front else ReplicaReads(turns, self.pool, self.topology, config)
        assert reads is not None
        self.commands.replica_reads = reads
        self.replica_links = reads.keep(self.slots, self.pool.login)
        self.pool.told_of_ask = reads.gone_ahead

    def _look_for_hot_keys(self, config: ProxyConfig) -> None:
        from proxy.core.hot_reads import HotReads  # takes memory that others need not give

        self.commands.hot_reads = HotReads(self.slots, asyncio.get_running_loop(), config.hot_rate)
        if config.hot_reads == "cache":
            self.commands.hot_reads.cache(self.invalidations, config.cache_age, config.cache_size)

    def mirror(self, mirroring: Mirroring) -> None:
        """From now on new connections to workers tell it what these carry out."""
        self.pool.tap = mirroring.core

    def log_in_as(self, credentials: tuple[bytes, ...]) -> None:
        """From now on new connections do."""
        for part in (self.pool, self.dedicated, self.hub, self.monitors, self.invalidations):
            part.login = replace(part.login, words=credentials)
        if self.replica_links is not None:
            self.replica_links.login = replace(self.replica_links.login, words=credentials)

    def map_changed(self) -> None:
        self.hub.map_changed()
        self.monitors.repair()
        self.invalidations.repair()

    def close(self) -> None:
        """There are no clients any more."""
        self.topology.let_go(self.slots)
        if self.commands.hot_reads is not None:
            self.commands.hot_reads.close()
        if self.commands.replica_reads is not None and self.replica_links is not None:
            self.commands.replica_reads.let_go(self.replica_links)
        self.dedicated.close()
        self.hub.close()
        self.monitors.close()
        self.invalidations.close()
        self.pool.close()
