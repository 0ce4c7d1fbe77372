"""The cluster behind the proxy changes: slots move, workers die and return. Clients hardly notice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis

from node.core.key_slot import key_slot
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.commands import redis_cli
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import NULL_BULK, Error, Simple, encode
from tests.harness.wait import eventually


@pytest.fixture(scope="module")
def formed() -> Iterator[RunningCluster]:
    """That a slot is not served is no reason to refuse others."""
    settings = {"kind": "valkey", "node_timeout": 1000, "cluster_require_full_coverage": "no"}
    with cluster_of(3, replicas=1, **settings) as running:
        yield running


@pytest.fixture
def cluster(formed: RunningCluster) -> RunningCluster:
    """Whole and empty; roles may differ from test to test."""
    for node in formed.nodes:
        if not node.running:
            node.start()
        node.resume()  # a test that failed may have left it stopped
    formed.wait_settled()
    for primary in formed.primaries:
        primary.run("FLUSHALL")
    return formed


class Writer:
    """Counts up keys through the proxy, several per pipeline, and checks every reply."""

    def __init__(self, proxy: ShoalProxy, tag: str) -> None:
        self.client = proxy.resp(timeout=20)
        self.tag = tag
        self.written: dict[str, int] = {}
        self.errors: list[str] = []
        self.rounds = 0

    def round(self) -> None:
        keys = [f"{self.tag}:{self.rounds % 40}:{index}" for index in range(10)]
        number = self.rounds
        requests = [encode("SET", key, number) + encode("GET", key) for key in keys]
        self.client.send(b"".join(requests) + encode("MGET", *keys))
        for key in keys:
            stored, read = self.client.read(), self.client.read()
            if stored == Simple("OK"):
                self.written[key] = number
                if read != b"%d" % number:
                    self.errors.append(f"GET {key}: {read}, not {number}")
            else:
                self.errors.append(f"SET {key}: {stored}")
        several = self.client.read()
        if several != [b"%d" % number] * len(keys):
            self.errors.append(f"MGET: {several}, not {number}")
        self.rounds += 1


@contextmanager
def writing(proxy: ShoalProxy, count: int = 4) -> Iterator[list[Writer]]:
    """Writers at work in threads of their own while the block runs."""
    writers = [Writer(proxy, f"w{number}") for number in range(count)]
    stop = threading.Event()

    def work(writer: Writer) -> None:
        try:
            while not stop.is_set():
                writer.round()
        except Exception as error:
            writer.errors.append(repr(error))

    threads = [threading.Thread(target=work, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        yield writers
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
        for writer in writers:
            writer.client.close()


def progress(writers: list[Writer], rounds: int = 20) -> Callable[[], bool]:
    """A condition: every writer has done so many rounds from now on."""
    goal = {writer.tag: writer.rounds + rounds for writer in writers}
    return lambda: all(writer.rounds >= goal[writer.tag] for writer in writers)


def test_slots_move_under_writers(cluster: RunningCluster) -> None:
    """redis-cli moves slots with SETSLOT and MIGRATE: MOVED, ASK and TRYAGAIN stay inside the proxy."""
    source, target, _ = cluster.primaries
    with ShoalProxy(cluster.addresses) as proxy:
        with writing(proxy) as writers:
            eventually(progress(writers), "writers at work")
            redis_cli(
                "--cluster", "reshard", source.address, "--cluster-from", cluster.id_of(source),
                "--cluster-to", cluster.id_of(target), "--cluster-slots", 300, "--cluster-yes",
            )  # fmt: skip
            eventually(progress(writers), "writers still at work")
        assert [writer.errors for writer in writers] == [[]] * len(writers)
        with proxy.client() as client:
            for writer in writers:
                found = client.mget(list(writer.written))
                assert found == [b"%d" % number for number in writer.written.values()]
        assert int(proxy.info("stats")["redirections_followed"]) > 0


def test_split_commands_while_their_slot_is_in_motion(cluster: RunningCluster) -> None:
    """Half of a slot's keys are here, half are there: workers say TRYAGAIN, the proxy asks key by key."""
    keys = [f"{{tag}}{number}" for number in range(10)]
    slot = key_slot(b"tag")
    source = cluster.owner_of("{tag}")
    target = next(node for node in cluster.primaries if node is not source)
    with ShoalProxy(cluster.addresses) as proxy, proxy.resp() as client:
        assert client.command("MSET", *(word for key in keys for word in (key, key))) == Simple("OK")
        target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(source))
        source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id_of(target))
        moved = source.run("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", *keys[:5])
        assert moved == Simple("OK")
        assert source.run("MGET", *keys) == Error("TRYAGAIN Multiple keys request during rehashing of slot")
        assert client.command("MGET", *keys, "{tag}none") == [*(key.encode() for key in keys), NULL_BULK]
        assert client.command("EXISTS", *keys) == 10
        assert client.command("GET", keys[0]) == keys[0].encode()
        assert client.command("SET", "{tag}new", "1") == Simple("OK")
        assert client.command("MSET", keys[0], "x", keys[9], "y") == Simple("OK")
        assert client.command("DEL", *keys, "{tag}new") == 11
        for node in (source, target):
            node.run("CLUSTER", "SETSLOT", slot, "STABLE")


