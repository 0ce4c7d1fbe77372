"""`shoal import`: from servers and clusters of every kind, while clients write to them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tests.harness.busy import PACE
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.servers import OldRedis, Oracle, Server, server
from tests.harness.shoal_command import shoal
from tests.harness.tls import make_certificate, tls_before
from tests.harness.wait import eventually

KEYS = 1000


@pytest.fixture(scope="module")
def target() -> Iterator[RunningCluster]:
    """Ours."""
    with cluster_of(3, kind="shoal", form=False) as three:
        shoal("create", *three.addresses, "--yes")
        yield three


@pytest.fixture(autouse=True)
def emptied(target: RunningCluster) -> Iterator[None]:
    yield
    for node in target.nodes:
        node.run("FLUSHALL")
        node.run("FUNCTION", "FLUSH")


def source_of(kind: str) -> Server:
    return OldRedis() if kind == "redis-7.0" else server(kind)


def fill(client: redis.Redis | redis.RedisCluster) -> None:
    pipeline = client.pipeline(transaction=False)
    for n in range(KEYS):
        pipeline.set(f"key:{n}", n)
    pipeline.execute()
    client.hset("hash", mapping={f"field:{n}": n for n in range(500)})
    client.zadd("zset", {f"member:{n}": n for n in range(500)})
    client.xadd("stream", {"a": "b"})
    client.set("fleeting", 1, ex=1000)


@contextmanager
def writers(client: redis.Redis | redis.RedisCluster) -> Iterator[None]:
    """Changes of every sort, one after the other, until the end. An error ends it: the source refuses
    writes then."""
    stop = threading.Event()
    rounds = 0

    def work() -> None:
        nonlocal rounds
        while not stop.wait(PACE):
            rounds += 1
            n = rounds % KEYS
            try:
                client.incr(f"key:{n}")
                client.delete(f"key:{(7 * n) % KEYS}")
                client.set(f"new:{rounds}", rounds)
                client.hset("hash", f"field:{n % 700}", rounds)
                client.zincrby("zset", 1, f"member:{n % 700}")
                client.rename(f"new:{rounds}", f"{{new:{rounds}}}renamed")
            except redis.RedisError:
                return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        eventually(lambda: rounds > 10, "the writer writes")
        yield
    finally:
        stop.set()
        thread.join()


def content(client: redis.Redis | redis.RedisCluster) -> dict[bytes, bytes | None]:
    """Key -> what tells one value from another."""
    found = {}
    for key in client.scan_iter(count=1000):
        kind = client.type(key)
        if kind == b"hash":
            value = repr(sorted(client.hgetall(key).items()))
        elif kind == b"zset":
            value = repr(client.zrange(key, 0, -1, withscores=True))
        elif kind == b"stream":
            value = repr(client.xrange(key))
        else:
            value = repr((client.get(key), client.pexpiretime(key)))
        found[key] = value.encode()
    return found


@pytest.mark.parametrize("kind", ["redis-7.0", "redis", "valkey", "shoal"])
def test_a_server_in_use(kind: str, target: RunningCluster) -> None:
    with source_of(kind) as source, source.client() as client, target.client() as aware:
        fill(client)
        client.function_load("#!lua name=mine\nredis.register_function('mine', function() return 1 end)")
        address = target.addresses[0]
        plan = shoal("import", "--from", source.address, address, "--dry-run", "--json").json
        assert plan["source_keys"] == KEYS + 4
        with writers(client):
            done = shoal("import", "--from", source.address, address, "--yes", "--fence", "--json").json
        assert done["keys"] > KEYS
        assert content(aware) == content(client)
        assert target.nodes[1].run("FCALL", "mine", 0) == 1
        with pytest.raises(redis.RedisError, match="NOREPLICAS"):
            client.set("a", "b")


def test_a_cluster_in_use_by_a_command_that_switches(target: RunningCluster, tmp_path: Path) -> None:
    with cluster_of(3, kind="valkey", form=False) as source:
        shoal("create", *source.addresses, "--yes")
        with source.client() as client, target.client() as aware:
            fill(client)
            switched = tmp_path / "switched"
            with writers(client):
                asking = ["import", "--from", source.addresses[1], target.addresses[0], "--yes"]
                failed = shoal(*asking, "--switch", "exit 3", code=1).err
                assert "'exit 3' ended with code 3; " in failed
                assert "clients go on at the source" in failed
                client.set("a", "b")  # they do
                shoal(*asking, "--flush", "--fence", "--switch", f"touch {switched}", "--json")
            assert switched.exists()
            assert content(aware) == content(client)


def test_a_server_behind_tls(target: RunningCluster, tmp_path: Path, valkey_oracle: Oracle) -> None:
    certificate, key = make_certificate(tmp_path)
    valkey_oracle.run("SET", "a", "b")
    with tls_before(valkey_oracle.port, certificate, key) as port:
        source = ["--from", f"localhost:{port}", "--from-cacert", certificate]
        assert shoal("import", *source, target.addresses[0], "--yes", "--json").json["keys"] == 1
    with target.client() as aware:
        assert aware.get("a") == b"b"


def test_a_move_empties_the_source(target: RunningCluster) -> None:
    with Oracle("redis", requirepass="there") as source, source.client(password="there") as client:
        client.mset({f"key:{n}": n for n in range(100)})
        asking = ["import", "--from", source.address, "--from-pass", "there", target.addresses[0], "--move"]
        declined = shoal(*asking, input="n\n", code=130).out
        assert "the source is emptied in the end" in declined
        assert shoal(*asking, input="y\ny\ny\n").out.count("[y/N]") == 3
        assert client.dbsize() == 0
        assert sum(node.run("DBSIZE") for node in target.nodes) == 100


class TestRefusing:
    def test_a_target_with_keys(self, target: RunningCluster, valkey_oracle: Oracle) -> None:
        valkey_oracle.run("SET", "a", "source")
        with target.client() as aware:
            aware.set("a", "target")
            asking = ["import", "--from", valkey_oracle.address, target.addresses[0], "--yes"]
            assert "--replace overwrites" in shoal(*asking, code=1).error_line
            shoal(*asking, "--replace", "--json")
            assert aware.get("a") == b"source"

    def test_itself(self, target: RunningCluster) -> None:
        one, other, _ = target.addresses
        assert "are the same" in shoal("import", "--from", one, other, code=2).error_line

    def test_databases_that_the_target_has_not(self, target: RunningCluster, valkey_oracle: Oracle) -> None:
        with valkey_oracle.client(db=3) as client:
            client.set("a", "b")
            refused = shoal("import", "--from", valkey_oracle.address, target.addresses[0], code=1).error_line
            client.flushall()
        assert "keys in database 3" in refused
