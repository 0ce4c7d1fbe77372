"""SAVE, BGSAVE, save points and the last snapshot before exiting."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from tests.harness.resp import Error, Simple
from tests.harness.servers import Oracle, ShoalNode
from tests.harness.wait import eventually
from tests.integration.datasets import content, fill, fill_strings


def persistence(node: ShoalNode) -> dict[str, Any]:
    return node.info("persistence")


def saved_in_background(node: ShoalNode) -> bool:
    return not persistence(node)["rdb_bgsave_in_progress"]


def digest(node: ShoalNode) -> bytes:
    with node.resp(timeout=60) as client:
        return client.command("DEBUG", "DIGEST")  # type: ignore[no-any-return]


def child_of(node: ShoalNode) -> int:
    """The pid that the log names last as a saving child."""
    return int(node.log.rpartition("Background saving started by pid ")[2].split()[0])


def test_a_background_save_is_a_snapshot_of_its_beginning() -> None:
    with ShoalNode() as node:
        fill(node)
        fill_strings(node, 20_000)
        before = digest(node)
        with node.resp() as client:
            replies = client.pipeline(("BGSAVE",), ("SET", "later", "1"), ("BGSAVE",), ("SAVE",))
        assert replies[0].text == "Background saving started"
        assert [reply.text for reply in replies[2:]] == ["ERR Background save already in progress"] * 2
        eventually(lambda: saved_in_background(node), "the end of the save")
        assert persistence(node)["rdb_last_bgsave_status"] == "ok"
        assert persistence(node)["rdb_changes_since_last_save"] == 1
        for line in (
            "Background saving started by pid",
            "DB saved on disk",
            "Background saving terminated with success",
        ):
            assert line in node.log
        node.kill()
        node.start()
        assert digest(node) == before


def test_the_worker_serves_while_its_child_saves() -> None:
    with ShoalNode() as node:
        fill_strings(node, 100_000)
        with node.resp() as client:
            client.command("BGSAVE")
            os.kill(child_of(node), signal.SIGSTOP)
            assert client.command("SET", "during", "1").text == "OK"
            found = persistence(node)
            assert found["rdb_bgsave_in_progress"] == 1
            assert 0 <= found["current_save_keys_processed"] <= found["current_save_keys_total"] == 100_000
            os.kill(child_of(node), signal.SIGCONT)
        eventually(lambda: saved_in_background(node), "the end of the save")
        assert persistence(node)["current_save_keys_total"] == 0


def test_a_saving_child_copies_almost_nothing() -> None:
    """It reads what it shares with its parent, strings and collections, and writes to no page of it. What it
    copies are a few MB of the interpreter's own, however much data there is."""
    with ShoalNode() as node:
        with node.client() as client:
            pipe = client.pipeline(transaction=False)
            for number in range(200_000):
                pipe.set(f"key:{number}", f"{number:0200}")
            for number in range(2000):
                pipe.hset(f"hash:{number}", mapping={f"field:{n}": n for n in range(10)})
                pipe.sadd(f"set:{number}", *(f"member:{n}" for n in range(10)))
                pipe.zadd(f"zset:{number}", {f"member:{n}": n for n in range(200)})
                pipe.rpush(f"list:{number}", *range(100))
            pipe.execute()
        node.run("BGSAVE")
        eventually(lambda: saved_in_background(node), "the end of the save")
        assert 0 < persistence(node)["rdb_last_cow_size"] < node.info("memory")["used_memory_dataset"] / 10


def test_a_child_that_dies_leaves_the_old_file() -> None:
    with ShoalNode(save=["3600", "1000000"]) as node:
        node.run("SET", "a", "1")
        node.run("SAVE")
        old = (node.directory / "dump.rdb").read_bytes()
        fill_strings(node, 100_000)
        node.run("BGSAVE")
        os.kill(child_of(node), signal.SIGKILL)
        eventually(lambda: saved_in_background(node), "the child's end")
        assert persistence(node)["rdb_last_bgsave_status"] == "err"
        assert "Background saving terminated by signal 9" in node.log
        assert (node.directory / "dump.rdb").read_bytes() == old
        assert node.run("SET", "b", "1").prefix == "MISCONF"
        assert node.run("CONFIG", "SET", "stop-writes-on-bgsave-error", "no").text == "OK"
        assert node.run("SET", "b", "1").text == "OK"
        assert node.run("SAVE").text == "OK"
        assert persistence(node)["rdb_last_bgsave_status"] == "ok"


def test_a_child_does_not_hold_the_port_of_a_worker_that_died() -> None:
    with ShoalNode() as node:
        fill_strings(node, 100_000)
        node.run("BGSAVE")
        child = child_of(node)
        eventually((node.directory / f"temp-{child}.rdb").exists, "the child to be at work")
        os.kill(child, signal.SIGSTOP)
        node.kill()
        node.start()
        assert node.run("PING").text == "PONG"
        os.kill(child, signal.SIGKILL)