def test_commands_on_several_keys_wait_while_their_slot_is_in_motion(cluster: RunningCluster) -> None:
    """What cannot be split is tried again until its keys are together, unless later requests depend on it."""
    slot = key_slot(b"pair")
    source = cluster.owner_of("{pair}")
    target = next(node for node in cluster.primaries if node is not source)
    with ShoalProxy(cluster.addresses) as proxy, proxy.resp() as client:
        client.pipeline(("SADD", "{pair}1", "a"), ("SADD", "{pair}2", "b"))
        target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(source))
        source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id_of(target))
        assert source.run("MIGRATE", target.host, target.port, "{pair}1", 0, 5000) == Simple("OK")
        union = ("SUNIONSTORE", "{pair}1", "{pair}1", "{pair}2")
        again = Error("TRYAGAIN Multiple keys request during rehashing of slot")
        assert client.pipeline(union, ("SMEMBERS", "{pair}1")) == [again, [b"a"]]
        client.send_command(*union)
        assert client.silent()
        client.send_command("SMEMBERS", "{pair}1")
        assert source.run("MIGRATE", target.host, target.port, "{pair}2", 0, 5000) == Simple("OK")
        for node in (target, source):
            node.run("CLUSTER", "SETSLOT", slot, "NODE", cluster.id_of(target))
        assert client.read() == 2
        assert sorted(client.read()) == [b"a", b"b"]


def outage(client: redis.Redis, key: str, deadline: float = 20.0) -> set[str]:
    """Write `key` until it succeeds again; returns the errors meanwhile."""
    errors: set[str] = set()

    def writes() -> bool:
        try:
            return bool(client.set(key, "x"))
        except redis.ResponseError as error:
            errors.add(str(error))
            return False

    eventually(writes, f"{key} can be written again", timeout=deadline)
    return errors


def test_killed_primary_costs_errors_at_once_and_heals(cluster: RunningCluster) -> None:
    """At once: its replica is held back, so that the errors are seen before it takes over."""
    victim = cluster.owner_of("a")
    (heir,) = cluster.replicas_of(victim)
    survivor_key = next(key for key in map(str, range(100)) if cluster.owner_of(key) is not victim)
    with (
        ShoalProxy(cluster.addresses, "--failover-wait", "0") as proxy,
        proxy.client() as client,
        proxy.resp() as raw,
    ):
        client.set("a", "before")
        assert raw.command("GET", "a") == b"before"  # its connection to the worker is there
        heir.pause()
        victim.pause()
        raw.send(encode("GET", "a") + encode("PING") + encode("GET", survivor_key))
        assert raw.silent()  # all three wait for the first, in order
        victim.kill()
        first = raw.read()
        assert isinstance(first, Error)
        assert first.text == f"ERR upstream connection lost: {victim.address}"
        assert raw.read() == Simple("PONG")
        assert raw.read() == NULL_BULK
        refused = eventually(lambda: is_refused(raw.command("GET", "a")), "requests are refused at once")
        assert refused.text.startswith(f"CLUSTERDOWN upstream {victim.address} ")
        assert client.set(survivor_key, "lives")
        with pytest.raises(redis.ResponseError):
            client.mget("a", survivor_key)
        heir.resume()
        errors = outage(client, "a")
        assert all(error.startswith("CLUSTERDOWN") or "upstream" in error for error in errors)
        assert client.mget("a", survivor_key) == [b"x", b"lives"]
        victim.start()
        cluster.wait_settled()
        assert client.get("a") == b"x"


