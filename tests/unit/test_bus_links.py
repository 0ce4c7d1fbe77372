"""Bus links over real sockets of 127.0.0.1: they connect, carry, report, and never hold unbounded memory."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
import uvloop

from cluster.bus import wire
from cluster.bus.links import Links
from cluster.coordinator import messages as m
from cluster.coordinator.coordinator import LinkInfo
from node.config import Config
from node.event_loop import EventLoop
from node.listeners import open_tcp
from node.tls.contexts import build
from tests.harness.certificates import Authority
from tests.harness.ports import lease_port, release_port
from tests.unit.test_bus_wire import ALL_MESSAGES, HEADER


def on_both_loops(scenario: Callable[[], Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test of `scenario` on the event loop of workers, and on uvloop, where that is theirs."""

    @pytest.mark.parametrize("new_loop", [EventLoop, uvloop.new_event_loop], ids=["ours", "uvloop"])
    def test(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(scenario())

    return test


class Protected(NamedTuple):
    """Links by TLS, both ways."""

    for_members: ssl.SSLContext
    to_members: ssl.SSLContext


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Protected:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    us = authority.issue("us")
    flags = ["--tls-cert-file", us.certificate, "--tls-key-file", us.key]
    contexts = build(
        Config.from_args([*map(str, flags), "--tls-ca-cert-file", str(authority.own.certificate)])
    )
    return Protected(contexts.members, contexts.outgoing)


def plain_and_by_tls(
    scenario: Callable[[Protected | None], Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """The same, of a scenario that is told how links are protected."""

    @pytest.mark.parametrize("by_tls", [False, True], ids=["plain", "tls"])
    @pytest.mark.parametrize("new_loop", [EventLoop, uvloop.new_event_loop], ids=["ours", "uvloop"])
    def test(new_loop: Callable[[], asyncio.AbstractEventLoop], by_tls: bool, protected: Protected) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(scenario(protected if by_tls else None))

    return test


class Recorder:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.links: dict[int, LinkInfo] = {}
        self.faults: list[str] = []
        self.on_message: Callable[[m.Message, LinkInfo], None] = lambda message, link: None

    def link_up(self, link: int) -> None:
        self.events.append(("up", link))

    def link_down(self, link: int) -> None:
        self.events.append(("down", link))

    def bytes_received(self, link: int) -> None:
        if self.events[-1:] != [("bytes", link)]:
            self.events.append(("bytes", link))

    def received(self, message: m.Message, link: LinkInfo) -> None:
        self.links[link.id] = link
        self.events.append(("message", link.id, message))
        self.on_message(message, link)

    async def wait_for(self, *event: Any) -> None:
        await self.until(lambda: event in self.events, f"{event[0]} on link {event[1]}")

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        for _ in range(1000):
            if condition():
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"never came: {what}; had: {[event[:2] for event in self.events]}")

    def messages(self) -> list[m.Message]:
        return [event[2] for event in self.events if event[0] == "message"]


@asynccontextmanager
async def listening(tls: Protected | None = None) -> AsyncIterator[tuple[Links, Recorder, int]]:
    recorder, port = Recorder(), lease_port()
    links = Links(recorder, recorder.faults.append, tls=tls)
    await links.listen(open_tcp(["127.0.0.1"], port, 10, recorder.faults.append))
    try:
        yield links, recorder, port
    finally:
        links.close()
        release_port(port)


@plain_and_by_tls
async def test_messages_go_both_ways_in_order(tls: Protected | None) -> None:
    async with listening(tls) as (server, heard, port):
        said = Recorder()
        client = Links(said, said.faults.append, tls=tls)
        client.connect(1, "127.0.0.1", port)
        await said.wait_for("up", 1)
        heard.on_message = lambda message, link: server.send([link.id], message)
        for message in ALL_MESSAGES:
            client.send([1], message)
        await said.wait_for("message", 1, ALL_MESSAGES[-1])
        assert heard.messages() == said.messages() == list(ALL_MESSAGES)
        assert said.links[1].remote_ip == said.links[1].local_ip == "127.0.0.1"
        assert list(heard.links) == [-1]
        client.close()
        await heard.wait_for("down", -1)
        assert server.states() == []


@plain_and_by_tls
async def test_messages_go_both_ways_while_the_event_loop_stands_still(tls: Protected | None) -> None:
    async with listening(tls) as (server, heard, port):
        said = Recorder()
        client = Links(said, said.faults.append, tls=tls)
        client.connect(1, "127.0.0.1", port)
        await said.wait_for("up", 1)
        client.send([1], ALL_MESSAGES[0])
        await heard.wait_for("message", -1, ALL_MESSAGES[0])
        heard.on_message = lambda message, link: server.send([link.id], message)
        for message in ALL_MESSAGES:
            client.send([1], message)
        while len(said.messages()) < len(ALL_MESSAGES):  # nothing is awaited in here
            server.read_now()
            client.read_now()
        assert said.messages() == list(ALL_MESSAGES)
        client.close()
        server.read_now()
        await heard.wait_for("down", -1)


def stand_still(*all_links: Links, until: Callable[[], object]) -> None:
    """Do without the event loop until something has happened. Nothing is awaited in here."""
    for links in all_links:
        links.loop_stands_still = True
    deadline = time.monotonic() + 10
    while not until():
        assert time.monotonic() < deadline
        for links in all_links:
            links.read_now()
    for links in all_links:
        links.loop_stands_still = False


@plain_and_by_tls
async def test_links_begin_and_end_while_the_event_loop_stands_still(tls: Protected | None) -> None:
    async with listening(tls) as (server, heard, port):
        said = Recorder()
        client = Links(said, said.faults.append, tls=tls)
        client.loop_stands_still = True
        client.connect(1, "127.0.0.1", port)
        client.connect(2, "127.0.0.1", port)
        assert said.events == [], "nothing is told from inside"
        stand_still(server, client, until=lambda: len(said.events) == 2 and len(server.states()) == 2)
        assert sorted(said.events) == [("up", 1), ("up", 2)]
        client.send([1, 2], ALL_MESSAGES[0])
        stand_still(server, client, until=lambda: len(heard.messages()) == 2)
        client.disconnect(2)
        heard.on_message = lambda message, link: server.send([link.id], message)
        await asyncio.sleep(0)  # the event loop takes over
        for message in ALL_MESSAGES:
            client.send([1], message)
        await said.wait_for("message", 1, ALL_MESSAGES[-1])
        assert said.messages() == list(ALL_MESSAGES)
        await heard.until(lambda: len(server.states()) == 1, "the other link is down")
        assert {state.id for state in client.states()} == {1}
        client.close()
        await heard.until(lambda: not server.states(), "both are down")


@plain_and_by_tls
async def test_what_was_not_connected_before_the_event_loop_turns_is_connected_by_it(
    tls: Protected | None,
) -> None:
    async with listening(tls) as (_, heard, port):
        said = Recorder()
        client = Links(said, said.faults.append, tls=tls)
        client.loop_stands_still = True
        client.connect(1, "127.0.0.1", port)
        client.loop_stands_still = False
        await said.wait_for("up", 1)
        client.send([1], ALL_MESSAGES[0])
        await heard.until(lambda: heard.messages() == [ALL_MESSAGES[0]], "the message")
        client.close()


@on_both_loops
async def test_refusals_are_told_while_the_event_loop_stands_still() -> None:
    said, port = Recorder(), lease_port()
    links = Links(said, said.faults.append)
    links.loop_stands_still = True
    links.connect(5, "127.0.0.1", port)
    stand_still(links, until=lambda: said.events)
    assert said.events == [("down", 5)]
    assert links.states() == []
    release_port(port)


@on_both_loops
async def test_a_refused_connection_is_reported_down() -> None:
    said, port = Recorder(), lease_port()
    links = Links(said, said.faults.append)
    links.connect(5, "127.0.0.1", port)
    await said.wait_for("down", 5)
    assert said.events == [("down", 5)]
    release_port(port)


@on_both_loops
async def test_a_disconnected_link_reports_nothing() -> None:
    async with listening() as (server, heard, port):
        said = Recorder()
        client = Links(said, said.faults.append)
        client.connect(1, "127.0.0.1", port)
        client.disconnect(1)
        client.connect(2, "127.0.0.1", port)
        await said.wait_for("up", 2)
        client.disconnect(2)
        client.send([1, 2], ALL_MESSAGES[0])
        client.connect(3, "127.0.0.1", port)
        await said.wait_for("up", 3)
        await heard.until(lambda: len(server.states()) == 1, "only the last link is left")
        assert said.events == [("up", 2), ("up", 3)]
        assert heard.messages() == []
        client.close()


@on_both_loops
async def test_damage_closes_the_link_and_only_it() -> None:
    async with listening() as (server, heard, port):
        good = Recorder()
        client = Links(good, good.faults.append)
        client.connect(1, "127.0.0.1", port)
        await good.wait_for("up", 1)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(wire.encode(ALL_MESSAGES[0]) + b"GET / HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()
        client.send([1], ALL_MESSAGES[3])
        await heard.until(lambda: ALL_MESSAGES[3] in heard.messages(), "the message on the good link")
        assert len(server.states()) == 1
        assert heard.faults == ["Closing the cluster bus link with 127.0.0.1: message begins with b'GET '"]
        client.close()


@on_both_loops
async def test_half_a_message_counts_as_a_sign_of_life() -> None:
    async with listening() as (server, heard, port):
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(wire.encode(ALL_MESSAGES[0])[:100])
        await heard.wait_for("bytes", -1)
        assert heard.messages() == []
        assert server.states()[0].receiving == 100
        writer.close()
        await heard.wait_for("down", -1)


@on_both_loops
async def test_a_peer_that_does_not_read_is_given_up() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        said = Recorder()
        links = Links(said, said.faults.append, send_limit=1 << 20)
        links.connect(1, "127.0.0.1", deaf.getsockname()[1])
        await said.wait_for("up", 1)
        large = m.Publish(HEADER, b"c", bytes(500_000))
        for _ in range(40):
            links.send([1], large)
            assert links.waiting <= 1 << 20
        await said.wait_for("down", 1)
        assert links.overflowed >= 1
        links.close()


@on_both_loops
async def test_links_are_named_by_their_member() -> None:
    async with listening() as (server, heard, port):
        client = Links(Recorder(), print)
        heard.on_message = lambda message, link: server.name(link.id, message.header.sender)
        client.connect(1, "127.0.0.1", port)
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(wire.encode(ALL_MESSAGES[0]))
        await heard.until(lambda: bool(heard.messages()), "a message")
        assert "a" * 40 in [state.node for state in server.states()]
        writer.close()
        client.close()


def test_who_speaks_plain_text_where_tls_is_asked_for_gets_no_link(protected: Protected) -> None:
    async def scenario() -> None:
        async with listening(protected) as (server, heard, port):
            said = Recorder()
            whispered: list[str] = []
            plain = Links(said, said.faults.append)
            plain.connect(1, "127.0.0.1", port)
            await said.wait_for("up", 1)
            plain.send([1], ALL_MESSAGES[0])
            await said.wait_for("down", 1)
            assert heard.events == []
            assert server.states() == []
            nobody = Links(said, said.faults.append, tls=protected, whisper=whispered.append)
            async with listening() as (_, _, plain_port):
                nobody.connect(2, "127.0.0.1", plain_port)
                await said.wait_for("down", 2)
            assert whispered[0].startswith("No cluster bus link with 127.0.0.1: ")

    asyncio.run(scenario())
