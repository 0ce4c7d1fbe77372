"""The promise of `shoal up`: a cluster within seconds, that heals by itself, and is gone within seconds.

When a worker dies under the supervisor's eyes, nobody waits until its silence has lasted for
cluster-node-timeout: a replica takes over at once, and the dead one is started again behind it.
`SHOAL_FULL=1`: more requests.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis

from tests.chaos.failover import first_success, judge
from tests.chaos.load import Load, ThreadLoad, some_keys
from tests.chaos.scale import scaled
from tests.harness.ports import lease_consecutive, lease_port, release_port
from tests.harness.shoal_command import shoal
from tests.harness.shoal_up import RunningUp
from tests.harness.wait import eventually

FORMED_WITHIN = 30.0
HEALED_WITHIN = 2.0
"""cluster-node-timeout is 5 s here, so without the supervisor it is 6 or more; mostly it takes 0.2 s."""
STOPPED_WITHIN = 10.0
COUNT = scaled(3_000, 50_000)

pytestmark = [pytest.mark.alone, pytest.mark.timeout(scaled(120, 600))]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningUp]:
    """3 + 3 workers and a proxy, started."""
    first, other = lease_consecutive(6), lease_port()
    cluster = RunningUp(tmp_path / "data", first, other)
    yield cluster
    cluster.close()
    for port in (*range(first, first + 6), other):
        release_port(port)


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def test_it_forms_heals_and_stops_within_seconds(running: RunningUp, report: Callable[[str], None]) -> None:
    started = time.monotonic()
    running.start(*running.first_port_options)
    formed = time.monotonic() - started
    before = running.nodes()

    cluster_load = ThreadLoad(running.cluster_client, 1, some_keys(500, "aware"))
    proxy_load = ThreadLoad(lambda: redis.Redis("127.0.0.1", running.proxy_port), 1, some_keys(500, "plain"))
    with cluster_load, proxy_load:
        for load in (cluster_load, proxy_load):
            load.wait_until(COUNT // 3)
        with running.cluster_client() as client:
            victim = client.get_node_from_key("aware:0").port
        slots = slots_of(running, victim)
        killed_at = time.monotonic()
        worker = running.worker(victim)
        worker.kill()
        worker.wait(5)
        dead_at = time.monotonic()
        for load in (cluster_load, proxy_load):
            heals(load, slots, dead_at)
        eventually(lambda: is_linked_replica(victim), f"{victim} is back as a replica", timeout=30)
        back = time.monotonic() - killed_at
        for load in (cluster_load, proxy_load):
            load.wait_for(COUNT // 3)
            load.wait_until(COUNT)
    report(f"shoal up: formed in {formed:.1f} s; the killed worker was back as a replica after {back:.1f} s")
    for load, who in ((cluster_load, "RedisCluster"), (proxy_load, "redis.Redis through the proxy")):
        outage = judge(load, slots, killed_at, first_success(load, slots, dead_at), HEALED_WITHIN)
        report(f"shoal up, {who}: {outage}")
        assert outage.errors_before == []
        assert outage.errors_after == []
        assert outage.window <= HEALED_WITHIN
        assert outage.losses_unexplained == []
        assert load.impossible == []
    assert formed <= FORMED_WITHIN

    with redis.Redis("127.0.0.1", running.proxy_port) as plain:
        cluster_load.check_all(plain.mget)
        proxy_load.check_all(plain.mget)
        written = {key: plain.get(key) for key in list(cluster_load.scripts[0].ledger)[:100]}
    assert running.process is not None
    processes = family(psutil.Process(running.process.pid))
    started = time.monotonic()
    assert running.stop(signal.SIGTERM) == 0
    stopped = time.monotonic() - started
    assert not [process for process in processes if process.is_running()]
    assert stopped <= STOPPED_WITHIN

    started = time.monotonic()
    running.start()
    resumed = time.monotonic() - started
    report(f"shoal up: stopped in {stopped:.1f} s, and resumed in {resumed:.1f} s")
    after = running.nodes()
    assert after.keys() == before.keys()
    assert {slots for _, slots in after.values()} == {slots for _, slots in before.values()}
    with redis.Redis("127.0.0.1", running.proxy_port) as plain:
        assert {key: plain.get(key) for key in written} == written
    assert shoal("check", f"127.0.0.1:{running.port}", "--json").json["ok"]
    assert running.stop(signal.SIGTERM) == 0


def slots_of(running: RunningUp, port: int) -> set[int]:
    with running.cluster_client() as client:
        primaries = client.nodes_manager.slots_cache.items()
        return {slot for slot, nodes in primaries if nodes[0].port == port}


def heals(load: Load, slots: set[int], since: float) -> None:
    eventually(
        lambda: first_success(load, slots, since),
        lambda: f"the slots of the dead worker served again; the last errors: {load.errors[-3:]}",
        timeout=30,
    )


def is_linked_replica(port: int) -> bool:
    with redis.Redis("127.0.0.1", port) as client:
        facts = client.info("replication")
    return facts["role"] == "slave" and facts["master_link_status"] == "up"
