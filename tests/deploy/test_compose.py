"""docker-compose.yml, for real: what it brings up without any option, who can use it, and how it grows.

Slow (an image is made and built) and in need of root and Docker, so it is not among `pytest`'s default
paths: `pytest tests/deploy` runs it, and .ci/run does.
"""

from __future__ import annotations

import json
from collections import Counter
from urllib.request import urlopen

import pytest
import redis

from tests.chaos.scale import FULL
from tests.deploy.clients import Writers
from tests.deploy.engine import Composition
from tests.harness.wait import eventually

pytestmark = pytest.mark.timeout(2400)

CLUSTER_CLIENT = """
import redis
cluster = redis.RedisCluster("worker-2", 7000)
assert all(cluster.get(f"outside:{number}") == b"%d" % number for number in range(200))
print(sorted({node.port for node in cluster.get_nodes()}), len(cluster.get_primaries()), "primaries")
"""
WORKERS = ("worker-1", "worker-2", "worker-3")


def proxy(composition: Composition) -> redis.Redis:
    return redis.Redis("127.0.0.1", composition.proxy_ports[0], socket_timeout=30, decode_responses=True)


def members(composition: Composition) -> dict[str, int]:
    """Ids, and how many slots each has."""
    told = json.loads(composition.inside("worker-1", "shoal", "nodes", "--json", "127.0.0.1:7000"))
    return {node["id"]: node["slot_count"] for node in told}


def test_three_workers_and_a_proxy_come_up_and_serve_all_slots(composition: Composition) -> None:
    composition.run("up", "-d", "--no-build")

    def serves_all(client: redis.Redis) -> bool:
        return all(client.set(f"outside:{number}", number) for number in range(200))

    with proxy(composition) as client:
        eventually(lambda: serves_all(client), "keys of all slots can be written", timeout=120)
        assert [client.get(f"outside:{number}") for number in range(200)] == [str(n) for n in range(200)]
    eventually(lambda: composition.is_healthy("proxy"), "the proxy is healthy", timeout=60)
    page = f"http://127.0.0.1:{composition.published('proxy', 9122)}"
    with urlopen(f"{page}/status.json", timeout=30) as told:
        assert json.load(told)["cluster"]["slots"] == 16384
    with urlopen(page, timeout=30) as shown:
        assert b"status.js" in shown.read(), "the page is part of what is installed"


def test_cluster_clients_are_told_addresses_that_they_can_reach(composition: Composition) -> None:
    told = composition.inside("worker-3", "python3", "-c", CLUSTER_CLIENT)
    assert told.strip() == "[7000] 3 primaries"
    with redis.RedisCluster("127.0.0.1", composition.worker_ports[2], decode_responses=True) as cluster:
        assert all(cluster.get(f"outside:{number}") == str(number) for number in range(200))
        found = {(node.host, node.port) for node in cluster.get_nodes()}
    assert found == {("127.0.0.1", port) for port in composition.worker_ports[:3]}


def test_containers_have_no_more_rights_than_they_need(composition: Composition) -> None:
    for service in (*WORKERS, "proxy", "tender"):
        container = composition.container(service)
        assert container.attrs["HostConfig"]["ReadonlyRootfs"]
        assert container.attrs["HostConfig"]["CapDrop"] == ["ALL"]
        processes = container.top(ps_args="-o uid,pid,comm")["Processes"]
        assert {user for user, *_ in processes} == {"999"}
    code, output = composition.container("proxy").exec_run(["sh", "-c", "command -v gcc pip; touch /opt/x"])
    assert code != 0 and b"Read-only file system" in output and b"gcc" not in output and b"pip" not in output


def test_it_grows_by_scaling_and_rebalances(composition: Composition) -> None:
    composition.environment["SHOAL_REPLICAS"] = "0"

    def shares() -> list[int]:
        return sorted(members(composition).values())

    with Writers(composition.proxy_ports[:1]) as writers:
        composition.run("up", "-d", "--no-build", "--scale", "worker=1")
        eventually(lambda: shares() == [4096] * 4, lambda: f"four have equal shares: {shares()}", timeout=120)
        writers.goes_on()
    writers.check()
    assert not writers.errors, writers.errors[:10]
    with redis.RedisCluster("127.0.0.1", composition.worker_ports[0], decode_responses=True) as cluster:
        assert all(cluster.get(f"outside:{number}") == str(number) for number in range(200))
        ports = Counter(node.port for node in cluster.get_primaries())
    assert ports == Counter([*composition.worker_ports[:3], composition.proxy_ports[0]])


@pytest.mark.skipif(not FULL, reason="in the long form: test_upgraded keeps data over containers, too")
def test_data_and_members_outlive_the_containers(composition: Composition) -> None:
    before = members(composition)
    composition.run("down", "--timeout", "30")
    composition.run("up", "-d", "--no-build", "--scale", "worker=1")
    eventually(lambda: composition.is_healthy("worker"), "the fourth serves again", timeout=120)
    eventually(lambda: composition.is_healthy("proxy"), "and the proxy", timeout=120)
    with proxy(composition) as client:
        assert [client.get(f"outside:{number}") for number in range(200)] == [str(n) for n in range(200)]
    assert members(composition) == before
