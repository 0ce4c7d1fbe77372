"""Subscriptions, notifications and MONITOR through the proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Error, Push, Resp, Simple, encode
from tests.harness.servers import Oracle
from tests.harness.wait import eventually

OK = Simple("OK")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, kind=["valkey", "shoal"]) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(cluster: RunningCluster) -> Iterator[ShoalProxy]:
    with ShoalProxy(cluster.addresses[:1]) as running:
        yield running


SCRIPT = """
UNSUBSCRIBE|PUNSUBSCRIBE|SUNSUBSCRIBE|UNSUBSCRIBE x|SUNSUBSCRIBE x y
SUBSCRIBE a b a|PSUBSCRIBE a* b?|SSUBSCRIBE s t|PING|PING word|PING too many
GET a|DBSIZE|SUBSCRIBE|UNSUBSCRIBE zz|UNSUBSCRIBE b|PUNSUBSCRIBE nothing a*
UNSUBSCRIBE|PUNSUBSCRIBE|SUNSUBSCRIBE s|SUNSUBSCRIBE|PING|GET none
SUBSCRIBE a|RESET|GET none|CLIENT REPLY SKIP|SUBSCRIBE a|RESET
CLIENT REPLY OFF|SUBSCRIBE a|UNSUBSCRIBE a|CLIENT REPLY ON
SUBSCRIBE a|QUIT
"""


def conversation(connection: Resp) -> list[bytes]:
    """All that is said to SCRIPT, up to the closing of the connection."""
    connection.send(SCRIPT.strip().replace("|", "\r\n").replace("\n", "\r\n").encode() + b"\r\n")
    return connection.read_until_closed().split(b"\r\n")


@pytest.mark.parametrize("protocol", [2, 3])
def test_conversation_is_that_of_one_server(proxy: ShoalProxy, protocol: int) -> None:
    with proxy.resp(protocol) as client:
        told = conversation(client)
    with Oracle("redis") as oracle, oracle.resp(protocol) as direct:
        assert told == conversation(direct)


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_subscribers(proxy: ShoalProxy, protocol: int) -> None:
    with proxy.client(protocol=protocol, decode_responses=True) as plain, plain.pubsub() as listener:
        listener.subscribe("news", "weather")
        listener.psubscribe("new*")
        for _ in range(3):
            assert listener.get_message(timeout=5)["type"] in ("subscribe", "psubscribe")
        assert plain.publish("news", "hello") == 2
        got = [listener.get_message(timeout=5) for _ in range(2)]
        assert {(each["type"], each["data"]) for each in got} == {("message", "hello"), ("pmessage", "hello")}
        assert plain.publish("nothing", "hello") == 0
        listener.unsubscribe()
        listener.punsubscribe()


def test_many_subscribers_share_one_line(cluster: RunningCluster, proxy: ShoalProxy) -> None:
    subscribers = [proxy.resp(protocol) for protocol in (2, 3) for _ in range(20)]
    with proxy.resp() as publisher:
        for subscriber in subscribers:
            subscriber.send_command("SUBSCRIBE", "many")
        for subscriber in subscribers:
            subscriber.read()
        counts = publisher.command("PUBSUB", "NUMSUB", "many")
        assert counts == [b"many", 1]
        assert publisher.pipeline(*(("PUBLISH", "many", number) for number in range(50))) == [40] * 50
        for subscriber in subscribers:
            assert [items_of(subscriber.read())[2] for _ in range(50)] == [b"%d" % n for n in range(50)]
        lines = publisher.command("CLIENT", "LIST").decode().splitlines()
        assert sum(" sub=1 " in line for line in lines) == 40
        for subscriber in subscribers:
            subscriber.close()
        eventually(lambda: publisher.command("PUBSUB", "NUMSUB", "many") == [b"many", 0], "nobody listens")


def items_of(frame: list[bytes] | Push) -> list[bytes]:
    return frame.items if isinstance(frame, Push) else frame


def test_shard_channels_of_all_shards(proxy: ShoalProxy) -> None:
    channels = [f"shard:{number}" for number in range(20)]
    with proxy.resp(protocol=3) as listener, proxy.resp() as publisher:
        listener.send_command("SSUBSCRIBE", *channels)
        assert [listener.read().items[2] for _ in channels] == [*range(1, 21)]
        for channel in channels:
            assert publisher.command("SPUBLISH", channel, channel.upper()) == 1
        got = {tuple(listener.read().items) for _ in channels}
        assert got == {(b"smessage", name.encode(), name.upper().encode()) for name in channels}
        listener.send_command("SUNSUBSCRIBE", *channels[:5])
        assert [listener.read().items[2] for _ in range(5)] == [19, 18, 17, 16, 15]
        assert publisher.command("SPUBLISH", channels[0], "x") == 0
        assert listener.command("GET", "none") is not None  # RESP3: other commands go on


def test_messages_while_a_command_blocks(proxy: ShoalProxy) -> None:
    with proxy.resp(protocol=3) as listener, proxy.resp() as other:
        listener.command("SUBSCRIBE", "during")
        listener.send_command("BLPOP", "queue", 0)
        assert other.command("PUBLISH", "during", "1") == 1
        assert listener.read() == Push([b"message", b"during", b"1"])
        other.command("RPUSH", "queue", "x")
        assert listener.read() == [b"queue", b"x"]


def test_notifications_of_all_shards(cluster: RunningCluster, proxy: ShoalProxy) -> None:
    keys = [f"key:{number}" for number in range(12)]
    for node in cluster.nodes:
        node.run("CONFIG", "SET", "notify-keyspace-events", "KEA")
    try:
        with proxy.resp() as by_pattern, proxy.resp() as by_name, proxy.resp() as client:
            by_pattern.command("PSUBSCRIBE", "__keyspace@0__:key:*")
            by_name.command("SUBSCRIBE", "__keyevent@0__:set")
            for key in keys:
                client.command("SET", key, 1)
            seen = [by_pattern.read() for _ in keys]
            assert {frame[2] for frame in seen} == {f"__keyspace@0__:{key}".encode() for key in keys}
            assert {by_name.read()[2] for _ in keys} == {key.encode() for key in keys}
    finally:
        for node in cluster.nodes:
            node.run("CONFIG", "SET", "notify-keyspace-events", "")


def test_monitor_shows_all_primaries(cluster: RunningCluster, proxy: ShoalProxy) -> None:
    keys = ["a", "b", "c", "d", "e"]
    with proxy.resp() as one, proxy.resp(protocol=3) as two, proxy.resp() as client:
        assert one.pipeline(("MONITOR",), ("MONITOR",)) == [OK, OK]
        assert two.command("MONITOR") == OK
        for key in keys:
            client.command("SET", key, "shown")
        for monitor in (one, two):
            shown = [monitor.read().text for _ in keys]
            assert [line.split("] ")[1] for line in shown] == [f'"SET" "{key}" "shown"' for key in keys]
        assert one.command("GET", "a") == Error("ERR Replica can't interact with the keyspace")
        assert two.command("PING") == Simple("PONG")
        assert one.command("RESET") == Simple("RESET")
        assert one.command("GET", "a") == b"shown"
        assert two.read().text.endswith('"GET" "a"')
    eventually(lambda: not any(" cmd=monitor" in clients(node) for node in cluster.nodes), "no line is left")


def clients(node: object) -> str:
    return node.run("CLIENT", "LIST").decode()  # type: ignore[attr-defined]


def test_a_listener_that_does_not_read_is_cut_off(proxy: ShoalProxy) -> None:
    """At Redis' limit for subscribers, 32 MB; the others get everything."""
    with proxy.resp() as deaf, proxy.resp() as good, proxy.resp() as client:
        for listener in (deaf, good):
            assert listener.command("SUBSCRIBE", "loud")[2] == 1
        message = b"x" * 1_000_000
        for number in range(48):
            assert client.command("PUBLISH", "loud", b"%d" % number + message) >= 1
            assert good.read()[2] == b"%d" % number + message
        eventually(lambda: client.command("PUBLISH", "loud", "end") == 1, "the deaf one is gone")


