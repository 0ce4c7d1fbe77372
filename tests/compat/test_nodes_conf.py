"""nodes.conf moves between the servers: each reads what the other wrote, and shows the same."""

from __future__ import annotations

import pytest

from cluster.topology.nodes_conf import format_config, format_nodes, parse_config
from tests.harness.servers import Oracle

NOW = 1_700_000_000_000
PEER, REPLICA = "b" * 40, "c" * 40


def new_id() -> str:
    return "0" * 40


def lasting(nodes: str) -> list[list[str]]:
    """CLUSTER NODES without ping times and link states, which change while one looks."""
    return sorted([*line.split()[:4], *line.split()[6:7], *line.split()[8:]] for line in nodes.splitlines())


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_a_real_servers_file_is_read_and_written_back(kind: str) -> None:
    with Oracle(kind, cluster_enabled="yes", cluster_announce_hostname="here.example") as oracle:
        oracle.run("CLUSTER", "ADDSLOTSRANGE", 0, 100, 200, 200)
        oracle.run("CLUSTER", "SET-CONFIG-EPOCH", 7)
        oracle.run("CLUSTER", "SAVECONFIG")
        saved = (oracle.directory / "nodes.conf").read_text()
        shown = oracle.run("CLUSTER", "NODES").decode()
    topology = parse_config(saved, NOW, new_id)
    assert format_nodes(topology) == shown
    assert sorted(format_config(topology).split(",")) == sorted(saved.split(","))


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_a_real_server_starts_from_our_file(kind: str) -> None:
    oracle = Oracle(kind, cluster_enabled="yes")
    try:
        me = "a" * 40
        bus = oracle.port + 10000
        saved = (
            f"{me} 127.0.0.1:{oracle.port}@{bus},,tls-port=0,shard-id={'1' * 40} myself,master -"
            f" 0 0 3 connected 0-99 150 [5->-{PEER}] [120-<-{PEER}]\n"
            f"{PEER} 127.0.0.1:1@2,b.example,tls-port=0,nodename=bee,shard-id={'2' * 40} master -"
            " 0 0 4 disconnected 100-149\n"
            f"{REPLICA} 127.0.0.1:3@4,,tls-port=0,shard-id={'2' * 40} slave {PEER}"
            " 0 0 4 disconnected\n"
            "vars currentEpoch 9 lastVoteEpoch 8\n"
        )
        topology = parse_config(saved, NOW, new_id)
        (oracle.directory / "nodes.conf").write_text(format_config(topology))
        oracle.start()
        shown = oracle.run("CLUSTER", "NODES").decode()
        assert lasting(shown) == lasting(format_nodes(topology))
        oracle.run("CLUSTER", "SAVECONFIG")
        assert "vars currentEpoch 9 lastVoteEpoch 8\n" in (oracle.directory / "nodes.conf").read_text()
    finally:
        oracle.close()


def test_what_only_valkey_knows_of_a_node_is_passed_over() -> None:
    settings = {
        "cluster_announce_client_ipv4": "10.0.0.1",
        "cluster_announce_client_ipv6": "::1",
        "cluster_announce_client_port": 77,
        "cluster_announce_client_tls_port": 78,
        "availability_zone": "zone-a",
    }
    with Oracle("valkey", cluster_enabled="yes", **settings) as oracle:
        oracle.run("CLUSTER", "SAVECONFIG")
        saved = (oracle.directory / "nodes.conf").read_text()
        shard_id = oracle.run("CLUSTER", "MYSHARDID").decode()
    assert saved.count("=") == len(settings) + 2
    topology = parse_config(saved, NOW, new_id)
    assert topology.myself.shard_id == shard_id
    assert "zone-a" not in format_config(topology)
