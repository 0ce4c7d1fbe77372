"""Workers and proxies before Prometheus: what a real scrape has, by the names that dashboards use."""

from __future__ import annotations

import gzip
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from node.metrics.series import COUNTERS, GAUGES
from tests.harness.ports import lease_port, release_port
from tests.harness.proxies import ShoalProxy
from tests.harness.servers import ROOT, ShoalNode
from tests.harness.wait import eventually

METRICS = ROOT / "deploy" / "metrics"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(port: int, path: str = "/metrics", method: str = "GET") -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read(), "utf-8")


def samples(port: int) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(scrape(port))
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


class Collector:
    """Of OpenTelemetry: keeps what is sent to it."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    names = {each.value.string_value for each in resource.resource.attributes}
                    assert "shoal-proxy" in names
                    spans.extend(span for scope in resource.scope_spans for span in scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """No word."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    def __enter__(self) -> Collector:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Watched:
    """A cluster of one primary, a replica of it that keeps its data on disk, and a proxy."""

    def __init__(self, stack: ExitStack) -> None:
        self.ports = [lease_port() for _ in range(3)]
        for port in self.ports:
            stack.callback(release_port, port)
        settings = {"metrics_slots": 4, "cluster_slot_stats_enabled": "yes", "slowlog_log_slower_than": 0}
        first, second, third = self.ports
        self.primary: ShoalNode = stack.enter_context(
            ShoalNode(
                cluster_enabled="yes",
                metrics_port=first,
                latency_monitor_threshold=1,
                appendonly="yes",
                **settings,
            )
        )
        self.primary.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        eventually(lambda: b"cluster_state:ok" in self.primary.run("CLUSTER", "INFO"), "a cluster of one")
        self.replica: ShoalNode = stack.enter_context(ShoalNode(storage_engine="disk", metrics_port=second))
        self.replica.follow(self.primary)
        self.collector = stack.enter_context(Collector())
        traces = ("--traces-to", self.collector.url, "--traces-slower-than", "0")
        options = ("--metrics-port", str(third), *traces, "--slowlog-log-slower-than", "-1")
        self.proxy = stack.enter_context(ShoalProxy([self.primary.address], *options))


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with ExitStack() as stack:
        yield Watched(stack)


def use(watched: Watched) -> None:
    with watched.primary.resp() as connection:
        for number in range(10):
            connection.command("SET", f"k{number}", number, "EX", 100)
        connection.command("GET", "k1")
        connection.command("GET", "nothing")
        connection.command("LPUSH", "k1", 1)
        connection.command("DEBUG", "SLEEP", 0.005)


def test_a_worker_by_the_names_of_redis_exporter(watched: Watched) -> None:
    before = samples(watched.ports[0])
    use(watched)
    found = samples(watched.ports[0])
    assert value(found, "redis_up") == 1
    assert value(found, "redis_db_keys", db="db0") == 10
    assert value(found, "redis_db_keys_expiring", db="db0") == 10
    hits = "redis_keyspace_hits_total"
    assert value(found, hits) == value(before, hits) + 1
    assert value(found, "redis_commands_total", cmd="set") == 10
    assert value(found, "redis_commands_duration_seconds_total", cmd="set") > 0
    assert value(found, "redis_commands_failed_calls_total", cmd="lpush") == 1
    assert value(found, "redis_errors_total", err="WRONGTYPE") == 1
    assert value(found, "redis_commands_latencies_usec_count", cmd="set") == 10
    assert value(found, "redis_commands_latencies_usec_bucket", cmd="set", le="+Inf") == 10
    assert value(found, "redis_cluster_state") == 1
    assert value(found, "redis_cluster_slots_ok") == 16384
    assert value(found, "redis_connected_slaves") == 1
    assert value(found, "redis_aof_last_write_status") == 1
    assert value(found, "redis_slowlog_length") > 10
    # A busy disk may be late, too, which is another event.
    assert 0.005 <= value(found, "redis_latency_spike_duration_seconds", event_name="command") < 5


