"""What `shoal up` is to run: what was asked for, joined with what the directory remembers.

A cluster's shape (its workers, their ports, how many replicas) is decided when it is formed. Later it may get
more workers; asking for any other shape is refused rather than half obeyed. Workers that leave are taken out
while the cluster runs (`shoal del-node`), because their slots have to go somewhere first: so `ports` may have
gaps. Proxies hold no data, so they may change with every start.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from cluster.plans.create import FEWEST_PRIMARIES

BUS_OFFSET = 10_000
HIGHEST_PORT = 65535
LOOPBACK = "127.0.0.1"


class SetupError(Exception):
    """`shoal up` cannot start as asked. One line for the operator."""


@dataclass(frozen=True)
class Settings:
    workers: int = 6
    """processes that hold data: primaries and replicas together"""
    replicas: int = 1
    """for each primary"""
    proxies: int = 1
    """processes of the proxy, which share `proxy_port`"""
    port: int = 7001
    """of the first worker; the others follow"""
    proxy_port: int = 6379
    bind: str = LOOPBACK
    announce: str = ""
    """the address under which workers tell clients to find them; empty for `bind`"""
    tls: bool = False
    """clients, the bus, replication and proxies by TLS only"""
    metrics_port: int = 0
    """where Prometheus finds the first worker's figures; those of the others are as far apart as `port`"""
    proxy_metrics_port: int = 0
    """the same of the first proxy; 0: none"""
    ports: tuple[int, ...] = ()
    """of all workers, once they are not one row any more"""
    newcomers: tuple[int, ...] = ()
    """ports of workers that were started when the cluster was there, and have no role in it yet"""

    @property
    def primaries(self) -> int:
        return self.workers // (self.replicas + 1)

    @property
    def worker_ports(self) -> list[int]:
        return list(self.ports or range(self.port, self.port + self.workers))

    def with_worker(self) -> Settings:
        """With one more, at the next port."""
        port = max(self.worker_ports) + 1
        ports = (*self.worker_ports, port)
        return replace(self, workers=len(ports), ports=ports).with_newcomers({port})

    def with_newcomers(self, ports: Collection[int]) -> Settings:
        return replace(self, newcomers=tuple(sorted({*self.newcomers, *ports})))

    def without_newcomers(self, ports: Collection[int]) -> Settings:
        return replace(self, newcomers=tuple(port for port in self.newcomers if port not in ports))

    def without_worker(self, port: int) -> Settings:
        ports = tuple(each for each in self.worker_ports if each != port)
        return replace(self, workers=len(ports), ports=ports).without_newcomers({port})

    def metrics_port_of(self, port: int) -> int:
        """Where the worker at `port` tells its figures; 0: nowhere."""
        return self.metrics_port + port - self.port if self.metrics_port else 0

    @property
    def metrics_ports(self) -> list[int]:
        """Of workers and proxies."""
        workers = [self.metrics_port_of(port) for port in self.worker_ports] if self.metrics_port else []
        first = self.proxy_metrics_port
        return workers + (list(range(first, first + self.proxies)) if first else [])

    @property
    def host(self) -> str:
        """The workers' address as clients and other workers see it."""
        if self.announce:
            return self.announce
        return LOOPBACK if self.binds_everywhere else self.bind

    @property
    def local_host(self) -> str:
        """The workers' address as this machine reaches it."""
        return LOOPBACK if self.binds_everywhere else self.bind

    @property
    def names(self) -> list[str]:
        """By which clients may know the servers: in certificates."""
        known = [LOOPBACK, "::1", "localhost", socket.gethostname(), self.announce]
        return list(dict.fromkeys(filter(None, [*known, "" if self.binds_everywhere else self.bind])))

    @property
    def binds_everywhere(self) -> bool:
        return self.bind in ("0.0.0.0", "::", "*")


SHAPE = ("replicas", "port", "bind", "announce", "tls")
"""what cannot change once the cluster is formed"""


