"""The promise of slots in motion: `shoal reshard` under clients costs no error and no key.

While slots with many keys move, redis-py clients read and write versioned values among just those keys. At
the end every key is where it belongs, once, with the version its last acknowledged write gave it.
`SHOAL_FULL=1`: 5,000 slots holding 200,000 keys.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import pytest
import redis
import redis.asyncio
from redis.crc import key_slot

from tests.chaos.failover import evidence
from tests.chaos.load import Load, TaskLoad, ThreadLoad
from tests.chaos.scale import scaled
from tests.chaos.script import Script, encoded
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.servers import Server, server
from tests.harness.shoal_command import shoal_process
from tests.harness.wait import eventually

SLOTS = scaled(500, 5_000)
KEYS = scaled(20_000, 200_000)
CHUNK = 1000

pytestmark = pytest.mark.timeout(scaled(120, 900))


@pytest.fixture(scope="module")
def formed() -> Iterator[RunningCluster]:
    with cluster_of(3, replicas=1) as running:
        yield running


def slots_of(cluster: RunningCluster, node: Server) -> list[int]:
    return [slot for first, last in cluster.line_of(node).slots for slot in range(first, last + 1)]


def keys_in(slots: Sequence[int], count: int) -> list[str]:
    """So many keys of these slots, evenly spread."""
    wanted = set(slots)
    names = (f"key:{number}" for number in itertools.count())
    return list(itertools.islice((name for name in names if key_slot(name.encode()) in wanted), count))


def fill(owner: Server, keys: Sequence[str]) -> None:
    """Give every key its version 1."""
    with owner.resp(timeout=30) as connection:
        for start in range(0, len(keys), CHUNK):
            some = keys[start : start + CHUNK]
            replies = connection.pipeline(*(("SET", key, encoded(1)) for key in some))
            assert {reply.text for reply in replies} == {"OK"}


def read_from(owner: Server, keys: Sequence[str]) -> list[bytes | None]:
    """Straight from one worker, which must own them all: no redirection hides a key in the wrong place."""
    with owner.client() as client, client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.get(key)
        return pipeline.execute()


def adopt(scripts: Sequence[Script]) -> None:
    for script in scripts:
        for key in script.keys:
            script.ledger.adopt(key, 1)


@pytest.fixture
def cluster(formed: RunningCluster) -> Iterator[RunningCluster]:
    """Whole; emptied afterwards, because the next test has other keys in mind."""
    formed.wait_settled()
    yield formed
    for node in formed.primaries:
        node.run("FLUSHALL")


@pytest.mark.parametrize(("style", "protocol"), [("sync", 2), ("asyncio", 3)])
def test_slots_move_under_clients(
    cluster: RunningCluster, report: Callable[[str], None], style: str, protocol: int
) -> None:
    entry, target, source = sorted(cluster.primaries, key=lambda node: len(slots_of(cluster, node)))
    keys = keys_in(slots_of(cluster, source)[:SLOTS], KEYS)
    fill(source, keys)

    def connect() -> redis.RedisCluster:
        return redis.RedisCluster(host=entry.host, port=entry.port, protocol=protocol)

    async def connect_async() -> redis.asyncio.RedisCluster:
        return await redis.asyncio.RedisCluster(host=entry.host, port=entry.port, protocol=protocol)

    load: Load = ThreadLoad(connect, 2, keys) if style == "sync" else TaskLoad(connect_async, 4, keys)
    adopt(load.scripts)
    with evidence(cluster):
        figures = reshard(load, entry, source, target)
        report(f"reshard, {style} RedisCluster, RESP{protocol}: {figures}")
        load.check_all(lambda some: read_from(target, some))
        assert load.errors == []
        assert load.losses == []
        assert load.impossible == []
        assert source.run("DBSIZE") == 0
        assert target.run("DBSIZE") == KEYS
        (replica,) = cluster.replicas_of(target)
        eventually(lambda: replica.run("DBSIZE") == KEYS, "the target's replica has all keys")
        cluster.wait_settled()


def reshard(load: Load, entry: Server, source: Server, target: Server) -> str:
    """Move SLOTS slots while `load` runs; returns the figures."""
    with load:
        load.wait_for(500)
        before = load.succeeded
        outcome = shoal_process(
            "reshard", entry.address, "--from", source.address, "--to", target.address,
            "--slots", SLOTS, "--yes", "--json", timeout=scaled(100, 800),
        )  # fmt: skip
        during = load.succeeded - before
        load.wait_for(500)
    slots, keys, seconds = (outcome.json["moved"][name] for name in ("slots", "keys", "seconds"))
    assert slots == SLOTS
    assert keys >= KEYS
    longest = max(entry.ended - entry.started for entry in load.journal)
    return (
        f"{slots} slots with {keys} keys in {seconds:.1f} s ({keys / seconds:.0f} keys/s), "
        f"{during} requests meanwhile ({during / seconds:.0f}/s, the longest {longest * 1000:.0f} ms), "
        f"{len(load.errors)} errors"
    )


def test_a_worker_joins_under_clients(report: Callable[[str], None]) -> None:
    """One command, and no client sees an error, whether it knows clusters or comes through the proxy."""
    keys = keys_in(range(16384), KEYS)
    with cluster_of(3) as cluster, server("shoal", cluster_enabled="yes") as newcomer:
        for node in cluster.primaries:
            own = set(slots_of(cluster, node))
            fill(node, [key for key in keys if key_slot(key.encode()) in own])
        entry = cluster.nodes[0]

        def connect() -> redis.RedisCluster:
            return redis.RedisCluster(host=entry.host, port=entry.port)

        with ShoalProxy(cluster.addresses) as proxy:
            loads = [ThreadLoad(connect, 2, keys[::2]), ThreadLoad(proxy.client, 1, keys[1::2])]
            adopt([script for load in loads for script in load.scripts])
            with loads[0], loads[1]:
                await_requests(loads, 200)
                outcome = shoal_process(
                    "add-node", newcomer.address, entry.address, "--rebalance", "--yes", "--json"
                )
                await_requests(loads, 200)
            with proxy.client() as client:
                for load in loads:
                    load.check_all(client.mget)
        moved = outcome.json["moved"]
        longest = max(each.ended - each.started for load in loads for each in load.journal)
        report(f"add-node --rebalance: {moved}, the longest request {longest * 1000:.0f} ms")
        assert moved["slots"] == 4096
        for load in loads:
            assert (load.errors, load.losses, load.impossible) == ([], [], [])


def await_requests(loads: Sequence[Load], count: int) -> None:
    for load in loads:
        load.wait_for(count)