def is_refused(reply: object) -> Error | None:
    return reply if isinstance(reply, Error) and reply.prefix == "CLUSTERDOWN" else None


def test_silent_primary_is_given_up_when_the_cluster_does(cluster: RunningCluster) -> None:
    """A stopped process keeps its connections: only the map tells that nobody is there."""
    victim = cluster.owner_of("a")
    with ShoalProxy(cluster.addresses, "--failover-wait", "0") as proxy, proxy.resp(timeout=20) as client:
        assert client.command("SET", "a", "1") == Simple("OK")
        victim.pause()
        try:
            client.send_command("GET", "a")
            assert isinstance(client.read(), Error)
            eventually(
                lambda: client.command("SET", "a", "2") == Simple("OK"), "replica took over", timeout=20
            )
        finally:
            victim.resume()


def test_a_worker_that_restarts_is_used_again() -> None:
    with cluster_of(3, kind="valkey", cluster_require_full_coverage="no") as cluster:
        victim = cluster.owner_of("a")
        with ShoalProxy(cluster.addresses) as proxy, proxy.client() as client:
            client.set("a", "1")
            victim.restart()
            outage(client, "a")
            assert client.get("a") == b"x"


def test_manual_failover_goes_unnoticed(cluster: RunningCluster) -> None:
    old = cluster.owner_of("a")
    (replica,) = cluster.replicas_of(old)
    with ShoalProxy(cluster.addresses) as proxy:
        with writing(proxy) as writers:
            eventually(progress(writers), "writers at work")
            assert replica.run("CLUSTER", "FAILOVER") == Simple("OK")
            eventually(lambda: "master" in cluster.line_of(replica).flags, "replica is primary")
            eventually(progress(writers), "writers still at work")
        assert [writer.errors for writer in writers] == [[]] * len(writers)


def test_a_scan_goes_on_after_a_failover(cluster: RunningCluster) -> None:
    """In the middle of a slot: the cursor is that of a process that is no primary any more."""
    keys = {f"{{a}}{number}" for number in range(300)}
    old = cluster.owner_of("a")
    (replica,) = cluster.replicas_of(old)
    with ShoalProxy(cluster.addresses) as proxy, proxy.client(decode_responses=True) as client:
        client.mset(dict.fromkeys(keys, "x"))
        assert client.wait(1, 5000) == 1
        cursor, found = client.scan(0, count=10)
        seen = set(found)
        while not 100 < len(seen) < 200:
            cursor, found = client.scan(cursor, count=10)
            seen.update(found)
        assert replica.run("CLUSTER", "FAILOVER") == Simple("OK")
        eventually(lambda: "master" in cluster.line_of(replica).flags, "replica is primary")
        while cursor:
            cursor, found = client.scan(cursor, count=10)
            seen.update(found)
        assert seen == keys


def test_proxy_starts_before_its_cluster() -> None:
    with cluster_of(3, kind="valkey", form=False) as cluster:
        proxy = ShoalProxy(cluster.addresses)
        proxy.start(wait=False)
        try:
            eventually(lambda: proxy.run("PING") == Simple("PONG"), "proxy listens")
            assert proxy.run("GET", "a") == Error("CLUSTERDOWN Hash slot not served")
            assert proxy.run("MGET", "a", "b") == Error("CLUSTERDOWN Hash slot not served")
            assert proxy.run("DBSIZE") == Error("CLUSTERDOWN Hash slot not served")
            redis_cli("--cluster", "create", *cluster.addresses, "--cluster-yes")
            eventually(lambda: proxy.run("SET", "a", "1") == Simple("OK"), "proxy found the cluster")
        finally:
            proxy.close()
