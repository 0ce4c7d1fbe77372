"""A cluster whose members prove that they know a secret: strangers stay out, real servers are let in only
where nobody insists, secrets are replaced, and none is left behind anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.resp import Error, Simple
from tests.harness.servers import ShoalNode
from tests.harness.wait import eventually

SECRET = "one that is long enough"
OTHER = "another that is long enough"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    file = tmp_path_factory.mktemp("secret") / "secret"
    file.write_text(f"{SECRET}\n")
    with cluster_of(3, cluster_secret_file=str(file), cluster_secret_required="yes") as cluster:
        yield cluster


def known_to(node: ShoalNode) -> int:
    with node.client() as client:
        return int(client.cluster("info")["cluster_known_nodes"])


def figure(node: ShoalNode, name: str) -> int:
    with node.client() as client:
        return int(client.cluster("info")[name])


def test_members_know_each_other(guarded: RunningCluster) -> None:
    assert guarded.is_settled()
    assert all(SECRET not in node.log for node in guarded.nodes)
    assert all(SECRET not in (node.directory / "nodes.conf").read_text() for node in guarded.nodes)


def test_a_stranger_stays_out(guarded: RunningCluster) -> None:
    """It meets a member, which hears it and takes no notice; and joins once it has the secret. Then it
    replicates, stands for election, and gets the votes of all."""
    first = guarded.nodes[0]
    with ShoalNode(cluster_enabled="yes", cluster_node_timeout=2000) as stranger:
        before = figure(first, "cluster_stats_messages_received")
        stranger.run("CLUSTER", "MEET", first.host, first.port)
        eventually(lambda: _goes_on(first, before), "the members go on")
        assert known_to(first) == 3
        stranger.run("CLUSTER", "RESET", "SOFT")
        stranger.run("CONFIG", "SET", "cluster-secret", SECRET, "cluster-secret-required", "yes")
        stranger.run("CLUSTER", "MEET", first.host, first.port)
        eventually(lambda: known_to(stranger) == 4 and known_to(guarded.nodes[2]) == 4, "it has joined")
        stranger.run("CLUSTER", "REPLICATE", guarded.id_of(first))
        eventually(lambda: stranger.info("replication")["master_link_status"] == "up", "it follows")
        name, primary = stranger.run("CLUSTER", "MYID").decode(), guarded.id_of(first)
        eventually(
            lambda: all(guarded.view(node)[name].primary_id == primary for node in guarded.nodes),
            "all know whose replica it is, so nobody denies it the vote",
        )
        eventually(lambda: stranger.run("CLUSTER", "FAILOVER") == Simple("OK"), "it stands")
        eventually(lambda: stranger.info("replication")["role"] == "master", "it has got the votes")
        eventually(lambda: first.info("replication")["role"] == "slave", "and is believed")
        eventually(lambda: first.info("replication")["master_link_status"] == "up", "and followed")
        first.run("CLUSTER", "FAILOVER")
        eventually(lambda: first.info("replication")["role"] == "master", "all is as before")
        for node in guarded.nodes:
            node.run("CLUSTER", "FORGET", name)


def _goes_on(node: ShoalNode, before: int) -> bool:
    """It has heard the others some more times, and so had time for the stranger."""
    return figure(node, "cluster_stats_messages_received") > before + 10


def test_a_secret_is_replaced_under_way(guarded: RunningCluster) -> None:
    file = Path(guarded.nodes[0].config["cluster-secret-file"])  # type: ignore[arg-type]
    for lines in (f"{SECRET}\n{OTHER}\n", f"{OTHER}\n{SECRET}\n", f"{OTHER}\n"):
        file.write_text(lines)
        for node in guarded.nodes:
            assert node.run("CONFIG", "SET", "cluster-secret-file", str(file)) == Simple("OK")
    before = [figure(node, "cluster_stats_messages_received") for node in guarded.nodes]
    for node, count in zip(guarded.nodes, before, strict=True):
        eventually(lambda node=node, count=count: _goes_on(node, count), "it hears the others")
    assert guarded.is_settled()


def test_what_cannot_be_used_is_refused(guarded: RunningCluster) -> None:
    node = guarded.nodes[0]
    for name, value, why in (
        ("cluster-secret", "short", "at least 16 characters"),
        ("cluster-secret-file", "/no/such/file", "No such file"),
        ("cluster-secret-file", "", "cluster-secret-required needs"),
    ):
        refused = node.run("CONFIG", "SET", name, value)
        assert isinstance(refused, Error) and why in refused.text
    assert guarded.is_settled()


def test_real_servers_do_not_notice() -> None:
    with cluster_of(3, kind=("shoal", "redis", "valkey")) as cluster:
        ours, *real = cluster.nodes
        assert ours.run("CONFIG", "SET", "cluster-secret", SECRET) == Simple("OK")
        for server in real:
            server.restart()  # new connections, with greetings
        cluster.wait_settled()
        assert not [node for node in real if "nknown packet" in node.log or "nknown extension" in node.log]
