"""A cluster by TLS, ours and redis-server 7.0 in one: the bus, keys and slots on their way, and the proxy
before it, by TLS to both sides.
"""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest
from redis.crc import key_slot

from tests.harness.certificates import Authority, Identity, protect
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.commands import redis_cli
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Error, Push, Resp, Simple, encode
from tests.harness.servers import Server, ShoalNode
from tests.harness.wait import eventually


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def identity(authority: Authority) -> Identity:
    return authority.issue("us")


@pytest.fixture(scope="module")
def replaced(authority: Authority, identity: Identity) -> Identity:
    """The same, in files that the proxy reads, and a test replaces."""
    own = Identity(authority.directory / "own.crt", authority.directory / "own.key")
    shutil.copy(identity.certificate, own.certificate)
    shutil.copy(identity.key, own.key)
    return own


@pytest.fixture(scope="module")
def cluster(authority: Authority, identity: Identity) -> Iterator[RunningCluster]:
    prepare = partial(protect, authority=authority, identity=identity)
    with cluster_of(3, kind=("shoal", "redis-7.0", "shoal"), prepare=prepare) as formed:
        yield formed


def test_clients_are_told_the_ports_for_tls(cluster: RunningCluster) -> None:
    ports = sorted(node.port for node in cluster.nodes)
    with cluster.client() as client:
        for number in range(50):
            assert client.set(f"key:{number}", number)
    ours, owner = cluster.nodes[0], cluster.owner_of("key:1")
    with ours.resp() as connection, ours.resp(protocol=3) as modern:
        rows = connection.command("CLUSTER", "SLOTS")
        assert sorted(row[2][1] for row in rows) == ports
        shards = modern.command("CLUSTER", "SHARDS")
        assert all(b"tls-port" in str(shard).encode() for shard in shards)
        for node in cluster.nodes:
            if node is not owner:
                assert node.run("GET", "key:1") == Error(f"MOVED {key_slot(b'key:1')} 127.0.0.1:{owner.port}")


def test_the_bus_speaks_no_plain_text(cluster: RunningCluster) -> None:
    """Each sees the others only by TLS: all ports but these are closed."""
    for node in cluster.nodes:
        lines = cluster.view(node).values()
        assert {line.link for line in lines} == {"connected"}
        assert {int(re.sub(r".*@(\d+).*", r"\1", line.address)) for line in lines} == {
            each.port + 10000 for each in cluster.nodes
        }


def test_slots_move_by_tls(cluster: RunningCluster) -> None:
    """Key by key to and from redis-server (MIGRATE), at once between two of ours."""
    ours, theirs, other = cluster.nodes
    with cluster.client() as client:
        for number in range(50):
            client.set(f"{{move}}{number}", number)
        slot = client.keyslot("{move}0")
        first = cluster.owner_of("{move}0")
        for source, target in ((first, theirs), (theirs, ours)):
            if source is not target:
                _move_by_keys(cluster, slot, source, target)
        ours.run("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", cluster.id_of(other))
        eventually(lambda: cluster.owner_of("{move}0") is other, "the slot has arrived")
        cluster.wait_settled()
        assert [client.get(f"{{move}}{number}") for number in range(50)] == [
            b"%d" % number for number in range(50)
        ]


