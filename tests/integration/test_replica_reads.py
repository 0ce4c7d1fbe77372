"""`--read-from`: who answers reads, and that no client sees what becomes of replicas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from node.core.key_slot import key_slot
from tests.harness.busy import busy
from tests.harness.pairs import Pair, PairedCluster, pairs_of
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Error, Resp, Simple
from tests.harness.servers import Server
from tests.harness.wait import eventually


@pytest.fixture(scope="module")
def cluster() -> Iterator[PairedCluster]:
    with pairs_of(("valkey", "shoal"), ("shoal", "valkey")) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(cluster: PairedCluster) -> Iterator[ShoalProxy]:
    with ShoalProxy(cluster.addresses, "--read-from", "prefer-replica") as running:
        yield running


@pytest.fixture(autouse=True)
def whole(cluster: PairedCluster, proxy: ShoalProxy) -> None:
    eventually(lambda: len(read_from(proxy)) == 2, lambda: f"two replicas to read from: {proxy.facts()}")
    for pair in cluster.pairs:
        proxy.run("SET", pair.key("a"), pair.number)
        arrived(pair)
        for server in pair.servers:
            server.run("CONFIG", "RESETSTAT")


def read_from(proxy: ShoalProxy) -> set[str]:
    """Addresses of the replicas that are read."""
    lines = [value.split(",") for name, value in proxy.facts().items() if name.startswith("replica")]
    return {line[0].removeprefix("addr=") for line in lines if "read=1" in line}


def arrived(pair: Pair) -> None:
    assert pair.primary.run("WAIT", 1, 5000) == 1


def calls(server: Server) -> dict[str, int]:
    """Of the commands that clients have sent."""
    stats = server.info("commandstats")
    return {
        name: stats[f"cmdstat_{name}"]["calls"]
        for name in ("get", "mget", "set", "incr", "hscan", "eval_ro", "exec")
        if f"cmdstat_{name}" in stats
    }


@pytest.mark.parametrize("protocol", [2, 3])
def test_who_answers(cluster: PairedCluster, proxy: ShoalProxy, protocol: int) -> None:
    one, other = cluster.pairs
    key, second = one.key("a"), other.key("a")
    with proxy.resp(protocol=protocol) as client:
        client.command("GET", key)  # makes sure that there is a connection for this protocol
        for server in one.servers:
            server.run("CONFIG", "RESETSTAT")
        read = client.pipeline(("GET", key), ("GET", key), ("MGET", key, second), ("INCR", one.key("n")))
        assert read[:3] == [b"0", b"0", [b"0", b"1"]]
        assert {name: calls(one.replica).get(name) for name in ("get", "mget")} == {"get": 2, "mget": 1}
        client.command("EVAL_RO", "return redis.call('GET', KEYS[1])", 1, key)
        client.command("HSCAN", one.key("h"), 0)
        client.pipeline(("MULTI",), ("GET", key), ("EXEC",))
        client.pipeline(("WATCH", key), ("GET", key), ("UNWATCH",))
        assert calls(one.primary) == {"incr": 1, "eval_ro": 1, "hscan": 1, "exec": 1, "get": 3}
        for number in range(100):  # who says READWRITE reads what it has written
            assert client.pipeline(("READWRITE",), ("SET", key, number), ("GET", key))[-1] == b"%d" % number
        assert client.command("READONLY") == Simple("OK")
        arrived(one)
        client.command("GET", key)
        assert calls(one.replica)["get"] == 3


class UsersProxy(ShoalProxy):
    """Tells nothing to who has not logged in; it is ready when alice can."""

    def is_ready(self) -> bool:
        return bool(self.run("AUTH", "alice", "wonder") == Simple("OK"))


@contextmanager
def reading(proxy: ShoalProxy, cluster: PairedCluster) -> Iterator[list[int]]:
    """Somebody reads all the time, by both protocols. The list has the number of rounds."""
    rounds = [0]
    keys = [pair.key("a") for pair in cluster.pairs]
    with proxy.resp() as old, proxy.resp(protocol=3) as new:

        def act() -> None:
            for client in (old, new):
                check(client)
            rounds[0] += 1

        def check(client: Resp) -> None:
            replies = client.pipeline(*[("GET", key) for key in keys * 20], ("MGET", *keys))
            assert replies == [b"0", b"1"] * 20 + [[b"0", b"1"]]

        with busy(act):
            yield rounds


def goes_on(rounds: list[int]) -> None:
    goal = rounds[0] + 5
    eventually(lambda: rounds[0] >= goal, "reads go on")


def test_replicas_that_die_hang_or_are_promoted(cluster: PairedCluster, proxy: ShoalProxy) -> None:
    """Readers see no error, and in the end replicas are read again."""
    one, other = cluster.pairs
    mortal, sleeper = one.replica, other.replica
    with reading(proxy, cluster) as rounds:
        goes_on(rounds)
        mortal.kill()
        goes_on(rounds)
        assert read_from(proxy) == {sleeper.address}
        sleeper.pause()
        goes_on(rounds)
        assert read_from(proxy) == set()
        sleeper.resume()
        mortal.start()
        eventually(lambda: len(read_from(proxy)) == 2, "both are read again", 20)
        goes_on(rounds)
        assert sleeper.run("CLUSTER", "FAILOVER") == Simple("OK")
        eventually(lambda: other.primary is sleeper, "a new primary")
        eventually(
            lambda: read_from(proxy) == {mortal.address, other.replica.address}, "the former one is read"
        )
        goes_on(rounds)


def test_zones(cluster: PairedCluster) -> None:
    one, other = cluster.pairs
    for pair, zone in ((one, "here"), (other, "there")):
        assert pair.replica.run("CONFIG", "SET", "availability-zone", zone) == Simple("OK")
    with ShoalProxy(cluster.addresses, "--read-from", "same-zone", "--zone", "here") as proxy:
        eventually(lambda: read_from(proxy) == {one.replica.address}, "that in the same zone is read")


def test_users_of_the_workers_read_as_themselves(cluster: PairedCluster) -> None:
    pair = cluster.pairs[0]
    for server in cluster.nodes:
        assert server.run("ACL", "SETUSER", "alice", "on", ">wonder", "~*", "+@all", "-mget") == Simple("OK")
    with (
        UsersProxy(cluster.addresses, "--read-from", "prefer-replica", "--auth-by-workers") as proxy,
        proxy.resp() as client,
    ):
        assert client.command("AUTH", "alice", "wonder") == Simple("OK")

        def is_read_from_a_replica() -> bool:
            assert client.command("GET", pair.key("a")) == b"0"
            return "get" in calls(pair.replica)

        eventually(is_read_from_a_replica, "a replica is read")
        refused = client.command("MGET", pair.key("a"))
        assert isinstance(refused, Error) and refused.prefix == "NOPERM"


def test_keys_that_have_gone_ahead_with_their_slot(cluster: PairedCluster, proxy: ShoalProxy) -> None:
    """The replica of the slot's owner does not have the key any more, but the proxy does not ask it."""
    one, other = cluster.pairs
    key = one.key("a")
    slot = key_slot(key.encode())
    source, target = one.primary, other.primary
    target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(source))
    source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id_of(target))
    try:
        assert source.run("MIGRATE", target.host, target.port, key, 0, 5000) == Simple("OK")
        with proxy.resp() as client:
            client.command("READWRITE")
            assert client.command("GET", key) == b"0"  # ASK
            client.command("READONLY")
            assert client.pipeline(*[("GET", key)] * 5) == [b"0"] * 5
            assert client.command("DEL", key) == 1  # as it was, but for the key
    finally:
        for node in (source, target):
            node.run("CLUSTER", "SETSLOT", slot, "STABLE")