def test_every_field_of_the_table_is_told(watched: Watched) -> None:
    names = {name for name, _ in samples(watched.ports[0])}
    wanted = {f"redis_{name}" for name in GAUGES.values()}
    wanted |= {f"redis_{name}_total" for name in COUNTERS.values()}
    assert wanted - names == {"redis_slave_priority"}  # that of a replica
    assert "redis_slave_priority" in {name for name, _ in samples(watched.ports[1])}


def test_slots_are_told_as_many_as_were_asked_for(watched: Watched) -> None:
    use(watched)
    found = samples(watched.ports[0])
    slots = [dict(labels)["slot"] for name, labels in found if name == "shoal_slot_cpu_seconds_total"]
    assert len(slots) == 4
    watched.primary.run("CONFIG", "SET", "metrics-slots", 0)
    assert not [name for name, _ in samples(watched.ports[0]) if name.startswith("shoal_slot_")]
    watched.primary.run("CONFIG", "SET", "metrics-slots", 4)


def test_a_page_is_short_whatever_the_cluster_has(watched: Watched) -> None:
    """Of 16384 slots, all owned: a scrape does not grow with them."""
    assert len(scrape(watched.ports[0])) < 100_000


def test_only_what_there_is_is_served(watched: Watched) -> None:
    port = watched.ports[0]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        scrape(port, "/")
    with pytest.raises(urllib.error.HTTPError, match="405"):
        scrape(port, method="POST")
    assert scrape(port, method="HEAD") == ""


def test_a_proxy_serves_a_status_page_and_its_figures(watched: Watched) -> None:
    port = watched.ports[2]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as response:
        policy = response.headers["Content-Security-Policy"]
        scripts = re.findall(r'src="(\w+\.js)"', response.read().decode())
    assert policy.startswith("default-src 'none'; script-src 'self';") and "unsafe" not in policy
    assert scripts and all(scrape(port, f"/{script}") for script in scripts)
    (node,) = json.loads(scrape(port, "/status.json"))["nodes"]
    assert (node["address"], node["role"], node["state"]) == (watched.primary.address, "primary", "ok")
    slots = json.loads(scrape(port, "/slots.json"))
    assert slots["owners"] == [[0, 16383, node["id"]]]
    with pytest.raises(urllib.error.HTTPError, match="405"):
        scrape(port, "/status.json", method="POST")


SERIES = re.compile(r"\b(?:redis|shoal)_[a-z_]+")


def named_in(path: Path) -> set[str]:
    return set(SERIES.findall(path.read_text()))


def test_dashboards_and_alerts_name_what_there_is(watched: Watched) -> None:
    use(watched)
    watched.proxy.run("GET", "k1")
    told = {name for port in watched.ports for name, _ in samples(port)}
    for path in [*sorted(METRICS.glob("dashboards/*.json")), METRICS / "alerts.yml"]:
        named = named_in(path)
        assert named
        assert named - told == set(), path.name


def test_spans_of_requests(watched: Watched) -> None:
    """They are sent at the end at the latest; and name no key."""
    with watched.proxy.resp() as client:
        client.command("SET", "a-key", "a-value")
        client.command("GET", "a-key")
        assert client.command("SLOWLOG", "LEN", "NODE", "PROXY") == 0
    watched.proxy.stop()
    (told, *_) = [span for span in watched.collector.spans if span.name == "SET"]
    attributes = {each.key: each.value for each in told.attributes}
    assert attributes["db.operation.name"].string_value == "SET"
    assert attributes["server.port"].int_value == watched.primary.port
    assert attributes["client.address"].string_value.startswith("127.0.0.1:")
    assert 0 < told.end_time_unix_nano - told.start_time_unix_nano < 10**10
    assert "a-key" not in str(watched.collector.spans) and "a-value" not in str(watched.collector.spans)
