"""The proxy's figures for Prometheus, at `--metrics-port`.

What Redis has, too, is named as redis_exporter names it, so that dashboards made for servers show a proxy;
times of commands there are as clients feel them. What only a proxy has begins with `shoal_proxy_`. Nothing is
kept for this: each request reads what is counted anyway (tallies.pyx).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import Metric

from node.metrics.exposition import NS, buckets, families, histogram, of_requests
from node.metrics.figures import Figure, counter, gauge
from proxy.local.info import figures
from proxy.local.own import command_stats, error_counts

if TYPE_CHECKING:
    from proxy.mirror.mirroring import Mirroring
    from proxy.requests.commands import Commands


class ProxyCollector:
    def __init__(self, commands: Commands) -> None:
        self.commands = commands

    def collect(self) -> Iterator[Metric]:
        tallies = self.commands.tallies
        yield from families(self._server())
        stats, errors = command_stats(tallies), error_counts(tallies)
        yield from of_requests(stats, errors, tallies.latencies(), "From arrival to reply")
        yield from families(self._workers())
        yield self._ways()
        if self.commands.mirroring is not None:
            yield from families(_mirror(self.commands.mirroring))

    def _server(self) -> Iterator[Figure]:
        commands = self.commands
        now = figures(commands)
        yield gauge("redis_up", "The proxy runs", 1)
        yield gauge("redis_connected_clients", "Clients", now["connected_clients"])
        yield gauge("redis_config_maxclients", "The most clients", commands.max_clients)
        yield gauge("redis_slowlog_length", "Entries of the slow log", len(commands.slow_requests.log))
        yield counter("redis_connections_received", "Clients so far", commands.connections_received)
        yield counter("redis_rejected_connections", "Clients turned away", commands.connections_rejected)
        yield counter("redis_cpu_sys_seconds", "CPU time in the kernel", now["used_cpu_sys"])
        yield counter("redis_cpu_user_seconds", "CPU time", now["used_cpu_user"])
        topology, pool = commands.topology, commands.pool
        yield gauge("shoal_proxy_slots_served", "Slots whose worker is known", topology.slots_served)
        yield counter("shoal_proxy_map_changes", "Changes of the slots' owners", topology.changes)
        yield counter("shoal_proxy_redirections", "MOVED and ASK followed", pool.redirections)
        dedicated = commands.sessions.dedicated
        yield gauge("shoal_proxy_dedicated_connections", "For what blocks, in use", dedicated.lent)

    def _workers(self) -> Iterator[Figure]:
        pool = self.commands.pool
        for upstream in pool.upstreams():
            who = {"worker": repr(upstream), "resp": str(upstream.version)}
            up = upstream.state_name == "up"
            yield gauge("shoal_proxy_upstream_up", "Connected", up, **who)
            yield gauge("shoal_proxy_upstream_in_flight", "Requests not answered", upstream.in_flight, **who)
            yield gauge(
                "shoal_proxy_upstream_queued_bytes", "Of these requests", upstream.bytes_in_flight, **who
            )
            yield counter("shoal_proxy_upstream_requests", "Requests sent", upstream.requests, **who)
            yield counter("shoal_proxy_upstream_errors", "Error replies", upstream.errors, **who)
            yield counter("shoal_proxy_upstream_connects", "Times connected", upstream.connects, **who)
            waits = pool.failover.waits.get(repr(upstream), 0)
            yield counter("shoal_proxy_upstream_waits", "Failures waited through", waits, **who)

    def _ways(self) -> Metric:
        text = "From a request's arrival to the reply"
        times = histogram("shoal_proxy_upstream_latency_seconds", text, ["worker", "resp"])
        for upstream in self.commands.pool.upstreams():
            nanoseconds, distribution = upstream.latencies
            who = [repr(upstream), str(upstream.version)]
            times.add_metric(who, buckets(distribution, NS), nanoseconds / NS)
        return times


def _mirror(mirroring: Mirroring) -> Iterator[Figure]:
    core = mirroring.core
    yield counter("shoal_proxy_mirror_requests", "Requests sent to the mirror", core.sent)
    yield counter("shoal_proxy_mirror_dropped", "Left out, for want of room", core.dropped)
    yield counter("shoal_proxy_mirror_errors", "Error replies of the mirror, not ours", core.failed)
    yield counter("shoal_proxy_mirror_compared", "Replies compared with ours", core.compared)
    yield counter("shoal_proxy_mirror_differing", "... that differed", core.differing)
    yield gauge("shoal_proxy_mirror_waiting_bytes", "Of requests it has not answered", core.held)
