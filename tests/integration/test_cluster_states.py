"""One shard of three through good and bad days, beside a cluster of redis-server: what its members answer as
primary and replica, what is shown of a dead primary whose replica may not take over, and what a reset
leaves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.harness.pairs import PairedCluster, pairs_of
from tests.harness.wait import eventually

KINDS = ("shoal", "redis")
Question = Callable[[PairedCluster], Any]


@pytest.fixture(scope="module")
def clusters() -> Iterator[list[PairedCluster]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                pairs_of(*[(kind, kind)] * 3, node_timeout=1000, cluster_allow_replica_migration="no")
            )
            for kind in KINDS
        ]


def assert_same(clusters: list[PairedCluster], question: Question) -> Any:
    """The answer of both."""
    ours, theirs = (plain(question(cluster), cluster) for cluster in clusters)
    assert ours == theirs
    return ours


def eventually_same(clusters: list[PairedCluster], question: Question) -> None:
    def answers() -> list[str]:
        return [plain(question(cluster), cluster) for cluster in clusters]

    eventually(lambda: len(set(answers())) == 1, lambda: "the same:\n" + "\n".join(answers()), timeout=20)


def plain(shown: Any, cluster: PairedCluster) -> str:
    """Without ports, offsets, times and epochs."""
    text = shown if isinstance(shown, str) else repr(shown)
    for place, each in enumerate(cluster.nodes):
        text = text.replace(str(each.port + 10000), f"<bus {place}>").replace(
            str(each.port), f"<port {place}>"
        )
    text = re.sub(r"b'replication-offset', \d+", "<offset>", text)
    return re.sub(r" (0|\d{13}) (0|\d{13}) \d+ ", " <times and epoch> ", text)


def command(place: int, *args: str | int) -> Question:
    return lambda cluster: cluster.nodes[place].run(*args)


def about(place: int, node: int, *args: str | int) -> Question:
    """A command that ends with the id of a node."""
    return lambda cluster: cluster.nodes[place].run(*args, cluster.id_of(cluster.nodes[node]))


def nodes(place: int) -> Question:
    return lambda cluster: "\n".join(
        sorted(cluster.nodes[place].run("CLUSTER", "NODES").decode().splitlines())
    )


def facts(place: int) -> Question:
    """CLUSTER INFO without what is counted."""
    return lambda cluster: [
        line
        for line in cluster.nodes[place].run("CLUSTER", "INFO").decode().split()
        if not re.search("epoch|messages", line)
    ]


def shards(place: int) -> Question:
    """In the order of their slots, members by their ids."""
    return lambda cluster: sorted(
        (slots, sorted(members, key=lambda member: member[1]))
        for _, slots, _, members in cluster.nodes[place].run("CLUSTER", "SHARDS")
    )


def links(place: int) -> Question:
    def ends(cluster: PairedCluster) -> list[Any]:
        states = [
            dict(zip(row[::2], row[1::2], strict=True))
            for row in cluster.nodes[place].run("CLUSTER", "LINKS")
        ]
        return sorted((state[b"direction"], state[b"node"]) for state in states)

    return ends


P0, R0, P1, R1, P2, _ = range(6)


@pytest.mark.parametrize(
    "question",
    [
        facts(P0),
        nodes(R0),
        links(P0),
        shards(P0),
        about(P0, P0, "CLUSTER", "COUNT-FAILURE-REPORTS"),
        about(P0, P1, "CLUSTER", "COUNT-FAILURE-REPORTS"),
        about(P0, P0, "CLUSTER", "FORGET"),
        about(R0, P0, "CLUSTER", "FORGET"),
        about(P0, P0, "CLUSTER", "REPLICATE"),
        about(P0, P1, "CLUSTER", "REPLICATE"),
        about(R0, R1, "CLUSTER", "REPLICATE"),
        about(R0, P0, "CLUSTER", "REPLICATE"),
        about(P0, R0, "CLUSTER", "REPLICAS"),
        command(P0, "CLUSTER", "FAILOVER"),
        command(R0, "CLUSTER", "FAILOVER", "FORCE", "NOW"),
        command(P0, "REPLICAOF", "127.0.0.1", 1),
        command(R0, "CLUSTER", "ADDSLOTS", 1),
        command(R0, "CLUSTER", "SETSLOT", 1, "STABLE"),
        command(R0, "CLUSTER", "SET-CONFIG-EPOCH", 9),
        command(P0, "READONLY"),
    ],
)
def test_same_answers_of_primaries_and_replicas(clusters: list[PairedCluster], question: Question) -> None:
    eventually_same(clusters, question)


@pytest.mark.parametrize("words", ["FLUSHSLOTS", "RESET", "RESET SOFT", "RESET HARD"])
def test_a_primary_with_data_gives_nothing_up(clusters: list[PairedCluster], words: str) -> None:
    for cluster in clusters:
        cluster.nodes[P0].run("SET", cluster.pairs[0].key("a"), 1)
    assert "ERR" in assert_same(clusters, command(P0, "CLUSTER", *words.split()))
    for cluster in clusters:
        cluster.nodes[P0].run("DEL", cluster.pairs[0].key("a"))


def test_a_replica_that_may_not_take_over_takes_over_by_order(clusters: list[PairedCluster]) -> None:
    for cluster in clusters:
        cluster.nodes[R0].run("CONFIG", "SET", "cluster-replica-no-failover", "yes")
        eventually(
            lambda cluster=cluster: b"nofailover" in cluster.nodes[P1].run("CLUSTER", "NODES"), "others know"
        )
        cluster.nodes[P0].kill()
    for cluster in clusters:
        for each in cluster.running:
            eventually(
                lambda each=each: b"slots_fail:5461" in each.run("CLUSTER", "INFO"),
                lambda each=each: (
                    f"{each} knows that a primary failed:\n{each.run('CLUSTER', 'NODES').decode()}"
                ),
                timeout=20,
            )
    for question in (
        facts(P1),
        nodes(P1),
        nodes(R0),
        shards(P1),
        shards(R0),
        links(P1),
        command(P1, "CLUSTER", "SLOTS"),
        about(R0, P0, "CLUSTER", "COUNT-FAILURE-REPORTS"),
    ):
        eventually_same(clusters, question)
    for words in (["FAILOVER"], ["FAILOVER", "FORCE"]):
        assert_same(clusters, command(R0, "CLUSTER", *words))
    for cluster in clusters:
        heir, primary = cluster.nodes[R0], cluster.nodes[P0]
        eventually(lambda heir=heir: heir.info("replication")["role"] == "master", "it takes over")
        primary.start()
        cluster.wait_settled()
    for question in (nodes(P1), shards(P1)):
        eventually_same(clusters, question)
    for place in (P0, R0, P1):
        assert_same(clusters, command(place, "CLUSTER", "MYSHARDID"))


def test_what_a_reset_leaves(clusters: list[PairedCluster]) -> None:
    """Of a replica, which has data and loses it, softly; of one that also loses its name; of an empty
    primary."""
    for cluster in clusters:
        heir = cluster.nodes[R0]
        heir.run("SET", cluster.pairs[0].key("a"), 1)
        cluster.wait_synchronized()
        assert heir.run("DBSIZE") == 1
    for place, how in ((P0, "SOFT"), (R1, "HARD"), (P2, "SOFT")):
        was = [
            (each.run("CLUSTER", "MYID"), each.run("CLUSTER", "MYSHARDID")) for each in at(clusters, place)
        ]
        assert assert_same(clusters, command(place, "CLUSTER", "RESET", how)) == "Simple(text='OK')"
        assert_same(clusters, facts(place))
        assert_same(clusters, command(place, "DBSIZE"))
        assert_same(clusters, lambda cluster, place=place: cluster.nodes[place].run("ROLE")[0])
        kept = [
            (each.run("CLUSTER", "MYID") == id, each.run("CLUSTER", "MYSHARDID") == shard_id)
            for each, (id, shard_id) in zip(at(clusters, place), was, strict=True)
        ]
        assert kept[0] == kept[1]
        eventually_same(clusters, nodes(P1))


def at(clusters: list[PairedCluster], place: int) -> list[Any]:
    return [cluster.nodes[place] for cluster in clusters]
