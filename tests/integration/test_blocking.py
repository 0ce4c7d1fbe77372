"""Blocked clients when the world changes under them: slots move, primaries are demoted, clients die.

Where slots and roles change, redis-server must do what we do.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node.core.key_slot import key_slot
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.resp import Error, Resp
from tests.harness.servers import Server, ShoalNode, server
from tests.harness.wait import eventually

KINDS = ["shoal", "redis"]
SLOT = key_slot(b"k")
FORCED = Error("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)")


def blocked_clients(node: Server) -> int:
    return int(node.info("clients")["blocked_clients"])


def blocked_on(node: Server, *command: str) -> Resp:
    """A client that has sent `command` and is blocked by it."""
    client = node.resp()
    before = blocked_clients(node)
    client.send_command(*command)
    eventually(lambda: blocked_clients(node) > before, f"{command} blocks")
    return client


@pytest.fixture(scope="module", params=KINDS)
def two(request: pytest.FixtureRequest) -> Iterator[RunningCluster]:
    """Two primaries that know each other; the first has all slots."""
    with cluster_of(2, kind=request.param, form=False) as cluster:
        one, other = cluster.nodes
        one.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        one.run("CLUSTER", "MEET", other.host, other.port)
        cluster.wait_settled()
        yield cluster


def test_clients_of_a_slot_that_left_are_sent_after_it(two: RunningCluster) -> None:
    one, other = two.nodes
    with blocked_on(one, "BLPOP", "k", "0") as client, blocked_on(one, "BLPOP", "j", "0") as unconcerned:
        other.run("CLUSTER", "SETSLOT", SLOT, "IMPORTING", two.id_of(one))
        one.run("CLUSTER", "SETSLOT", SLOT, "MIGRATING", two.id_of(other))
        assert client.silent()
        with other.resp() as guest, other.resp() as giver:
            guest.command("ASKING")
            guest.send_command("BLPOP", "k", "0")
            eventually(lambda: blocked_clients(other) == 1, "a guest blocks in an importing slot")
            giver.command("ASKING")
            assert giver.command("RPUSH", "k", "1") == 1
            assert guest.read() == [b"k", b"1"]
        for node in (other, one):
            node.run("CLUSTER", "SETSLOT", SLOT, "NODE", two.id_of(other))
        assert client.read() == Error(f"MOVED {SLOT} {other.address}")
        assert unconcerned.silent()
        one.run("RPUSH", "j", "1")
        assert unconcerned.read() == [b"j", b"1"]
    assert blocked_clients(one) == blocked_clients(other) == 0
    for node in (one, other):
        node.run("CLUSTER", "SETSLOT", SLOT, "NODE", two.id_of(one))
    eventually(two.is_settled, "the slot is back")


def test_clients_of_a_slot_that_nobody_serves(two: RunningCluster) -> None:
    one = two.nodes[0]
    one.run("CONFIG", "SET", "cluster-require-full-coverage", "no")
    with blocked_on(one, "BZPOPMIN", "k", "0") as client:
        one.run("CLUSTER", "DELSLOTS", SLOT)
        assert client.read() == Error("CLUSTERDOWN Hash slot not served")
        one.run("CLUSTER", "ADDSLOTS", SLOT)
        assert client.command("PING")


def test_clients_while_the_cluster_is_down(two: RunningCluster) -> None:
    one = two.nodes[0]
    one.run("CONFIG", "SET", "cluster-require-full-coverage", "yes")
    eventually(two.is_settled, "the cluster is up")
    with blocked_on(one, "BLPOP", "k", "0") as client:
        one.run("CLUSTER", "DELSLOTS", key_slot(b"another"))
        assert client.read() == Error("CLUSTERDOWN The cluster is down")
    one.run("CLUSTER", "ADDSLOTS", key_slot(b"another"))
    eventually(two.is_settled, "the cluster is up again")


@pytest.mark.parametrize("kind", KINDS)
def test_clients_of_a_demoted_primary(kind: str) -> None:
    with server(kind) as node, blocked_on(node, "BLPOP", "k", "0") as client:
        node.run("REPLICAOF", "127.0.0.1", "1")
        assert client.read() == FORCED
        assert client.read_until_closed() == b""
        assert node.run("BLPOP", "k", "0") == Error("READONLY You can't write against a read only replica.")
        assert blocked_clients(node) == 0


def test_a_blocked_client_may_send_a_lot(shoal_node: ShoalNode) -> None:
    """More than is put aside for it: the rest waits in the kernel until it is served."""
    count = 20_000
    with blocked_on(shoal_node, "BLPOP", "k", "0") as client:
        client.socket.settimeout(20)
        request = b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n"
        assert len(request) * count > 3 * 65536
        client.send(request * (count // 2))
        shoal_node.run("RPUSH", "k", "1")
        client.send(request * (count // 2))
        assert client.read() == [b"k", b"1"]
        assert [client.read() for _ in range(count)] == list(range(1, count + 1))


def test_a_request_in_two_parts_behind_a_blocked_one(shoal_node: ShoalNode) -> None:
    with blocked_on(shoal_node, "BLPOP", "k", "0") as client:
        client.send(b"*2\r\n$3\r\nGE")
        client.send(b"T\r\n$1\r\na\r\n*2\r\n$3")
        shoal_node.run("MSET", "a", "1", "b", "2")
        shoal_node.run("RPUSH", "k", "1")
        assert client.read() == [b"k", b"1"]
        assert client.read() == b"1"
        client.send(b"\r\nGET\r\n$1\r\nb\r\n")
        assert client.read() == b"2"


def test_hundreds_are_served_in_their_order(shoal_node: ShoalNode) -> None:
    count = 300
    clients = []
    try:
        for number in range(count):
            clients.append(shoal_node.resp())
            clients[-1].send_command("BLPOP", "k", "0")
            eventually(lambda number=number: blocked_clients(shoal_node) == number + 1, "one more is blocked")
        for number in range(0, count, 50):
            shoal_node.run("RPUSH", "k", *range(number, number + 50))
        assert [client.read() for client in clients] == [[b"k", b"%d" % number] for number in range(count)]
    finally:
        for client in clients:
            client.close()


def test_idle_clients_are_closed_and_blocked_ones_are_not() -> None:
    with ShoalNode(timeout=1) as node, node.resp() as idle, blocked_on(node, "BLPOP", "k", "0") as client:
        assert idle.read_until_closed() == b""
        assert node.run("RPUSH", "k", "1") == 1
        assert client.read() == [b"k", b"1"]


def test_a_renamed_command_waits_too() -> None:
    with ShoalNode(rename_command=["BLPOP", "TAKE"]) as node, blocked_on(node, "TAKE", "k", "0") as client:
        node.run("RPUSH", "k", "1")
        assert client.read() == [b"k", b"1"]


def test_commands_are_counted_once(shoal_node: ShoalNode) -> None:
    shoal_node.run("CONFIG", "RESETSTAT")
    with blocked_on(shoal_node, "BLPOP", "k", "0") as client:
        shoal_node.run("RPUSH", "k", "1")
        assert client.read() == [b"k", b"1"]
    assert shoal_node.info("commandstats")["cmdstat_blpop"]["calls"] == 1
