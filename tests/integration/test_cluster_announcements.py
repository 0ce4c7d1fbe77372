"""How members present themselves, changed at run time: in all views of all members, in nodes.conf and in
redirections, beside redis-server; and new addresses and ports after a restart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.harness.pairs import Pair, PairedCluster, pairs_of
from tests.harness.ports import lease_port, release_port
from tests.harness.resp import Error, Simple
from tests.harness.servers import Server
from tests.harness.wait import eventually

OK = Simple("OK")
PRIMARY, REPLICA = 0, 1
BOTH = (PRIMARY, REPLICA)
CHANGES: list[tuple[str, str, tuple[int, ...]]] = [
    ("cluster-announce-hostname", "one.example", (PRIMARY,)),
    ("cluster-preferred-endpoint-type", "hostname", BOTH),
    ("cluster-preferred-endpoint-type", "unknown-endpoint", BOTH),
    ("cluster-announce-hostname", "", (PRIMARY,)),
    ("cluster-preferred-endpoint-type", "hostname", BOTH),
    ("cluster-preferred-endpoint-type", "ip", BOTH),
    ("cluster-announce-human-nodename", "the-first", (PRIMARY,)),
    ("cluster-announce-port", "4444", (PRIMARY,)),
    ("cluster-announce-port", "0", (PRIMARY,)),
    ("cluster-announce-tls-port", "4445", (PRIMARY,)),
    ("cluster-announce-tls-port", "0", (PRIMARY,)),
    ("cluster-replica-no-failover", "yes", (REPLICA,)),
    ("cluster-replica-no-failover", "no", (REPLICA,)),
    ("cluster-announce-ip", "127.0.0.5", (PRIMARY,)),
    ("cluster-announce-ip", "127.0.0.6", (REPLICA,)),
]


@pytest.fixture(scope="module")
def clusters() -> Iterator[list[PairedCluster]]:
    """One of ours, one of Redis; of one shard each."""
    with ExitStack() as stack:
        addresses = ["127.0.0.1", "127.0.0.5", "127.0.0.6"]
        kinds = ("shoal", "redis")
        yield [stack.enter_context(pairs_of((kind, kind), bind=addresses)) for kind in kinds]


def test_announcements_are_seen_alike(clusters: list[PairedCluster]) -> None:
    for name, value, whose in CHANGES:
        for cluster in clusters:
            for place in whose:
                assert cluster.pairs[0].servers[place].run("CONFIG", "SET", name, value) == OK
        eventually(
            lambda: are_alike(clusters),
            lambda name=name, value=value: f"{name} {value!r} is seen alike:\n" + differences(clusters),
        )


def test_an_address_that_is_announced_no_more_is_that_of_the_socket(clusters: list[PairedCluster]) -> None:
    primary, replica = clusters[0].nodes
    assert primary.run("CONFIG", "SET", "cluster-announce-ip", "127.0.0.5") == OK
    eventually(lambda: shown(clusters[0], primary, replica) == "127.0.0.5", "it is announced")
    assert primary.run("CONFIG", "SET", "cluster-announce-ip", "") == OK
    eventually(lambda: shown(clusters[0], primary, replica) == "127.0.0.1", "the other sees the socket")
    eventually(
        lambda: shown(clusters[0], primary, primary) in ("127.0.0.1", "127.0.0.5"), "as does it itself"
    )


def shown(cluster: PairedCluster, node: Server, seen_by: Server) -> str:
    return cluster.line_of(node, seen_by).address.partition(":")[0]


def are_alike(clusters: list[PairedCluster]) -> bool:
    """In both clusters, and by both members of each."""
    ours, theirs = (seen(cluster.pairs[0]) for cluster in clusters)
    by_each = ["\n".join(ours[f"saved {place}"]) for place in BOTH]
    return ours == theirs and by_each[0] == by_each[1]


def differences(clusters: list[PairedCluster]) -> str:
    ours, theirs = (seen(cluster.pairs[0]) for cluster in clusters)
    unlike = [view for view in ours if ours[view] != theirs[view]]
    return "\n".join(f"{view}: {ours[view]}\n  but {theirs[view]}" for view in unlike)


def seen(pair: Pair) -> dict[str, Any]:
    """All that both tell of the cluster, but for times, offsets and their own ports."""
    found: dict[str, Any] = {}
    for place, each in enumerate(pair.servers):
        assert each.run("CLUSTER", "SAVECONFIG") == OK
        saved = (each.directory / "nodes.conf").read_text().splitlines()
        shards = each.run("CLUSTER", "SHARDS")
        found |= {
            f"nodes {place}": sorted(plain(each.run("CLUSTER", "NODES"), pair).splitlines()),
            f"saved {place}": sorted(in_any_order(plain(line, pair)) for line in saved),
            f"slots {place}": plain(each.run("CLUSTER", "SLOTS"), pair),
            f"shards {place}": [plain(shard, pair) for shard in shards],
            f"redirection {place}": plain(each.run("SET", "k", 1), pair),
        }
    return found


def in_any_order(line: str) -> str:
    """The fields of a line of nodes.conf, which are named, but for whose file it is."""
    return ",".join(sorted(line.replace("myself,", "").split(",")))


def plain(shown: Any, pair: Pair) -> str:
    text = shown.decode() if isinstance(shown, bytes) else str(shown)
    for place, each in enumerate(pair.servers):
        text = text.replace(str(each.port + 10000), f"<bus {place}>").replace(
            str(each.port), f"<port {place}>"
        )
    text = re.sub(r"b'replication-offset', \d+", "<offset>", text)
    return re.sub(r" (0|\d{13}) (0|\d{13}) ", " <times> ", text)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a b", "contains invalid character"),
        ("a,b", "contains invalid character"),
        ("a" * 46, "is too long"),
    ],
)
def test_an_address_that_others_would_refuse(clusters: list[PairedCluster], value: str, words: str) -> None:
    refused = clusters[0].nodes[0].run("CONFIG", "SET", "cluster-announce-ip", value)
    assert isinstance(refused, Error) and refused.text.endswith(f"cluster-announce-ip {words}")


# --- somewhere else after a restart


def restarted(each: Server, **settings: str) -> None:
    """Stopped and started with other settings, of which `port` and `bind` say where it is found."""
    each.stop()
    each.config |= {name.replace("_", "-"): value for name, value in settings.items()}
    each.host = str(each.config["bind"])
    each.start(wait=False)


@pytest.fixture
def new_ports() -> Iterator[list[int]]:
    ports = [lease_port() for _ in range(4)]
    yield ports
    for port in ports:
        release_port(port)


def shown_at(cluster: PairedCluster) -> set[tuple[str, ...]]:
    """Where each running member sees the others; itself it may see where it was."""
    found = set()
    for each in cluster.nodes:
        lines = [line for line in cluster.view(each).values() if "myself" not in line.flags]
        found |= {(line.id, line.address) for line in lines}
    return found


def expected_at(cluster: PairedCluster) -> set[tuple[str, ...]]:
    return {(cluster.id_of(each), f"{each.address}@{each.port + 10000}") for each in cluster.nodes}


def test_members_are_found_at_their_new_addresses(new_ports: list[int]) -> None:
    """By those of either kind: a primary of ours at another port, a replica of ours and a Redis at another
    address."""
    with pairs_of(("shoal", "redis"), ("redis", "shoal"), node_timeout=3000) as cluster:
        slots_before = {owner[2]: owner[:2] for owner in cluster.slot_owners(cluster.nodes[0])}
        ours, _, redis, replica = cluster.nodes
        ours.port = new_ports[0]
        restarted(ours, port=str(ours.port))
        restarted(replica, bind="127.0.0.7", bind_source_addr="127.0.0.7")
        for each in (ours, replica):
            each.wait_ready()
        restarted(redis, bind="127.0.0.8", cluster_announce_ip="127.0.0.8")
        redis.wait_ready()
        eventually(lambda: shown_at(cluster) == expected_at(cluster), lambda: str(shown_at(cluster)), 15)
        cluster.wait_settled()
        cluster.wait_synchronized()
        assert {owner[2]: owner[:2] for owner in cluster.slot_owners(redis)} == slots_before


def test_all_are_somewhere_else_and_meet_again(new_ports: list[int]) -> None:
    """Nobody finds anybody: an operator has to introduce them, and then they are who they were."""
    with pairs_of(("shoal", "shoal"), ("shoal", "shoal"), node_timeout=1000) as cluster:
        before = sorted(
            (line.id, line.primary_id, *line.slots) for line in cluster.view(cluster.nodes[0]).values()
        )
        for each in cluster.nodes:
            each.stop()
        for each, each.port in zip(cluster.nodes, new_ports, strict=True):
            each.config["port"] = each.port
            each.start(wait=False)
        for each in cluster.nodes:
            each.wait_ready()
        first, *others = cluster.nodes
        for each in others:
            assert each.run("CLUSTER", "MEET", first.host, first.port) == OK
        eventually(lambda: shown_at(cluster) == expected_at(cluster), lambda: str(shown_at(cluster)), 15)
        cluster.wait_settled()
        for each in cluster.nodes:
            assert who_is_what(cluster, each) == before


def who_is_what(cluster: PairedCluster, seen_by: Server) -> list[tuple[Any, ...]]:
    return sorted((line.id, line.primary_id, *line.slots) for line in cluster.view(seen_by).values())