def test_flushall_empties_the_file_and_gives_up_a_save_under_way() -> None:
    with ShoalNode(save=["3600", "1000000"]) as node:
        fill_strings(node, 100_000)
        node.run("SAVE")
        node.run("BGSAVE")
        os.kill(child_of(node), signal.SIGSTOP)
        assert node.run("FLUSHALL").text == "OK"
        eventually(lambda: saved_in_background(node), "the end of the save")
        found = persistence(node)
        assert (found["rdb_last_bgsave_status"], found["rdb_changes_since_last_save"]) == ("ok", 0)
        node.kill()
        node.start()
        assert node.run("DBSIZE") == 0
    with ShoalNode() as node:
        node.run("SET", "a", "1")
        node.run("SAVE")
        node.run("FLUSHALL")
        node.kill()
        node.start()
        assert node.run("DBSIZE") == 1  # nobody asked for snapshots


def test_an_orphan_replaces_no_file() -> None:
    """The worker that was started after its parent may have saved since."""
    with ShoalNode() as node:
        node.run("SET", "a", "old")
        fill_strings(node, 100_000)
        node.run("BGSAVE")
        child = child_of(node)
        temporary = node.directory / f"temp-{child}.rdb"
        eventually(temporary.exists, "the child to be at work")
        os.kill(child, signal.SIGSTOP)
        node.kill()
        node.start()
        node.run("SET", "a", "new")
        node.run("SAVE")
        newer = (node.directory / "dump.rdb").read_bytes()
        os.kill(child, signal.SIGCONT)
        eventually(lambda: not temporary.exists(), "the end of the orphan")
        assert (node.directory / "dump.rdb").read_bytes() == newer


def test_save_points() -> None:
    with ShoalNode(save=["1", "3"]) as node:
        before = node.run("LASTSAVE")
        node.run("SET", "a", "1")
        node.run("SET", "b", "1")
        assert persistence(node)["rdb_changes_since_last_save"] == 2
        node.run("SET", "c", "1")
        eventually(lambda: node.run("LASTSAVE") > before, "the save point")
        assert "3 changes in 1 seconds. Saving..." in node.log
        assert persistence(node)["rdb_changes_since_last_save"] == 0


def test_sigterm_saves_when_there_are_save_points() -> None:
    with ShoalNode(save=["3600", "1"]) as node:
        fill(node)
        before = content(node)
        assert node.stop() == 0
        node.start()
        assert content(node) == before


def test_a_save_that_cannot_be_written_is_an_error() -> None:
    with ShoalNode() as node:
        node.run("SET", "a", "1")
        (node.directory / "dump.rdb").mkdir()
        assert isinstance(node.run("SAVE"), Error)
        assert "Error trying to save the DB" in node.log
        node.run("BGSAVE")
        eventually(lambda: "Background saving error" in node.log, "the child's report")
        (node.directory / "dump.rdb").rmdir()
        assert node.run("SAVE").text == "OK"
        assert not list(node.directory.glob("temp*"))


def test_expired_keys_are_not_loaded() -> None:
    """But counted, and those with time left keep it."""
    node = ShoalNode()
    with Oracle("redis") as oracle:
        soon = int(time.time() * 1000) + 500
        oracle.run("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        oracle.run("SET", "soon", "1", "PXAT", soon)
        oracle.run("SET", "later", "1", "PXAT", 4_000_000_000_000)
        oracle.run("SAVE")
        (node.directory / "dump.rdb").write_bytes((oracle.directory / "dump.rdb").read_bytes())
    eventually(lambda: time.time() * 1000 > soon, "it to be too old")
    with node:
        assert node.run("KEYS", "*") == [b"later"]
        assert node.run("PEXPIRETIME", "later") == 4_000_000_000_000
        assert persistence(node)["rdb_last_load_keys_expired"] == 1


def test_a_cancelled_save_leaves_the_old_file_and_is_no_failure() -> None:
    with ShoalNode(save=["3600", "1000000"]) as node:
        node.run("SET", "a", "1")
        node.run("SAVE")
        old = (node.directory / "dump.rdb").read_bytes()
        fill_strings(node, 20_000)
        with node.resp() as client:
            client.command("BGSAVE")
            os.kill(child_of(node), signal.SIGSTOP)
            assert client.command("BGSAVE", "CANCEL") == Simple("Background saving cancelled")
        eventually(lambda: saved_in_background(node), "the child's end")
        assert "Background saving will be aborted due to user request" in node.log
        assert persistence(node)["rdb_last_bgsave_status"] == "ok"
        assert (node.directory / "dump.rdb").read_bytes() == old
        assert not list(node.directory.glob("temp*"))
        assert node.run("BGSAVE", "CANCEL").prefix == "ERR"


def test_a_scheduled_save_can_be_cancelled() -> None:
    with ShoalNode(appendonly="yes") as node:
        fill_strings(node, 20_000)
        with node.resp() as client:
            client.command("BGREWRITEAOF")
            rewriting = int(node.log.rpartition("rewriting started by pid ")[2].split()[0])
            os.kill(rewriting, signal.SIGSTOP)
            assert client.command("BGSAVE", "SCHEDULE") == Simple("Background saving scheduled")
            assert client.command("BGSAVE", "CANCEL") == Simple("Scheduled background saving cancelled")
            os.kill(rewriting, signal.SIGCONT)
        eventually(lambda: not persistence(node)["aof_rewrite_in_progress"], "the end of the rewriting")
        assert persistence(node)["rdb_bgsave_in_progress"] == 0
        assert "Background saving started" not in node.log
