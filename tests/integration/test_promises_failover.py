"""The promise of failover: kill -9 of a primary is felt for at most cluster-node-timeout + 2 s.

redis-py's cluster client, sync and asyncio, with RESP2 and RESP3, and plain clients behind the proxy read
and write versioned values while a primary is killed and comes back. Outside the window: no error, no value
that should not be, and no acknowledged write lost but in the victim's last moments. `SHOAL_FULL=1`: 100,000
requests for each kind of client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
import redis.asyncio

from tests.chaos.failover import Outage, evidence, kill_and_return
from tests.chaos.load import Load, TaskLoad, ThreadLoad
from tests.chaos.scale import FULL, scaled
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy

NODE_TIMEOUT = 2000
ALLOWED = NODE_TIMEOUT / 1000 + 2
COUNT = scaled(8_000, 100_000)

pytestmark = [pytest.mark.alone, pytest.mark.timeout(scaled(120, 900))]


@pytest.fixture(scope="module")
def formed() -> Iterator[RunningCluster]:
    """3 + 3; every test kills one and leaves it a replica."""
    with cluster_of(3, replicas=1, node_timeout=NODE_TIMEOUT) as running:
        yield running


@pytest.fixture
def cluster(formed: RunningCluster) -> RunningCluster:
    """Whole and empty."""
    formed.wait_settled()
    for primary in formed.primaries:
        primary.run("FLUSHALL")
    return formed


def hold(load: Load, outage: Outage, report: Callable[[str], None], who: str) -> None:
    report(f"failover, {who}: {outage}")
    assert load.impossible == []
    assert outage.errors_before == []
    assert outage.errors_after == []
    assert outage.losses_unexplained == []
    assert outage.window <= ALLOWED


@pytest.mark.parametrize(
    ("style", "protocol"),
    [("sync", 2), ("asyncio", 3), *([("sync", 3), ("asyncio", 2)] if FULL else [])],
)
def test_cluster_clients(
    cluster: RunningCluster, report: Callable[[str], None], style: str, protocol: int
) -> None:
    victim = cluster.primaries[0]
    entry = cluster.primaries[1]

    def connect() -> redis.RedisCluster:
        return redis.RedisCluster(host=entry.host, port=entry.port, protocol=protocol)

    async def connect_async() -> redis.asyncio.RedisCluster:
        return await redis.asyncio.RedisCluster(host=entry.host, port=entry.port, protocol=protocol)

    load: Load = ThreadLoad(connect, workers=2) if style == "sync" else TaskLoad(connect_async, workers=4)
    with evidence(cluster):
        outage = kill_and_return(cluster, load, victim, COUNT, ALLOWED)
        hold(load, outage, report, f"{style} RedisCluster, RESP{protocol}")


def test_plain_clients_behind_the_proxy(cluster: RunningCluster, report: Callable[[str], None]) -> None:
    victim = cluster.primaries[0]
    with ShoalProxy([cluster.primaries[1].address]) as proxy, evidence(cluster):
        load = ThreadLoad(proxy.client, workers=2)
        outage = kill_and_return(cluster, load, victim, COUNT, ALLOWED)
        hold(load, outage, report, "redis.Redis through the proxy")
