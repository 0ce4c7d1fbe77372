"""Slots move and workers fail while clients of the proxy are in the middle of something.

`SHOAL_FULL=1`: in front of Valkey, too.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node.core.key_slot import key_slot
from tests.chaos.scale import FULL
from tests.harness.caching import CachingClient
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import NULL_ARRAY, NULL_BULK, Error, Resp, Simple, encode
from tests.harness.servers import Server
from tests.harness.wait import eventually

OK, QUEUED = Simple("OK"), Simple("QUEUED")
SLOT = key_slot(b"pair")


@pytest.fixture(scope="module", params=["shoal", "valkey"] if FULL else ["shoal"])
def cluster(request: pytest.FixtureRequest) -> Iterator[RunningCluster]:
    with cluster_of(3, replicas=1, kind=request.param, node_timeout=1000) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(cluster: RunningCluster) -> Iterator[ShoalProxy]:
    with ShoalProxy(cluster.addresses) as running:
        yield running


@pytest.fixture
def client(cluster: RunningCluster, proxy: ShoalProxy) -> Iterator[Resp]:
    cluster.wait_settled()
    with proxy.resp(timeout=10) as connection:
        assert connection.command("FLUSHALL") == OK
        yield connection


class Motion:
    """The slot of `{pair}…` between two workers: key by key, then as a whole."""

    def __init__(self, cluster: RunningCluster) -> None:
        self.cluster = cluster
        self.source = cluster.owner_of("{pair}")
        self.target = next(node for node in cluster.primaries if node is not self.source)
        assert self._set(self.target, "IMPORTING", self.source) == OK
        assert self._set(self.source, "MIGRATING", self.target) == OK

    def _set(self, node: Server, state: str, other: Server) -> object:
        return node.run("CLUSTER", "SETSLOT", SLOT, state, self.cluster.id_of(other))

    def move(self, *keys: str) -> None:
        target = self.target
        assert self.source.run("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", *keys) == OK

    def finish(self) -> None:
        for node in (self.target, self.source):
            assert self._set(node, "NODE", self.target) == OK


def blocked_at(node: Server) -> int:
    return int(node.info("clients")["blocked_clients"])


def test_transactions_while_their_slot_is_in_motion(cluster: RunningCluster, client: Resp) -> None:
    client.pipeline(("SET", "{pair}1", 1), ("SET", "{pair}2", 2))
    motion = Motion(cluster)
    motion.move("{pair}1")
    for key, value in (("{pair}1", b"1"), ("{pair}2", b"2")):
        assert (
            client.pipeline(("MULTI",), ("GET", key), ("INCR", key), ("DECR", key), ("EXEC",))[-1][0] == value
        )
        assert client.pipeline(("WATCH", key), ("MULTI",), ("GET", key), ("EXEC",))[-1] == [value]
    client.send(
        b"".join(encode(*argv) for argv in (("MULTI",), ("INCR", "{pair}1"), ("INCR", "{pair}2"), ("EXEC",)))
    )
    assert [client.read() for _ in range(3)] == [OK, QUEUED, QUEUED]
    assert client.silent()  # half of its keys are here, half are there
    motion.move("{pair}2")
    assert client.read() == [2, 3]
    client.send(encode("MULTI") + encode("INCR", "{pair}1"))
    assert [client.read(), client.read()] == [OK, QUEUED]
    motion.finish()
    assert client.command("EXEC") == [3]
    assert client.command("GET", "{pair}1") == b"3"


def test_watched_slot_that_leaves_counts_as_touched(cluster: RunningCluster, client: Resp) -> None:
    assert client.pipeline(("SET", "{pair}watched", 0), ("WATCH", "{pair}watched")) == [OK, OK]
    motion = Motion(cluster)
    motion.move("{pair}watched")
    motion.finish()
    assert client.pipeline(("MULTI",), ("SET", "{pair}watched", 1), ("EXEC",))[-1] == NULL_ARRAY
    assert client.pipeline(("WATCH", "{pair}watched"), ("MULTI",), ("INCR", "{pair}watched"), ("EXEC",))[
        -1
    ] == [1]


def test_blocked_client_goes_with_its_slot(cluster: RunningCluster, proxy: ShoalProxy, client: Resp) -> None:
    motion = Motion(cluster)
    with proxy.resp(timeout=10) as other, proxy.resp(timeout=10) as brief:
        client.send_command("BLPOP", "{pair}queue", 0)
        brief.send_command("BLPOP", "{pair}queue", "1.5")
        motion.finish()
        assert brief.read() == NULL_ARRAY
        eventually(lambda: blocked_at(motion.target) == 1, "the other waits at the new owner")
        assert other.command("RPUSH", "{pair}queue", "token") == 1
        assert client.read() == [b"{pair}queue", b"token"]


def test_tracking_client_is_told_of_what_the_new_owner_of_a_slot_does(
    cluster: RunningCluster, proxy: ShoalProxy, client: Resp
) -> None:
    assert client.command("SET", "{pair}cached", 0) == OK
    with CachingClient(proxy) as cache:
        assert cache.get("{pair}cached") == b"0"
        motion = Motion(cluster)
        motion.move("{pair}cached")
        motion.finish()
        assert motion.target.run("SET", "{pair}cached", 1) == OK
        eventually(lambda: cache.get("{pair}cached") == b"1", "it is told")


def test_all_states_live_through_failovers(cluster: RunningCluster, proxy: ShoalProxy, client: Resp) -> None:
    old = cluster.owner_of("{pair}")
    (new,) = cluster.replicas_of(old)
    names = [f"shard:{number}" for number in range(12)]
    with (
        proxy.resp(timeout=10) as other,
        proxy.resp(protocol=3, timeout=10) as listener,
        proxy.resp(timeout=10) as sender,
        proxy.resp(timeout=10) as queueing,
        CachingClient(proxy) as cache,
    ):
        cache.get("{pair}cached")
        listener.send(encode("SUBSCRIBE", "news") + encode("SSUBSCRIBE", *names))
        for _ in range(13):
            listener.read()
        client.send_command("BLPOP", "{pair}queue", 0)
        eventually(lambda: blocked_at(old) == 1, "it waits")
        assert new.run("CLUSTER", "FAILOVER") == OK
        eventually(lambda: "master" in cluster.line_of(new).flags, "the replica is primary")
        eventually(lambda: blocked_at(new) == 1, "it waits at the new primary")
        assert other.command("RPUSH", "{pair}queue", "token") == 1
        assert client.read() == [b"{pair}queue", b"token"]
        assert new.run("SET", "{pair}cached", 1) == OK
        eventually(lambda: cache.get("{pair}cached") == b"1", "it is told of what the new primary does")
        assert hears_all(listener, other, names)
        client.send_command("XREAD", "BLOCK", 0, "STREAMS", "{pair}stream", "$")
        eventually(lambda: blocked_at(new) == 1, "it waits")
        assert sender.pipeline(("MULTI",), ("SET", "{pair}1", 1)) == [OK, QUEUED]
        assert queueing.pipeline(("MULTI",), ("GET", "{pair}")) == [OK, QUEUED]
        new.pause()
        sender.send_command("EXEC")
        assert sender.silent()
        new.kill()
        assert sender.read() == Error(f"ERR upstream connection lost: {new.address}")
        queueing.send_command("EXEC")
        eventually(lambda: other.command("SET", "{pair}", 1) == OK, "the other took over", timeout=20)
        eventually(lambda: blocked_at(old) == 1, "who takes nothing waits on by itself")
        assert other.command("XADD", "{pair}stream", "1-1", "f", "v") == b"1-1"
        assert client.read()[0][0] == b"{pair}stream"
        assert queueing.read()[0] in (b"1", NULL_BULK)
        assert old.run("SET", "{pair}cached", 2) == OK
        eventually(lambda: cache.get("{pair}cached") == b"2", "and of what the next one does")
        assert hears_all(listener, other, names)
        new.start()
    eventually(lambda: proxy.facts()["dedicated_connections"] == "0", "nothing is left lent")


def hears_all(listener: Resp, publisher: Resp, names: list[str]) -> bool:
    """Every name and the channel `news` is heard of again."""
    for request in (("PUBLISH", "news", "x"), *(("SPUBLISH", name, "x") for name in names)):
        eventually(lambda request=request: publisher.command(*request) == 1, f"{request} arrives")
        while listener.read().items[1].decode() != request[1]:
            pass  # what was published more than once, because nobody was known to listen
    return True


def test_wait_counts_what_was_written_over_shared_connections(cluster: RunningCluster, client: Resp) -> None:
    assert client.pipeline(("SET", "{pair}", 1), ("WAIT", 1, 0))[-1] >= 1
    replicas = cluster.replicas
    for replica in replicas:
        replica.pause()
    try:
        assert client.pipeline(("SET", "{pair}", 2), ("WAIT", 1, 100)) == [OK, 0]
    finally:
        for replica in replicas:
            replica.resume()
    assert client.pipeline(("SET", "{pair}", 3), ("WAIT", 1, 0))[-1] >= 1
