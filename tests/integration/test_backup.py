"""`shoal backup` and `shoal restore` between servers and clusters of every kind.

All data goes the long way: from one server into a cluster of another layout, and from there back.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import pytest

from node.keyspace.digest import Digest
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.servers import Server, ShoalNode, server, source_environment
from tests.harness.shoal_command import COMMAND, shoal
from tests.harness.wait import eventually
from tests.integration.datasets import FAR, content, fill

Ranges = list[tuple[int, int]]
LAYOUTS: dict[str, tuple[str, list[Ranges]]] = {
    "shoal": ("shoal", [[(0, 5460)], [(5461, 10922)], [(10923, 16383)]]),
    "shoal, another layout": ("shoal", [[(0, 99), (8000, 16383)], [(100, 7999)]]),
    "redis": ("redis", [[(0, 10000)], [(10001, 16383)]]),
    "valkey": ("valkey", [[(0, 99), (9000, 16383)], [(100, 8999)]]),
}
LIBRARY = "#!lua name=lib\nredis.register_function('answer', function() return 42 end)"


@contextmanager
def formed(kind: str, layout: list[Ranges]) -> Iterator[RunningCluster]:
    """A cluster of primaries with these slots."""
    with cluster_of(len(layout), kind=kind, form=False, repl_diskless_sync_delay=0) as cluster:
        for number, (node, ranges) in enumerate(zip(cluster.nodes, layout, strict=True), 1):
            node.run("CLUSTER", "ADDSLOTSRANGE", *(bound for pair in ranges for bound in pair))
            node.run("CLUSTER", "SET-CONFIG-EPOCH", number)
            node.run("CLUSTER", "MEET", cluster.nodes[0].host, cluster.nodes[0].port)
        cluster.wait_settled()
        yield cluster


class Clusters(dict[str, RunningCluster]):
    """One for each of LAYOUTS, formed when it is asked for."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__()
        self._stack = stack

    def __missing__(self, name: str) -> RunningCluster:
        self[name] = self._stack.enter_context(formed(*LAYOUTS[name]))
        return self[name]


@pytest.fixture(scope="module")
def clusters() -> Iterator[Clusters]:
    with ExitStack() as stack:
        yield Clusters(stack)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ShoalNode, Path]]:
    """A worker with data of every type, and its backup."""
    with ShoalNode(repl_diskless_sync_delay=0) as node:
        fill(node)
        node.run("HSET", "hash:timed", "never", 1, "far", 2, "farther", 3)
        for moment, name in ((FAR, "far"), (FAR + 1, "farther")):
            node.run("HPEXPIREAT", "hash:timed", moment, "FIELDS", 1, name)
        node.run("FUNCTION", "LOAD", LIBRARY)
        directory = tmp_path_factory.mktemp("backups") / "origin"
        shoal("backup", directory, node.address)
        yield node, directory


def empty(cluster: RunningCluster) -> None:
    for node in cluster.nodes:
        node.run("FLUSHALL")
        node.run("FUNCTION", "FLUSH")


def everything(cluster: RunningCluster) -> dict[bytes, Any]:
    """`content` of all nodes."""
    found: dict[bytes, Any] = {}
    for node in cluster.nodes:
        part = content(node)
        assert not found.keys() & part.keys()
        found |= part
    return found


def digest(*nodes: Server) -> int:
    """DEBUG DIGEST of all together: each that has keys has joined the number of the database to its own."""
    database = int(Digest().mix(bytes(4)).hex(), 16)
    found = (int(node.run("DEBUG", "DIGEST").text, 16) for node in nodes)
    return reduce(xor, (each ^ database for each in found if each))


@pytest.mark.parametrize("name", ["redis", "valkey"])
def test_everything_comes_through_and_back(
    name: str, clusters: Clusters, origin: tuple[ShoalNode, Path], tmp_path: Path
) -> None:
    node, directory = origin
    cluster = clusters[name]
    empty(cluster)
    restored = shoal("restore", directory, cluster.addresses[-1], "--json").json
    assert restored["keys"] == restored["verified"]["same"] == node.run("DBSIZE")
    assert everything(cluster) == content(node)
    if name != "valkey":  # whose digests do not tell that a field expires
        assert digest(*cluster.nodes) == digest(node)
    for each in cluster.nodes:
        assert each.run("FUNCTION", "LIST")[0][1] == b"lib"
    manifest = shoal("backup", tmp_path / "b", cluster.addresses[0], "--json").json
    assert [file["slots"] for file in manifest["files"]] == [
        " ".join(f"{first}-{last}" for first, last in ranges) for ranges in LAYOUTS[name][1]
    ]
    assert manifest["keys"] == node.run("DBSIZE")
    assert manifest["files"][0]["server"].startswith(LAYOUTS[name][0])
    with ShoalNode() as again:
        shoal("restore", tmp_path / "b", again.address)
        assert digest(again) == digest(node)
        assert content(again) == content(node)
        assert again.run("HPEXPIRETIME", "hash:timed", "FIELDS", 3, "never", "far", "farther") == [
            -1,
            FAR,
            FAR + 1,
        ]
        assert again.run("FCALL", "answer", 0) == 42


def test_from_one_layout_to_another(
    clusters: Clusters, origin: tuple[ShoalNode, Path], tmp_path: Path
) -> None:
    node, directory = origin
    source, target = clusters["shoal"], clusters["shoal, another layout"]
    empty(source)
    shoal("restore", directory, source.addresses[0], "--json")
    shoal("backup", tmp_path / "b", source.addresses[1])
    shown = shoal("restore", tmp_path / "b", target.addresses[0]).out
    keys = node.run("DBSIZE")
    assert f"restored {keys} keys" in shown and f"verified: {keys} keys" in shown
    assert digest(*target.nodes) == digest(*source.nodes) == digest(node)
    assert everything(target) == content(node)


