"""The disk tier when something ends in the middle: its scribe, or the worker while it reads what it had.

Nothing that was committed may be lost by that, and nothing half done may be taken for a whole.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.resp import Error
from tests.harness.servers import NotStarted, ShoalNode
from tests.harness.wait import eventually
from tests.integration.datasets import fill_strings
from tests.integration.test_disk_tier import disk_node, spill, storage, written

MORE_THAN_MAY_WAIT = 100_000
"""Keys; `TOO_MANY` of node/storage/tier.py is well below."""
SERVES_AGAIN = "The store can be written again."


def scribe_of(node: ShoalNode) -> int:
    """The process id of its scribe."""
    return int(Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()[0])


@contextlib.contextmanager
def stopped_scribe(node: ShoalNode) -> Iterator[None]:
    """Nothing is committed meanwhile, and the worker is dead at the end."""
    scribe = scribe_of(node)
    os.kill(scribe, signal.SIGSTOP)
    try:
        yield
    finally:
        node.kill()
        os.kill(scribe, signal.SIGKILL)


def replace_scribe(node: ShoalNode) -> None:
    before = node.log.count(SERVES_AGAIN)
    os.kill(scribe_of(node), signal.SIGKILL)
    eventually(lambda: node.log.count(SERVES_AGAIN) > before, "another scribe")


def test_a_flush_that_was_committed_is_not_done_again_by_another_scribe() -> None:
    with disk_node() as node, node.client() as client:
        client.set("old", 1)
        written(node)
        client.flushall()
        client.set("new", 1)
        spill(node)
        replace_scribe(node)
        assert client.get("new") == b"1"
        replace_scribe(node)
        node.kill()
        node.start()
        assert client.keys() == [b"new"]


def test_a_key_that_came_and_went_again_is_gone() -> None:
    """What the store was not told of yet may be superseded twice."""
    with disk_node() as node, node.client() as client:
        client.mset({"{t}comes and goes": 1, "{t}stays": 2})
        spill(node)
        with client.pipeline() as pipe:
            pipe.delete("{t}comes and goes").set("{t}comes and goes", 2).delete("{t}comes and goes").execute()
        assert client.get("{t}comes and goes") is None
        assert client.dbsize() == 1
        written(node)
        assert client.keys() == [b"{t}stays"]


def test_functions_and_swaps_are_committed_without_a_change_of_keys() -> None:
    code = "#!lua name=lib\nredis.register_function('f', function() return 7 end)"
    with disk_node() as node, node.client() as client:
        client.set("key", 1)
        written(node)
        commits = client.info("storage")["storage_commits"]
        client.execute_command("FUNCTION", "LOAD", code)
        client.swapdb(0, 1)
        eventually(lambda: client.info("storage")["storage_commits"] > commits, "a commit")
        node.kill()
        node.start()
        assert client.execute_command("FCALL", "f", 0) == 7
        assert client.dbsize() == 0


def test_what_groups_know_of_their_entries_is_kept() -> None:
    """XACK and XCLAIM tell nobody of their change, but the store has to know."""
    with disk_node() as node, node.client() as client:
        for number in range(1, 4):
            client.xadd("stream", {"a": 1}, id=f"{number}-1")
        client.xgroup_create("stream", "group", "0")
        written(node)
        client.xreadgroup("group", "one", {"stream": ">"})
        spill(node)
        assert client.xpending("stream", "group")["pending"] == 3
        client.xclaim("stream", "group", "two", 0, ["1-1"])
        spill(node)
        assert client.xpending("stream", "group")["consumers"] == [
            {"name": b"one", "pending": 2},
            {"name": b"two", "pending": 1},
        ]
        client.xack("stream", "group", "1-1")
        spill(node)
        client.execute_command("XACKDEL", "stream", "group", "IDS", 1, "2-1")
        spill(node)
        assert client.xpending("stream", "group")["pending"] == 1


def test_a_damaged_log_costs_nothing_of_the_store() -> None:
    with disk_node(appendonly="yes", appendfsync="always") as node, node.client() as client:
        fill_strings(node, 100)
        written(node)
        with stopped_scribe(node):
            for number in range(50):
                client.set("key", number)
        log = max((node.directory / "appendonlydir").glob("*.incr.aof"))
        good = log.read_bytes()
        log.write_bytes(good[:-200] + b"nonsense" + good[-200:])
        with pytest.raises(NotStarted, match="Bad file format"):
            node.start()
        log.write_bytes(good)
        node.start()
        assert client.dbsize() == 101
        assert client.get("key") == b"49"


@pytest.mark.parametrize("way", ["kill", "stop"])
def test_a_worker_that_ends_while_it_reads_its_log_has_lost_nothing(way: str) -> None:
    with disk_node(appendonly="yes", appendfsync="no") as node, node.client() as client:
        fill_strings(node, 100)
        client.sadd("set", *(f"member {number}" for number in range(1000)))
        written(node)
        with stopped_scribe(node):
            for first in range(0, 48_000, 100):
                with client.pipeline(transaction=False) as pipe:
                    for number in range(first, first + 100):
                        pipe.incr(f"key:{number % 12_000}")
                    pipe.sunionstore("copy", "set")  # which takes its time
                    pipe.execute()
        node.start(wait=False)
        eventually(lambda: is_reading(node), "LOADING")
        getattr(node, way)()
        node.start()
        assert client.dbsize() == 12_102
        assert set(client.mget(f"key:{number}" for number in range(12_000))) == {b"4"}


def is_reading(node: ShoalNode) -> bool:
    try:
        reply = node.run("GET", "key:0")
    except OSError:
        return False
    assert isinstance(reply, Error), "it should have had more to read"
    return True


def test_a_replica_that_ends_while_it_loads_its_primarys_data_starts_again() -> None:
    with ShoalNode() as primary, disk_node(appendonly="yes") as node, node.client() as client:
        fill_strings(node, 100)
        written(node)
        fill_strings(primary, 250_000)
        with stopped_scribe(node):  # loading waits for commits, once much is dirty
            node.run("REPLICAOF", primary.host, primary.port)
            eventually(lambda: client.info("persistence")["loading"], "the load")
            commits = client.info("storage")["storage_commits"]
            os.kill(scribe_of(node), signal.SIGCONT)
            eventually(lambda: client.info("storage")["storage_commits"] > commits, "the commit of a part")
            os.kill(scribe_of(node), signal.SIGSTOP)
            assert client.info("persistence")["loading"]
        node.start()
        assert "The store has a part of a dataset" in node.log
        assert node.run("DBSIZE") == 0
        node.follow(primary)
        assert node.run("DBSIZE") == primary.run("DBSIZE")
        some = [f"string:{number}" for number in range(0, 250_000, 997)]
        assert node.run("MGET", *some) == primary.run("MGET", *some)


def test_a_replica_whose_store_stands_still_lets_its_primary_wait() -> None:
    """What it takes from the stream is bounded, and it goes on where it stopped when the store does."""
    with ShoalNode() as primary, disk_node() as replica:
        replica.follow(primary)
        scribe = scribe_of(replica)
        os.kill(scribe, signal.SIGSTOP)
        try:
            fill_strings(primary, MORE_THAN_MAY_WAIT)
            with primary.resp() as client:
                assert client.pipeline(("SET", "last", 1), ("WAIT", 1, 500))[1] == 0
            assert storage(replica)["storage_keys_behind"] < MORE_THAN_MAY_WAIT
            assert replica.run("DBSIZE") < MORE_THAN_MAY_WAIT
            assert primary.info("replication")["connected_slaves"] == 1
        finally:
            os.kill(scribe, signal.SIGCONT)
        eventually(lambda: replica.run("GET", "last") == b"1", "it catches up", timeout=30)
        assert replica.run("DBSIZE") == primary.run("DBSIZE")
        assert primary.info("stats")["sync_full"] == 1