def test_worker_hangs_up(cluster: RunningCluster, proxy: ShoalProxy) -> None:
    """All lines are lost at once: subscriptions are placed anew, and the clients are not told."""
    with proxy.resp() as listener, proxy.resp(protocol=3) as monitor, proxy.resp(timeout=10) as client:
        listener.send(
            encode("SUBSCRIBE", "c") + encode("PSUBSCRIBE", "p*") + encode("SSUBSCRIBE", "s1", "s2")
        )
        for _ in range(4):
            listener.read()
        monitor.command("MONITOR")
        for node in cluster.nodes:
            node.run("CLIENT", "KILL", "TYPE", "pubsub")
            node.run("CLIENT", "KILL", "TYPE", "normal")

        def heard(*request: str) -> bool:
            return client.command(*request) == 1

        for request in (
            ("PUBLISH", "c", "1"),
            ("PUBLISH", "p1", "1"),
            ("SPUBLISH", "s1", "1"),
            ("SPUBLISH", "s2", "1"),
        ):
            eventually(lambda request=request: heard(*request), f"{request} arrives")
        missing = {b"c", b"p*", b"s1", b"s2"}
        while missing:  # over lines of their own, and perhaps more than once: what came before it was counted
            missing.discard(listener.read()[1])
        eventually(
            lambda: client.command("SET", "seen", 1) == OK and "seen" in monitor.read().text, "it sees on"
        )
