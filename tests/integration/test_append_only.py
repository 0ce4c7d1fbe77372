"""The append-only file: recorded, read back, rewritten, exchanged with real servers, broken in every way."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.servers import NotStarted, Oracle, Server, ShoalNode
from tests.harness.wait import eventually
from tests.integration.datasets import content, fill, fill_strings

ORACLES = ("redis", "valkey")
DIRECTORY = "appendonlydir"


def log_of(server: Server) -> Path:
    return server.directory / DIRECTORY


def increment_of(server: Server) -> Path:
    """The part that is being written."""
    manifest = (log_of(server) / "appendonly.aof.manifest").read_text()
    return log_of(server) / manifest.splitlines()[-1].split()[1]


def rewrite(server: Server) -> None:
    rewrites = server.info("persistence").get("aof_rewrites", 0)
    server.run("BGREWRITEAOF")

    def done() -> bool:
        """And what it has replaced, which is removed a little later, is gone."""
        fields = server.info("persistence")
        if fields["aof_rewrite_in_progress"] or fields["aof_rewrites"] <= rewrites:
            return False
        manifest = log_of(server) / "appendonly.aof.manifest"
        named = {line.split()[1] for line in manifest.read_text().splitlines()}
        return {path.name for path in log_of(server).iterdir()} == named | {manifest.name}

    eventually(done, "the end of the rewrite")


def data_of(server: Server) -> Any:
    """The content, and a digest for streams with groups: when consumers were seen is not recorded."""
    found = content(server)
    del found[b"stream:groups"]
    return found, server.run("DEBUG", "DIGEST")


def refused(node: ShoalNode) -> str:
    """Start a node that must not start; what it says."""
    with pytest.raises(NotStarted):
        node.start()
    return node.log


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
def test_what_was_acknowledged_outlives_the_process(policy: str) -> None:
    with ShoalNode(appendonly="yes", appendfsync=policy) as node:
        fill(node)
        before = data_of(node)
        node.kill()
        node.start()
        assert data_of(node) == before
        assert "DB loaded from append only file" in node.log
        rewrite(node)
        node.run("SET", "after", "1")
        before = data_of(node)
        node.restart()
        assert data_of(node) == before


LIBRARY = "#!lua name=lib\nredis.register_function{function_name='f', callback=function() return 1 end}"


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("kind", ORACLES)
def test_real_servers_read_ours(kind: str, preamble: str) -> None:
    oracle = Oracle(kind, appendonly="yes")
    with ShoalNode(appendonly="yes", aof_use_rdb_preamble=preamble, aof_timestamp_enabled="yes") as node:
        fill(node)
        node.run("FUNCTION", "LOAD", LIBRARY)
        rewrite(node)
        node.run("SET", "later", "1")
        with node.client(db=3) as client, client.pipeline(transaction=True) as pipe:
            pipe.set("elsewhere", "1").rpush("list", "a", "b").publish("nobody", "hears").execute()
        shutil.copytree(log_of(node), log_of(oracle))
        with oracle:
            assert data_of(oracle) == data_of(node)
            assert oracle.run("FCALL", "f", 0) == 1


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("kind", ORACLES)
def test_we_read_theirs(kind: str, preamble: str) -> None:
    node = ShoalNode(appendonly="yes")
    settings: dict[str, Any] = {"aof_use_rdb_preamble": preamble, "aof_timestamp_enabled": "yes"}
    with Oracle(kind, appendonly="yes", **settings) as oracle:
        fill(oracle)
        oracle.run("FUNCTION", "LOAD", LIBRARY)
        rewrite(oracle)
        oracle.run("SET", "later", "1")
        with oracle.client(db=3) as client, client.pipeline(transaction=True) as pipe:
            pipe.set("elsewhere", "1").rpush("list", "a", "b").execute()
        eventually(lambda: b"elsewhere" in increment_of(oracle).read_bytes(), "the write of the log")
        shutil.copytree(log_of(oracle), log_of(node))
        with node:
            assert data_of(node) == data_of(oracle)
            assert node.run("FCALL", "f", 0) == 1


def test_a_single_file_of_old_becomes_the_base() -> None:
    node = ShoalNode(appendonly="yes")
    (node.directory / "appendonly.aof").write_bytes(
        b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n"
    )
    with node:
        assert node.run("GET", "a") == b"2"
        assert not (node.directory / "appendonly.aof").exists()
        node.run("INCR", "a")
        node.restart()
        assert node.run("GET", "a") == b"3"


def test_only_what_changes_data_is_recorded() -> None:
    with ShoalNode(appendonly="yes") as node:
        with node.resp() as client:
            client.pipeline(("SET", "a", "1"), ("GET", "a"), ("PUBLISH", "c", "m"), ("DEL", "missing"))
        eventually(lambda: b"SET" in increment_of(node).read_bytes(), "the write of the log")
        with ShoalNode() as replica:
            replica.follow(node)
            node.run("PUBLISH", "c", "m")
            node.run("WAIT", 1, 1000)
            node.run("SET", "b", "1")
        recorded = increment_of(node).read_bytes()
        assert b"SET" in recorded
        for name in (b"PUBLISH", b"GET", b"DEL", b"PING", b"REPLCONF"):
            assert b"\r\n%b\r\n" % name not in recorded


def test_a_rewrite_loses_nothing_that_is_written_meanwhile() -> None:
    with ShoalNode(appendonly="yes", appendfsync="always") as node:
        fill_strings(node, 50_000)
        stop = threading.Event()
        acknowledged = [0]

        def write() -> None:
            with node.resp() as client:
                while not stop.is_set():
                    client.command("SET", f"counter:{acknowledged[0]}", "x")
                    acknowledged[0] += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            rewrite(node)
            rewrite(node)
        finally:
            stop.set()
            writer.join()
        node.kill()
        node.start()
        assert node.run("DBSIZE") == 50_000 + acknowledged[0]
        names = sorted(path.name for path in log_of(node).iterdir())
        assert names == ["appendonly.aof.3.base.rdb", "appendonly.aof.3.incr.aof", "appendonly.aof.manifest"]


def test_it_is_switched_on_and_off_while_serving() -> None:
    with ShoalNode() as node:
        node.run("SET", "before", "1")
        node.run("CONFIG", "SET", "appendonly", "yes")
        node.run("SET", "while", "1")
        eventually(lambda: node.info("persistence").get("aof_base_size", 0) > 0, "the first base")
        node.run("SET", "after", "1")
        before = content(node)
        node.kill()
        node.config["appendonly"] = "yes"
        node.start()
        assert content(node) == before
        node.run("CONFIG", "SET", "appendonly", "no")
        node.run("SET", "unrecorded", "1")
        node.kill()
        node.start()
        assert content(node) == before


def test_it_is_rewritten_when_it_has_grown() -> None:
    with ShoalNode(appendonly="yes", auto_aof_rewrite_min_size="100kb") as node:
        value = b"x" * 1000
        for _ in range(300):
            node.run("SET", "same", value)
        eventually(lambda: node.info("persistence")["aof_rewrites"] > 0, "an automatic rewrite")
        assert "Starting automatic rewriting of AOF on" in node.log
        node.restart()
        assert node.run("GET", "same") == value


def test_a_replica_records_what_it_gets() -> None:
    with ShoalNode() as primary, ShoalNode(appendonly="yes") as replica:
        fill(primary)
        replica.run("SET", "own", "goes")
        replica.follow(primary)
        with primary.client(db=2) as client:
            client.set("elsewhere", "1")
        eventually(lambda: replica.info("persistence")["aof_base_size"] > 0, "the first base")
        rewrite(replica)
        with primary.client(db=2) as client:
            client.set("after", "1")
            client.wait(1, 2000)
        before = data_of(primary)
        assert data_of(replica) == before
        replica.kill()
        replica.start()
        assert data_of(replica) == before


def test_waiting_for_disks() -> None:
    with ShoalNode(appendonly="yes") as node, ShoalNode() as plain:
        with node.resp() as client:
            _, waited = client.pipeline(("SET", "a", "1"), ("WAITAOF", 1, 0, 5000))
            assert waited == [1, 0]
            assert client.command("WAITAOF", 0, 1, 1) == [1, 0]
        refusal = plain.run("WAITAOF", 1, 0, 0)
        assert refusal.text == "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."


@pytest.mark.parametrize("kinds", [("shoal", "redis"), ("shoal", "valkey"), ("redis", "shoal")])
def test_waiting_for_the_disks_of_replicas(kinds: tuple[str, str]) -> None:
    primary, replica = (
        ShoalNode(appendonly="yes") if kind == "shoal" else Oracle(kind, appendonly="yes") for kind in kinds
    )
    with primary, replica:
        replica.follow(primary)
        # The log of the replica begins with a rewrite of what it was sent.
        eventually(lambda: not replica.info("persistence")["aof_rewrite_in_progress"], "the replica's log")
        with primary.resp(timeout=12) as client:
            client.command("SET", "a", "1")
            assert client.command("WAITAOF", 1, 1, 10_000) == [1, 1]


def test_clients_are_told_of_loading_with_its_progress() -> None:
    node = ShoalNode(appendonly="yes")
    nap = b"*3\r\n$5\r\nDEBUG\r\n$5\r\nSLEEP\r\n$3\r\n0.1\r\n"
    pause = b"#%b\r\n" % (b" " * 100_000)  # as much as is read before clients have their turn
    (node.directory / "appendonly.aof").write_bytes((nap + pause) * 20)
    try:
        node.start(wait=False)

        def accepts() -> bool:
            with contextlib.suppress(ConnectionError):
                return bool(node.run("INFO", "server"))
            return False

        eventually(accepts, "an open port")
        with node.resp() as client:
            refusal, _ = client.pipeline(("GET", "a"), ("INFO", "persistence"))
        assert refusal.text == "LOADING Redis is loading the dataset in memory"
        fields = node.info("persistence")
        assert fields["loading"] == 1
        assert 0 <= fields["loading_loaded_bytes"] <= fields["loading_total_bytes"] == len(nap + pause) * 20
        node.wait_ready()
        assert node.info("persistence")["loading"] == 0
    finally:
        node.close()


# damage


def damaged(change: Callable[[Path], object], **settings: Any) -> ShoalNode:
    """A node whose log holds three values, one in a transaction at the end, and was changed afterwards."""
    node = ShoalNode(appendonly="yes", **settings)
    with node:
        node.run("SET", "a", "1")
        with node.client() as client, client.pipeline(transaction=True) as pipe:
            pipe.set("b", "2").set("c", "3").execute()
        path = increment_of(node)
        node.stop()
        copy = Path(str(node.directory) + ".kept")
        change(path)
        shutil.copytree(node.directory, copy)
    twin = ShoalNode(appendonly="yes", **settings)
    shutil.copytree(copy, twin.directory, dirs_exist_ok=True)
    shutil.rmtree(copy)
    return twin


def values(node: ShoalNode) -> list[bytes | None]:
    with node.client() as client:
        return client.mget("a", "b", "c", "d")  # type: ignore[return-value]


def cut(count: int) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes()[:-count])


def test_a_torn_tail_is_cut_to_the_last_whole_transaction() -> None:
    with damaged(cut(5)) as node:
        assert values(node) == [b"1", None, None, None]
        assert "Truncating the AOF" in node.log
        node.run("SET", "d", "4")
        node.restart()
        assert values(node) == [b"1", None, None, b"4"]


def test_a_torn_tail_is_refused_where_it_must_not_be_cut() -> None:
    node = damaged(cut(5), aof_load_truncated="no")
    try:
        size = increment_of(node).stat().st_size
        expected = "Unexpected end of file reading the append only file appendonly.aof.1.incr.aof at offset"
        assert expected in refused(node)
        assert increment_of(node).stat().st_size == size
    finally:
        node.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(path.read_bytes().replace(b"$3\r\nSET", b"$x\r\nSET", 1)),
        lambda path: path.write_bytes(path.read_bytes().replace(b"SET", b"TES", 1)),
        lambda path: path.write_bytes(b"hello\r\n" + path.read_bytes()),
    ],
)
def test_damage_is_refused_with_name_and_offset(change: Callable[[Path], object]) -> None:
    node = damaged(change)
    try:
        before = increment_of(node).read_bytes()
        said = refused(node)
        assert "Bad file format reading the append only file appendonly.aof.1.incr.aof at offset" in said
        assert increment_of(node).read_bytes() == before
    finally:
        node.close()


def test_a_missing_part_is_named() -> None:
    node = damaged(lambda path: path.unlink())
    try:
        assert "Unable to obtain the AOF file appendonly.aof.1.incr.aof length" in refused(node)
    finally:
        node.close()


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"file a.aof seq 1 type x\n",
        b"file ../a.aof seq 1 type i\n",
        b"file a.aof seq 1 type b\nfile b.aof seq 2 type b\n",
        b"file a.aof seq 2 type i\nfile b.aof seq 1 type i\n",
        b"file a.aof seq 1\n",
        b"file a.aof seq 1 type",
        b"\n",
    ],
)
def test_a_manifest_is_judged_as_redis_does(manifest: bytes) -> None:
    said = []
    for server in (ShoalNode(appendonly="yes"), Oracle("redis", appendonly="yes")):
        try:
            log_of(server).mkdir()
            (log_of(server) / "appendonly.aof.manifest").write_bytes(manifest)
            with pytest.raises(NotStarted):
                server.start()
            said.append([line.split(" # ")[-1] for line in server.log.splitlines() if line.strip()])
        finally:
            server.close()
    assert said[0][-1] == said[1][-1]
    if said[1][-2].startswith(">>>"):  # the line that is wrong
        assert said[0][-2] == said[1][-2]
