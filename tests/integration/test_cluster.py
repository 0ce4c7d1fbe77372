"""Clusters of our workers alone, formed and driven by the field's own tools: redis-cli and redis-py."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from redis.crc import key_slot

from tests.harness.busy import PACE
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.commands import redis_cli
from tests.harness.ports import lease_port, release_port
from tests.harness.resp import Error, Simple
from tests.harness.servers import NotStarted, Server, ShoalNode
from tests.harness.wait import eventually

OK = Simple("OK")


@pytest.fixture(scope="module")
def formed() -> Iterator[RunningCluster]:
    """3 + 3 workers that no test harms."""
    with cluster_of(3, replicas=1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    """3 + 3 workers whose roles and slots differ from test to test; each leaves them settled."""
    with cluster_of(3, replicas=1) as cluster:
        yield cluster


class Writer:
    """Writes numbered keys from a thread, and checks at the end that every acknowledged one is there."""

    def __init__(self, client: redis.RedisCluster, tolerate: tuple[type[Exception], ...] = ()) -> None:
        self.client = client
        self.tolerate = tolerate
        self.acknowledged = 0
        self.refused = 0
        self.longest_gap = 0.0
        self.error: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        last = time.monotonic()
        for number in itertools.count():
            if self._stop.wait(PACE):
                return
            try:
                self.client.set(f"w:{number % 5000}", number)
                assert self.client.get(f"w:{number % 5000}") == str(number).encode()
            except self.tolerate:
                self.refused += 1
                continue
            except Exception as error:
                self.error = error
                return
            self.acknowledged += 1
            self.longest_gap = max(self.longest_gap, time.monotonic() - last)
            last = time.monotonic()

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for(self, count: int) -> None:
        """Until so many more writes were acknowledged."""
        goal = self.acknowledged + count
        eventually(
            lambda: self.error is not None or self.acknowledged >= goal,
            lambda: f"{goal} writes; had {self.acknowledged}, {self.refused} refused",
            timeout=30,
        )
        if self.error is not None:
            raise self.error


# --- forming


def test_redis_cli_creates_and_checks(formed: RunningCluster) -> None:
    checked = redis_cli("--cluster", "check", formed.addresses[0])
    assert "[OK] All nodes agree about slots configuration." in checked
    assert "[OK] All 16384 slots covered." in checked
    assert len(formed.primaries) == len(formed.replicas) == 3
    assert {line.link for node in formed.nodes for line in formed.view(node).values()} == {"connected"}


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_uses_it(formed: RunningCluster, protocol: int) -> None:
    with formed.client(protocol=protocol) as client:
        for number in range(300):
            assert client.set(f"py:{number}", number)
        assert [client.get(f"py:{number}") for number in range(300)] == [b"%d" % n for n in range(300)]
        assert client.mget_nonatomic([f"py:{number}" for number in range(10)])[9] == b"9"


def test_a_plain_client_is_sent_to_the_owner(formed: RunningCluster) -> None:
    owner = formed.owner_of("foo")
    for node in formed.primaries:
        answer = node.run("SET", "foo", "bar")
        assert answer == (OK if node is owner else Error(f"MOVED 12182 {owner.address}"))
        answer = node.run("MSET", "a", 1, "b", 2)
        assert answer == Error("CROSSSLOT Keys in request don't hash to the same slot")
        answer = node.run("MSET", "{foo}a", 1, "{foo}b", 2)
        assert answer == (OK if node is owner else Error(f"MOVED 12182 {owner.address}"))
    assert owner.run("MGET", "{foo}b", "{foo}a") == [b"2", b"1"]
    assert owner.run("EXISTS", "{foo}a", "{foo}b", "{foo}a") == 3
    assert owner.run("DEL", "{foo}a", "{foo}b", "{foo}c") == 2


def test_a_replica_answers_reads_after_readonly(formed: RunningCluster) -> None:
    owner = formed.owner_of("foo")
    owner.run("SET", "foo", "from the primary")
    (replica,) = formed.replicas_of(owner)
    with replica.resp() as connection:
        moved = Error(f"MOVED 12182 {owner.address}")
        assert connection.command("GET", "foo") == moved
        assert connection.command("READONLY") == OK
        eventually(lambda: connection.command("GET", "foo") == b"from the primary", "the write to arrive")
        assert connection.command("SET", "foo", "x") == moved
        assert connection.pipeline(("MULTI",), ("GET", "foo"), ("EXEC",))[2] == [b"from the primary"]
        assert connection.command("READWRITE") == OK
        assert connection.command("GET", "foo") == moved


def test_views_of_replicas(formed: RunningCluster) -> None:
    primary = formed.primaries[0]
    (replica,) = formed.replicas_of(primary)
    primary_id = formed.id_of(primary)
    for seen_by in formed.nodes:
        (line,) = seen_by.run("CLUSTER", "REPLICAS", primary_id)
        assert line.decode().split()[0] == formed.id_of(replica)
        # A replica is listed once its offset has been heard of, and no stream begins before its first PING.
        eventually(
            lambda seen_by=seen_by: [len(row) for row in seen_by.run("CLUSTER", "SLOTS")] == [4, 4, 4],
            f"{seen_by} lists all replicas",
            timeout=20,
        )
        starts = [row[0] for row in seen_by.run("CLUSTER", "SLOTS")]
        assert starts == sorted(starts)
    links = primary.run("CLUSTER", "LINKS")
    directions = [link[link.index(b"direction") + 1] for link in links]
    assert sorted(directions) == [b"from"] * 5 + [b"to"] * 5


# --- failures


def test_a_killed_primary_is_replaced_and_comes_back_as_replica() -> None:
    with cluster_of(3, replicas=1, node_timeout=1500) as cluster:
        victim = cluster.owner_of("foo")
        (heir,) = cluster.replicas_of(victim)
        with cluster.client() as client:
            for number in range(500):
                client.set(f"before:{number}", number)
            eventually(lambda: victim.info("replication")["slave0"]["lag"] <= 1, "the replica has it all")
            eventually(lambda: synchronized(victim, heir), "the replica is at its primary's offset")
            victim.kill()
            killed_at = time.monotonic()
            eventually(
                lambda: "master" in cluster.line_of(heir).flags, "the replica to be promoted", timeout=15
            )
            eventually(lambda: heir.run("SET", "foo", "new") == OK, "the heir to serve")
            assert (
                time.monotonic() - killed_at < 1.5 + 2 + 1
            )  # the promise, and what the awaiting itself adds
            assert all(client.get(f"before:{number}") == b"%d" % number for number in range(500))
        victim.start()
        cluster.wait_settled()
        line = cluster.line_of(victim)
        assert "slave" in line.flags
        assert line.primary_id == cluster.id_of(heir)
        eventually(lambda: synchronized(heir, victim), "the old primary follows")
        with victim.resp() as connection:
            connection.command("READONLY")
            assert connection.command("GET", "foo") == b"new"


def synchronized(primary: Server, replica: Server) -> bool:
    offset = primary.info("replication")["master_repl_offset"]
    return bool(offset) and replica.info("replication").get("slave_repl_offset") == offset


def test_a_manual_failover_loses_nothing_and_is_hardly_noticed(cluster: RunningCluster) -> None:
    primary = cluster.owner_of("w:0")
    (replica,) = cluster.replicas_of(primary)
    with cluster.client() as client, Writer(client) as writer:
        writer.wait_for(200)
        assert replica.run("CLUSTER", "FAILOVER") == OK
        eventually(lambda: "master" in cluster.line_of(replica).flags, "the replica to take over")
        eventually(lambda: "slave" in cluster.line_of(primary).flags, "the primary to step back")
        writer.wait_for(200)
    assert writer.refused == 0
    cluster.wait_settled()


def test_a_minority_stops_serving_and_recovers() -> None:
    with cluster_of(3, node_timeout=1000) as cluster:
        left, *others = cluster.nodes
        slot, _ = cluster.line_of(left).slots[0]
        key = key_of_slot(slot)
        assert left.run("SET", key, "v") == OK
        for node in others:
            node.pause()
        eventually(lambda: left.run("GET", key) == Error("CLUSTERDOWN The cluster is down"), "a minority")
        left.run("CONFIG", "SET", "cluster-allow-reads-when-down", "yes")
        assert left.run("GET", key) == b"v"
        readonly = Error("CLUSTERDOWN The cluster is down and only accepts read commands")
        assert left.run("SET", key, "w") == readonly
        for node in others:
            node.resume()
        cluster.wait_settled()
        assert left.run("SET", key, "w") == OK


def test_a_restarted_cluster_is_the_same_cluster(cluster: RunningCluster) -> None:
    before = {cluster.id_of(node): (node.port, cluster.slot_owners(node)) for node in cluster.nodes}
    for node in cluster.nodes:
        assert node.stop() == 0
    for node in cluster.nodes:
        node.start(wait=False)
    for node in cluster.nodes:
        node.wait_ready()
    cluster.wait_settled()
    after = {
        node.run("CLUSTER", "MYID").decode(): (node.port, cluster.slot_owners(node)) for node in cluster.nodes
    }
    assert after == before


# --- slots in motion


def key_of_slot(slot: int, tag: str = "") -> bytes:
    names = (f"key{tag}{number}".encode() for number in itertools.count())
    return next(name for name in names if key_slot(name) == slot)


def test_a_slot_in_motion_is_served_from_both_sides(cluster: RunningCluster) -> None:
    source, target, _ = cluster.primaries
    first, last = cluster.line_of(source).slots[0]
    slot = next(
        each for each in range(first, last + 1) if source.run("CLUSTER", "COUNTKEYSINSLOT", each) == 0
    )
    name = key_of_slot(slot).decode()
    here, gone, new = (f"{{{name}}}{word}" for word in ("here", "gone", "new"))
    assert source.run("MSET", here, 1, gone, 2) == OK
    source_id, target_id = cluster.id_of(source), cluster.id_of(target)
    assert target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id) == OK
    assert source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id) == OK
    assert cluster.line_of(source).open_slots == [f"[{slot}->-{target_id}]"]
    assert cluster.line_of(target).open_slots == [f"[{slot}-<-{source_id}]"]
    assert source.run("MIGRATE", target.host, target.port, gone, 0, 5000) == OK

    ask, moved = Error(f"ASK {slot} {target.address}"), Error(f"MOVED {slot} {source.address}")
    tryagain = Error("TRYAGAIN Multiple keys request during rehashing of slot")
    assert source.run("GET", here) == b"1"
    assert source.run("GET", gone) == source.run("SET", new, 3) == ask
    assert source.run("MGET", here, gone) == tryagain
    with target.resp() as connection:
        assert connection.command("GET", gone) == moved
        assert connection.pipeline(("ASKING",), ("GET", gone)) == [OK, b"2"]
        assert connection.command("GET", gone) == moved, "ASKING is good for one command"
        assert connection.pipeline(("ASKING",), ("SET", new, 3)) == [OK, OK]
        assert connection.pipeline(("ASKING",), ("MGET", gone, here))[1] == tryagain
        transaction = connection.pipeline(("ASKING",), ("MULTI",), ("GET", gone), ("EXEC",))
        assert transaction[2:] == [Simple("QUEUED"), [b"2"]], "unless that begins a transaction"

    refused = source.run("CLUSTER", "SETSLOT", slot, "NODE", target_id)
    assert isinstance(refused, Error) and "while I still hold keys" in refused.text
    assert source.run("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", here) == OK
    assert target.run("CLUSTER", "SETSLOT", slot, "NODE", target_id) == OK
    assert source.run("CLUSTER", "SETSLOT", slot, "NODE", target_id) == OK
    assert target.run("MGET", here, gone, new) == [b"1", b"2", b"3"]
    assert source.run("GET", here) == Error(f"MOVED {slot} {target.address}")
    cluster.wait_settled()


def slot_count(cluster: RunningCluster, node: Server) -> int:
    return sum(last - first + 1 for first, last in cluster.line_of(node).slots)


def test_clients_write_while_redis_cli_reshards_and_see_no_error(cluster: RunningCluster) -> None:
    source, target, _ = cluster.primaries
    before = slot_count(cluster, target)
    with cluster.client() as client, Writer(client) as writer:
        writer.wait_for(500)
        redis_cli(
            "--cluster", "reshard", source.address, "--cluster-from", cluster.id_of(source),
            "--cluster-to", cluster.id_of(target), "--cluster-slots", 150, "--cluster-yes",
            timeout=90,
        )  # fmt: skip
        writer.wait_for(500)
    assert writer.refused == 0
    cluster.wait_settled()
    assert slot_count(cluster, target) == before + 150
    assert "[OK] All 16384 slots covered." in redis_cli("--cluster", "check", source.address)


# --- bad company, bad starts


def test_noise_on_the_bus_harms_nobody(formed: RunningCluster) -> None:
    node = formed.nodes[0]
    ping = b"RCmb" + (2256).to_bytes(4, "big") + b"\0\1" + b"\xff\xff" + b"\0\0"
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"RCmb\xff\xff\xff\xff", ping.ljust(2256, b"\xff")):
        with socket.create_connection((node.host, node.port + 10000), timeout=5) as stranger:
            stranger.sendall(noise)
            assert closed(stranger)
    with socket.create_connection((node.host, node.port + 10000), timeout=5) as silent:
        silent.sendall(b"RCmb\x00\x00")
        assert formed.is_settled()


def closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_taken_bus_port_is_said_and_ends_the_start() -> None:
    port = lease_port()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port + 10000))
        taken.listen()
        node = ShoalNode(port, cluster_enabled="yes")
        with pytest.raises(
            NotStarted, match=f"socket 127.0.0.1:{port + 10000}: bind: Address already in use"
        ):
            node.start()
        assert node.process is not None and node.process.returncode == 1
        node.close()
    release_port(port)


@contextmanager
def failing_start(prepare: Callable[[ShoalNode], None], **config: str | int) -> Iterator[str]:
    """The log of a worker that refuses to start, with exit code 1."""
    node = ShoalNode(cluster_enabled="yes", **config)
    prepare(node)
    with pytest.raises(NotStarted):
        node.start()
    assert node.process is not None and node.process.returncode == 1
    yield node.log
    node.close()


def test_a_damaged_nodes_conf_is_refused_with_its_line() -> None:
    def damage(node: ShoalNode) -> None:
        (node.directory / "nodes.conf").write_text("vars currentEpoch 1 lastVoteEpoch 0\nnonsense here\n")

    with failing_start(damage) as log:
        assert "nodes.conf: line 2" in log


def test_one_nodes_conf_serves_one_worker() -> None:
    with ShoalNode(cluster_enabled="yes") as first:
        path = str(first.directory / "nodes.conf")
        with failing_start(lambda node: None, cluster_config_file=path) as log:
            assert "is already used by a different Redis Cluster node" in log


def test_a_port_without_room_for_the_bus_is_refused() -> None:
    with failing_start(lambda node: None, cluster_port=0, port=60000) as log:
        assert "Redis port number too high for cluster mode" in log


def test_a_worker_that_cannot_save_its_configuration_ends() -> None:
    """It could otherwise vote twice in one epoch."""
    node = ShoalNode(cluster_enabled="yes")
    node.may_fail = True
    with node:
        (node.directory / f"nodes.conf.tmp-{node.pid}").mkdir()
        refused = node.run("CLUSTER", "SAVECONFIG")
        assert refused == Error("ERR error saving the cluster node config: Is a directory")
        with pytest.raises(EOFError):
            node.run("CLUSTER", "ADDSLOTS", 1)
        eventually(lambda: not node.running, "the process to end")
        assert node.process is not None and node.process.returncode == 1
        assert "Fatal: can't update cluster config file" in node.log
