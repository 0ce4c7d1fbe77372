"""Publish and subscribe beside redis-server: every frame, in both protocols, and what surrounds them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.harness.resp import NULL_BULK, Error, Push, Resp, Simple, Verbatim, encode
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually

END = "the end of the story"

STORY = [
    "UNSUBSCRIBE",
    "PUNSUBSCRIBE",
    "SUNSUBSCRIBE",
    "UNSUBSCRIBE never",
    "PUNSUBSCRIBE n*",
    "SUNSUBSCRIBE never",
    "SUBSCRIBE",
    "PUBSUB",
    "PUBSUB FOO",
    "PUBSUB CHANNELS a b",
    "PUBSUB SHARDCHANNELS a b",
    "PUBSUB NUMPAT x",
    "PUBSUB NUMSUB",
    "PUBSUB NUMSUB a b a",
    "PUBSUB SHARDNUMSUB",
    "PUBSUB SHARDNUMSUB a",
    "PUBLISH a",
    "PUBLISH a unheard",
    "SPUBLISH a unheard",
    "SUBSCRIBE a a b",
    "PING",
    "PING x",
    "PING x y",
    "GET k",
    "CONFIG GET",
    "CONFIG GET port2",
    "NOSUCH",
    "MULTI",
    "DISCARD",
    "PUBLISH a heard",
    "PSUBSCRIBE a?",
    "PSUBSCRIBE a?",
    "PUBLISH ab heard",
    "SSUBSCRIBE s a",
    "SPUBLISH s heard",
    "SPUBLISH a heard",
    "PUBSUB CHANNELS a*",
    "PUBSUB CHANNELS x*",
    "PUBSUB SHARDCHANNELS s",
    "PUBSUB NUMPAT",
    "PUBSUB NUMSUB a nobody",
    "PUBSUB SHARDNUMSUB a nobody",
    "UNSUBSCRIBE nobody",
    "SUNSUBSCRIBE nobody s",
    "UNSUBSCRIBE a",
    "PUBLISH a unheard",
    "PUNSUBSCRIBE",
    "SUNSUBSCRIBE",
    "UNSUBSCRIBE",
    "ECHO free",
    "MULTI",
    "SUBSCRIBE a b",
    "PUBLISH a heard",
    "PING",
    "GET k",
    "UNSUBSCRIBE a",
    "EXEC",
    "PING",
    "RESET",
    "PUBSUB NUMSUB b",
    "PING",
]


def told(server: Server, story: list[str], protocol: int) -> list[bytes]:
    """Everything the server sends to one connection that sends these commands, frame by frame."""
    with server.resp(protocol=protocol) as connection:
        for line in story:
            connection.send_command(*line.split(" "))
        connection.send_command("ECHO", END)
        frames = []
        while END.encode() not in (frame := connection.read_raw()):
            frames.append(frame)
        return frames


@pytest.mark.parametrize("protocol", [2, 3])
def test_every_frame_is_the_oracles(redis_oracle: Oracle, shoal_node: ShoalNode, protocol: int) -> None:
    assert told(shoal_node, STORY, protocol) == told(redis_oracle, STORY, protocol)


@contextmanager
def listeners(server: Server) -> Iterator[dict[tuple[int, str], Resp]]:
    """Six connections: each protocol listening to each kind of channel."""
    with ExitStack() as stack:
        connections = {}
        for protocol in (2, 3):
            for kind, name in (("SUBSCRIBE", "ch"), ("PSUBSCRIBE", "c?"), ("SSUBSCRIBE", "ch")):
                connection = connections[protocol, kind] = stack.enter_context(server.resp(protocol=protocol))
                connection.command(kind, name)
        yield connections


def test_messages_of_others(redis_oracle: Oracle, shoal_node: ShoalNode) -> None:
    heard = []
    for server in (shoal_node, redis_oracle):
        with listeners(server) as connections, server.resp() as publisher:
            counts = [publisher.command("PUBLISH", "ch", b"\r\n\0"), publisher.command("SPUBLISH", "ch", "s")]
            heard.append((counts, {who: each.read_raw() for who, each in connections.items()}))
    assert heard[0] == heard[1]
    assert heard[0][0] == [4, 2]


def heard_together(server: Server) -> list[bytes]:
    """What listeners of each protocol get of messages that came in one packet, in several ways."""
    with ExitStack() as stack:
        several = [stack.enter_context(server.resp(protocol=protocol)) for protocol in (2, 3, 2)]
        for connection in several:
            connection.command("SUBSCRIBE", "ra")
            connection.command("SUBSCRIBE", "rb")
        publisher = stack.enter_context(server.resp())
        story: list[tuple[str, ...]] = [("PUBLISH", name, str(number)) for number, name in enumerate(RUNS)]
        story[4:4] = [("MULTI",), ("PUBLISH", "ra", "queued"), ("EXEC",)]
        story.append(("EVAL", "return redis.call('PUBLISH', 'ra', 'scripted')", "0"))
        story.append(("PUBLISH", "ra", "long" * 80_000))
        story.append(("PUBLISH", "ra", "last"))
        publisher.send(b"".join(encode(*words) for words in story))
        heard = [repr(publisher.read()).encode() for _ in story]
        for connection in several:
            while b"last" not in heard[-1]:
                heard.append(connection.read_raw())
            heard.append(b"")
        return heard


RUNS = ("ra", "ra", "ra", "rb", "rb", "nobody", "ra", "rb", "ra", "ra")


def test_order_of_messages_that_come_together(redis_oracle: Oracle, shoal_node: ShoalNode) -> None:
    assert heard_together(shoal_node) == heard_together(redis_oracle)


def test_a_change_of_protocol_changes_what_is_allowed(shoal_node: ShoalNode) -> None:
    with shoal_node.resp(protocol=3) as connection, shoal_node.resp() as publisher:
        assert connection.command("SUBSCRIBE", "a") == Push([b"subscribe", b"a", 1])
        assert isinstance(connection.command("HELLO", "2"), list)
        refused = connection.command("GET", "k")
        assert isinstance(refused, Error) and refused.text.startswith("ERR Can't execute 'get': only")
        assert publisher.command("PUBLISH", "a", "m") == 1
        assert connection.read() == [b"message", b"a", b"m"]


def test_pushes_come_even_to_those_who_want_no_replies(redis_oracle: Oracle, shoal_node: ShoalNode) -> None:
    for server in (shoal_node, redis_oracle):
        with server.resp(protocol=3) as connection:
            connection.send_command("CLIENT", "REPLY", "OFF")
            assert connection.command("SUBSCRIBE", "a") == Push([b"subscribe", b"a", 1])
            connection.send_command("PUBLISH", "a", "m")
            assert connection.read() == Push([b"message", b"a", b"m"])
            assert connection.command("CLIENT", "REPLY", "ON") == Simple("OK")
            connection.send_command("CLIENT", "REPLY", "SKIP")
            assert connection.command("UNSUBSCRIBE") == Push([b"unsubscribe", b"a", 0])


def test_who_goes_listens_no_more(shoal_node: ShoalNode) -> None:
    with shoal_node.resp() as observer:
        with shoal_node.resp() as leaver:
            leaver.command("SUBSCRIBE", "gone")
            leaver.command("PSUBSCRIBE", "gone*")
            leaver.command("SSUBSCRIBE", "gone")
            assert observer.command("PUBLISH", "gone", "m") == 2
        eventually(lambda: observer.command("PUBLISH", "gone", "m") == 0, "the subscriptions are gone")
        assert observer.command("SPUBLISH", "gone", "m") == 0
        assert observer.command("PUBSUB", "CHANNELS", "gone") == []
        assert observer.command("PUBSUB", "SHARDCHANNELS", "gone") == []


def counters(server: Server) -> list[object]:
    """What CLIENT INFO, CLIENT LIST and INFO say while one client listens to something of each kind."""
    with server.resp(protocol=3) as connection, server.resp() as observer:
        connection.command("CLIENT", "SETNAME", "listener")
        for command in (("SUBSCRIBE", "a"), ("SUBSCRIBE", "b"), ("PSUBSCRIBE", "p*"), ("SSUBSCRIBE", "s")):
            connection.command(*command)
        line = connection.command("CLIENT", "INFO")
        assert isinstance(line, Verbatim)
        seen: list[object] = re.findall(rb" (flags|sub|psub|ssub)=(\w+)", line.text)
        listing = observer.command("CLIENT", "LIST", "TYPE", "pubsub")
        seen.append(b"name=listener" in listing)
        seen.append(b"name=listener" in observer.command("CLIENT", "LIST", "TYPE", "normal"))
        fields = {**server.info("clients"), **server.info("stats")}
        names = ("pubsub_channels", "pubsub_patterns", "pubsubshard_channels", "pubsub_clients")
        seen += [fields[name] for name in names]
        for command in ("UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"):
            connection.send_command(command)
        connection.send_command("CLIENT", "LIST", "TYPE", "pubsub")
        while isinstance(reply := connection.read(), Push):
            pass
        return [*seen, reply.text]


def test_counters(redis_oracle: Oracle, shoal_node: ShoalNode) -> None:
    ours = counters(shoal_node)
    assert ours == counters(redis_oracle)
    assert (b"flags", b"P") in ours and (b"sub", b"2") in ours


def test_replicas_hear_what_the_primary_publishes() -> None:
    with ShoalNode() as primary, ShoalNode() as replica:
        replica.follow(primary)
        with replica.resp() as listener:
            listener.command("SUBSCRIBE", "a")
            assert primary.run("PUBLISH", "a", "m") == 0
            assert listener.read() == [b"message", b"a", b"m"]
            listener.command("SSUBSCRIBE", "s")
            assert primary.run("SPUBLISH", "s", "m") == 0
            assert listener.read() == [b"smessage", b"s", b"m"]
        offset = replica.info("replication")["slave_repl_offset"]
        assert replica.run("PUBLISH", "a", "m") == 0
        assert primary.run("SET", "k", "v") == Simple("OK")
        eventually(lambda: replica.run("GET", "k") == b"v", "the stream goes on")
        assert replica.info("replication")["slave_repl_offset"] > offset


def flood(server: Server, connection: Resp, total: int) -> None:
    """Publish `total` bytes to `connection`, which does not read."""
    message = b"x" * 65536
    with server.resp(timeout=20) as publisher:
        commands = [encode("PUBLISH", "flood", message)] * 16
        for _ in range(total // len(message) // 16):
            publisher.send(b"".join(commands))
            for _ in commands:
                publisher.read()


def test_hard_limit_of_a_slow_subscriber() -> None:
    with ShoalNode(client_output_buffer_limit=["pubsub", "1mb", "0", "0"]) as node, node.resp() as slow:
        slow.command("SUBSCRIBE", "flood")
        flood(node, slow, 32 << 20)
        assert node.run("PUBLISH", "flood", "m") == 0
        assert "closed for overcoming of output buffer limits" in node.log


def test_soft_limit_of_a_slow_subscriber() -> None:
    with ShoalNode(client_output_buffer_limit=["pubsub", "0", "1mb", "1"]) as node, node.resp() as slow:
        slow.command("SUBSCRIBE", "flood")
        flood(node, slow, 16 << 20)
        assert node.run("PUBLISH", "flood", "m") == 1, "not at once"
        eventually(lambda: node.run("PUBLISH", "flood", "m") == 0, "closed after its time", timeout=10)


def test_the_limit_of_the_class_ends_with_the_last_subscription() -> None:
    with (
        ShoalNode(client_output_buffer_limit=["pubsub", "100kb", "0", "0"]) as node,
        node.resp(timeout=20) as client,
    ):
        assert node.run("SET", "big", b"x" * (16 << 20)) == Simple("OK")
        client.command("SUBSCRIBE", "a")
        client.command("UNSUBSCRIBE")
        assert len(client.command("GET", "big")) == 16 << 20


def test_one_message_to_many(shoal_node: ShoalNode) -> None:
    with ExitStack() as stack:
        many = [stack.enter_context(shoal_node.resp(protocol=2 + number % 2)) for number in range(200)]
        for connection in many:
            connection.send_command("SUBSCRIBE", "many")
        for connection in many:
            connection.read()
        assert shoal_node.run("PUBLISH", "many", "m") == 200
        for number, connection in enumerate(many):
            frame = connection.read()
            assert frame == (Push([b"message", b"many", b"m"]) if number % 2 else [b"message", b"many", b"m"])
        assert shoal_node.run("GET", "many") == NULL_BULK


def test_messages_of_a_pipeline_come_in_order_around_other_frames(
    redis_oracle: Oracle, shoal_node: ShoalNode
) -> None:
    """Some 300 KB in one turn, to listeners of both protocols; one of them publishes itself."""
    heard = []
    for server in (shoal_node, redis_oracle):
        with server.resp() as old, server.resp(protocol=3) as new, server.resp() as publisher:
            for listener in (old, new):
                listener.command("SUBSCRIBE", "ch")
            publisher.send(b"".join(encode("PUBLISH", "ch", b"%d" % n + b"x" * 3000) for n in range(100)))
            counts = [publisher.read() for _ in range(100)]
            frames = [old.read_raw() for _ in range(100)] + [new.read_raw() for _ in range(100)]
            new.send(encode("PUBLISH", "ch", "own") + encode("PING"))
            frames += [new.read_raw() for _ in range(3)] + [old.read_raw()]
            old.send(encode("PING") + encode("UNSUBSCRIBE"))
            frames += [old.read_raw() for _ in range(2)]
            heard.append((counts, frames, publisher.command("PUBLISH", "ch", "")))
    assert heard[0] == heard[1]
    assert heard[0][0] == [2] * 100
