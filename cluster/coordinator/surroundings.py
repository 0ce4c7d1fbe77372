"""What the coordinator is told by the worker it lives in: settings, local facts, randomness.

The coordinator has no clock, no dice and no data of its own. Time comes with each call; the rest
comes through the three objects here. Tests give it a seeded random source and invented facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cluster.topology.node import Outside


class RandomSource(Protocol):
    """The part of `random.Random` the coordinator uses."""

    def randrange(self, stop: int, /) -> int: ...

    def getrandbits(self, bits: int, /) -> int: ...


class LocalFacts(Protocol):
    """Answers of this worker about itself, at the moment of the call."""

    def replication_offset(self) -> int:
        """Bytes of the replication stream produced (primary) or processed (replica)."""

    def primary_last_seen(self) -> int:
        """As a replica: when, by the clock of `now`, data last came over the replication link if it is up, or
        when it went down; 0 if it never was up."""

    def primary_link_up(self) -> bool:
        """As a replica: its primary's stream still comes, or may."""

    def has_whole_copy(self) -> bool:
        """As a replica: its data is a copy of this primary's, whom it has followed since its start."""

    def kept_every_write(self) -> bool:
        """After a start: whatever a client was ever told, this worker has."""

    def keys_in_slot(self, slot: int) -> int:
        """Number of keys held here in `slot`."""

    def is_empty(self) -> bool:
        """True if this worker holds no key at all."""


@dataclass(slots=True)
class Settings:
    """The directives the coordinator obeys; the shell updates the fields in place on CONFIG SET.

    Times in ms. Names follow redis.conf without the `cluster-` prefix.
    """

    port: int
    """Client port that others should use [cluster-announce-port, else port]; 0 if there is only TLS."""
    bus_port: int
    """[cluster-announce-bus-port, else cluster-port, else port + 10000]"""
    tls_port: int = 0
    tls_cluster: bool = False
    tls_replication: bool = False
    node_timeout: int = 15000
    announce_ip: str = ""
    announce_hostname: str = ""
    announce_human_nodename: str = ""
    availability_zone: str = ""
    """[availability-zone in Valkey]"""
    announce_outside: Outside | None = None
    """Where clients from outside find this node [ours]"""
    require_full_coverage: bool = True
    allow_replica_migration: bool = True
    migration_barrier: int = 1
    replica_validity_factor: int = 10
    replica_no_failover: bool = False
    repl_ping_replica_period: int = 10
    """Seconds [repl-ping-replica-period]: slack in judging how old a replica's data is."""
    manual_failover_timeout: int = 5000
    """[cluster-manual-failover-timeout in Valkey; fixed in Redis]"""
    witness_limit: int = 60_000
    """How long witnesses may vouch for a node that is silent; 0: not at all [cluster-witness-limit, ours]"""
    synchronous_replicas: int = 0
    """How many replicas must have what a client is told [ours]"""
    blacklist_ttl: int = 60
    """Seconds for which a forgotten node stays away [cluster-blacklist-ttl in Valkey; fixed in Redis]"""
    tick_period: int = 100
    """How often the shell calls `tick`."""
