"""Workers with seeds and an expected size become a cluster, and stay one, with nobody creating it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.ports import lease_port, release_port
from tests.harness.servers import ShoalNode
from tests.harness.shoal_command import shoal
from tests.harness.wait import eventually

ELSEWHERE = "127.0.0.21"
"""Where they are after they have moved."""


@contextmanager
def workers(number: int, replicas: int) -> Iterator[list[ShoalNode]]:
    """So many, not started. Their seeds are the first two, where these are now and where they will be."""
    with ExitStack() as stack:
        ports = [lease_port() for _ in range(number)]
        for port in ports:
            stack.callback(release_port, port)
        seeds = [f"{host}:{port}" for host in ("localhost", ELSEWHERE) for port in ports[:2]]
        found = [
            ShoalNode(
                port,
                cluster_enabled="yes",
                cluster_node_timeout=2000,
                cluster_seeds=" ".join(seeds),
                cluster_expected_size=number,
                cluster_expected_replicas=replicas,
                appendonly="yes",
                availability_zone=zone,
            )
            for port, zone in zip(ports, "aabbcc"[:number], strict=True)
        ]
        for node in found:
            stack.push(node)
        yield found


def start(nodes: list[ShoalNode]) -> None:
    for node in nodes:
        node.start(wait=False)
    for node in nodes:
        node.wait_ready()


def await_whole(cluster: RunningCluster) -> None:
    """All slots served by three, with a replica each."""

    def whole() -> bool:
        return cluster.is_settled() and [len(cluster.replicas_of(each)) for each in cluster.primaries] == [
            1,
            1,
            1,
        ]

    eventually(whole, lambda: "".join(f"{node!r}:\n{node.log[-1500:]}" for node in cluster.nodes), 40)


def move(nodes: list[ShoalNode]) -> None:
    """As containers do that are made anew."""
    for node in nodes:
        node.host = ELSEWHERE
        node.config |= {"bind": ELSEWHERE, "bind-source-addr": ELSEWHERE}


def test_they_form_a_cluster_and_find_each_other_again() -> None:
    """A seed comes late; then all come back elsewhere, together, and one of them without what it had. Nobody
    replicates a primary of its own zone."""
    with workers(6, replicas=1) as nodes:
        late, *early = nodes
        start(early)
        eventually(lambda: len(RunningCluster(early).view(early[-1])) == 5, "they know each other")
        late.start()
        cluster = RunningCluster(nodes)
        await_whole(cluster)
        zones = {node: node.config["availability-zone"] for node in nodes}
        for primary in cluster.primaries:
            assert zones[cluster.replicas_of(primary)[0]] != zones[primary]
        assert {zones[primary] for primary in cluster.primaries} == {"a", "b", "c"}
        with cluster.client() as client:
            client.set("key", "value")
        before = {node: cluster.id_of(node) for node in nodes}
        bare = cluster.replicas[0]
        for node in nodes:
            node.stop()
        move(nodes)
        shutil.rmtree(bare.directory)
        bare.directory.mkdir()
        start(nodes)
        moved = RunningCluster(nodes)
        await_whole(moved)
        assert {node: moved.id_of(node) == before[node] for node in nodes} == {
            node: node is not bare for node in nodes
        }
        with moved.client() as client:
            assert client.get("key") == b"value"
        lost = moved.view(nodes[0])[before[bare]]
        assert (lost.slots, "fail" in lost.flags) == ([], True)


def test_a_latecomer_gets_its_share_and_stays_away_once_it_is_let_go() -> None:
    with ExitStack() as stack:
        cluster = stack.enter_context(cluster_of(3, kind="valkey"))
        entry = cluster.nodes[0]
        late = stack.enter_context(ShoalNode(cluster_enabled="yes", cluster_seeds=entry.address))
        everybody = RunningCluster([*cluster.nodes, late])
        eventually(
            lambda: all(everybody.id_of(late) in everybody.view(node) for node in cluster.nodes), "it joins"
        )
        told = shoal("tend", entry.address, "--once", "--json").out.splitlines()
        begun, done = (json.loads(line)["text"] for line in told)
        assert begun.startswith(f"moving 4096 slots to {late.address}, by plan ")
        assert done.startswith("moved 4096 slots with 0 keys in ")
        assert shoal("tend", entry.address, "--once", "--json").out == ""
        everybody.wait_settled()

        shoal("del-node", late.address, entry.address, "--yes", "--json")
        eventually(lambda: "has left its cluster" in late.log, lambda: late.log)
        assert len(everybody.view(late)) == 1
        cluster.wait_settled()
