"""The disk tier: what is in the store only is there for every command, outlives every end, and moves like
all data.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.harness.clusters import cluster_of
from tests.harness.resp import Error, encode
from tests.harness.servers import NotStarted, Oracle, Server, ShoalNode, server
from tests.harness.wait import eventually
from tests.integration.datasets import content, fill, fill_strings
from tests.integration.test_full_disk import CrampedNode

LONG_KEY = b"long:" + b"k" * 5000


def disk_node(**config: Any) -> ShoalNode:
    return ShoalNode(**{"storage_engine": "disk", **config})


def storage(node: Server) -> dict[str, Any]:
    return node.info("storage")


def written(node: Server) -> None:
    """Return when the store has everything."""
    eventually(lambda: not storage(node)["storage_keys_behind"], "a commit of everything")


def spill(node: Server) -> None:
    """Let everything be in the store only."""
    node.run("CONFIG", "SET", "maxmemory", "1")
    eventually(lambda: not storage(node)["storage_keys_in_memory"], "an empty memory")
    node.run("CONFIG", "SET", "maxmemory", "0")


def digest(node: Server) -> Any:
    return node.run("DEBUG", "DIGEST")


def fill_everything(node: Server) -> None:
    fill(node)
    node.run("SET", LONG_KEY, "value", "PXAT", "4000000000000")
    node.run("HSET", "hash:timed", "a", "1", "b", "2")
    node.run("HPEXPIREAT", "hash:timed", "4000000000000", "FIELDS", "1", "a")
    node.run("SELECT", "3")


def test_keys_of_all_types_come_back_as_they_were() -> None:
    with disk_node() as node:
        fill_everything(node)
        expected, before = content(node), digest(node)
        keys = node.run("DBSIZE")
        spill(node)
        assert storage(node)["storage_keys_on_disk_only"] == keys
        assert digest(node) == before
        assert not storage(node)["storage_keys_in_memory"], "looking at everything must not load it"
        assert content(node) == expected
        assert storage(node)["storage_keys_in_memory"] == keys


def test_keys_are_counted_and_listed_wherever_they_are() -> None:
    with disk_node() as node, node.client() as client:
        names = {f"{{same slot}}:{number}".encode() for number in range(3000)}
        client.mset(dict.fromkeys(names, "1"))
        client.set("other", 1, px=4_000_000)
        names.add(b"other")
        spill(node)
        some = set(list(names)[:500])
        client.mget(some)
        assert client.dbsize() == len(names)
        assert client.info("keyspace")["db0"]["expires"] == 1
        assert set(client.keys()) == names
        for count in (1, 10, 5000):
            found = list(client.scan_iter(count=count))
            assert len(found) == len(names)
            assert set(found) == names
        assert {client.randomkey() for _ in range(200)} <= names
        assert len({client.randomkey() for _ in range(200)}) > 50


def test_a_scan_finds_what_is_loaded_and_spilled_meanwhile() -> None:
    with disk_node() as node, node.client() as client:
        names = {f"{{one}}:{number}".encode() for number in range(2000)}
        client.mset(dict.fromkeys(names, "1"))
        spill(node)
        cursor, found = client.scan(0, count=10)
        turn = 0
        while cursor:
            turn += 1
            client.mget(*(f"{{one}}:{number}" for number in range(turn % 7, 2000, 7)))
            if turn % 20 == 0:
                spill(node)
            cursor, more = client.scan(cursor, count=50)
            found += more
        assert set(found) == names
        assert len(found) == len(names)


@pytest.mark.parametrize("way", ["kill", "stop"])
@pytest.mark.parametrize("log", ["no", "yes"])
def test_a_dataset_outlives_the_process(way: str, log: str) -> None:
    with disk_node(appendonly=log, appendfsync="always") as node:
        fill_everything(node)
        node.run("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 7 end)")
        written(node)
        node.run("SET", "last", "word")
        node.run("RPUSH", "list:small", "one more")
        node.run("DEL", "short")
        before = digest(node)
        if log == "no" and way == "kill":
            written(node)
        getattr(node, way)()
        node.start()
        assert not storage(node)["storage_keys_in_memory"] or log == "yes"
        assert digest(node) == before
        assert node.run("FCALL", "f", "0") == 7


def test_what_a_killed_worker_had_not_told_is_in_its_log() -> None:
    with disk_node(appendonly="yes", appendfsync="always") as node, node.client() as client:
        for number in range(300):
            client.incr("counter")
            client.lpush("list", number)
            if number % 100 == 50:
                client.swapdb(0, 1)
                client.swapdb(0, 1)
        node.kill()
        node.start()
        assert client.get("counter") == b"300"
        assert client.llen("list") == 300


def test_a_worker_without_a_log_loses_little_more_than_a_second() -> None:
    with disk_node() as node, node.client() as client:
        began = time.monotonic()
        noted = {}
        while time.monotonic() - began < 4:
            noted[client.incr("counter")] = time.monotonic()
            client.set("same", str(max(noted)))
        killed = time.monotonic()
        node.kill()
        node.start()
        kept = int(client.get("counter"))
        assert killed - noted[kept] < 3
        assert int(client.get("same")) in (kept, kept - 1), "a moment's state is whole"


def test_keys_in_the_store_expire() -> None:
    with disk_node(notify_keyspace_events="Ex") as node, node.client() as client:
        listener = client.pubsub()
        listener.psubscribe("__keyevent@0__:*")
        assert listener.get_message(timeout=5)
        now = int(time.time() * 1000)
        for number in range(200):
            client.set(f"key:{number}", "1", pxat=now + 3000)
        client.set("stays", "1")
        client.hset("hash", mapping={"goes": 1, "stays": 2})
        client.execute_command("HPEXPIREAT", "hash", now + 3000, "FIELDS", 1, "goes")
        spill(node)
        assert client.dbsize() == 202
        eventually(lambda: client.dbsize() == 2, "the end of what expires")
        assert client.info("stats")["expired_keys"] == 200
        events = [listener.get_message(timeout=5)["data"] for _ in range(200)]
        assert {*events} == {f"key:{number}".encode() for number in range(200)}
        eventually(lambda: client.hlen("hash") == 1, "the end of the field")
        written(node)
        node.kill()
        node.start()
        assert client.dbsize() == 2


def test_emptied_swapped_and_moved_databases() -> None:
    with disk_node() as node, node.client() as zero, node.client(db=1) as one:
        zero.mset({f"zero:{n}": n for n in range(500)})
        one.mset({f"one:{n}": n for n in range(300)})
        spill(node)
        zero.swapdb(0, 1)
        assert (zero.dbsize(), one.dbsize()) == (300, 500)
        assert zero.get("one:7") == b"7"
        assert zero.move("one:7", 1)
        written(node)
        node.kill()
        node.start()
        assert (zero.dbsize(), one.dbsize()) == (299, 501)
        assert one.get("one:7") == b"7"
        zero.flushdb()
        one.flushdb(asynchronous=True)
        assert (zero.dbsize(), one.dbsize()) == (0, 0)
        assert zero.get("one:8") is None
        zero.set("new", 1)
        spill(node)
        node.kill()
        node.start()
        assert (zero.dbsize(), one.dbsize()) == (1, 0)
        assert zero.get("new") == b"1"


@pytest.mark.parametrize("kind", ["redis", "valkey", "shoal"])
def test_snapshots_hold_both_tiers(kind: str) -> None:
    with disk_node() as node, server(kind) as other:
        fill(node)
        spill(node)
        node.run("SET", "hot", "1")
        before = digest(node)
        node.run("SAVE")
        assert digest(node) == before
        node.run("BGSAVE")
        eventually(lambda: not node.info("persistence")["rdb_bgsave_in_progress"], "the end of the snapshot")
        assert node.info("persistence")["rdb_last_bgsave_status"] == "ok"
        assert storage(node)["storage_keys_in_memory"] < 5
        other.stop()
        (other.directory / "dump.rdb").write_bytes((node.directory / "dump.rdb").read_bytes())
        other.start()
        assert digest(other) == before


@pytest.mark.parametrize("kind", ["redis", "valkey", "disk"])
def test_replicas_get_both_tiers(kind: str) -> None:
    with (
        disk_node(repl_diskless_sync_delay=0) as node,
        disk_node() if kind == "disk" else Oracle(kind) as other,
    ):
        fill(node)
        spill(node)
        other.follow(node)
        node.run("RPUSH", "list:small", "more")
        eventually(lambda: digest(other) == digest(node), "the same data")
        if kind == "disk":
            spill(other)
            assert digest(other) == digest(node)
            written(other)
            other.kill()
            other.start()
            eventually(lambda: digest(other) == digest(node), "the same data again")


def test_a_dataset_of_files_is_taken_over_and_only_once(tmp_path: Path) -> None:
    with ShoalNode(appendonly="yes") as memory:
        fill(memory)
        before = digest(memory)
        memory.run("SAVE")
        memory.stop()
        with disk_node() as node:
            node.stop()
            (node.directory / "dump.rdb").write_bytes((memory.directory / "dump.rdb").read_bytes())
            for part in (node.directory / "store").iterdir():
                part.unlink()
            node.start()
            assert digest(node) == before
            node.run("DEL", "empty")
            after = digest(node)
            node.restart()
            assert digest(node) == after


def test_a_log_is_taken_over() -> None:
    with ShoalNode(appendonly="yes") as memory:
        fill(memory)
        before = digest(memory)
        memory.stop()
        config = {
            "storage_engine": "disk",
            "appendonly": "yes",
            "appendfsync": "always",
            "dir": str(memory.directory),
        }
        for _ in range(2):
            with ShoalNode(**config) as node:
                assert digest(node) == before
                node.run("INCR", "counter")
                before = digest(node)
                node.kill()


def test_a_log_is_rewritten_by_a_commit() -> None:
    with disk_node(appendonly="yes", appendfsync="always") as node, node.client() as client:
        fill_strings(node, 2000)
        client.bgrewriteaof()
        eventually(lambda: client.info("persistence")["aof_rewrites"] == 1, "the end of the rewrite")
        assert client.info("persistence")["aof_current_size"] < 2000
        client.incr("counter")
        before = digest(node)
        node.kill()
        node.start()
        assert digest(node) == before
        # What is in the log alone is not the dataset, and nobody shall take it for that.
        node.kill()
        with pytest.raises(NotStarted), ShoalNode(appendonly="yes", dir=str(node.directory)):
            pass
        node.start()
        client.config_set("appendonly", "no")
        client.incr("counter")
        client.config_set("appendonly", "yes")
        eventually(lambda: client.info("persistence")["aof_enabled"], "the log")
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "its first commit")
        client.incr("counter")
        node.kill()
        node.start()
        assert client.get("counter") == b"3"


def test_more_than_memory_holds() -> None:
    with disk_node(maxmemory="64mb") as node, node.client() as client:
        value = "x" * 1000
        pipe = client.pipeline(transaction=False)
        for number in range(100_000):
            pipe.set(f"key:{number}", f"{number}{value}")
            if number % 500 == 499:
                pipe.execute()
                assert client.info("memory")["used_memory"] < 1.1 * (64 << 20)
        assert client.dbsize() == 100_000
        assert client.info("stats")["evicted_keys"] == 0
        for number in range(0, 100_000, 997):
            assert client.get(f"key:{number}").startswith(str(number).encode())


def test_commands_with_many_keys_let_others_in_between() -> None:
    with disk_node() as node, node.client() as client, node.resp() as other:
        keys = [f"key:{number}" for number in range(20_000)]
        client.mset({key: key * 20 for key in keys})
        spill(node)
        with node.resp() as many:
            many.send(encode("MGET", *keys))
            answered = 0
            while not storage_is_whole(node, len(keys)):
                assert other.command("PING").text == "PONG"
                answered += 1
            assert [value.decode() for value in many.read()] == [key * 20 for key in keys]
        assert answered > 2
        with client.pipeline(transaction=True) as transaction:
            spill(node)
            for key in keys[:50]:
                transaction.getrange(key, 0, 0)
            assert transaction.execute() == [b"k"] * 50


def storage_is_whole(node: Server, keys: int) -> bool:
    return int(storage(node)["storage_keys_in_memory"]) == keys


def test_a_scribe_that_dies_is_replaced() -> None:
    with disk_node() as node, node.client() as client:
        fill_strings(node, 1000)
        written(node)
        client.flushall()
        client.set("before", 1)
        scribe = int(Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()[0])
        end(scribe)
        client.execute_command("GET", "before")
        eventually(lambda: "The store can be written again." in node.log, "another scribe")
        client.set("after", 1)
        written(node)
        node.kill()
        node.start()
        assert sorted(client.keys()) == [b"after", b"before"]


def end(pid: int) -> None:
    import os
    import signal

    os.kill(pid, signal.SIGKILL)


def test_a_store_without_room() -> None:
    with CrampedNode(storage_engine="disk", rdbcompression="no") as node:
        node.leave_room(2)
        eventually(lambda: refused(node), "no more room", timeout=30)
        assert "MISCONF Errors writing to the store" in node.run("SET", "more", "1").text
        assert node.run("GET", "key:0") == b"x" * 50_000
        assert "Errors trying to SHUTDOWN" in node.run("SHUTDOWN").text
        keys = node.run("DBSIZE")
        node.make_room()
        eventually(lambda: not isinstance(node.run("SET", "more", "1"), Error), "room again", timeout=30)
        assert node.run("DBSIZE") == keys + 1


def refused(node: Server) -> bool:
    number = node.run("DBSIZE")
    return isinstance(node.run("SET", f"key:{number}", b"x" * 50_000), Error)


def test_slots_leave_with_what_is_in_the_store() -> None:
    with disk_node() as node, node.client() as client, server("redis") as other:
        client.mset({f"key:{n}": n for n in range(100)})
        spill(node)
        keys = [f"key:{n}" for n in range(100)]
        client.execute_command("MIGRATE", "127.0.0.1", other.port, "", 0, 5000, "KEYS", *keys)
        assert client.dbsize() == 0
        assert other.run("DBSIZE") == 100


def test_a_replica_takes_over_with_what_is_in_its_store() -> None:
    with cluster_of(3, replicas=1, kind="disk") as cluster, cluster.client() as client:
        keys = [f"key:{number}" for number in range(2000)]
        client.mset_nonatomic(dict.fromkeys(keys, "1"))
        for key in keys[:300]:
            client.rpush(f"list:{key}", key, key)
        lost = cluster.primaries[0]
        (heir,) = cluster.replicas_of(lost)
        eventually(lambda: digest(heir) == digest(lost), "the replica has everything")
        for node in (lost, heir):
            eventually(lambda node=node: not storage(node)["storage_keys_in_memory"], "an empty memory")
        before = digest(lost)
        lost.kill()
        eventually(lambda: heir in cluster.primaries, "its replica takes over", timeout=20)
        assert digest(heir) == before
        with cluster.client() as fresh:
            eventually(lambda: fresh.mset_nonatomic(dict.fromkeys(keys, "2")), "all slots are served")
            assert set(fresh.mget_nonatomic(keys)) == {b"2"}
        lost.start()
        eventually(lambda: digest(lost) == digest(heir), "the lost one follows", timeout=20)


def test_a_worker_in_memory_refuses_to_pass_over_a_store() -> None:
    with disk_node() as node:
        node.run("SET", "key", "1")
        node.stop()
        with pytest.raises(NotStarted, match="storage-engine disk"):
            ShoalNode(dir=str(node.directory)).__enter__()


def test_the_store_of_another_worker_is_refused() -> None:
    with disk_node() as node:
        with pytest.raises(redis.exceptions.ResponseError, match="store"), node.client() as client:
            client.execute_command("DEBUG", "LOADAOF")
        with pytest.raises(NotStarted):
            ShoalNode(storage_engine="disk", dir=str(node.directory)).__enter__()
