"""Published messages on the cluster bus: between our members and real ones, and in slots that move."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from redis.crc import key_slot

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.resp import Error, Push, Simple
from tests.harness.servers import Server
from tests.harness.wait import eventually

OK = Simple("OK")
OURS = ("shoal",) * 3


@pytest.fixture(scope="module")
def threes() -> Iterator[Callable[..., RunningCluster]]:
    """Three primaries of such kinds, the same ones for every test. One slot of them may have moved."""
    with ExitStack() as stack:
        yield functools.cache(lambda *kinds: stack.enter_context(cluster_of(3, kind=kinds)))


def channel_of(cluster: RunningCluster, owner: Server) -> bytes:
    """The name of a shard channel in a slot of this node."""
    return next(several_channels_of(cluster, owner))


def several_channels_of(cluster: RunningCluster, owner: Server) -> Iterator[bytes]:
    first, last = cluster.line_of(owner).slots[0]
    names = (b"channel%d" % number for number in itertools.count())
    return (name for name in names if first <= key_slot(name) <= last)


@pytest.mark.parametrize("mix", [("shoal", "redis", "valkey"), OURS], ids="-".join)
def test_every_member_hears_what_any_publishes(
    threes: Callable[..., RunningCluster], mix: tuple[str, ...]
) -> None:
    cluster = threes(*mix)
    for publisher, listener in itertools.permutations(cluster.nodes, 2):
        with listener.resp() as by_name, listener.resp(protocol=3) as by_pattern:
            by_name.command("SUBSCRIBE", "news")
            by_pattern.command("PSUBSCRIBE", "n*")
            message = f"from {publisher!r}".encode()
            assert publisher.run("PUBLISH", "news", message) == 0, "only its own listeners count"
            assert by_name.read() == [b"message", b"news", message]
            assert by_pattern.read() == Push([b"pmessage", b"n*", b"news", message])


@pytest.mark.parametrize("real", ["redis", "valkey"])
def test_a_shard_hears_its_channels(real: str) -> None:
    """Primary and replica of different kinds; nobody outside of the shard is told."""
    with cluster_of(3, replicas=1, kind=("shoal", real)) as cluster:
        for node in cluster.nodes:
            line = cluster.line_of(node)
            if "master" not in line.flags:
                continue
            replicas = [r for r in cluster.nodes if cluster.line_of(r).primary_id == line.id]
            channel = channel_of(cluster, node)
            for publisher, listener in itertools.permutations([node, *replicas], 2):
                with listener.resp() as connection:
                    assert connection.command("SSUBSCRIBE", channel) == [b"ssubscribe", channel, 1]
                    assert publisher.run("SPUBLISH", channel, "m") == 0
                    assert connection.read() == [b"smessage", channel, b"m"]


def test_shard_channels_follow_their_slot(threes: Callable[..., RunningCluster]) -> None:
    cluster = threes(*OURS)
    owner, other = cluster.nodes[:2]
    channel = channel_of(cluster, owner)
    moved = Error(f"MOVED {key_slot(channel)} {owner.address}")
    assert other.run("SSUBSCRIBE", channel) == moved
    assert other.run("SPUBLISH", channel, "m") == moved
    assert other.run("SUNSUBSCRIBE", channel) == moved
    crossing = owner.run("SSUBSCRIBE", channel, channel_of(cluster, other))
    assert crossing == Error("CROSSSLOT Keys in request don't hash to the same slot")
    assert other.run("PUBLISH", channel, "m") == 0, "ordinary channels have no slot"


@pytest.mark.parametrize("kind", ["shoal", "redis"])
def test_subscriptions_end_when_their_slot_leaves(threes: Callable[..., RunningCluster], kind: str) -> None:
    cluster = threes(*[kind] * 3)
    source, target = cluster.nodes[:2]
    channel = channel_of(cluster, source)
    slot = key_slot(channel)
    with source.resp() as old, source.resp(protocol=3) as new, source.resp() as stays:
        assert old.command("SSUBSCRIBE", channel) == [b"ssubscribe", channel, 1]
        assert new.command("SUBSCRIBE", channel) == Push([b"subscribe", channel, 1])
        assert new.command("SSUBSCRIBE", channel) == Push([b"ssubscribe", channel, 1])
        kept = next(name for name in several_channels_of(cluster, source) if key_slot(name) != slot)
        assert stays.command("SSUBSCRIBE", kept) == [b"ssubscribe", kept, 1]
        target_id = cluster.id_of(target)
        assert target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(source)) == OK
        assert source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id) == OK
        assert source.run("SPUBLISH", channel, "m") == 2, "it is still the owner's"
        assert [old.read(), new.read()] == [
            [b"smessage", channel, b"m"],
            Push([b"smessage", channel, b"m"]),
        ]
        for node in (target, source):
            assert node.run("CLUSTER", "SETSLOT", slot, "NODE", target_id) == OK
        assert old.read() == [b"sunsubscribe", channel, 0]
        assert new.read() == Push([b"sunsubscribe", channel, 0])
        assert source.run("SPUBLISH", kept, "m") == 1
        assert source.run("PUBSUB", "SHARDNUMSUB", channel) == [channel, 0]
        assert source.run("PUBLISH", channel, "m") == 1
        assert isinstance(old.command("GET", "k"), Error | bytes), "free to send what it likes"
    with target.resp() as again:
        assert again.command("SSUBSCRIBE", channel) == [b"ssubscribe", channel, 1]


def test_a_failover_within_the_shard_keeps_subscriptions() -> None:
    with cluster_of(3, replicas=1, kind="shoal") as cluster:
        primary, replica = cluster.nodes[0], cluster.nodes[3]
        primary = next(n for n in cluster.nodes if cluster.id_of(n) == cluster.line_of(replica).primary_id)
        channel = channel_of(cluster, primary)
        with replica.resp() as listener:
            assert listener.command("SSUBSCRIBE", channel) == [b"ssubscribe", channel, 1]
            assert replica.run("CLUSTER", "FAILOVER") == OK
            eventually(lambda: "master" in cluster.line_of(replica).flags, "the replica takes over")
            cluster.wait_settled()
            assert replica.run("SPUBLISH", channel, "m") == 1
            assert listener.read() == [b"smessage", channel, b"m"]


def test_what_the_bus_cannot_carry_is_refused(threes: Callable[..., RunningCluster]) -> None:
    cluster = threes(*OURS)
    node = cluster.nodes[0]
    with node.resp(timeout=20) as connection:
        refused = connection.command("PUBLISH", "c", b"x" * (64 << 20))
        assert refused == Error("ERR channel and message are too long to be published in a cluster")
        assert connection.command("PUBLISH", "c", "short") == 0
