"""docker-compose.yml, for real: containers on an engine, formed, used, killed and healed.

Slow (an image is made and built) and in need of root and Docker, so it is not among `pytest`'s default
paths: `pytest tests/deploy` runs it, and .ci/run does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from tests.deploy.engine import Composition, engine, ensure_base_image
from tests.harness.ports import lease_port, release_port
from tests.harness.wait import eventually

pytestmark = pytest.mark.timeout(900)

WORKERS = [f"worker-{number}" for number in range(1, 7)]
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
    with ExitStack() as stack:
        port = lease_port()
        stack.callback(release_port, port)
        client = stack.enter_context(engine())
        ensure_base_image(client)
        composition = Composition(client, f"shoaltest{port}", port)
        stack.callback(composition.run, "down", "--volumes", "--timeout", "5")
        composition.run("build", "worker-1")
        composition.run("up", "-d", "--no-build")
        yield composition


def proxy(composition: Composition) -> redis.Redis:
    return redis.Redis("127.0.0.1", composition.proxy_port, socket_timeout=5, decode_responses=True)


def test_forms_by_itself_serves_heals_and_takes_back(composition: Composition) -> None:
    with proxy(composition) as client:
        _forms_and_serves(client, composition)
        killed = _heals_after_a_kill(client, composition)
        _takes_the_killed_worker_back(composition, killed)


def _forms_and_serves(client: redis.Redis, composition: Composition) -> None:
    def serves_all() -> bool:
        for number in range(200):
            client.set(f"outside:{number}", number)
        return True

    eventually(serves_all, "the proxy serves keys of all slots", timeout=90)
    assert [client.get(f"outside:{number}") for number in range(200)] == [str(n) for n in range(200)]
    assert "3 primaries" in composition.inside("worker-5", "python3", "-c", CLUSTER_CLIENT)


def _heals_after_a_kill(client: redis.Redis, composition: Composition) -> str:
    """Returns which worker was killed."""

    def primaries_with_replicas() -> list[str]:
        facts = {worker: _replication(composition, worker) for worker in WORKERS}
        primaries = [worker for worker in WORKERS if facts[worker]["role"] == "master"]
        in_step = all(facts[worker]["connected_slaves"] == 1 for worker in primaries)
        return primaries if in_step and len(primaries) == 3 else []

    victim = eventually(primaries_with_replicas, "every primary has its replica", timeout=30)[0]
    composition.container(victim).kill("SIGKILL")

    def healed() -> bool:
        return all(client.set(f"outside:{n}", n + 1) and client.get(f"outside:{n}") for n in range(200))

    eventually(healed, f"every slot is served without {victim}", timeout=60)
    assert client.get("outside:7") == "8"
    return victim


def _replication(composition: Composition, service: str) -> dict[str, Any]:
    """INFO replication of a worker, asked for inside its container."""
    script = "import json, redis; print(json.dumps(redis.Redis(port=7000).info('replication')))"
    return dict(json.loads(composition.inside(service, "python3", "-c", script)))


def _takes_the_killed_worker_back(composition: Composition, killed: str) -> None:
    composition.container(killed).start()

    def is_replica() -> bool:
        return _replication(composition, killed)["role"] == "slave"

    eventually(is_replica, f"{killed} comes back as a replica", timeout=60)
    other = next(worker for worker in WORKERS if worker != killed)
    eventually(
        lambda: composition.inside(other, "shoal", "check", f"{other}:7000"),
        "the cluster is sound again",
        timeout=60,
    )
