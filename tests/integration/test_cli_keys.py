"""`shoal bigkeys` and `shoal hotkeys` on clusters with a replica; test_cli.py tries them on Redis, too."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.harness.busy import busy
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.resp import NULL_BULK
from tests.harness.servers import source_environment
from tests.harness.shoal_command import COMMAND, shoal
from tests.harness.wait import eventually

KEYS = 1000


@pytest.fixture(scope="module", params=["valkey", "shoal"])
def cluster(request: pytest.FixtureRequest) -> Iterator[RunningCluster]:
    """Three primaries; the first has a replica, the last in the list. Strings `key:N`, and one of each other
    type."""
    with cluster_of(4, kind=request.param, form=False) as four:
        shoal("create", *four.addresses[:3], "--yes", "--json")
        shoal("add-node", four.addresses[3], four.addresses[0], "--replica-of", four.addresses[0], "--json")
        with four.client() as client:
            pipeline = client.pipeline()
            for n in range(KEYS):
                pipeline.set(f"key:{n}", "x")
            pipeline.execute()
            client.set("a string", "x" * 50_000)
            client.rpush("a list", *range(900))
            client.hset("a hash", mapping={f"field:{n}": "x" * 1000 for n in range(100)})
            client.sadd("a set", *(f"member:{n}" for n in range(200)))
            client.zadd("a zset", {f"member:{n}": n for n in range(100)})
            client.xadd("a stream", {"a": "b"})
        yield four


@contextmanager
def reading(cluster: RunningCluster, key: str) -> Iterator[None]:
    """A client that reads `key` all the time, and others now and then."""
    rounds = 0
    with cluster.client() as client:

        def read() -> None:
            nonlocal rounds
            pipeline = client.pipeline()
            for _ in range(20):
                pipeline.get(key)
            pipeline.get(f"key:{rounds % KEYS}")
            pipeline.execute()
            rounds += 1

        with busy(read):
            eventually(lambda: rounds > 5, "it reads")
            yield


def big(cluster: RunningCluster, *words: Any) -> Any:
    return shoal("bigkeys", cluster.addresses[1], "--rate", 0, "--json", *words).json


def test_the_biggest_keys_of_all_primaries(cluster: RunningCluster) -> None:
    found = big(cluster, "--top", 3)
    assert found["complete"]
    assert [node["problem"] for node in found["nodes"]] == [None] * 3
    assert sum(node["seen"] for node in found["nodes"]) == KEYS + 6
    assert [row["key"] for row in found["biggest"]][:2] == ["a hash", "a string"]
    assert {name: of["keys"] for name, of in found["types"].items()} == {
        "string": KEYS + 1, "list": 1, "hash": 1, "set": 1, "zset": 1, "stream": 1
    }  # fmt: skip
    assert found["types"]["string"]["length"] == KEYS + 50_000
    top = found["biggest"][0]
    assert top == found["types"]["hash"]["biggest"]
    assert (top["length"], top["address"]) == (100, cluster.owner_of("a hash").address)
    assert top["slot"] == cluster.nodes[0].run("CLUSTER", "KEYSLOT", "a hash")
    assert top["memory_bytes"] > 100_000


def test_the_longest_of_a_type_and_a_pattern(cluster: RunningCluster) -> None:
    assert [row["key"] for row in big(cluster, "--by", "length", "--top", 3)["biggest"]] == [
        "a string", "a list", "a set",
    ]  # fmt: skip
    assert list(big(cluster, "--type", "zset")["types"]) == ["zset"]
    assert big(cluster, "--match", "key:1?")["types"]["string"]["keys"] == 10
    text = shoal("bigkeys", cluster.addresses[0], "--rate", 0).out
    assert "50000 bytes" in text and "900 items" in text
    assert shoal("bigkeys", cluster.addresses[0], "--match", "nothing").out == "no keys\n"


def test_replicas_are_asked_instead(cluster: RunningCluster) -> None:
    replica = cluster.nodes[3]
    eventually(lambda: replica.info("replication")["master_link_status"] == "up", "it is in sync")
    found = big(cluster, "--replicas")
    assert {node["address"]: node["role"] for node in found["nodes"]} == {
        cluster.addresses[1]: "primary", cluster.addresses[2]: "primary", replica.address: "replica"
    }  # fmt: skip
    assert sum(node["seen"] for node in found["nodes"]) == KEYS + 6
    assert found["types"]["hash"]["keys"] == 1


@pytest.mark.parametrize("cluster", ["shoal"], indirect=True)
def test_interrupted_it_shows_what_was_found(cluster: RunningCluster) -> None:
    first = cluster.nodes[0]

    def scans() -> int:
        told = first.info("commandstats").get("cmdstat_scan")
        return told["calls"] if told else 0

    before = scans()
    out = interrupted(lambda: scans() > before, "bigkeys", first.address, "--rate", "1", "--type", "string")
    assert "string" in out

    def watches() -> bool:
        return first.run("HOTKEYS", "GET") != NULL_BULK

    with reading(cluster, "a string"):
        out = interrupted(watches, "hotkeys", first.address, "--seconds", "600", "--json")
    told = json.loads(out)
    assert not told["complete"] and told["seconds"] < 600
    assert not watches()


def interrupted(begun: Callable[[], bool], *words: str) -> str:
    """What a subcommand prints that gets SIGINT as soon as it has begun."""
    asked = subprocess.Popen(
        [*COMMAND, *words],
        env=source_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(begun, "it has begun")
    finally:
        asked.send_signal(signal.SIGINT)
        out, err = asked.communicate(timeout=30)
    assert asked.returncode == 130
    assert err.endswith("shoal: interrupted\n")
    return out


def test_hot_keys_by_frequency(cluster: RunningCluster) -> None:
    """Every kind counts accesses under an LFU policy; where there is no HOTKEYS, that is the default."""
    kind = cluster.nodes[0].info("server")
    without = shoal("hotkeys", cluster.addresses[0], "--by", "frequency", code=1)
    assert "CONFIG SET maxmemory-policy allkeys-lfu" in without.err
    if "shoal_version" not in kind:
        assert "has no HOTKEYS" in shoal("hotkeys", cluster.addresses[0], code=1).error_line
        assert "--by frequency" in shoal("hotkeys", cluster.addresses[0], "--by", "cpu", code=1).err
    try:
        for node in cluster.nodes:
            node.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        with cluster.client() as client:
            for _ in range(300):
                client.get("key:7")
        words = ("hotkeys", cluster.addresses[0], "--rate", 0, "--top", 2, "--match", "key:*")
        found = shoal(*words, "--by", "frequency", "--json").json
        assert (found["by"], found["complete"], len(found["keys"])) == ("frequency", True, 2)
        first = found["keys"][0]
        assert (first["key"], first["address"]) == ("key:7", cluster.owner_of("key:7").address)
        assert first["frequency"] > found["keys"][1]["frequency"]
        text = shoal(*words, *(["--by", "frequency"] if "shoal_version" in kind else [])).out
        assert "key:7" in text
    finally:
        for node in cluster.nodes:
            node.run("CONFIG", "SET", "maxmemory-policy", "noeviction")


@pytest.mark.parametrize("cluster", ["shoal"], indirect=True)
def test_hot_keys_by_traffic(cluster: RunningCluster) -> None:
    words = ("hotkeys", cluster.addresses[0], "--seconds", 0.3, "--sample", 1, "--top", 3)
    with reading(cluster, "a string"):
        found = shoal(*words, "--by", "bytes", "--json").json
        assert "a string" in shoal(*words, "--by", "bytes").out
        assert shoal(*words, "--sample", 5, "--json").json["by"] == "cpu"
    first = found["keys"][0]
    assert (found["complete"], found["seconds"], len(found["keys"])) == (True, 0.3, 3)
    assert (first["key"], first["role"]) == ("a string", "primary")
    assert first["bytes_per_second"] > 20 * found["keys"][1]["bytes_per_second"]
    assert 0 < first["share_percent"] <= 100
    for node in cluster.nodes:
        assert node.run("HOTKEYS", "GET") == NULL_BULK, "nothing is left of it"
    assert shoal("hotkeys", cluster.addresses[0], "--match", "x", code=2).error_line


@pytest.mark.parametrize("cluster", ["shoal"], indirect=True)
def test_who_watches_already_is_not_disturbed(cluster: RunningCluster) -> None:
    first = cluster.nodes[0]
    first.run("HOTKEYS", "START", "METRICS", 1, "CPU")
    refused = shoal("hotkeys", first.address, "--seconds", 0.1, code=1).error_line
    assert f"{first.address} refused HOTKEYS START" in refused and "somebody else watches" in refused
    assert first.run("HOTKEYS", "STOP").text == "OK"
    first.run("HOTKEYS", "RESET")


@pytest.mark.parametrize("cluster", ["shoal"], indirect=True)
def test_a_primary_that_does_not_answer_is_not_passed_over(cluster: RunningCluster) -> None:
    """The last test: it takes one away."""
    gone = cluster.nodes[2]
    gone.kill()
    outcome = shoal("bigkeys", cluster.addresses[1], "--rate", 0, "--json", code=1)
    assert not outcome.json["complete"]
    problems = {node["address"]: node["problem"] for node in outcome.json["nodes"]}
    assert [address for address, problem in problems.items() if problem] == [gone.address]
    assert outcome.json["types"]["string"]["keys"] > KEYS / 3
    assert f"not all keys were seen: {gone.address} does not answer" in outcome.error_line
    assert gone.address in shoal("hotkeys", cluster.addresses[1], "--by", "cpu", code=1).error_line
