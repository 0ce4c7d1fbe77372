"""Workers with seeds and an expected size become a cluster, and stay one, with nobody creating it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.harness.clusters import RunningCluster
from tests.harness.ports import lease_port, release_port
from tests.harness.servers import ShoalNode
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
            )
            for port in ports
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
    """A seed comes late; then all come back elsewhere, together, and one of them without what it had."""
    with workers(6, replicas=1) as nodes:
        late, *early = nodes
        start(early)
        eventually(lambda: len(RunningCluster(early).view(early[-1])) == 5, "they know each other")
        late.start()
        cluster = RunningCluster(nodes)
        await_whole(cluster)
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


def test_a_worker_that_was_let_go_stays_away() -> None:
    """CLUSTER RESET is no accident."""
    with ExitStack() as stack:
        node = stack.enter_context(ShoalNode(cluster_enabled="yes"))
        other = stack.enter_context(ShoalNode(cluster_enabled="yes", cluster_seeds=node.address))
        cluster = RunningCluster([node, other])
        eventually(lambda: cluster.id_of(other) in cluster.view(node), "it has joined")
        node.run("CLUSTER", "FORGET", cluster.id_of(other))
        other.run("CLUSTER", "RESET")
        eventually(lambda: "has left its cluster" in other.log, lambda: other.log)
        assert len(cluster.view(other)) == 1