def settle(asked: dict[str, Any], remembered: dict[str, Any] | None) -> Settings:
    """The settings to run with. `asked` maps names to values, None where the operator said nothing.

    Raises SetupError when they contradict the cluster in the directory, or cannot make a cluster at all.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    if remembered is not None:
        known = {field.name for field in fields(Settings)}
        before = Settings(**{name: value for name, value in remembered.items() if name in known})
        before = replace(before, ports=tuple(before.ports), newcomers=tuple(before.newcomers))
        settings = _grown(before, given.pop("workers", before.workers))
        _refuse_other_shape(given, before)
        settings = replace(settings, **given)
    else:
        # Whoever asks for three workers wants three primaries, not an error about replicas.
        if "replicas" not in given and given.get("workers", 6) < 2 * FEWEST_PRIMARIES:
            given["replicas"] = 0
        settings = Settings(**given)
    _require_possible(settings)
    return settings


def to_remember(settings: Settings) -> dict[str, Any]:
    return asdict(settings)


def _grown(before: Settings, workers: int) -> Settings:
    if workers < before.workers:
        raise SetupError(
            f"the cluster in this directory has --workers {before.workers}, and {workers} would be fewer:"
            " start it as it is, and let `shoal del-node PORT --shutdown` move the slots of each that shall"
            " go to others, and take it out"
        )
    settings = before
    while settings.workers < workers:
        settings = settings.with_worker()
    return settings


def _refuse_other_shape(given: dict[str, Any], before: Settings) -> None:
    for name in SHAPE:
        if name in given and given[name] != getattr(before, name):
            had = {True: "--tls", False: "--no-tls"}.get(getattr(before, name)) if name == "tls" else None
            raise SetupError(
                f"the cluster in this directory has {had or f'--{name} {getattr(before, name)}'}, not"
                f" {'that' if had else given[name]}:"
                " leave the option out, or use another --dir"
            )


def _require_possible(settings: Settings) -> None:
    if settings.replicas < 0 or settings.proxies < 0:
        raise SetupError("--replicas and --proxies cannot be negative")
    if settings.primaries < FEWEST_PRIMARIES:
        each = f" with {settings.replicas} replicas each" if settings.replicas else ""
        raise SetupError(
            f"too few workers: {settings.workers}{each} make {settings.primaries} primaries, and a cluster"
            f" needs at least {FEWEST_PRIMARIES}, so that a majority is left to decide when one dies;"
            f" give --workers {FEWEST_PRIMARIES * (settings.replicas + 1)} or more"
        )
    last = max(settings.worker_ports)
    if settings.port < 1 or last + BUS_OFFSET > HIGHEST_PORT:
        raise SetupError(
            f"--port {settings.port} with {settings.workers} workers needs ports {settings.port}-{last} and"
            f" their bus ports {BUS_OFFSET} above, which must all be between 1 and {HIGHEST_PORT}"
        )
    if settings.proxies:
        _require_free_of_workers(settings)
    _require_no_port_twice(settings)


def _require_free_of_workers(settings: Settings) -> None:
    port = settings.proxy_port
    if not 0 < port <= HIGHEST_PORT:
        raise SetupError(f"--proxy-port {port} is not between 1 and {HIGHEST_PORT}")
    if port in settings.worker_ports or port - BUS_OFFSET in settings.worker_ports:
        raise SetupError(f"--proxy-port {port} is also a port of a worker; choose another")


def _require_no_port_twice(settings: Settings) -> None:
    """Among those for figures, and between them and the others."""
    ports = settings.metrics_ports
    taken = {*settings.worker_ports, *(port + BUS_OFFSET for port in settings.worker_ports)}
    if settings.proxies:
        taken.add(settings.proxy_port)
    for port in ports:
        if not 0 < port <= HIGHEST_PORT or port in taken:
            raise SetupError(
                f"port {port}, for figures, is {'taken' if port in taken else 'impossible'}: choose another"
                " --metrics-port or --proxy-metrics-port"
            )
        taken.add(port)
