"""What the coordinator asks about the worker it lives in, and which of its settings it obeys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster.coordinator.surroundings import Settings
from cluster.topology.node import Outside
from node.config.checks import split_outside

if TYPE_CHECKING:
    from node.config import Config
    from node.worker import Worker

BUS_PORT_OFFSET = 10000

OBEYED = (
    "cluster-node-timeout",
    "cluster-announce-ip",
    "cluster-announce-port",
    "cluster-announce-tls-port",
    "tls-cluster",
    "tls-replication",
    "cluster-announce-bus-port",
    "cluster-announce-hostname",
    "cluster-announce-human-nodename",
    "cluster-announce-outside",
    "availability-zone",
    "cluster-require-full-coverage",
    "cluster-allow-replica-migration",
    "cluster-migration-barrier",
    "cluster-replica-validity-factor",
    "cluster-replica-no-failover",
    "cluster-manual-failover-timeout",
    "cluster-witness-limit",
    "synchronous-replicas",
    "cluster-blacklist-ttl",
    "repl-ping-replica-period",
)
"""Directives that change `Settings` when CONFIG SET changes them."""


class WorkerFacts:
    """`LocalFacts` of a worker."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def replication_offset(self) -> int:
        return int(self._worker.replication.offset)

    def primary_link_up(self) -> bool:
        return bool(self._worker.replication.primary_link_up)

    def primary_last_seen(self) -> int:
        return int(self._worker.replication.primary_last_seen)

    def has_whole_copy(self) -> bool:
        return bool(self._worker.replication.has_whole_copy)

    def kept_every_write(self) -> bool:
        config = self._worker.config
        return bool(config.appendonly) and config.appendfsync == "always"

    def keys_in_slot(self, slot: int) -> int:
        return sum(db.count_in_slot(slot) for db in self._worker.databases)

    def is_empty(self) -> bool:
        return not any(map(len, self._worker.databases))


def bus_port_of(config: Config) -> int:
    """The port this worker listens on for the bus, as the settings at its start want it."""
    plain_first = config.port and not config.tls_cluster
    client_port = config.port if plain_first else config.tls_port or config.port
    return int(config.cluster_port or client_port + BUS_PORT_OFFSET)


def settings_of(config: Config, bus_port: int) -> Settings:
    """`bus_port`: where this worker listens."""
    settings = Settings(port=0, bus_port=0)
    update_settings(settings, config, bus_port)
    return settings


def update_settings(settings: Settings, config: Any, bus_port: int) -> None:
    """Bring `settings` in line with the configuration, in place."""
    settings.port = config.cluster_announce_port or config.port
    settings.bus_port = config.cluster_announce_bus_port or bus_port
    settings.tls_port = config.cluster_announce_tls_port or config.tls_port
    settings.tls_cluster = config.tls_cluster
    settings.tls_replication = config.tls_replication
    settings.node_timeout = config.cluster_node_timeout
    settings.announce_ip = config.cluster_announce_ip
    settings.announce_hostname = config.cluster_announce_hostname
    settings.announce_human_nodename = config.cluster_announce_human_nodename
    settings.availability_zone = config.availability_zone
    outside = config.cluster_announce_outside
    settings.announce_outside = Outside(*split_outside(outside)) if outside else None
    settings.require_full_coverage = config.cluster_require_full_coverage
    settings.allow_replica_migration = config.cluster_allow_replica_migration
    settings.migration_barrier = config.cluster_migration_barrier
    settings.replica_validity_factor = config.cluster_replica_validity_factor
    settings.replica_no_failover = config.cluster_replica_no_failover
    settings.repl_ping_replica_period = config.repl_ping_replica_period
    settings.witness_limit = config.cluster_witness_limit
    settings.synchronous_replicas = config.synchronous_replicas
    settings.manual_failover_timeout = config.cluster_manual_failover_timeout
    settings.blacklist_ttl = config.cluster_blacklist_ttl
