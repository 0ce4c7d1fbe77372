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
    with ShoalNode(save="") as started:
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


def test_what_was_flushed_goes_back_to_the_system(node: ShoalNode) -> None:
    with node.client() as client:
        empty = private(node)
        fill(client, "string", 150_000)
        assert private(node) > empty + 20 * MB
        client.flushall()
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
