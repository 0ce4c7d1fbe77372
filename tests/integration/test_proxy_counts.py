"""What a proxy counts of requests: INFO, LATENCY HISTOGRAM and SLOWLOG of NODE PROXY, and for Prometheus."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.ports import lease_port, release_port
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Resp, Simple, encode
from tests.harness.wait import eventually


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, kind="valkey", enable_debug_command="yes") as running:
        yield running


@pytest.fixture(scope="module")
def metrics_port() -> Iterator[int]:
    port = lease_port()
    yield port
    release_port(port)


@pytest.fixture(scope="module")
def proxy(cluster: RunningCluster, metrics_port: int) -> Iterator[ShoalProxy]:
    with ShoalProxy(cluster.addresses, "--metrics-port", str(metrics_port)) as running:
        yield running


@pytest.fixture
def client(proxy: ShoalProxy) -> Iterator[Resp]:
    with proxy.resp(timeout=20) as connection:
        assert connection.command("CONFIG", "RESETSTAT", "NODE", "PROXY") == Simple("OK")
        assert connection.command("SLOWLOG", "RESET", "NODE", "PROXY") == Simple("OK")
        yield connection


def info(client: Resp, *arguments: str) -> dict[str, str]:
    text = client.command("INFO", "NODE", "PROXY", *arguments).decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def of(fields: dict[str, str], name: str) -> dict[str, float]:
    return {key: float(value) for key, value in (part.split("=") for part in fields[name].split(","))}


def use(client: Resp) -> None:
    """10 SET that succeed and 2 GET that fail, over two ways; and some others."""
    client.send(b"".join(encode("SET", f"k{number}", number) for number in range(10)))
    assert [client.read() for _ in range(10)] == [Simple("OK")] * 10
    client.command("LPUSH", "list", 1)
    assert {client.command("GET", "list").prefix for _ in range(2)} == {"WRONGTYPE"}
    client.command("MGET", *(f"k{number}" for number in range(10)))
    client.command("GET")
    client.command("NONSENSE")
    client.command("CLIENT", "ID")
    client.command("BLPOP", "list", 1)


def test_commands_are_counted_as_in_redis(client: Resp) -> None:
    use(client)
    counted = info(client, "commandstats", "errorstats", "latencystats")
    assert of(counted, "cmdstat_set").keys() == {
        "calls", "usec", "usec_per_call", "rejected_calls", "failed_calls",
    }  # fmt: skip
    expected = {
        "set": (10, 0, 0),
        "get": (2, 1, 2),
        "mget": (1, 0, 0),
        "client|id": (1, 0, 0),
        "blpop": (1, 0, 0),
    }
    for name, figures in expected.items():
        row = of(counted, f"cmdstat_{name}")
        assert (row["calls"], row["rejected_calls"], row["failed_calls"]) == figures, name
    assert of(counted, "cmdstat_set")["usec"] > 0
    assert of(counted, "cmdstat_blpop")["usec"] == 0, "blocking is not timed"
    assert counted["errorstat_WRONGTYPE"] == "count=2"
    assert counted["errorstat_ERR"] == "count=2"
    assert of(counted, "latency_percentiles_usec_set").keys() == {"p50", "p99", "p99.9"}
    histogram = client.command("LATENCY", "HISTOGRAM", "NODE", "PROXY", "set", "client")
    assert histogram[0] == b"set"
    assert histogram[1][:2] == [b"calls", 10]
    assert histogram[1][3][-1] == 10
    assert histogram[2] == b"client|id"
    client.command("CONFIG", "RESETSTAT", "NODE", "PROXY")
    assert "cmdstat_set" not in info(client, "commandstats")


def test_workers_are_told_apart(client: Resp, cluster: RunningCluster) -> None:
    use(client)
    rows = [value for name, value in info(client, "proxy").items() if name.startswith("upstream")]
    figures = [dict(part.split("=") for part in row.split(",")) for row in rows]
    assert {row["addr"] for row in figures} >= set(cluster.addresses)
    assert sum(int(row["errors"]) for row in figures) >= 2
    assert all(float(row["p99"]) >= float(row["p50"]) > 0 for row in figures if int(row["requests"]))


def test_slow_requests(client: Resp, cluster: RunningCluster) -> None:
    client.command("CLIENT", "SETNAME", "me")
    key = next(f"k{n}" for n in range(99) if cluster.owner_of(f"k{n}") is cluster.nodes[0])
    with cluster.nodes[0].resp() as worker:
        worker.send_command("DEBUG", "SLEEP", "0.2")
        eventually(lambda: slow(client, key), "a request has met the sleeping worker")
        worker.read()
    ((number, _, took, argv, peer, name),) = client.command("SLOWLOG", "GET", "NODE", "PROXY")
    assert took > 10_000
    assert argv == [b"GET", key.encode()]
    assert peer.startswith(b"127.0.0.1:")
    assert name == b"me"
    assert client.command("SLOWLOG", "LEN", "NODE", "PROXY") == 1
    assert client.command("SLOWLOG", "GET", "NODE", "PROXY", "-2").prefix == "ERR"
    assert client.command("SLOWLOG", "RESET", "NODE", "PROXY") == Simple("OK")
    client.command("CONFIG", "SET", "NODE", "PROXY", "slowlog-log-slower-than", "0", "slowlog-max-len", "2")
    client.command("MSET", "a", 1, "b", 2, "c", 3)
    client.command("BLPOP", "nobody", "0.01")
    rows = client.command("SLOWLOG", "GET", "NODE", "PROXY", "-1")
    assert [row[3][0] for row in rows] == [b"MSET", b"MSET"], "part by part, and without what blocks"
    assert rows[0][0] > number
    began = time.monotonic()
    client.send(encode("GET", "a") * 500)
    for _ in range(500):
        client.read()
    newest = client.command("SLOWLOG", "GET", "NODE", "PROXY", "1")[0][0]
    held = 128 + 2 * (time.monotonic() - began + 1)  # before, in this second, and now, in later ones
    assert newest - rows[0][0] <= held, "no more in a second than it holds"
    client.command(
        "CONFIG", "SET", "NODE", "PROXY", "slowlog-log-slower-than", "10000", "slowlog-max-len", "128"
    )


def slow(client: Resp, key: str) -> bool:
    client.command("GET", key)
    return bool(client.command("SLOWLOG", "LEN", "NODE", "PROXY"))


def page(port: int, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        return str(response.read(), "utf-8")


def test_prometheus(client: Resp, metrics_port: int, cluster: RunningCluster) -> None:
    use(client)
    samples = {
        (
            sample.name,
            sample.labels.get("cmd") or sample.labels.get("err") or sample.labels.get("worker"),
        ): sample
        for family in text_string_to_metric_families(page(metrics_port))
        for sample in family.samples
    }
    values = {key: sample.value for key, sample in samples.items()}
    assert values["redis_up", None] == 1
    assert values["redis_connected_clients", None] == 1
    assert values["redis_commands_total", "set"] == 10
    assert values["redis_commands_failed_calls_total", "get"] == 2
    assert values["redis_commands_rejected_calls_total", "get"] == 1
    assert values["redis_errors_total", "WRONGTYPE"] == 2
    assert values["redis_commands_latencies_usec_count", "set"] == 10
    assert values["redis_commands_latencies_usec_sum", "set"] > 0
    assert values["redis_commands_duration_seconds_total", "set"] > 0
    assert values["shoal_proxy_slots_served", None] == 16384
    for address in cluster.addresses:
        assert ("shoal_proxy_upstream_up", address) in values
        assert ("shoal_proxy_upstream_latency_seconds_count", address) in values
        assert ("shoal_proxy_upstream_connects_total", address) in values
        assert ("shoal_proxy_upstream_waits_total", address) in values
    with pytest.raises(urllib.error.HTTPError, match="404"):
        page(metrics_port, "/nothing")
