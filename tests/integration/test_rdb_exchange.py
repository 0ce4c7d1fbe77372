"""Files and payloads go both ways between our worker and real servers."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from tests.harness.servers import NotStarted, Oracle, Server, ShoalNode
from tests.integration.datasets import content, fill

ORACLES = ("redis", "valkey")
# The encodings a real server would otherwise not choose, and the options of the writer.
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "tables only": {
        "hash_max_listpack_entries": 0,
        "set_max_listpack_entries": 0,
        "set_max_intset_entries": 0,
        "zset_max_listpack_entries": 0,
    },
    "plain": {"rdbcompression": "no", "rdbchecksum": "no"},
}


def hand_over(source: Server, target: Server) -> None:
    """Save `source` into the directory of `target`, which has not been started."""
    assert source.run("SAVE").text == "OK"
    shutil.copy(source.directory / "dump.rdb", target.directory / "dump.rdb")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ORACLES)
def test_we_load_what_they_saved(kind: str, variant: str) -> None:
    node = ShoalNode()
    with Oracle(kind, **VARIANTS[variant]) as oracle:
        fill(oracle)
        hand_over(oracle, node)
        with node:
            assert content(node) == content(oracle)
            assert "DB loaded from disk" in node.log


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ORACLES)
def test_they_load_what_we_saved(kind: str, variant: str) -> None:
    oracle = Oracle(kind)
    with ShoalNode(**VARIANTS[variant]) as node:
        fill(node)
        hand_over(node, oracle)
        with oracle:
            assert content(oracle) == content(node)


def test_we_load_what_we_saved() -> None:
    second = ShoalNode()
    with ShoalNode() as first:
        fill(first)
        hand_over(first, second)
        with second:
            assert content(second) == content(first)


@pytest.mark.parametrize("kind", ORACLES)
def test_payloads_go_both_ways(kind: str, shoal_node: ShoalNode, request: pytest.FixtureRequest) -> None:
    oracle: Oracle = request.getfixturevalue(f"{kind}_oracle")
    fill(oracle)
    with oracle.client() as theirs, shoal_node.client() as ours:
        for key in theirs.scan_iter(count=1000):
            ours.restore(key, max(0, theirs.pexpiretime(key)), theirs.dump(key), absttl=True)
        assert content(shoal_node) == content(oracle)
        theirs.flushall()
        for key in ours.scan_iter(count=1000):
            theirs.restore(key, max(0, ours.pexpiretime(key)), ours.dump(key), absttl=True)
        assert content(oracle) == content(shoal_node)


RESTORES: list[tuple[Any, ...]] = [
    ("RESTORE", "k", 0, "{payload}"),
    ("RESTORE", "k", 0, "{payload}"),
    ("RESTORE", "k", 0, "{payload}", "REPLACE"),
    ("RESTORE", "k", 0, "{payload}", "replace", "nonsense"),
    ("RESTORE", "a", -1, "{payload}"),
    ("RESTORE", "a", "x", "{payload}"),
    ("RESTORE", "a", 0, "damaged"),
    ("RESTORE", "a", 0, ""),
    ("RESTORE", "k", "x", "damaged"),
    ("RESTORE", "a", 0, "{payload}", "IDLETIME", -1),
    ("RESTORE", "a", 0, "{payload}", "IDLETIME", "x"),
    ("RESTORE", "a", 0, "{payload}", "IDLETIME"),
    ("RESTORE", "a", 0, "{payload}", "FREQ", 256),
    ("RESTORE", "a", 0, "{payload}", "FREQ", -1),
    ("RESTORE", "a", 0, "{payload}", "FREQ", 1, "IDLETIME", 1),
    ("RESTORE", "a", 0, "{payload}", "IDLETIME", 1000),
    ("OBJECT", "IDLETIME", "a"),
    ("RESTORE", "gone", 1, "{payload}", "ABSTTL"),
    ("EXISTS", "gone"),
    ("RESTORE", "k", 1, "{payload}", "ABSTTL", "REPLACE"),
    ("EXISTS", "k"),
    ("RESTORE", "far", 4_000_000_000_000, "{payload}", "ABSTTL"),
    ("PEXPIRETIME", "far"),
    ("RESTORE", "a"),
    ("DUMP", "missing"),
    ("DUMP",),
    ("LASTSAVE", "x"),
    ("BGSAVE", "x"),
]


def test_restore_answers_as_theirs(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    shoal_node.run("SET", "source", "hello")
    payload = shoal_node.run("DUMP", "source")
    for command in RESTORES:
        argv = [payload if argument == "{payload}" else argument for argument in command]
        assert shoal_node.run(*argv) == redis_oracle.run(*argv), command


@pytest.mark.parametrize("cut", [5, 20, 100, -1])
def test_a_file_cut_short_is_refused_with_its_place(cut: int) -> None:
    node = ShoalNode()
    with ShoalNode() as first:
        fill(first)
        hand_over(first, node)
    path = node.directory / "dump.rdb"
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    try:
        with pytest.raises(NotStarted, match=r"dump\.rdb, offset \d+: unexpected end"):
            node.start()
        assert node.process is not None
        assert node.process.returncode == 1
    finally:
        node.close()


def test_a_file_from_elsewhere_is_refused() -> None:
    node = ShoalNode()
    (node.directory / "dump.rdb").write_bytes(b"PK\x03\x04 something else entirely")
    try:
        with pytest.raises(NotStarted, match="not an RDB file"):
            node.start()
    finally:
        node.close()