def _move_by_keys(cluster: RunningCluster, slot: int, source: Server, target: Server) -> None:
    ids = {node: cluster.id_of(node) for node in (source, target)}
    assert target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source]) == Simple("OK")
    assert source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target]) == Simple("OK")
    keys = source.run("CLUSTER", "GETKEYSINSLOT", slot, 1000)
    assert keys
    moved = source.run("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", *keys)
    assert moved == Simple("OK")
    for node in cluster.nodes:
        node.run("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
    cluster.wait_settled()


class TlsProxy(ShoalProxy):
    """Listens by TLS only, where the plain one would listen plain."""

    def command(self) -> list[str]:
        plain = super().command()
        at = plain.index("--port")
        return [*plain[:at], "--port", "0", "--tls-port", str(self.port), *plain[at + 2 :]]


@pytest.fixture(scope="module")
def proxy(cluster: RunningCluster, authority: Authority, replaced: Identity) -> Iterator[ShoalProxy]:
    files = {
        "--tls-cert-file": replaced.certificate,
        "--tls-key-file": replaced.key,
        "--tls-ca-cert-file": authority.own.certificate,
    }
    options = [str(word) for option in files.items() for word in option]
    started = TlsProxy(cluster.addresses, "--tls", "--loglevel", "debug", *options)
    started.tls = authority.client_context(authority.issue("client"))
    with started:
        yield started


def test_one_server_by_tls(proxy: ShoalProxy) -> None:
    keys = [f"key:{number}" for number in range(200)]
    with proxy.client() as client, proxy.resp(protocol=3, timeout=20) as modern:
        assert client.mset({key: key for key in keys})
        assert client.mget(keys) == [key.encode() for key in keys]
        pipeline = [("GET", key) for key in keys] * 20
        assert modern.pipeline(*pipeline) == [key.encode() for key in keys] * 20
        assert modern.command("CONFIG", "GET", "tls-port").pairs == [(b"tls-port", b"%d" % proxy.port)]


def test_big_requests_and_replies_cross_records(proxy: ShoalProxy) -> None:
    value = bytes(range(256)) * 12_000
    with proxy.resp(timeout=20) as client:
        assert client.command("SET", "big", value) == Simple("OK")
        assert client.command("GET", "big") == value
        client.send(encode("GET", "big") * 8)  # more than the socket takes while nobody reads
        client.send(encode("PING") * 3)
        assert [client.read() == value for _ in range(8)] == [True] * 8
        assert [client.read() for _ in range(3)] == [Simple("PONG")] * 3
        for byte in encode("STRLEN", "big"):
            client.send(bytes([byte]))
        assert client.read() == len(value)


def test_what_has_connections_of_its_own(proxy: ShoalProxy) -> None:
    """Blocking commands, transactions, subscriptions: each goes another way to the workers."""
    with proxy.resp() as client, proxy.resp() as waiting, proxy.resp(protocol=3) as subscriber:
        waiting.send_command("BLPOP", "queue", 10)
        assert client.command("RPUSH", "queue", "work") == 1
        assert waiting.read() == [b"queue", b"work"]
        assert client.pipeline(("MULTI",), ("INCR", "n"), ("EXEC",))[-1] == [1]
        subscriber.send_command("SUBSCRIBE", "news")
        assert subscriber.read() == Push([b"subscribe", b"news", 1])
        assert client.command("PUBLISH", "news", "hello") == 1
        assert subscriber.read() == Push([b"message", b"news", b"hello"])
        client.send_command("QUIT")
        assert client.read() == Simple("OK")
        with pytest.raises((EOFError, OSError)):
            client.read()


def test_who_is_not_let_in(
    proxy: ShoalProxy, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    strange = Authority(tmp_path_factory.mktemp("strange"), "stranger").issue("them")
    for certificate in (None, strange, authority.issue("expired", days=-1)):
        context = authority.client_context(certificate)
        with pytest.raises((OSError, EOFError)), Resp(proxy.port, tls=context) as connection:
            connection.command("PING")
    with socket.create_connection((proxy.host, proxy.port), timeout=5) as plain:
        plain.sendall(b"PING\r\n")
        assert b"PONG" not in plain.recv(100)
    with socket.create_connection((proxy.host, proxy.port), timeout=5) as silent:
        silent.sendall(b"\x16")
        assert proxy.run("PING") == Simple("PONG")
        eventually(lambda: b"addr=127.0.0.1:%d" % silent.getsockname()[1] in proxy.run("CLIENT", "LIST"))


def test_a_worker_that_restarts_is_found_again(proxy: ShoalProxy, cluster: RunningCluster) -> None:
    owner = cluster.owner_of("again")
    with proxy.resp(timeout=20) as client:
        assert client.command("SET", "again", "1") == Simple("OK")
        owner.stop()
        client.send_command("SET", "again", "2")  # waits
        owner.start()
        assert client.read() == Simple("OK")
        assert client.command("GET", "again") == b"2"


def test_new_certificates_are_loaded(proxy: ShoalProxy, authority: Authority, replaced: Identity) -> None:
    def shown() -> str:
        with proxy.resp() as connection:
            subject = connection.socket.getpeercert()["subject"]  # type: ignore[attr-defined]
            return str(dict(pair for part in subject for pair in part)["commonName"])

    with proxy.resp() as before:
        assert shown() == "us"
        second = authority.issue("second")
        shutil.copy(second.certificate, replaced.certificate)
        shutil.copy(second.key, replaced.key)
        eventually(lambda: shown() == "second", "the new files are loaded", timeout=20)
        assert before.command("PING") == Simple("PONG")


def test_a_cluster_forms_by_itself(authority: Authority, identity: Identity) -> None:
    with ExitStack() as stack:
        nodes = [ShoalNode(cluster_enabled="yes", cluster_expected_size=3) for _ in range(3)]
        for node in nodes:
            protect(node, authority, identity, cluster_seeds=f"{nodes[0].address}")
            stack.enter_context(node)
        formed = RunningCluster(list(nodes))
        formed.wait_settled()
        formed.nodes[2].restart()
        formed.wait_settled()
        check = redis_cli("--cluster", "check", formed.addresses[0], *nodes[0].tls_arguments)
        assert "All 16384 slots covered" in check
