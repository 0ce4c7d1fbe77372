"""Files and payloads go both ways between our worker and real servers."""

from __future__ import annotations

import re
import shutil
from typing import Any

import pytest

from tests.harness.servers import NotStarted, Oracle, Server, ShoalNode, server
from tests.harness.wait import eventually
from tests.integration.datasets import FAR, content, fill

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
def test_files_of_clusters(kind: str) -> None:
    """Theirs have hints about slots between the keys."""
    node, oracle = ShoalNode(), Oracle(kind)
    with Oracle(kind, cluster_enabled="yes") as member:
        assert member.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383).text == "OK"
        eventually(lambda: b"cluster_state:ok" in member.run("CLUSTER", "INFO"), "the cluster")
        fill(member)
        hand_over(member, node)
        hint = b"slot-info" if kind == "valkey" else b"\xf4"
        assert (node.directory / "dump.rdb").read_bytes().count(hint) > 20
        with node:
            assert content(node) == content(member)
            hand_over(node, oracle)
            with oracle:
                assert content(oracle) == content(member)


ACCESSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "allkeys-lru": (("IDLETIME", 5000), "IDLETIME"),
    "volatile-lru": (("IDLETIME", 0), "IDLETIME"),
    "allkeys-lfu": (("FREQ", 77), "FREQ"),
}
"""What a key is restored with under a policy of evictions, and what OBJECT tells of it then."""
MANY = 300
"""Keys of each type: more than are looked at together."""


@pytest.mark.parametrize("policy", ACCESSED)
@pytest.mark.parametrize("kinds", [(a, b) for kind in ORACLES for a, b in ((kind, "shoal"), ("shoal", kind))])
def test_how_keys_were_used_is_told(kinds: tuple[str, str], policy: str) -> None:
    """To whoever chooses by it, for strings and collections, with and without an expiry."""
    settings: dict[str, Any] = {"maxmemory_policy": policy, "lfu_decay_time": 0}
    source, target, careless = (server(kind, **settings) for kind in (*kinds, kinds[1]))
    careless.config["maxmemory-policy"] = "noeviction"
    given, asked = ACCESSED[policy]
    with source:
        restore_many(source, given)
        hand_over(source, target)
        hand_over(source, careless)
    with target, careless:
        with target.client() as client:
            pipe = client.pipeline(transaction=False)
            for key in client.keys("*"):
                pipe.object(asked, key)
            told = pipe.execute()
        assert len(told) == 3 * MANY
        assert all(given[1] <= value <= given[1] + 10 for value in told), told
        assert careless.run("DBSIZE") == 3 * MANY
        if asked == "IDLETIME":
            assert given[1] <= careless.run("OBJECT", "IDLETIME", "string:1") <= given[1] + 10


def restore_many(source: Server, options: tuple[Any, ...]) -> None:
    with source.client() as client:
        client.set("model", "a" * 50)
        client.hset("model hash", mapping={"a": "1"})
        string, table = client.dump("model"), client.dump("model hash")
        client.delete("model", "model hash")
        pipe = client.pipeline(transaction=False)
        for number in range(MANY):
            for name, ttl, payload in ("string", 0, string), ("volatile", FAR, string), ("hash", 0, table):
                pipe.execute_command("RESTORE", f"{name}:{number}", ttl, payload, "ABSTTL", *options)
        pipe.execute()


def test_only_who_chooses_by_it_keeps_how_keys_were_used() -> None:
    with ShoalNode() as node:
        node.run("SET", "a", "1")
        for policy, kept in (
            ("noeviction", b""),
            ("volatile-lru", rb"\xf8."),
            ("volatile-lfu", rb"\xf9\x05"),
        ):
            node.run("CONFIG", "SET", "maxmemory-policy", policy)
            node.run("FLUSHALL")
            node.run("SET", "a", "1")
            node.run("SAVE")
            pattern = rb"\xfb\x01\0" + kept + rb"\0\x01a\xc0\x01"
            assert re.search(pattern, (node.directory / "dump.rdb").read_bytes(), re.DOTALL)


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
