"""The proxy's figures for Prometheus, over HTTP at `--metrics-port`: GET /metrics.

What Redis has, too, is named as redis_exporter names it, so that dashboards made for servers show a proxy;
times of commands there are as clients feel them. What only a proxy has begins with `shoal_proxy_`. Nothing is
kept for this: each request reads what is counted anyway (tallies.pyx).

The listener knows this one page. It is for a scraper in one's own network, so it asks for no password.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from proxy.local.info import figures

if TYPE_CHECKING:
    from proxy.requests.commands import Commands

REQUEST_MAX = 8192
"""Bytes of an HTTP request"""
REQUEST_TIMEOUT = 5.0
NS = 1_000_000_000
BOUNDS = [2**power * 1000 for power in range(4, 25)]
"""Upper ends of buckets, in ns: 16 µs to 17 s"""


class ProxyCollector(Collector):
    def __init__(self, commands: Commands) -> None:
        self.commands = commands

    def collect(self) -> Iterator[Metric]:
        yield from self._server()
        yield from self._requests()
        yield from self._workers()

    def _server(self) -> Iterator[Metric]:
        commands = self.commands
        now = figures(commands)
        yield _gauge("redis_up", "The proxy runs", 1)
        yield _gauge("redis_connected_clients", "Clients", float(now["connected_clients"]))
        yield _gauge("redis_config_maxclients", "The most clients", commands.max_clients)
        yield _gauge("redis_slowlog_length", "Entries of the slow log", len(commands.slow_requests.log))
        yield _counter("redis_connections_received", "Clients so far", commands.connections_received)
        yield _counter("redis_rejected_connections", "Clients turned away", commands.connections_rejected)
        yield _counter("redis_cpu_sys_seconds", "CPU time in the kernel", float(now["used_cpu_sys"]))
        yield _counter("redis_cpu_user_seconds", "CPU time", float(now["used_cpu_user"]))
        topology, pool = commands.topology, commands.pool
        yield _gauge("shoal_proxy_slots_served", "Slots whose worker is known", topology.slots_served)
        yield _counter("shoal_proxy_map_changes", "Changes of the slots' owners", topology.changes)
        yield _counter("shoal_proxy_redirections", "MOVED and ASK followed", pool.redirections)
        dedicated = commands.sessions.dedicated
        yield _gauge("shoal_proxy_dedicated_connections", "For what blocks, in use", dedicated.lent)

    def _requests(self) -> Iterator[Metric]:
        tallies = self.commands.tallies
        calls = CounterMetricFamily("redis_commands", "Requests answered", labels=["cmd"])
        spent = CounterMetricFamily(
            "redis_commands_duration_seconds", "From arrival to reply", labels=["cmd"]
        )
        failed = CounterMetricFamily("redis_commands_failed_calls", "Answered by an error", labels=["cmd"])
        rejected = CounterMetricFamily("redis_commands_rejected_calls", "Not carried out", labels=["cmd"])
        stats = tallies.commands()
        for name, (count, nanoseconds, refused, errors) in stats.items():
            calls.add_metric([name], count)
            spent.add_metric([name], nanoseconds / NS)
            failed.add_metric([name], errors)
            rejected.add_metric([name], refused)
        errors_by_kind = CounterMetricFamily("redis_errors", "Error replies", labels=["err"])
        for kind, count in tallies.errors.items():
            errors_by_kind.add_metric([kind.decode("latin-1")], count)
        times = HistogramMetricFamily(
            "redis_commands_latencies_usec", "From arrival to reply, in microseconds", labels=["cmd"]
        )
        for name, distribution in tallies.latencies().items():
            times.add_metric([name], _buckets(distribution, 1000), stats[name][1] / 1000)
        yield from (calls, spent, failed, rejected, errors_by_kind, times)

    def _workers(self) -> Iterator[Metric]:
        labels = ["worker", "resp"]
        up = GaugeMetricFamily("shoal_proxy_upstream_up", "Connected", labels=labels)
        waiting = GaugeMetricFamily("shoal_proxy_upstream_in_flight", "Requests not answered", labels=labels)
        queued = GaugeMetricFamily("shoal_proxy_upstream_queued_bytes", "Of these requests", labels=labels)
        sent = CounterMetricFamily("shoal_proxy_upstream_requests", "Requests sent", labels=labels)
        errors = CounterMetricFamily("shoal_proxy_upstream_errors", "Error replies", labels=labels)
        times = HistogramMetricFamily(
            "shoal_proxy_upstream_latency_seconds", "From a request's arrival to the reply", labels=labels
        )
        for upstream in self.commands.pool.upstreams():
            who = [repr(upstream), str(upstream.version)]
            up.add_metric(who, upstream.state_name == "up")
            waiting.add_metric(who, upstream.in_flight)
            queued.add_metric(who, upstream.bytes_in_flight)
            sent.add_metric(who, upstream.requests)
            errors.add_metric(who, upstream.errors)
            nanoseconds, distribution = upstream.latencies
            times.add_metric(who, _buckets(distribution, NS), nanoseconds / NS)
        yield from (up, waiting, queued, sent, errors, times)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value)


def _buckets(distribution: Iterable[tuple[int, int]], unit: int) -> list[tuple[str, float]]:
    """Cumulative, as Prometheus wants them; bounds in units of so many ns."""
    counts = [0] * (len(BOUNDS) + 1)
    for longest, calls in distribution:
        counts[next((i for i, bound in enumerate(BOUNDS) if longest <= bound), len(BOUNDS))] += calls
    buckets, seen = [], 0
    for bound, count in zip([*(f"{bound / unit:g}" for bound in BOUNDS), "+Inf"], counts, strict=True):
        seen += count
        buckets.append((bound, float(seen)))
    return buckets


class MetricsListener:
    """Answers GET /metrics. One request per connection."""

    def __init__(self, commands: Commands) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(ProxyCollector(commands))
        self._server: asyncio.Server | None = None

    async def start(self, addresses: list[str], port: int) -> None:
        """Raises OSError."""
        self._server = await asyncio.start_server(self._serve, addresses, port, limit=REQUEST_MAX)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._response(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # nobody who speaks HTTP, or who waits
        finally:
            writer.close()

    def _response(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        if rest.partition(b" ")[0].partition(b"?")[0] != b"/metrics":
            return _http("404 Not Found", "text/plain", b"The figures are at /metrics\n")
        if method not in (b"GET", b"HEAD"):
            return _http("405 Method Not Allowed", "text/plain", b"")
        body = generate_latest(self._registry)
        return _http("200 OK", CONTENT_TYPE_LATEST, body, send_body=method == b"GET")


def _http(status: str, kind: str, body: bytes, send_body: bool = True) -> bytes:
    head = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + (body if send_body else b"")
