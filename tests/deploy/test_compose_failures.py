"""What containers go through, while clients write: killed, paused, made anew, upgraded, and more of them.

Three primaries with a replica each and two proxies, in synchronous mode: what was acknowledged is there in
the end, whatever happened. An upgrade of everything, one after the other, is noticed by no client. The short
form upgrades one shard and both proxies, and leaves out what an upgrade does as well; SHOAL_FULL=1 does all
of it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
import redis

from tests.chaos.scale import FULL
from tests.deploy.clients import Writers
from tests.deploy.engine import IMAGE, Composition
from tests.deploy.test_compose import members
from tests.harness.wait import eventually

pytestmark = pytest.mark.timeout(2400)

NEXT = f"{IMAGE}-next"
WORKERS = [f"worker-{number}" for number in range(1, 7)]
PROXIES = ("proxy", "proxy-2")


@pytest.fixture(scope="module")
def cluster(composition: Composition) -> Composition:
    composition.environment["SHOAL_SYNCHRONOUS"] = "1"
    composition.run("up", "-d", "--no-build", *WORKERS, *PROXIES, "tender")
    eventually(lambda: all_well(composition), "every primary has its replica", timeout=120)
    return composition


@pytest.fixture
def writers(cluster: Composition) -> Iterator[Writers]:
    with Writers(cluster.proxy_ports) as writers:
        writers.goes_on()
        yield writers


def worker(cluster: Composition, service: str) -> redis.Redis:
    """A client of one worker, by its published port."""
    port = cluster.worker_ports[WORKERS.index(service)]
    return redis.Redis("127.0.0.1", port, socket_timeout=5, decode_responses=True)


def role(cluster: Composition, service: str) -> dict[str, object]:
    with worker(cluster, service) as client:
        return dict(client.info("replication"))


def primaries(cluster: Composition) -> list[str]:
    return [service for service in WORKERS if role(cluster, service)["role"] == "master"]


def all_well(cluster: Composition) -> bool:
    facts = [role(cluster, service) for service in WORKERS]
    replicas = [fact["connected_slaves"] for fact in facts if fact["role"] == "master"]
    return replicas == [1, 1, 1] and all(cluster.is_healthy(service) for service in (*WORKERS, *PROXIES))


def shard_of(cluster: Composition, primary: str) -> list[str]:
    """Its replica, and then itself."""
    with worker(cluster, primary) as client:
        shard = client.cluster("myshardid")
    members = []
    for service in WORKERS:
        with worker(cluster, service) as client:
            if client.cluster("myshardid") == shard:
                members.append(service)
    return [service for service in members if service != primary] + [primary]


def settles(cluster: Composition) -> None:
    eventually(lambda: all_well(cluster), "every primary has its replica again", timeout=120)


def takes_over(cluster: Composition, victim: str, replica: str) -> None:
    eventually(lambda: role(cluster, replica)["role"] == "master", f"{replica} succeeds {victim}", timeout=60)


def ends_well(cluster: Composition, writers: Writers, victim: str) -> None:
    """The former primary is a replica, everything is written again, and nothing is missing. Meanwhile writes
    had to be refused: in synchronous mode a primary whose only replica is away takes none."""
    settles(cluster)
    assert role(cluster, victim)["role"] == "slave"
    writers.goes_on()
    writers.__exit__()
    writers.check()


def test_killed(cluster: Composition, writers: Writers) -> None:
    replica, victim = shard_of(cluster, primaries(cluster)[0])
    cluster.container(victim).kill("SIGKILL")
    takes_over(cluster, victim, replica)
    cluster.container(victim).start()
    ends_well(cluster, writers, victim)


def test_paused(cluster: Composition, writers: Writers) -> None:
    """By a signal: `docker pause` needs a part of the kernel that not every machine has."""
    replica, victim = shard_of(cluster, primaries(cluster)[0])
    cluster.container(victim).kill("SIGSTOP")
    try:
        takes_over(cluster, victim, replica)
    finally:
        cluster.container(victim).kill("SIGCONT")
    ends_well(cluster, writers, victim)


@pytest.mark.skipif(not FULL, reason="in the long form: test_upgraded makes containers anew, too")
def test_made_anew(cluster: Composition, writers: Writers) -> None:
    """As when its machine is lost and its volume is not: another container, another address."""
    replica, victim = shard_of(cluster, primaries(cluster)[0])
    cluster.container(victim).remove(force=True)
    takes_over(cluster, victim, replica)
    cluster.run("up", "-d", "--no-build", "--no-deps", victim)
    ends_well(cluster, writers, victim)


def test_upgraded(cluster: Composition, writers: Writers) -> None:
    """Not in synchronous mode, which with one replica for each refuses writes while that is upgraded."""
    cluster.environment["SHOAL_SYNCHRONOUS"] = "0"
    cluster.inside(
        "worker-1", "shoal", "call", "--at", "127.0.0.1:7000", "CONFIG", "SET", "synchronous-replicas", "0"
    )
    cluster.client.images.build(fileobj=io.BytesIO(f"FROM {IMAGE}\nLABEL version=next\n".encode()), tag=NEXT)
    wanted = cluster.client.images.get(NEXT).id
    cluster.environment["SHOAL_IMAGE"] = NEXT
    writers.goes_on()
    writers.errors.clear()
    for service in [*(WORKERS if FULL else shard_of(cluster, primaries(cluster)[0])), *PROXIES]:
        cluster.run("up", "-d", "--no-build", "--no-deps", service)
        assert cluster.container(service).attrs["Image"] == wanted
        settles(cluster)
        writers.goes_on()
    writers.__exit__()
    writers.check()
    assert not writers.errors, writers.errors[:10]


@pytest.mark.skipif(not FULL, reason="in the long form: test_compose.py scales, too, if not synchronously")
def test_scaled(cluster: Composition, writers: Writers) -> None:
    """A fourth shard: its primary is given slots once it has a replica, without which it takes no writes."""
    cluster.environment["SHOAL_SYNCHRONOUS"] = "1"
    cluster.inside(
        "worker-1", "shoal", "call", "--at", "127.0.0.1:7000", "CONFIG", "SET", "synchronous-replicas", "1"
    )
    writers.goes_on()
    writers.errors.clear()
    cluster.run("up", "-d", "--no-build", "--no-recreate", "--scale", "worker=2", "worker")

    def shares() -> list[int]:
        return sorted(members(cluster).values())

    eventually(
        lambda: [share for share in shares() if share] == [4096] * 4,
        lambda: f"four have equal shares: {shares()}",
        timeout=180,
    )
    writers.goes_on()
    writers.__exit__()
    writers.check()
    assert not writers.errors, writers.errors[:10]
