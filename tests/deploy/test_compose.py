"""docker-compose.yml, for real: containers on an engine, formed, used, killed and healed.

Slow (an image is made and built) and in need of root and Docker, so it is not among `pytest`'s default
paths: `pytest tests/deploy` runs it, and .ci/run does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.deploy.engine import Composition, engine, ensure_base_image
from tests.harness.ports import lease_port, release_port
from tests.harness.wait import eventually

pytestmark = pytest.mark.timeout(900)

CLUSTER_CLIENT = """
import redis
cluster = redis.RedisCluster("worker-2", 7000)
for number in range(300):
    cluster.set(f"inside:{number}", number)
assert all(cluster.get(f"inside:{number}") == b"%d" % number for number in range(300))
print(len(cluster.get_primaries()), "primaries")
"""


@pytest.fixture(scope="module")
def composition() -> Iterator[Composition]:
    port = lease_port()
    with engine() as client:
        ensure_base_image(client)
        composition = Composition(client, f"shoaltest{port}", port)
        try:
            composition.run("build", "worker-1")
            composition.run("up", "-d", "--no-build")
            yield composition
        finally:
            composition.run("down", "--volumes", "--timeout", "5")
            release_port(port)


def proxy(composition: Composition) -> redis.Redis:
    return redis.Redis("127.0.0.1", composition.proxy_port, socket_timeout=5, decode_responses=True)


def test_forms_by_itself_serves_heals_and_takes_back(composition: Composition) -> None:
    with proxy(composition) as client:
        _forms_and_serves(client, composition)
        _heals_after_a_kill(client, composition)
        _takes_the_killed_worker_back(composition)


def _forms_and_serves(client: redis.Redis, composition: Composition) -> None:
    def serves_all() -> bool:
        for number in range(200):
            client.set(f"outside:{number}", number)
        return True

    eventually(serves_all, "the proxy serves keys of all slots", timeout=90)
    assert [client.get(f"outside:{number}") for number in range(200)] == [str(n) for n in range(200)]
    assert "3 primaries" in composition.inside("worker-5", "python3", "-c", CLUSTER_CLIENT)


def _heals_after_a_kill(client: redis.Redis, composition: Composition) -> None:
    victim = composition.container("worker-1")

    def replicas_in_step() -> bool:
        return _replication(composition, "worker-1")["connected_slaves"] == 1

    eventually(replicas_in_step, "worker-1 has its replica", timeout=30)
    victim.kill("SIGKILL")

    def healed() -> bool:
        return all(client.set(f"outside:{n}", n + 1) and client.get(f"outside:{n}") for n in range(200))

    eventually(healed, "every slot is served without worker-1", timeout=60)
    assert client.get("outside:7") == "8"


def _replication(composition: Composition, service: str) -> dict[str, Any]:
    """INFO replication of a worker, asked for inside its container."""
    script = "import json, redis; print(json.dumps(redis.Redis(port=7000).info('replication')))"
    return dict(json.loads(composition.inside(service, "python3", "-c", script)))


def _takes_the_killed_worker_back(composition: Composition) -> None:
    composition.container("worker-1").start()

    def is_replica() -> bool:
        return _replication(composition, "worker-1")["role"] == "slave"

    eventually(is_replica, "worker-1 comes back as a replica", timeout=60)
    eventually(
        lambda: composition.inside("worker-2", "shoal", "check", "worker-2:7000"),
        "the cluster is sound again",
        timeout=60,
    )
