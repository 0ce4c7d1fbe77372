"""What a worker says of its memory, beside what the operating system says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.harness.servers import ShoalNode
from tests.harness.wait import eventually

MB = 1 << 20


@pytest.fixture
def node() -> Iterator[ShoalNode]:
    node = ShoalNode(save="")
    node.forked = False
    with node as started:
        yield started


def private(node: ShoalNode) -> int:
    """Bytes the process took for itself: in RAM, and no part of a file."""
    memory = psutil.Process(node.pid).memory_info()
    return memory.rss - memory.shared


def fill(client: Any, kind: str, count: int) -> None:
    """`count` keys of one type, some 20 MB together."""
    with client.pipeline(transaction=False) as pipeline:
        for number in range(count):
            key = f"{kind}:{number:08}"
            if kind == "string":
                pipeline.set(key, "v" * (number % 200))
            elif kind == "hash":
                pipeline.hset(key, mapping={f"field{i}": f"value{i * number}" for i in range(10)})
            elif kind == "list":
                pipeline.rpush(key, *(f"item{i * number}" for i in range(20)))
            else:
                pipeline.sadd(key, *(f"member{i * number}" for i in range(20)))
            if number % 1000 == 999:
                pipeline.execute()
        pipeline.execute()


@pytest.mark.parametrize(
    ("kind", "count"),
    [("string", 150_000), ("hash", 60_000), ("list", 60_000), ("set", 60_000)],
)
def test_used_memory_is_what_the_process_took(node: ShoalNode, kind: str, count: int) -> None:
    with node.client() as client:

        def used() -> int:
            return client.info("memory")["used_memory"]

        empty = private(node)
        assert used() == pytest.approx(empty, rel=0.1)
        fill(client, kind, count)
        eventually(
            lambda: used() == pytest.approx(private(node), rel=0.12),
            f"used_memory is near the truth with {kind}s: {used()} of {private(node)}",
        )
        assert private(node) > empty + 10 * MB
        seen = client.info("memory")
        assert seen["used_memory_overhead"] + seen["used_memory_dataset"] == seen["used_memory"]
        assert seen["used_memory_dataset"] > 5 * MB
        client.flushall()
        eventually(lambda: used() == pytest.approx(empty, rel=0.1), "nothing is left")
        assert client.info("memory")["used_memory_peak"] > used() + 10 * MB


@pytest.mark.parametrize("how", ["SYNC", "ASYNC"])
def test_what_was_flushed_goes_back_to_the_system(node: ShoalNode, how: str) -> None:
    with node.client() as client:
        empty = private(node)
        fill(client, "string", 150_000)
        assert private(node) > empty + 20 * MB
        client.execute_command("FLUSHALL", how)
        if how == "SYNC":
            assert private(node) < empty + 5 * MB
        eventually(lambda: private(node) < empty + 2 * MB, "memory goes back to the system")


def test_a_write_is_counted_at_once(node: ShoalNode) -> None:
    with node.client() as client, client.pipeline(transaction=False) as pipeline:
        pipeline.info("memory")
        pipeline.set("big", b"x" * 10 * MB)
        pipeline.info("memory")
        pipeline.delete("big")
        pipeline.info("memory")
        before, _, with_it, _, after = pipeline.execute()
    grown = with_it["used_memory"] - before["used_memory"]
    assert 10 * MB <= grown < 25 * MB  # the request itself is still there
    assert after["used_memory"] < with_it["used_memory"] - 10 * MB


def test_memory_stats_agree_with_info(node: ShoalNode) -> None:
    with node.client() as client:
        fill(client, "string", 20_000)
        stats, info = client.memory_stats(), client.info("memory")
        assert stats["keys.count"] == 20_000
        assert stats["total.allocated"] == pytest.approx(info["used_memory"], rel=0.02)
        assert stats["startup.allocated"] == info["used_memory_startup"]
        assert stats["db.0"]["overhead.hashtable.main"] > 20_000 * 8
        assert stats["overhead.total"] + stats["dataset.bytes"] == stats["total.allocated"]
        assert 100 < stats["keys.bytes-per-key"] < 400
        assert client.memory_purge()
        assert client.execute_command("MEMORY MALLOC-STATS").startswith(b"<malloc")


def test_a_client_is_charged_for_what_it_queues(node: ShoalNode) -> None:
    with node.client() as client, node.client() as other:
        transaction = other.pipeline(transaction=False)
        transaction.execute_command("MULTI")
        transaction.execute_command("SET", "key", "x" * 100_000)
        transaction.execute_command("CLIENT", "INFO")
        transaction.execute()
        fattest = max(client.client_list(), key=lambda each: int(each["tot-mem"]))
        assert int(fattest["multi-mem"]) > 100_000 and fattest["multi"] == "2"


@pytest.mark.parametrize(
    ("kind", "count"), [("string", 50_000), ("hash", 20_000), ("list", 20_000), ("set", 20_000)]
)
def test_the_usage_of_all_keys_is_what_the_worker_uses_more(node: ShoalNode, kind: str, count: int) -> None:
    with node.client() as client, client.pipeline(transaction=False) as pipeline:
        client.set("first", "makes the tables of the database")
        before = client.info("memory")["used_memory"]
        fill(client, kind, count)
        grown = client.info("memory")["used_memory"] - before
        for key in client.scan_iter(count=1000):
            pipeline.memory_usage(key)
        assert sum(pipeline.execute()) == pytest.approx(grown, rel=0.1)


def add_members(client: Any, kind: str) -> None:
    """20,000 members in one key named after its type."""
    with client.pipeline(transaction=False) as pipeline:
        for number in range(20_000):
            name = f"member:{number}"
            if kind == "hash":
                pipeline.hset(kind, name, "x" * 50)
            elif kind == "list":
                pipeline.rpush(kind, name)
            elif kind == "set":
                pipeline.sadd(kind, name)
            elif kind == "zset":
                pipeline.zadd(kind, {name: number})
            else:
                pipeline.xadd(kind, {"field": name})
        pipeline.execute()


@pytest.mark.parametrize("kind", ["hash", "list", "set", "zset", "stream"])
def test_the_usage_of_a_large_value_is_near_the_truth(node: ShoalNode, kind: str) -> None:
    with node.client() as client:
        client.set("first", "makes the tables of the database")
        before = client.info("memory")["used_memory"]
        add_members(client, kind)
        grown = client.info("memory")["used_memory"] - before
        exact = client.memory_usage(kind, samples=0)
        assert exact == pytest.approx(grown, rel=0.15, abs=100_000)
        assert client.memory_usage(kind) == pytest.approx(exact, rel=0.15), "five samples tell nearly as much"


def test_the_doctor_knows_what_ails(node: ShoalNode) -> None:
    with node.client() as client:

        def doctor() -> str:
            return client.execute_command("MEMORY DOCTOR").decode()

        assert doctor().startswith("Hi Sam, this instance is empty")
        fill(client, "string", 50_000)
        eventually(lambda: "can't find any memory issue" in doctor(), doctor)
        for number in range(1001):
            client.script_load(f"return {number}")
        assert "* Many scripts: " in doctor()
        client.script_flush()
        client.setrange("large", 60 * MB, "x")
        assert "Peak" not in doctor()
        client.delete("large")
        assert doctor().startswith("Sam, I detected a few issues")
        assert "* Peak memory: " in doctor()
