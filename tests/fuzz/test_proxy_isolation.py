"""Order and isolation: many clients of one proxy do everything at once, and each gets what is its own.

Meanwhile workers hang up on the proxy's connections, of any kind. Afterwards nothing is left: no borrowed
connection, no client, no subscription. `SHOAL_FULL=1`: 200 clients for a minute.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.chaos.scale import FULL
from tests.fuzz.proxy_client import FuzzClient
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.wait import eventually

CLIENTS = 200 if FULL else 40
SECONDS = 60.0 if FULL else 2.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, kind=["valkey", "shoal"]) as running:
        yield running


def converse(client: FuzzClient, until: threading.Event, failures: list[str]) -> None:
    try:
        while not until.is_set() and not failures:
            client.round()
    except Exception as error:
        failures.append(f"client {client.name}: {error!r}")
    finally:
        client.close()


def hang_up(cluster: RunningCluster, rng: random.Random) -> None:
    """A worker closes all connections of a kind, the proxy's among them."""
    rng.choice(cluster.nodes).run("CLIENT", "KILL", "TYPE", rng.choice(("normal", "normal", "pubsub")))


def test_nobody_gets_what_is_not_meant_for_him(cluster: RunningCluster) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    failures: list[str] = []
    done = threading.Event()
    with ShoalProxy(cluster.addresses, "--resend", "reads") as proxy:  # so that nothing is given twice
        clients = [FuzzClient(proxy, name, CLIENTS, seed) for name in range(CLIENTS)]
        threads = [threading.Thread(target=converse, args=(client, done, failures)) for client in clients]
        for thread in threads:
            thread.start()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not failures:
            done.wait(rng.uniform(0.05, 0.4))
            hang_up(cluster, rng)
        done.set()
        for thread in threads:
            thread.join(40)
        assert not failures
        assert not any(thread.is_alive() for thread in threads)
        gifts = Counter(gift for client in clients for gift in client.received)
        assert gifts, "nobody got anything"
        assert max(gifts.values()) == 1
        assert sum(client.errors for client in clients) > 0, "no worker hung up on anybody"
        nothing_is_left(cluster, proxy)


def nothing_is_left(cluster: RunningCluster, proxy: ShoalProxy) -> None:
    eventually(lambda: proxy.facts()["dedicated_connections"] == "0", "nothing is borrowed")
    eventually(lambda: proxy.info("clients")["connected_clients"] == 1, "all clients are gone")
    for node in cluster.nodes:
        eventually(lambda node=node: not node.info("clients")["blocked_clients"], "nobody waits")
        with node.client() as direct:
            assert not any("O" in row["flags"] for row in direct.client_list()), "a monitoring line is left"
            assert len(direct.client_list()) < 100
            subscribed = direct.pubsub_channels() + direct.execute_command("PUBSUB", "SHARDCHANNELS")
            assert not subscribed
