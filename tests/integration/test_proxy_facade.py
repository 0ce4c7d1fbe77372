"""The proxies pose as a cluster: clients that can only use clusters are never redirected."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.crc import key_slot

from proxy.local.facade import shares
from tests.harness.clusters import NodeLine, RunningCluster, cluster_of
from tests.harness.commands import redis_cli, run_program
from tests.harness.ports import lease_ports
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Error, Map, Resp, Simple
from tests.harness.wait import eventually


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, kind="redis") as running:
        yield running


@pytest.fixture(scope="module")
def proxies(cluster: RunningCluster) -> Iterator[list[ShoalProxy]]:
    ports = lease_ports(2)
    members = [f"127.0.0.1:{port}" for port in ports]
    with ExitStack() as stack:
        started = [
            stack.enter_context(ShoalProxy(cluster.addresses, "--as-cluster", *members, port=port))
            for port in ports
        ]
        eventually(lambda: all(knows_both(proxy) for proxy in started), "the proxies know each other")
        yield started


def knows_both(proxy: ShoalProxy) -> bool:
    with proxy.resp() as client:
        return len(client.command("CLUSTER", "SLOTS")) == 2


def lines(client: Resp) -> list[NodeLine]:
    return list(map(NodeLine.parse, client.command("CLUSTER", "NODES").decode().splitlines()))


def test_redis_py(proxies: list[ShoalProxy], cluster: RunningCluster) -> None:
    keys = [f"key:{number}" for number in range(100)]
    with redis.RedisCluster(host="127.0.0.1", port=proxies[0].port) as client:
        assert {node.port for node in client.get_primaries()} == {proxy.port for proxy in proxies}
        for key in keys:
            client.set(key, key)
        assert client.mget_nonatomic(keys) == [key.encode() for key in keys]
        with client.pipeline() as pipeline:
            for key in keys:
                pipeline.get(key)
            assert pipeline.execute() == [key.encode() for key in keys]
        slot = key_slot(b"key:1")
        assert client.cluster_countkeysinslot(slot) == 1
        assert client.cluster_get_keys_in_slot(slot, 10) == ["key:1"]
        assert client.cluster_keyslot("key:1") == slot


def test_asyncio(proxies: list[ShoalProxy]) -> None:
    async def use() -> list[Any]:
        client = redis.asyncio.RedisCluster(host="127.0.0.1", port=proxies[1].port)
        try:
            await asyncio.gather(*(client.set(f"async:{number}", number) for number in range(50)))
            return await asyncio.gather(*(client.get(f"async:{number}") for number in range(50)))
        finally:
            await client.aclose()

    assert asyncio.run(use()) == [b"%d" % number for number in range(50)]


def test_tools(proxies: list[ShoalProxy]) -> None:
    port = proxies[0].port
    assert redis_cli("-c", "-p", port, input="set foo 1\nset bar 2\nget foo\nget bar\n").split() == [
        "OK", "OK", "1", "2",
    ]  # fmt: skip
    assert "[OK] All 16384 slots covered." in redis_cli("--cluster", "check", f"127.0.0.1:{port}")
    spoken = run_program(
        "redis-benchmark", "--cluster", "-p", str(port), "-t", "set,get", "-n", "1000", "-r", "1000", "-q"
    )
    assert "Cluster has 2 master nodes" in spoken
    assert spoken.count("requests per second") == 2
    assert "rror" not in spoken


def shape(reply: Any) -> Any:
    """What a reply is made of; of lists, what their items are made of, and names of maps."""
    match reply:
        case Map(pairs):
            return {"map": [(name, shape(value)) for name, value in pairs]}
        case list():
            return [shape(item) for item in reply[:1]]
        case Error(text):
            return text
        case _:
            return type(reply)


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_are_shaped_as_those_of_a_cluster(
    protocol: int, proxies: list[ShoalProxy], cluster: RunningCluster
) -> None:
    unknown = "f" * 40
    requests = [
        "slots", "nodes", "info", "myid", "myshardid", "keyslot foo", "countkeysinslot 1",
        "getkeysinslot 1 2", "countkeysinslot 16384", "countkeysinslot x", "getkeysinslot 1 -1",
        "getkeysinslot 1", "keyslot", f"replicas {unknown}", f"slaves {unknown}",
        f"count-failure-reports {unknown}", "nonsense",
    ]  # fmt: skip
    with (
        proxies[0].resp(protocol=protocol) as ours,
        cluster.nodes[0].resp(protocol=protocol) as theirs,
    ):
        for request in requests:
            argv = ["CLUSTER", *request.split()]
            assert shape(ours.command(*argv)) == shape(theirs.command(*argv)), request
        for request in ("READONLY", "READWRITE", "ASKING"):
            assert ours.command(request) == theirs.command(request) == Simple("OK")
        if protocol == 3:
            proxy_row, row = ours.command("CLUSTER", "SHARDS")[0], theirs.command("CLUSTER", "SHARDS")[0]
            assert shape(proxy_row) == shape(row)
        fields = [reply.command("CLUSTER", "INFO") for reply in (ours, theirs)]
        names = [
            [line.split(b":")[0] for line in getattr(each, "text", each).splitlines()] for each in fields
        ]
        assert set(names[0]) <= set(names[1])


def test_all_proxies_tell_the_same(proxies: list[ShoalProxy]) -> None:
    with proxies[0].resp() as one, proxies[1].resp() as other:
        assert one.command("CLUSTER", "SLOTS") == other.command("CLUSTER", "SLOTS")
        ids = [each.command("CLUSTER", "MYID").decode() for each in (one, other)]
        ports = {line.id: int(line.address.split("@")[0].split(":")[1]) for line in lines(one)}
        assert [ports[each] for each in ids] == [proxy.port for proxy in proxies]
        myself = [[line.id for line in lines(each) if "myself" in line.flags] for each in (one, other)]
        assert myself == [[each] for each in ids]
        assert b"cluster_enabled:1" in one.command("INFO", "cluster")
        assert b"cluster" in one.command("HELLO")


def test_slots_of_a_proxy_that_is_gone_are_shown_as_others(proxies: list[ShoalProxy]) -> None:
    with proxies[0].resp() as client:
        proxies[1].stop()
        eventually(lambda: len(client.command("CLUSTER", "SLOTS")) == 1, "one proxy is left")
        assert client.command("CLUSTER", "SLOTS")[0][:2] == [0, 16383]
        gone = next(line for line in lines(client) if "myself" not in line.flags)
        assert "fail" in gone.flags
        assert not gone.slots
        proxies[1].start()
        eventually(lambda: len(client.command("CLUSTER", "SLOTS")) == 2, "both are shown again")


def test_alone_it_is_where_each_client_found_it_or_where_it_says(cluster: RunningCluster) -> None:
    with ShoalProxy(cluster.addresses, "--as-cluster") as proxy, proxy.resp() as client:
        (row,) = client.command("CLUSTER", "SLOTS")
        assert row[:2] == [0, 16383]
        assert row[2][:2] == [b"127.0.0.1", proxy.port]
    announcing = ["--as-cluster", "--announce", "balancer.example.com:6380"]
    with ShoalProxy(cluster.addresses, *announcing) as proxy, proxy.resp() as client:
        (row,) = client.command("CLUSTER", "SLOTS")
        assert row[2][:2] == [b"balancer.example.com", 6380]
        assert lines(client)[0].address.startswith("balancer.example.com:6380@")
        refused = client.command("CLUSTER", "ADDSLOTS", "1")
        assert refused == Error(
            "ERR CLUSTER ADDSLOTS is not supported through the proxy: send it to a worker"
        )


def test_without_the_option_there_is_no_cluster(cluster: RunningCluster) -> None:
    with ShoalProxy(cluster.addresses) as proxy, proxy.resp() as client:
        disabled = Error("ERR This instance has cluster support disabled")
        for request in ("CLUSTER SLOTS", "CLUSTER COUNTKEYSINSLOT 1", "CLUSTER MEET a 1", "READONLY"):
            assert client.command(*request.split()) == disabled


def test_shares() -> None:
    assert shares([True]) == [[(0, 16383)]]
    assert shares([True, True, True]) == [[(0, 5460)], [(5461, 10921)], [(10922, 16383)]]
    assert shares([True, False, True]) == [[(0, 8190)], [], [(8191, 16383)]]
    assert shares([False, True, True]) == [[], [(0, 2729), (5461, 10921)], [(2730, 5460), (10922, 16383)]]