def test_a_target_with_keys(clusters: Clusters, origin: tuple[ShoalNode, Path]) -> None:
    node, directory = origin
    cluster = clusters["redis"]
    empty(cluster)
    with cluster.client() as client:
        client.set("other", "1")
        client.set("short", "another")
    refused = shoal("restore", directory, cluster.addresses[0], code=1)
    assert "the target holds 2 keys; --replace overwrites" in refused.error_line
    assert len(everything(cluster)) == 2
    cluster.nodes[0].run("FUNCTION", "LOAD", LIBRARY)
    shoal("restore", directory, cluster.addresses[0], "--replace", "--json")
    assert everything(cluster) == content(node) | {b"other": (b"string", b"1", -1)}
    declined = shoal("restore", directory, cluster.addresses[0], "--flush", input="n\n", code=130)
    assert "Delete all keys of" in declined.out
    assert len(everything(cluster)) == node.run("DBSIZE") + 1
    shoal("restore", directory, cluster.addresses[0], "--flush", "--yes", "--json")
    assert everything(cluster) == content(node)
    for each in cluster.nodes:
        each.run("FLUSHALL")
    refused = shoal("restore", directory, cluster.addresses[0], "--json", code=1)
    assert "already exists; --replace overwrites it" in refused.error_line


def test_a_backup_that_is_not_whole_touches_nothing(
    origin: tuple[ShoalNode, Path], shoal_node: ShoalNode, tmp_path: Path
) -> None:
    _, directory = origin
    shoal_node.run("SET", "kept", "1")
    copy = tmp_path / "copy"
    copy.mkdir()
    (file,) = directory.glob("*.rdb")
    (copy / "manifest.json").write_bytes((directory / "manifest.json").read_bytes())

    def refusal() -> str:
        return shoal("restore", copy, shoal_node.address, "--flush", "--yes", "--json", code=1).error_line

    shoal_node.run("FUNCTION", "FLUSH")
    assert f"{file.name} is missing" in refusal()
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (copy / file.name).write_bytes(damaged)
    assert "its SHA-256 is not that in manifest.json" in refusal()
    (copy / "manifest.json").unlink()
    assert "no backup, or one that was not finished" in refusal()
    assert shoal_node.run("GET", "kept") == b"1"
    again = shoal("backup", directory, shoal_node.address, "--json", code=1)
    assert "holds a backup already; choose another directory" in again.error_line


@pytest.mark.parametrize("kind", ["valkey", "shoal"])
def test_writers_go_on(kind: str, clusters: Clusters, tmp_path: Path) -> None:
    """What was there before is in the backup, with the value it had at some moment since."""
    source, target = clusters[kind], clusters["redis"]
    empty(source)
    empty(target)
    values = [0] * 200
    stop = threading.Event()

    def write() -> None:
        with source.client() as client:
            while not stop.is_set():
                for number in range(len(values)):
                    client.set(f"key:{number}", values[number] + 1)
                    values[number] += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        eventually(lambda: values[-1] > 0, "all keys are there")
        before = list(values)
        shoal("backup", tmp_path / "b", source.addresses[0], "--json")
        after = list(values)
    finally:
        stop.set()
        thread.join()
    assert sum(after) > sum(before)
    shoal("restore", tmp_path / "b", target.addresses[0], "--json")
    with target.client() as client:
        for number in range(len(values)):
            found = client.get(f"key:{number}")
            assert found is not None
            assert before[number] <= int(found) <= after[number] + 1


def test_databases_and_passwords(clusters: Clusters, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"repl_diskless_sync_delay": 0, "requirepass": "secret"}
    with server("valkey", **settings) as source, server("redis", requirepass="secret") as target:
        for database in (0, 3):
            with source.client(password="secret", db=database) as client:
                client.set(f"in:{database}", "x", px=10_000_000)
                client.set("fleeting", "x", px=1)
        denied = shoal("backup", tmp_path / "b", source.address, code=1)
        assert "give --user and --password" in denied.error_line
        shoal("backup", tmp_path / "b", source.address, "--password", "secret", "--json")
        lacking = shoal(
            "restore", tmp_path / "b", clusters["redis"].addresses[0], "--replace", "--json", code=1
        )
        assert "there are keys in database 3, which" in lacking.error_line
        shoal("restore", tmp_path / "b", target.address, "--password", "secret", "--json")
        for database in (0, 3):
            with (
                source.client(password="secret", db=database) as ours,
                target.client(password="secret", db=database) as theirs,
            ):
                assert theirs.keys() == [f"in:{database}".encode()]
                assert theirs.pexpiretime(f"in:{database}") == ours.pexpiretime(f"in:{database}")


def heed_interrupts() -> None:
    """Also where the tests run in a shell's background, which has them ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupted_backup_leaves_nothing(tmp_path: Path) -> None:
    with server("redis", repl_diskless_sync_delay=60) as source:
        argv = [*COMMAND, "backup", str(tmp_path / "b"), source.address, "--json"]
        process = subprocess.Popen(
            argv,
            env=source_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=heed_interrupts,
        )
        eventually(lambda: source.info("replication")["connected_slaves"] == 1, "it waits for its snapshot")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, b"shoal: interrupted\n")
    assert not list(tmp_path.iterdir())
