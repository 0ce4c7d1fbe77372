"""CLUSTER commands of one node, answer beside answer with redis-server; and a worker without a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.harness.clusters import cluster_of
from tests.harness.resp import Error, Map, Resp, Simple
from tests.harness.servers import Oracle, ShoalNode
from tests.harness.wait import eventually

OK = Simple("OK")
NOBODY = "a" * 40


@pytest.fixture(scope="module")
def ours() -> Iterator[ShoalNode]:
    with ShoalNode(cluster_enabled="yes") as node:
        yield node


@pytest.fixture(scope="module")
def theirs() -> Iterator[Oracle]:
    with Oracle("redis", cluster_enabled="yes") as node:
        yield node


@pytest.fixture
def both(ours: ShoalNode, theirs: Oracle) -> Iterator[tuple[Resp, Resp]]:
    """A connection to each of two single nodes that own the slots 0-5 and 10-12."""
    with ours.resp() as left, theirs.resp() as right:
        for connection in (left, right):
            assert connection.command("CLUSTER", "FLUSHSLOTS") == OK
            assert connection.command("CLUSTER", "ADDSLOTSRANGE", 0, 5, 10, 12) == OK
        yield left, right


SAME_ANSWER = """
KEYSLOT foo | KEYSLOT {foo}bar | KEYSLOT foo{} | KEYSLOT {} | KEYSLOT a b
COUNTKEYSINSLOT 1 | COUNTKEYSINSLOT 16384 | COUNTKEYSINSLOT -1 | COUNTKEYSINSLOT abc | COUNTKEYSINSLOT
GETKEYSINSLOT 1 -1 | GETKEYSINSLOT 1 10 | GETKEYSINSLOT 99999 1 | GETKEYSINSLOT x 1 | GETKEYSINSLOT 1
ADDSLOTS abc | ADDSLOTS 16384 | ADDSLOTS 20 20 | ADDSLOTS 1 | ADDSLOTS -1 | ADDSLOTS 01 | ADDSLOTS
DELSLOTS 100 | DELSLOTS 1 1 | DELSLOTS x
ADDSLOTSRANGE 1 2 3 | ADDSLOTSRANGE 5 2 | ADDSLOTSRANGE 30 40 35 36 | ADDSLOTSRANGE 0 16384 | ADDSLOTSRANGE 1
DELSLOTSRANGE 100 110 | DELSLOTSRANGE 110 100 | DELSLOTSRANGE 0 5 5 5 | DELSLOTSRANGE 1 x
SETSLOT 1 MIGRATING {nobody} | SETSLOT 100 MIGRATING {nobody} | SETSLOT 1 IMPORTING {nobody}
SETSLOT 100 IMPORTING {nobody} | SETSLOT 100 NODE {nobody} | SETSLOT 100 NODE x | SETSLOT 100 STABLE
SETSLOT 100 NONSENSE | SETSLOT 100 NODE | SETSLOT 1 STABLE x | SETSLOT x STABLE | SETSLOT 16384 STABLE
SETSLOT 1
REPLICATE x | REPLICATE {nobody} | REPLICATE | REPLICAS x | SLAVES {nobody} | FORGET {nobody} | FORGET x
MEET 1.2.3.4 abc | MEET 1.2.3.4 0 | MEET 1.2.3.4 99999 | MEET nohost 7000 | MEET 1.2.3.4 7000 abc
MEET 1.2.3.4 7000 70000 | MEET 1.2.3.4 60000 | MEET 1.2.3.4 7000 1 2 | MEET 1.2.3.4
COUNT-FAILURE-REPORTS x | COUNT-FAILURE-REPORTS {nobody}
SET-CONFIG-EPOCH -1 | SET-CONFIG-EPOCH x | FAILOVER | FAILOVER NONSENSE | FAILOVER FORCE TAKEOVER
RESET NONSENSE | RESET SOFT x | SAVECONFIG | SAVECONFIG x | NONSENSE | INFO x | LINKS | MYID x | SLOTS x
"""
REQUESTS = [
    request.strip().format(nobody=NOBODY).replace("{{", "{").replace("}}", "}")
    for line in SAME_ANSWER.replace("{foo}", "{{foo}}").replace("{}", "{{}}").strip().splitlines()
    for request in line.split("|")
]


@pytest.mark.parametrize("request_line", REQUESTS)
def test_same_answer_as_redis(both: tuple[Resp, Resp], request_line: str) -> None:
    left, right = both
    assert left.command("CLUSTER", *request_line.split()) == right.command("CLUSTER", *request_line.split())


@pytest.mark.parametrize(
    "request_line",
    [
        "READONLY",
        "READWRITE",
        "ASKING",
        "ASKING x",
        "CLUSTER",
        "SELECT 1",
        "GET foo",
        "SET foo bar",
        "MGET a b",
    ],
)
def test_same_answer_of_clients_commands(both: tuple[Resp, Resp], request_line: str) -> None:
    left, right = both
    assert left.command(*request_line.split()) == right.command(*request_line.split())


def normal(raw: bytes) -> bytes:
    """A reply without what differs between two nodes: ids, ports (those of the bus are 10,000 higher)."""
    return re.sub(rb"[0-9a-f]{40}", b"<id>", re.sub(rb"\b[123]\d{4}\b", b"<port>", raw))


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("view", ["SLOTS", "SHARDS", "LINKS", "NODES", "MYID", "MYSHARDID"])
@pytest.mark.parametrize("endpoint", ["ip", "hostname", "unknown-endpoint"])
@pytest.mark.parametrize("hostname", ["", "one.example"])
def test_same_shape_of_views(
    both: tuple[Resp, Resp],
    ours: ShoalNode,
    theirs: Oracle,
    view: str,
    protocol: int,
    endpoint: str,
    hostname: str,
) -> None:
    for connection in both:
        settings = ("cluster-preferred-endpoint-type", endpoint, "cluster-announce-hostname", hostname)
        assert connection.command("CONFIG", "SET", *settings) == OK
    with ours.resp(protocol) as left, theirs.resp(protocol) as right:
        answers = [normal(connection.command_raw("CLUSTER", view)) for connection in (left, right)]
    assert answers[0] == answers[1]


def test_info_has_redis_fields_in_redis_order(both: tuple[Resp, Resp]) -> None:
    names = [re.findall(rb"^(\w+):", connection.command("CLUSTER", "INFO"), re.M) for connection in both]
    assert names[0] == names[1]


def test_help_names_every_subcommand_that_is_served(ours: ShoalNode) -> None:
    with ours.resp() as connection:
        lines = [line.text for line in connection.command("CLUSTER", "HELP")]
        described = {line.split()[0].lower() for line in lines[1:] if not line.startswith(" ")}
        (info,) = connection.command("COMMAND", "INFO", "cluster")
        served = {sub[0].decode().removeprefix("cluster|") for sub in info[9]}
    assert described == served - {"syncslots"}, "all but what only servers say to each other"


def test_config_epoch_is_given_once() -> None:
    with ShoalNode(cluster_enabled="yes") as node:
        assert node.run("CLUSTER", "SET-CONFIG-EPOCH", 5) == OK
        assert node.run("CLUSTER", "SET-CONFIG-EPOCH", 6) == Error(
            "ERR Node config epoch is already non-zero"
        )
        assert node.run("CLUSTER", "BUMPEPOCH") == Simple("STILL 5")


def test_reset_gives_up_slots_and_hard_also_the_id() -> None:
    with ShoalNode(cluster_enabled="yes") as node:
        node.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        before = node.run("CLUSTER", "MYID")
        assert node.run("CLUSTER", "RESET") == OK
        assert (node.run("CLUSTER", "MYID"), node.run("CLUSTER", "SLOTS")) == (before, [])
        assert node.run("CLUSTER", "RESET", "HARD") == OK
        assert node.run("CLUSTER", "MYID") != before


@pytest.mark.parametrize("request_line", ["CLUSTER INFO", "CLUSTER SLOTS", "READONLY", "ASKING"])
def test_without_a_cluster(shoal_node: ShoalNode, redis_oracle: Oracle, request_line: str) -> None:
    answer = shoal_node.run(*request_line.split())
    assert answer == redis_oracle.run(*request_line.split())
    assert answer == Error("ERR This instance has cluster support disabled")


def test_hello_and_info_tell_the_mode(ours: ShoalNode) -> None:
    with ours.resp() as connection:
        hello = connection.command("HELLO", 3)
        assert isinstance(hello, Map)
        assert (b"mode", b"cluster") in hello.pairs
    assert ours.info("cluster") == {"cluster_enabled": 1}


@pytest.mark.parametrize("kind", ["shoal", "valkey"])
def test_a_replica_leaves_its_primary_and_is_empty(kind: str) -> None:
    """As in Valkey: CLUSTER REPLICATE NO ONE."""
    with cluster_of(2, kind=kind, form=False) as cluster:
        primary, replica = cluster.nodes
        primary.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        primary.run("CLUSTER", "MEET", replica.host, replica.port)
        primary_id = cluster.id_of(primary)
        eventually(lambda: replica.run("CLUSTER", "REPLICATE", primary_id) == OK, "they know each other")
        cluster.wait_settled()
        eventually(lambda: primary.run("SET", "a", "1") == OK, "it takes writes")
        eventually(lambda: replica.run("DBSIZE") == 1, "the replica has the key")
        assert replica.run("CLUSTER", "REPLICATE", "NO", "TWO").prefix == "ERR"
        assert replica.run("CLUSTER", "REPLICATE", "no", "one") == OK
        assert replica.run("DBSIZE") == 0
        assert primary.run("DBSIZE") == 1
        eventually(lambda: "master" in cluster.line_of(replica, primary).flags, "the other sees it, too")
        assert cluster.line_of(replica).slots == []
        assert len({node.run("CLUSTER", "MYSHARDID") for node in cluster.nodes}) == 2
        assert primary.run("CLUSTER", "REPLICATE", "NO", "ONE") == OK
        assert cluster.line_of(primary).slots == [(0, 16383)]
